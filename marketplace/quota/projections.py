"""Counts lines in the transaction of the act: standing and ledger are right the moment a request is answered.

Orders and payments know nothing of this. The arithmetic is `ledger.advance`, the same that `verify` replays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.clock import business_day, period_of
from marketplace.orders.models import Order, OrderLine, Purchase
from marketplace.quota.ledger import LINE_FACTS, Entry, LineState, advance, book, states_of, steps_of
from marketplace.quota.models import LineStanding, PeriodClose
from marketplace.unit_of_work import RecordedFact, Transaction, register_projection

# Held shared by those who book into an earlier month, alone by the one who closes a month.
PERIODS_LOCK = "hashtextextended('quota.periods', 0)"
_SHARE_PERIODS = sa.text(f"select pg_advisory_xact_lock_shared({PERIODS_LOCK})")
_CLOSED = sa.select(PeriodClose.period)

STANDING_COLUMNS = (
    LineStanding.line_id,
    LineStanding.order_id,
    LineStanding.order_number,
    LineStanding.agency_id,
    LineStanding.purpose,
    LineStanding.county_code,
    LineStanding.buyer_county_code,
    LineStanding.category_code,
    LineStanding.eligible,
    LineStanding.policy_version,
    LineStanding.states,
    LineStanding.ordered_fen,
    LineStanding.accepted_fen,
    LineStanding.paid_fen,
    LineStanding.evaluated,
    LineStanding.evaluated_fen,
    LineStanding.counted_fen,
)

_AT_ZERO = {
    "ordered_fen": 0,
    "accepted_fen": 0,
    "paid_fen": 0,
    "evaluated": False,
    "evaluated_fen": 0,
    "counted_fen": 0,
}

_MOVE_STANDING = sa.text(
    """
    update line_standing s
    set ordered_fen = n.ordered, accepted_fen = n.accepted, paid_fen = n.paid, evaluated = n.evaluated,
        evaluated_fen = n.evaluated_fen, counted_fen = n.counted
    from unnest(cast(:lines as uuid[]), cast(:ordered as bigint[]), cast(:accepted as bigint[]),
                cast(:paid as bigint[]), cast(:evaluated as boolean[]), cast(:evaluated_fen as bigint[]),
                cast(:counted as bigint[]))
         as n(line, ordered, accepted, paid, evaluated, evaluated_fen, counted)
    where s.line_id = n.line
    """
)

_NEW_ENTRIES = sa.text(
    """
    insert into reserve_entry (fact_id, kind, amount_fen, occurred_on, recorded_at, year, period, adjusts, source,
        agency_id, purpose, county_code, buyer_county_code, category_code, eligible, policy_version, order_id,
        order_number, line_id)
    select :fact, n.kind, n.amount, :occurred_on, cast(:recorded_at as timestamptz), :year, :period, :adjusts,
        'own', s.agency_id, s.purpose, s.county_code, s.buyer_county_code, s.category_code, s.eligible,
        s.policy_version, s.order_id, s.order_number, s.line_id
    from unnest(cast(:lines as uuid[]), cast(:kinds as text[]), cast(:amounts as bigint[]))
         with ordinality as n(line, kind, amount, place)
    join line_standing s on s.line_id = n.line
    order by n.place
    """
)


def standing_state(row: Any) -> LineState:
    """A row of the standing columns as the fold sees it."""
    return LineState(
        line=str(row.line_id),
        order=str(row.order_id),
        order_number=row.order_number,
        agency=None if row.agency_id is None else str(row.agency_id),
        purpose=str(row.purpose),
        county=row.county_code,
        buyer_county=row.buyer_county_code,
        category=row.category_code,
        eligible=row.eligible,
        policy_version=row.policy_version,
        states=states_of(row.states),
        ordered_fen=row.ordered_fen,
        accepted_fen=row.accepted_fen,
        paid_fen=row.paid_fen,
        evaluated=row.evaluated,
        evaluated_fen=row.evaluated_fen,
        counted_fen=row.counted_fen,
    )


def standings(session: Session, lines: Iterable[UUID], *, lock: bool = False) -> dict[str, LineState]:
    """The present standing of `lines`, locked in the order of their ids when asked."""
    statement = (
        sa.select(*STANDING_COLUMNS)
        .where(LineStanding.line_id.in_(sorted(set(lines))))
        .order_by(LineStanding.line_id)
    )
    if lock:
        statement = statement.with_for_update()
    return {str(row.line_id): standing_state(row) for row in session.execute(statement)}


def closed_periods(session: Session, occurred_on: date, recorded_on: date) -> frozenset[str]:
    """The closed months that matter for an act of `occurred_on`.

    The month of the recording itself cannot be closed (`rules.period_is_over`), so the usual act asks nothing.
    """
    if period_of(occurred_on) == period_of(recorded_on):
        return frozenset()
    session.execute(_SHARE_PERIODS)
    return frozenset(session.scalars(_CLOSED))


def stand_up(tx: Transaction, fact: RecordedFact) -> None:
    """A seller confirmed: the lines of the order get their standing, then what was ordered is booked."""
    lines = [UUID(row["line"]) for row in fact.data["lines"]]
    rows = tx.session.execute(
        sa.select(
            OrderLine.id.label("line_id"),
            Order.id.label("order_id"),
            Order.number.label("order_number"),
            Order.quota_agency_id.label("agency_id"),
            sa.cast(Purchase.purpose, sa.Text).label("purpose"),
            OrderLine.county_code,
            Purchase.buyer_county_code,
            OrderLine.category_code,
            OrderLine.eligible,
            OrderLine.ineligible_reason,
            Purchase.policy_version,
            Purchase.counted_states.label("states"),
        )
        .join(Order, Order.id == OrderLine.order_id)
        .join(Purchase, Purchase.id == Order.purchase_id)
        .where(OrderLine.id.in_(lines))
        .order_by(OrderLine.id)
    ).all()
    values = [{**row._mapping, "states": ",".join(states_of(row.states)), **_AT_ZERO} for row in rows]
    tx.session.execute(sa.insert(LineStanding), values)
    follow(tx, fact)


def follow(tx: Transaction, fact: RecordedFact) -> None:
    """Lock the standing of the fact's lines, fold, and write entries and standing.

    Raises LookupError for a line whose order was never confirmed: such a fact is a defect of its service.
    """
    steps = steps_of(fact.kind, fact.data)
    if not steps:
        return
    states = standings(tx.session, map(UUID, steps), lock=True)
    if missing := sorted(steps.keys() - states.keys()):
        raise LookupError(f"{fact.kind} names lines that were never confirmed: {', '.join(missing)}")
    told: list[tuple[str, Entry]] = []
    for line in sorted(steps):
        states[line], entries = advance(states[line], steps[line])
        told += [(line, entry) for entry in entries]
    _write_standings(tx.session, list(states.values()))
    if told:
        _write_entries(tx.session, fact, told)


def _write_standings(session: Session, states: Sequence[LineState]) -> None:
    session.execute(
        _MOVE_STANDING,
        {
            "lines": [s.line for s in states],
            "ordered": [s.ordered_fen for s in states],
            "accepted": [s.accepted_fen for s in states],
            "paid": [s.paid_fen for s in states],
            "evaluated": [s.evaluated for s in states],
            "evaluated_fen": [s.evaluated_fen for s in states],
            "counted": [s.counted_fen for s in states],
        },
    )


def _write_entries(session: Session, fact: RecordedFact, told: Sequence[tuple[str, Entry]]) -> None:
    occurred_on = date.fromisoformat(fact.data["occurred_on"])
    booking = book(occurred_on, closed_periods(session, occurred_on, business_day(fact.recorded_at)))
    session.execute(
        _NEW_ENTRIES,
        {
            "fact": fact.id,
            "occurred_on": occurred_on,
            "recorded_at": fact.recorded_at,
            "year": booking.year,
            "period": booking.period,
            "adjusts": booking.adjusts,
            "lines": [line for line, _ in told],
            "kinds": [entry.kind.value for _, entry in told],
            "amounts": [entry.amount_fen for _, entry in told],
        },
    )


def register() -> None:
    for kind in LINE_FACTS:
        register_projection(kind, stand_up if kind == "order.confirmed" else follow)
