"""Keys of partners: `pl_live_<id>_<secret>` and `pl_test_…`. Pure.

The id may be shown and logged; the secret is 256 bits of chance, shown once and kept only as a peppered digest, so
that a copy of the database opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

_KEY = re.compile(r"pl_(live|test)_([a-z2-7]{12})_([0-9a-f]{64})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True)
class KeyText:
    """A key's parts; `text` is the whole, as its holder sends it."""

    mode: str
    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"KeyText({self.mode}, {self.key_id})"


def make_key(mode: str) -> KeyText:
    """A fresh key of `live` or `test`."""
    key_id = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return KeyText(mode, key_id, f"pl_{mode}_{key_id}_{secrets.token_hex(32)}")


def parse_key(text: str) -> KeyText | None:
    """The parts of a text that has the form of a key; None for any other."""
    found = _KEY.fullmatch(text)
    return None if found is None else KeyText(found[1], found[2], text)


def key_digest(pepper: str, text: str) -> bytes:
    """HMAC-SHA-256 of the whole key under the pepper, which is kept outside of the database."""
    return hmac.new(pepper.encode(), text.encode(), hashlib.sha256).digest()


def same_digest(one: bytes, other: bytes) -> bool:
    """Equal, in a time that tells nothing about where they differ."""
    return hmac.compare_digest(one, other)
