"""The public list of products: filters, ranking and live numbers in one statement a page.

Only recognised products of sellers that are not disabled are listed. Stock is summed from the rows, eligibility joined
from the dated table: neither is stored, so a hold or a new year shows with the next read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.catalog import cards, search
from marketplace.catalog.live import RECOGNISED, certified, stocked
from marketplace.catalog.live import SELLER as SELLER
from marketplace.catalog.live import P as P
from marketplace.catalog.live import available_quantity as available_quantity
from marketplace.catalog.live import eligible as eligible
from marketplace.catalog.live import lots_on_sale as lots_on_sale
from marketplace.catalog.models import Category
from marketplace.catalog.search import Script
from marketplace.clock import budget_year, today
from marketplace.errors import RuleViolation
from marketplace.paging import DEFAULT_LIMIT, Key, next_cursor, page_of_rows, page_statement, page_values
from marketplace.reading import fetch_plain
from marketplace.wire import Prepared, prepare

CLASS = Category.__table__.c


class Filters(NamedTuple):
    """What a reader asks for; prices in fen at the minimum quantity, `deliver_on` the day stock must last to."""

    q: str | None = None
    category: str | None = None
    county: str | None = None
    certification: str | None = None
    seller: UUID | None = None
    available: bool | None = None
    eligible: bool | None = None
    min_price_fen: int | None = None
    max_price_fen: int | None = None
    deliver_on: date | None = None
    sort: str = "relevance"


def list_products(
    session: Session, filters: Filters, *, limit: int = DEFAULT_LIMIT, after: str | None = None
) -> dict[str, Any]:
    """One page in the shape of `ProductOut`, for pages and tests. One query.

    Raises RuleViolation (`bad-cursor`; `invalid` for a delivery day in the past).
    """
    kept, values = _page(filters, limit, after)
    rows = session.execute(kept.statement, values).all()
    return page_of_rows(rows, kept.keys, limit=limit, shape=_dict)


def list_json(filters: Filters, *, limit: int = DEFAULT_LIMIT, after: str | None = None) -> bytes:
    """The same page as finished JSON, on a connection that opens no transaction."""
    kept, values = _page(filters, limit, after)
    rows = fetch_plain(kept.prepared, values)
    items = b",".join([cards.spliced(*row[:3]) for row in rows[:limit]])
    following = json.dumps(next_cursor(rows, kept.keys, limit=limit)).encode()
    return b'{"items":[%b],"next":%b}' % (items, following)


@dataclass(frozen=True)
class _Kept:
    """The statement of one combination of filters; their values come with each execution."""

    statement: sa.Select[Any]
    keys: Sequence[Key]
    prepared: Prepared


_kept: dict[tuple[Any, ...], _Kept] = {}
_MOST_KEPT = 500
_NAMES = Filters._fields


def _page(filters: Filters, limit: int, after: str | None) -> tuple[_Kept, dict[str, Any]]:
    day = today()
    asked = search.analyse(filters.q) if filters.q is not None else None
    values = _values(filters, asked, day)
    given = tuple(getattr(filters, name) is not None for name in _NAMES)
    # Which SQL it is: no value of the caller but the few that choose it.
    narrow = filters.category is not None and _is_narrow(filters.category)
    shape = (given, narrow, filters.sort, filters.available, filters.eligible, limit, after is not None,
             asked and (asked.script, bool(asked.tokens)))  # fmt: skip
    kept = _kept.get(shape)
    if kept is None:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        keys = _keys(filters.sort, asked)
        statement = _paged(filters, asked, day, keys, limit=limit, following=after is not None)
        kept = _kept[shape] = _Kept(statement, keys, prepare(statement))
    return kept, {**values, **page_values(kept.keys, after)}


def _paged(
    filters: Filters,
    asked: search.Query | None,
    day: date,
    keys: Sequence[Key],
    *,
    limit: int,
    following: bool,
) -> sa.Select[Any]:
    """The statement of a page: its ids from what an index holds, then cards and live numbers for these alone."""
    until = delivery_day(filters.deliver_on, day)
    of_classes = asked is None and filters.category is not None and _is_narrow(filters.category)
    chosen = filters._replace(category=None) if of_classes else filters
    ids = sa.select(P.id).where(P.state == RECOGNISED, *_conditions(chosen, asked, day, until))
    if filters.eligible is None:
        closed = sa.select(SELLER.id).where(SELLER.disabled_at.is_not(None))
        ids = ids.where(P.seller_id.not_in(closed))
    else:
        ids = ids.join(Organisation, SELLER.id == P.seller_id).where(SELLER.disabled_at.is_(None))
    if of_classes:
        page = _page_of_classes(ids, filters.category or "", keys, limit=limit, following=following)
    else:
        page = page_statement(ids, keys, limit=limit, following=following).subquery("page")
    ordered = [page.c[f"_key{n}"] for n in range(len(keys))]
    return (
        _shown(day, until)
        .add_columns(*ordered)
        .join(page, page.c.id == P.id)
        .order_by(*[c.desc() if down else c.asc() for c, (_, down) in zip(ordered, keys, strict=True)])
    )


def _page_of_classes(
    ids: sa.Select[Any], category: str, keys: Sequence[Key], *, limit: int, following: bool
) -> sa.Subquery:
    """The page of a class and of those below it: an index gives the first of each in order, and they are merged."""
    of_one = page_statement(
        ids.where(P.category_code == CLASS.code).correlate(Category),
        keys,
        limit=limit,
        following=following,
    ).lateral("of_one")
    columns = [of_one.c[f"_key{n}"] for n in range(len(keys))]
    return (
        sa.select(of_one.c.id, *columns)
        .select_from(Category)
        .join(of_one, sa.true())
        .where(*_within(CLASS.code, category))
        .order_by(*[c.desc() if down else c.asc() for c, (_, down) in zip(columns, keys, strict=True)])
        .limit(sa.literal_column(str(int(limit) + 1), sa.Integer))
        .subquery("page")
    )


def _within(column: sa.ColumnElement[str], category: str) -> list[sa.ColumnElement[bool]]:
    """A code and all below it. The bounds are for the index: no sign of a code comes after z, in any collation."""
    code = sa.bindparam("category", category, sa.Text)
    return [column >= code, column <= code.concat("zzzzzzzzzzzz"), sa.func.starts_with(column, code)]


def _shown(day: date, until: date) -> sa.Select[Any]:
    return sa.select(
        P.card,
        available_quantity(until).label("available_quantity"),
        eligible(day).label("eligible"),
    ).join(Organisation, SELLER.id == P.seller_id)


def _values(filters: Filters, asked: search.Query | None, day: date) -> dict[str, Any]:
    """The bind parameters of a list by their names."""
    values: dict[str, Any] = {
        name: value for name in _NAMES if (value := getattr(filters, name)) is not None and name != "q"
    }
    values |= {"day": day, "year": budget_year(day), "until": delivery_day(filters.deliver_on, day)}
    if asked is not None:
        values |= {"compact": asked.compact, "tokens": list(asked.tokens)}
    return values


def _dict(row: Any) -> dict[str, Any]:
    card, available, counts = row[:3]
    return {**json.loads(card), "available_quantity": available, "eligible": counts}


def listing(filters: Filters, day: date) -> tuple[sa.Select[Any], Sequence[Key]]:
    """The statement of a list on `day` without its page, and the keys that order it totally."""
    until = delivery_day(filters.deliver_on, day)
    asked = search.analyse(filters.q) if filters.q is not None else None
    statement = _shown(day, until).where(
        P.state == RECOGNISED, SELLER.disabled_at.is_(None), *_conditions(filters, asked, day, until)
    )
    return statement, _keys(filters.sort, asked)


def delivery_day(deliver_on: date | None, day: date) -> date:
    """The day that stock must last to. Raises RuleViolation (`invalid`) for a day that is over."""
    until = deliver_on or day
    if until < day:
        raise RuleViolation(errors=[{"parameter": "deliver_on", "detail": "交货日不能早于今天"}])
    return until


def _conditions(
    filters: Filters, asked: search.Query | None, day: date, until: date
) -> list[sa.ColumnElement[bool]]:
    given: list[sa.ColumnElement[bool]] = []
    if asked is not None:
        tokens = sa.bindparam("tokens", list(asked.tokens), P.tokens.type)
        given.append(P.tokens.contains(tokens) if asked.tokens else sa.false())
    if filters.category is not None:
        within = _within(P.category_code, filters.category)
        given += within if _is_narrow(filters.category) else within[-1:]
    if filters.county is not None:
        given.append(P.county_code == sa.bindparam("county", filters.county))
    if filters.seller is not None:
        given.append(P.seller_id == sa.bindparam("seller", filters.seller))
    if filters.certification is not None:
        given.append(certified(filters.certification, day))
    if filters.min_price_fen is not None:
        given.append(P.price_fen >= sa.bindparam("min_price_fen", filters.min_price_fen))
    if filters.max_price_fen is not None:
        given.append(P.price_fen <= sa.bindparam("max_price_fen", filters.max_price_fen))
    if filters.available is not None:
        on_sale = stocked(until)
        given.append(on_sale if filters.available else ~on_sale)
    if filters.eligible is not None:
        given.append(eligible(day) if filters.eligible else ~eligible(day))
    return given


def _is_narrow(category: str) -> bool:
    """Below the top classes: so few products that they are found first and then put in order."""
    return len(category) > 2


def _keys(sort: str, asked: search.Query | None) -> list[Key]:
    if sort == "price":
        return [(P.price_fen, False), (P.id, False)]
    if sort == "-price":
        return [(P.price_fen, True), (P.id, True)]
    if sort == "newest":
        return [(P.recognised_at, True), (P.id, True)]
    if asked is None:
        # Nothing to be relevant to: the order of entry, in which new rows only ever come last.
        return [(P.id, False)]
    length: sa.ColumnElement[Any] = sa.func.length(P.search_name, type_=sa.Integer)
    return [(rank(asked), False), (length, False), (P.sku, False), (P.id, False)]


def rank(asked: search.Query) -> sa.ColumnElement[int]:
    """0 the exact name, 1 its beginning, 2 inside it, 3 its pinyin, 4 its initials, 5 found by another text."""

    compact = sa.bindparam("compact", asked.compact, sa.Text)

    def inside(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return sa.func.strpos(column, compact) > 0

    steps: list[tuple[sa.ColumnElement[bool], int]] = [
        (P.search_name == compact, 0),
        (sa.func.starts_with(P.search_name, compact), 1),
        (inside(P.search_name), 2),
    ]
    if asked.script is Script.PINYIN:
        steps.append((inside(P.search_pinyin), 3))
    if asked.script is not Script.HAN:
        steps.append((inside(P.search_initials), 4))
    return sa.case(*[(condition, sa.literal(n, sa.Integer)) for condition, n in steps], else_=5)
