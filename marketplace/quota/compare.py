"""Compares each table with what the facts say. Reads only; every difference is named with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import sqlalchemy as sa

from marketplace.quota.compare_channels import compare_channels
from marketplace.quota.comparison import Comparison, Difference
from marketplace.quota.ledger import states_of
from marketplace.quota.message_books import MessageBooks
from marketplace.quota.rebuild import Rebuilt


@dataclass(frozen=True)
class Sizes:
    stock_rows: int
    entries: int
    lines: int
    money: int


_STOCK = """
    select s.lot_id::text, s.place_id::text, s.on_hand, s.reserved,
           coalesce(m.on_hand, 0)::bigint, coalesce(m.reserved, 0)::bigint,
           s.product_id::text, s.best_before::text, s.on_sale,
           l.product_id::text, l.best_before::text, l.state = 'released' and o.organisation_id = p.seller_id
    from stock s
    join lot l on l.id = s.lot_id
    join product p on p.id = l.product_id
    join place o on o.id = s.place_id
    left join (
        select stock_id, sum(on_hand_delta) as on_hand, sum(reserved_delta) as reserved
        from stock_movement group by stock_id) m on m.stock_id = s.id
"""
_STOCK_COPIES = ("product_id", "best_before", "on_sale")
_LINES = """
    select id::text, order_id::text, county_code, category_code, eligible, unit_price_fen, quantity, goods_fen,
           cancelled_quantity, shipped_quantity, accepted_quantity, refused_quantity, accepted_fen, paid_fen
    from order_line
"""
_LINE_NAMES = (
    "order_id", "county_code", "category_code", "eligible", "unit_price_fen", "quantity", "goods_fen",
    "cancelled_quantity", "shipped_quantity", "accepted_quantity", "refused_quantity", "accepted_fen", "paid_fen",
)  # fmt: skip
_ORDERS = "select id::text, number, goods_fen, accepted_fen, invoiced_fen, paid_fen from orders"
_ORDER_NAMES = ("number", "goods_fen", "accepted_fen", "invoiced_fen", "paid_fen")
_STANDINGS = """
    select line_id::text, order_id::text, order_number, agency_id::text, purpose, county_code, buyer_county_code,
           category_code, eligible, policy_version, states, ordered_fen, accepted_fen, paid_fen, evaluated,
           evaluated_fen, counted_fen
    from line_standing
"""
_STANDING_NAMES = (
    "order_id", "order_number", "agency_id", "purpose", "county_code", "buyer_county_code", "category_code",
    "eligible", "policy_version", "states", "ordered_fen", "accepted_fen", "paid_fen", "evaluated",
    "evaluated_fen", "counted_fen",
)  # fmt: skip
_ENTRIES = """
    select fact_id::text, line_id::text, kind, amount_fen, occurred_on::text,
           to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), year, period, adjusts, source,
           agency_id::text, purpose, county_code, buyer_county_code, category_code, eligible, policy_version,
           order_id::text, order_number
    from reserve_entry where source = 'own'
"""
_ENTRY_NAMES = (
    "amount_fen", "occurred_on", "recorded_at", "year", "period", "adjusts", "source", "agency_id", "purpose",
    "county_code", "buyer_county_code", "category_code", "eligible", "policy_version", "order_id", "order_number",
)  # fmt: skip
_MONEY = """
    select fact_id::text, kind, payment_id::text, statement_id::text, occurred_on::text,
           to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    from money_entry
"""
_MONEY_NAMES = ("kind", "payment_id", "statement_id", "occurred_on", "recorded_at")
_POSTINGS = "select fact_id::text, account, organisation_id::text, amount_fen from money_posting"
_ATTEMPTS = "select id::text, captured_fen, refunded_fen from payment_attempt"
_MESSAGES = """
    select event_id, state, reason from gateway_event where state = 'quarantined' or reason in ('settled', 'foreign')
"""
_DECLARATIONS = (
    "select id::text, agency_id::text, year, state, current_version, approved_version from declaration"
)
_DECLARATION_NAMES = ("agency_id", "year", "state", "current_version", "approved_version")
_VERSIONS = """
    select declaration_id::text, number, canteen, base_fen, share_bp, reserve_fen, represented_by_id::text,
           contractor_id::text, policy_version
    from declaration_version
