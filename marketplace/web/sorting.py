"""The order of a page's table as its address wishes it: ?sort=key upwards, ?sort=-key downwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import request

from marketplace.workbooks import member


def sorted_rows(rows: Sequence[dict[str, Any]], *keys: str) -> list[dict[str, Any]]:
    """A whole table by one of `keys` (members of a row, or paths); as it came for other wishes.

    Rows without a value come last both ways; rows that are alike keep their order.
    """
    wish = request.args.get("sort", "")
    key = wish.removeprefix("-")
    if key not in keys:
        return list(rows)
    told = [row for row in rows if member(row, key) is not None]
    silent = [row for row in rows if member(row, key) is None]
    return [*sorted(told, key=lambda row: member(row, key), reverse=wish.startswith("-")), *silent]
