"""The one text form of a fact: what is hashed, sealed and later compared is exactly these characters.

Equal values give the same text on every machine and in every version of Python, so a hash made today still holds
after a dump and restore. Times enter as text made by `instant_text`, since a database may round them.
"""

import json
from datetime import UTC, datetime

# Deeper nesting than any fact needs; also what stops a structure that contains itself.
MAX_DEPTH = 32
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def canonical(value: object) -> str:
    """The text that stands for `value` in the journal for good.

    Keys sorted by code point, no spaces, no escapes but those of quote, backslash and U+0001 to U+001F.
    Allowed: str, int (signed 64 bits, as BIGINT holds), bool, None, list, dict with str keys, 32 levels deep.
    Raises ValueError naming the path (`$.lines[2].name`) for anything else: floats, times, tuples, keys that
    are not text, NUL and lone surrogates. A database or a second reader would not give those back unchanged.
    """
    if not _sound(value, 0):
        _check(value, "$", 0)
    text = _encode(value)
    # NUL stands as an escape in the text, and what can't be encoded is found in the whole of it: each of some hundred
    # texts is looked at by itself, to say which it is, only where there may be one.
    if "\\u0000" in text or not (text.isascii() or _encodes(text)):
        _check(value, "$", 0)
    return text


def instant_text(moment: datetime) -> str:
    """A moment as facts write it: UTC with six decimals, `2026-11-24T04:01:02.000003Z`.

    Raises ValueError for a time without a zone.
    """
    if moment.utcoffset() is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _encodes(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _sound(value: object, depth: int) -> bool:
    """Whether `_check` would find the types, depth and numbers right; what it does not know it leaves to that."""
    if isinstance(value, dict):
        if depth >= MAX_DEPTH:
            return False
        for key, item in value.items():
            if type(key) is not str or not (type(item) is str or _sound(item, depth + 1)):
                return False
        return True
    if isinstance(value, list):
        if depth >= MAX_DEPTH:
            return False
        return all(type(item) is str or _sound(item, depth + 1) for item in value)
    if type(value) is int:
        return _INT_MIN <= value <= _INT_MAX
    return value is None or isinstance(value, bool) or type(value) is str


def _check(value: object, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"{path}: nested deeper than {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise ValueError(f"{path}: integer outside 64 bits")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ValueError(f"{path}: key {key!r} is not text")
            _check_text(key, f"{path}: key {key!r}")
            _check(item, f"{path}.{key}", depth + 1)
    else:
        raise ValueError(f"{path}: {type(value).__name__} is not allowed in a fact")


def _check_text(text: str, path: str) -> None:
    if "\x00" in text:
        raise ValueError(f"{path}: NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"{path}: lone surrogate at character {error.start}") from None
