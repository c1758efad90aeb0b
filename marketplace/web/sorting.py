"""A page's table as its address wishes it: ?q= finds rows, ?sort=key orders them (-key downwards), ?after= turns pages.

For tables that are small enough to be read whole; long ones are found, sorted and paged by the database (`paging.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from flask import request

from marketplace.paging import DEFAULT_LIMIT, BadCursor
from marketplace.workbooks import member

MAX_QUERY = 100
Row = TypeVar("Row")


def sorted_rows(rows: Sequence[Row], *keys: str) -> list[Row]:
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


def typed() -> str | None:
    """What was typed to find rows by (?q=); None for nothing."""
    return request.args.get("q", "").strip()[:MAX_QUERY] or None


def found_rows(rows: Sequence[Row], *keys: str) -> list[Row]:
    """The rows that have what was typed (?q=) in one of `keys`; all of them when nothing was typed."""
    wanted = (typed() or "").casefold()
    return [row for row in rows if any(wanted in str(member(row, key) or "").casefold() for key in keys)]


def page_of(rows: Sequence[Any], *, name: str = "after", limit: int = DEFAULT_LIMIT) -> dict[str, Any]:
    """One page of a whole table: {"items": [...], "next": where the next one begins, or None}.

    `name` is the address's argument, of its own for each table of a page. Raises BadCursor (`bad-cursor`).
    """
    given = request.args.get(name, "0")
    if not (given.isascii() and given.isdigit() and len(given) < 9):
        raise BadCursor
    start = int(given)
    following = start + limit
    return {"items": rows[start:following], "next": str(following) if following < len(rows) else None}
