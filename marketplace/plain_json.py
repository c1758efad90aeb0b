"""Finished JSON of plain values, for the answers whose schema would take longer to walk than their rows to read.

The keys stand in the order of the schema and the values are those that its fields would write; a test of each such
answer compares the bytes.
"""

from __future__ import annotations

import orjson


def encoded(value: object) -> bytes:
    """UTF-8. Raises TypeError for what is neither text, number, boolean, null, list, dict, day, instant nor id, and for
    integers beyond 64 bits.
    """
    return orjson.dumps(value)
