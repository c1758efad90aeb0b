"""Finished JSON of plain values, for the answers whose schema would take longer to walk than their rows to read.

The keys stand in the order of the schema and the values are those that its fields would write; a test of each such
answer compares the bytes.
"""

from __future__ import annotations

import json
from datetime import date
from uuid import UUID


def _plain(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"no plain value: {type(value).__name__}")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain).encode


def encoded(value: object) -> bytes:
    """UTF-8. Raises TypeError for what is neither text, number, boolean, null, list, dict, day, instant nor id."""
    return _encode(value).encode()