"""
_VERSION_NAMES = (
    "canteen", "base_fen", "share_bp", "reserve_fen", "represented_by_id", "contractor_id", "policy_version",
)  # fmt: skip


def compare_tables(connection: sa.Connection, rebuilt: Rebuilt, differences: list[Difference]) -> Sizes:
    """Adds every difference to `differences`; returns how many rows of each kind were compared."""
    comparison = Comparison(connection, differences)
    stock_rows = _compare_stock(comparison, rebuilt)
    lines = comparison.table(
        "order_line",
        _LINE_NAMES,
        ((row[0], tuple(row[1:])) for row in comparison.rows(_LINES)),
        rebuilt.lines,
        lambda line: (
            line.order, line.county, line.category, line.eligible, line.unit_price_fen, line.quantity,
            line.goods_fen, line.cancelled, line.shipped, line.accepted, line.refused, line.accepted_fen,
            line.paid_fen,
        ),
    )  # fmt: skip
    comparison.table(
        "orders",
        _ORDER_NAMES,
        ((row[0], tuple(row[1:])) for row in comparison.rows(_ORDERS)),
        rebuilt.orders,
        lambda order: (
            order.number, order.goods_fen, order.accepted_fen, order.invoiced_fen, order.paid_fen,
        ),
    )  # fmt: skip
    _compare_standings(comparison, rebuilt)
    entries = comparison.table(
        "reserve_entry",
        _ENTRY_NAMES,
        (((row[0], row[1], row[2]), tuple(row[3:])) for row in comparison.rows(_ENTRIES)),
        rebuilt.entries,
        tuple,
    )
    _compare_declarations(comparison, rebuilt)
    _compare_messages(comparison, rebuilt.messages)
    compare_channels(comparison, rebuilt)
    return Sizes(stock_rows, entries, lines, _compare_money(comparison, rebuilt))


def _compare_money(comparison: Comparison, rebuilt: Rebuilt) -> int:
    comparison.table(
        "money_entry",
        _MONEY_NAMES,
        ((row[0], tuple(row[1:])) for row in comparison.rows(_MONEY)),
        rebuilt.money,
        tuple,
    )
    comparison.table(
        "payment_attempt",
        ("captured_fen", "refunded_fen"),
        ((row[0], tuple(row[1:])) for row in comparison.rows(_ATTEMPTS)),
        rebuilt.attempts,
        tuple,
    )
    return comparison.table(
        "money_posting",
        ("amount_fen",),
        (((row[0], row[1], row[2]), (row[3],)) for row in comparison.rows(_POSTINGS)),
        rebuilt.postings,
        lambda amount: (amount,),
    )


def _compare_messages(comparison: Comparison, books: MessageBooks) -> None:
    rows = (
        (str(uuid5(NAMESPACE_URL, event)), (state, reason))
        for event, state, reason in comparison.rows(_MESSAGES)
    )
    comparison.table("gateway_event", ("state", "reason"), rows, books.messages, tuple)


def _compare_stock(comparison: Comparison, rebuilt: Rebuilt) -> int:
    count = 0
    seen = set()
    for lot, place, on_hand, reserved, moved_on_hand, moved_reserved, *sale in comparison.rows(_STOCK):
        count += 1
        seen.add((lot, place))
        told = rebuilt.stock.get((lot, place), [0, 0])
        where = f"lot {lot} place {place}"
        for what, want, have in (
            ("stock.on_hand", told[0], on_hand),
            ("stock.reserved", told[1], reserved),
            ("stock_movement.on_hand_delta", told[0], moved_on_hand),
            ("stock_movement.reserved_delta", told[1], moved_reserved),
            *zip((f"stock.{name}" for name in _STOCK_COPIES), sale[3:], sale[:3], strict=True),
        ):
            if want != have:
                comparison.differences.append(Difference(what, where, want, have))
    for (lot, place), told in rebuilt.stock.items():
        if (lot, place) not in seen:
            comparison.differences.append(Difference("stock", f"lot {lot} place {place}", told, "no row"))
    return count


def _compare_standings(comparison: Comparison, rebuilt: Rebuilt) -> None:
    comparison.table(
        "line_standing",
        _STANDING_NAMES,
        (
            (row[0], (*row[1:10], _states(row[10]), *row[11:]))
            for row in comparison.rows(_STANDINGS)
        ),
        rebuilt.standing,
        lambda s: (
            s.order, s.order_number, s.agency, s.purpose, s.county, s.buyer_county, s.category, s.eligible,
            s.policy_version, s.states, s.ordered_fen, s.accepted_fen, s.paid_fen, s.evaluated, s.evaluated_fen,
            s.counted_fen,
        ),
    )  # fmt: skip


def _states(text: str) -> Any:
    try:
        return states_of(text)
    except ValueError:
        return text


def _compare_declarations(comparison: Comparison, rebuilt: Rebuilt) -> None:
    comparison.table(
        "declaration",
        _DECLARATION_NAMES,
        ((row[0], tuple(row[1:])) for row in comparison.rows(_DECLARATIONS)),
        rebuilt.declarations,
        lambda d: (d.agency, d.year, d.state, d.current, d.approved),
    )
    versions = {
        (declaration, number): version
        for declaration, sums in rebuilt.declarations.items()
        for number, version in sums.versions.items()
    }
    comparison.table(
        "declaration_version",
        _VERSION_NAMES,
        (((row[0], row[1]), tuple(row[2:])) for row in comparison.rows(_VERSIONS)),
        versions,
        tuple,
    )
    found = {row[0] for row in comparison.rows("select period from period_close")}
    for period in sorted(found ^ rebuilt.closed):
        told = ("closed", "open") if period in rebuilt.closed else ("open", "closed")
        comparison.differences.append(Difference("period_close", period, *told))
