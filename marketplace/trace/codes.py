"""Trace codes: 20 Crockford base-32 symbols that only we can make and that tell a slip of the pen at once.

Layout: key version 1, random 10 (50 bits), HMAC-SHA-256 tag 8 (40 bits, over version and random), check 1.
The codes fit GS1 application identifiers 10 and 21. A guessed code is valid with probability 2^-40.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 20
MAX_INPUT = 64  # a code with a separator after every symbol is 39 long
_RANDOM, _TAG = 10, 8
_VALUE = {symbol: value for value, symbol in enumerate(ALPHABET)}
_READ = _VALUE | {symbol.lower(): value for symbol, value in _VALUE.items()}
_READ |= {"I": 1, "i": 1, "L": 1, "l": 1, "O": 0, "o": 0}
_IGNORED = frozenset("- \t\u3000\u2010\u2011\u2013\u2014\u2212\uff0d")
# Stands in for what could not be read, so that a refusal takes the same steps as an acceptance.
_NOTHING = "0" * LENGTH


def make_trace_code(keys: Sequence[str], draw: Callable[[int], int] = secrets.randbits) -> str:
    """A new code under the newest key (the last of `keys`, 1 to 32 of them); `draw` gives that many random bits."""
    if not 1 <= len(keys) <= len(ALPHABET):
        raise ValueError("trace codes need 1 to 32 key versions")
    body = ALPHABET[len(keys) - 1] + _symbols(draw(5 * _RANDOM), _RANDOM)
    body += _tag(keys[-1], body)
    return body + check_symbol(body)


def parse_trace_code(text: str, keys: Sequence[str]) -> str | None:
    """The canonical form of a code that we made; None for a mistyped, forged or foreign one, without telling which.

    Case, hyphens and spaces are ignored; I and L are read as 1, O as 0. The tag is compared in constant time and
    always computed, whatever was wrong before.
    """
    code = canonical_form(text)
    read = code is not None and code[-1] == check_symbol(code[:-1])
    candidate = code or _NOTHING
    version = _VALUE[candidate[0]]
    known = version < len(keys)
    body = candidate[: 1 + _RANDOM]
    genuine = hmac.compare_digest(_tag(keys[version if known else 0], body), candidate[1 + _RANDOM : -1])
    return candidate if read and known and genuine else None


def canonical_form(text: str) -> str | None:
    """20 upper-case symbols, or None when the text is no code at all. Says nothing about who made it."""
    if len(text) > MAX_INPUT:
        return None
    values = [_READ.get(symbol) for symbol in text if symbol not in _IGNORED]
    if len(values) != LENGTH or None in values:
        return None
    return "".join(ALPHABET[value] for value in values if value is not None)


def shown(code: str) -> str:
    """In fives, as on labels and pages: 1K7QM-2V9XA-TF4G8-CNRH3."""
    return "-".join(code[start : start + 5] for start in range(0, len(code), 5))


def check_symbol(body: str) -> str:
    """The check symbol of a body: the polynomial of its symbols over GF(32), taken at the generator.

    Every weight is another power of a generator of order 31, so one wrong symbol, and two swapped symbols
    wherever they stand, always change it.
    """
    check = 0
    for symbol in body:
        check = _doubled(check ^ _VALUE[symbol])
    return ALPHABET[check]


def _doubled(value: int) -> int:
    """Times the generator in GF(32) with x^5 + x^2 + 1."""
    value <<= 1
    return value ^ 0b100101 if value & 0b100000 else value


def _tag(key: str, body: str) -> str:
    digest = hmac.digest(key.encode(), b"trace-code:" + body.encode(), hashlib.sha256)
    return _symbols(int.from_bytes(digest[:5], "big"), _TAG)


def _symbols(number: int, count: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(count)))
