"""Keyset paging: stable while rows are written, with an opaque cursor that names the last row's sort keys."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.errors import RuleViolation

DEFAULT_LIMIT = 24
MAX_LIMIT = 100

# A column of the statement (plain or mapped) and whether it runs downwards.
Key = tuple[sa.SQLColumnExpression[Any], bool]


class BadCursor(RuleViolation):
    slug = "bad-cursor"
    title = "翻页标记无效，请从第一页重新开始"


def encode_cursor(values: Sequence[Any]) -> str:
    text = json.dumps([_plain(v) for v in values], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, size: int) -> list[Any]:
    """Raises BadCursor (`bad-cursor`) for anything that we did not make."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, UnicodeDecodeError):
        raise BadCursor from None
    if (
        not isinstance(values, list)
        or len(values) != size
        or not all(isinstance(v, str | int) for v in values)
    ):
        raise BadCursor
    return values


def _plain(value: Any) -> str | int:
    if isinstance(value, bool) or not isinstance(value, int | str | UUID | date | datetime):
        raise TypeError(f"not a sort key: {value!r}")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _type(column: Any) -> Any:
    return column.type


def _typed(column: Any, value: Any) -> Any:
    """The cursor's value as the column's type holds it; a bad one is refused before the database sees it."""
    kind = _type(column).python_type
    readers: dict[type, Callable[[Any], Any]] = {
        UUID: UUID,
        datetime: datetime.fromisoformat,
        date: date.fromisoformat,
    }
    try:
        if isinstance(value, int) is not (kind is int):
            raise ValueError
        parsed: Any = readers[kind](value) if kind in readers else value
        if kind is int and not -(2**63) <= parsed < 2**63:
            raise ValueError
    except (ValueError, TypeError, AttributeError):
        raise BadCursor from None
    return parsed


def sort_keys(
    sorts: Mapping[str, sa.SQLColumnExpression[Any]], sort: str | None, newest: sa.SQLColumnExpression[Any]
) -> list[Key]:
    """The keys of a named sort, with a minus downwards; the newest first for none and for names that are not known."""
    column = sorts.get((sort or "").removeprefix("-"))
    down = (sort or "").startswith("-")
    return [(newest, True)] if column is None else [(column, down), (newest, down)]


def page_values(keys: Sequence[Key], after: str | None) -> dict[str, Any]:
    """What `page_statement` is executed with. Raises BadCursor (`bad-cursor`)."""
    if after is None:
        return {}
    given = decode_cursor(after, len(keys))
    return {f"after_{n}": _typed(keys[n][0], value) for n, value in enumerate(given)}


def page_statement(
    statement: sa.Select[*tuple[Any, ...]], keys: Sequence[Key], *, limit: int, following: bool
) -> sa.Select[*tuple[Any, ...]]:
    """`statement` ordered by `keys`, which become its last columns, and cut to one page and a row.

    `following`: the page after a cursor. The parameters come from `page_values`, so the statement may be kept. The
    limit stands in the text: to a planner that doesn't know it, a page is a tenth of the table.
    """
    columns: list[Any] = [column.label(f"_key{n}") for n, (column, _) in enumerate(keys)]
    statement = statement.add_columns(*columns)
    if following:
        beyond: list[sa.ColumnElement[bool]] = []
        seen = [sa.bindparam(f"after_{n}", type_=_type(column)) for n, (column, _) in enumerate(keys)]
        for n, (column, descending) in enumerate(keys):
            equal = [keys[m][0] == seen[m] for m in range(n)]
            beyond.append(sa.and_(*equal, column < seen[n] if descending else column > seen[n]))
        statement = statement.where(sa.or_(*beyond))
    ordered = statement.order_by(*[c.desc() if d else c.asc() for c, d in keys])
    return ordered.limit(sa.literal_column(str(int(limit) + 1), sa.Integer))


def page_of_rows(
    rows: Sequence[Any], keys: Sequence[Key], *, limit: int, shape: Callable[[Any], Any]
) -> dict[str, Any]:
    """{"items": [...], "next": cursor or None} of what `page_statement` returned; `shape` makes an item of a row."""
    more = len(rows) > limit
    rows = rows[:limit]
    following = encode_cursor(list(rows[-1][-len(keys) :])) if more else None
    return {"items": [shape(row) for row in rows], "next": following}


def next_cursor(rows: Sequence[Sequence[bytes | None]], keys: Sequence[Key], *, limit: int) -> str | None:
    """The `next` of `page_of_rows` for rows as the server writes them."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1][-len(keys) :]
    return encode_cursor([_read(column, text) for (column, _), text in zip(keys, last, strict=True)])


def _read(column: Any, text: bytes | None) -> Any:
    if text is None:
        raise TypeError("not a sort key: null")
    kind = _type(column).python_type
    if kind is int:
        return int(text)
    # The server writes an instant in another way than we do; ids, days and texts alike.
    return _typed(column, text.decode()) if kind is datetime else text.decode()


def paginate(
    session: Session,
    statement: sa.Select[*tuple[Any, ...]],
    keys: Sequence[Key],
    *,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
    shape: Callable[[Any], Any],
) -> dict[str, Any]:
    """One page of `statement`: {"items": [...], "next": cursor or None}, in one query.

    `keys` order the rows totally (the last one is unique); they are added to the statement as columns. The keys
    may differ in direction. `shape` makes an item of a row.
    """
    values = page_values(keys, after)
    page = page_statement(statement, keys, limit=limit, following=after is not None)
    return page_of_rows(session.execute(page, values).all(), keys, limit=limit, shape=shape)
