"""结算单: issued after a period's end and agreed on by both sides; statement_paying.py settles it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Door, Permission, system
from marketplace.channels import statement_views
from marketplace.channels.models import ChannelAgreement
from marketplace.channels.statement_models import Statement, StatementDispute, StatementLine
from marketplace.channels.statement_rules import (
    Charge,
    charges_of,
    last_ended,
    lines_text,
    period_days,
    total_of,
)
from marketplace.channels.statement_sources import counted_lines, sellers_waiting, sold_lines
from marketplace.channels.states import (
    STATEMENT_ADVICE,
    STATEMENT_MOVES,
    DisputeState,
    Pattern,
    StatementState,
)
from marketplace.clock import business_day, today
from marketplace.database import db
from marketplace.errors import AlreadyThere, NotFound, RuleViolation, WrongState
from marketplace.numbering import Series, next_number
from marketplace.orders.states import move
from marketplace.quota.statement_books import digest_of
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

log = logging.getLogger("marketplace.channels")

# Shops report a day after it has ended; the worker waits so long for the reports of a period's last day.
GRACE = timedelta(days=1)


def issue_statement(
    actor: Actor, *, channel_id: UUID, seller_id: UUID, period: str, once: Once = NO_ONCE
) -> Reply:
    """Charge a channel with what it sold of a seller until the end of `period` ('YYYY-MM') and no statement has yet.

    Raises NotFound without an agreement of consignment, RuleViolation (`invalid`) before the period has ended,
    AlreadyThere (`already-there`) for the same period, WrongState (`wrong-state`) when there is nothing to charge.
    A county's office issues those of its own sellers.
    """
    with transaction(actor, Permission.CHANNEL_MANAGE, once) as tx:
        if actor.of_county and seller_id not in actor.subordinate_ids:
            raise NotFound
        # The channel's agreements are locked, so that two statements cannot charge the same report.
        agreements = _agreements(tx.session, channel_id, lock=True)
        first, last = _days(agreements, period)
        today = business_day(tx.started_at)
        if last >= today:
            raise RuleViolation(errors=[{"pointer": "#/period", "detail": f"这一期到{last}才结束"}])
        known = tx.session.scalar(
            sa.select(Statement.number).where(
                Statement.channel_id == channel_id,
                Statement.seller_id == seller_id,
                Statement.period == period,
            )
        )
        if known is not None:
            raise AlreadyThere("这一期已经有结算单", number=known)
        charges = charges_of(
            sold_lines(tx.session, channel_id, seller_id, last),
            counted_lines(tx.session, channel_id, seller_id, last),
        )
        if not charges:
            raise WrongState("这一期没有要结算的销售或盘点")
        agreement = _in_force(agreements, last)
        row = Statement(
            id=uuid7(),
            number=next_number(tx.session, Series.STATEMENT, today.year),
            channel_id=channel_id,
            seller_id=seller_id,
            agreement_id=agreement.id,
            period=period,
            from_day=first,
            to_day=last,
            due_on=last + timedelta(days=agreement.due_days),
            state=StatementState.ISSUED,
            total_fen=0,
            sha256=b"",
            issued_at=tx.started_at,
        )
        tx.session.add(row)
        tx.session.flush()
        lines = add_lines(tx, row, charges)
        tx.record(
            "statement.issued",
            "statement",
            row.id,
            parties=[channel_id, seller_id],
            number=row.number,
            channel=str(channel_id),
            seller=str(seller_id),
            agreement=str(agreement.id),
            period=period,
            from_day=first.isoformat(),
            to_day=last.isoformat(),
            due_on=row.due_on.isoformat(),
            occurred_on=today.isoformat(),
            amount_fen=row.total_fen,
            sha256=row.sha256.hex(),
            lines=lines,
        )
        return tx.answer(statement_views.statement_view(tx.session, row.id))


def due_statements(session: Session, day: date) -> list[tuple[UUID, UUID, str]]:
    """(channel, seller, period) of every statement that `day` could issue: the newest ended period of each."""
    found = []
    channels = session.scalars(
        sa.select(ChannelAgreement.channel_id)
        .where(ChannelAgreement.pattern == Pattern.CONSIGNMENT)
        .distinct()
        .order_by(ChannelAgreement.channel_id)
    ).all()
    for channel_id in channels:
        agreements = [a for a in _agreements(session, channel_id) if a.valid_from <= day]
        if not agreements:
            continue
        period = last_ended(day - GRACE, agreements[-1].period_end_day)
        _, last = period_days(period, agreements[-1].period_end_day)
        issued = set(
            session.scalars(
                sa.select(Statement.seller_id).where(
                    Statement.channel_id == channel_id, Statement.period == period
                )
            )
        )
        waiting = sellers_waiting(session, channel_id, last)
        found += [(channel_id, seller_id, period) for seller_id in waiting if seller_id not in issued]
    return found


def issue_due() -> None:
    """Issue what has not been: of each channel and seller the newest period that has ended."""
    session = db.session()
    due = due_statements(session, today())
    session.close()
    for channel_id, seller_id, period in due:
        try:
            issue_statement(system(Door.JOB), channel_id=channel_id, seller_id=seller_id, period=period)
        except (AlreadyThere, WrongState) as refusal:
            # The office was quicker, by hand.
            log.info("no statement of %s for %s: %s", period, seller_id, refusal.code)


def agree_statement(actor: Actor, statement_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """Say for one's own side that a statement is right; it is agreed when both have.

    Raises NotFound, WrongState (`wrong-state`) with the open `disputes` while a line is disputed, or when one's own side had agreed.
    """
    with transaction(actor, permission_of(actor), once) as tx:
        row = lock_statement(tx, statement_id)
        channels = actor.organisation_id == row.channel_id
        if (row.channel_agreed_at if channels else row.seller_agreed_at) is not None:
            raise WrongState("已经同意过这张结算单", state=row.state.value, event="agree")
        if row.state is StatementState.DISPUTED:
            disputes = [str(dispute_id) for dispute_id in open_disputes(tx.session, row.id)]
            detail = STATEMENT_ADVICE[row.state, "agree"]
            raise WrongState(detail, state=row.state.value, event="agree", disputes=disputes)
        both = (row.seller_agreed_at if channels else row.channel_agreed_at) is not None
        row.state = move(STATEMENT_MOVES, row.state, "agree_second" if both else "agree", STATEMENT_ADVICE)
        if channels:
            row.channel_agreed_at = tx.started_at
        else:
            row.seller_agreed_at = tx.started_at
        row.agreed_at = tx.started_at if both else None
        row.version += 1
        record(
            tx, "statement.agreed", row, by=str(actor.organisation_id), amount_fen=row.total_fen, both=both,
            occurred_on=business_day(tx.started_at).isoformat(),
        )  # fmt: skip
        return tx.answer(statement_views.statement_view(tx.session, row.id))


# Shared with statement_disputes.py and statement_paying.py.


def permission_of(actor: Actor) -> Permission:
    """A channel's acts on statements and a seller's have each their permission."""
    own = Permission.PAYMENT_CONFIRM
    return own if actor.can(own) else Permission.CHANNEL_STATEMENTS


def lock_statement(tx: Transaction, statement_id: UUID) -> Statement:
    """The statement of the actor's own side, locked. Raises NotFound for any other."""
    row = tx.session.scalar(
        sa.select(Statement)
        .where(
            Statement.id == statement_id,
            sa.or_(
                Statement.channel_id == tx.actor.organisation_id,
                Statement.seller_id == tx.actor.organisation_id,
            ),
        )
        .with_for_update()
    )
    if row is None:
        raise NotFound
    return row


def open_disputes(session: Session, statement_id: UUID) -> Sequence[UUID]:
    """Ids of the disputes that nobody has answered or taken back, the oldest first."""
    return session.scalars(
        sa.select(StatementDispute.id)
        .where(StatementDispute.statement_id == statement_id, StatementDispute.state == DisputeState.OPEN)
        .order_by(StatementDispute.id)
    ).all()


def add_lines(tx: Transaction, row: Statement, charges: list[Charge]) -> list[dict[str, object]]:
    """Append lines; total and digest follow from all lines. Returns the new ones as facts tell them."""
    before = statement_views.charges(tx.session, row.id)
    new = [(uuid7(), len(before) + n, charge) for n, charge in enumerate(charges, start=1)]
    for line_id, position, charge in new:
        tx.session.add(
            StatementLine(
                id=line_id,
                statement_id=row.id,
                position=position,
                kind=charge.kind,
                day=charge.day,
                source_id=charge.source,
                product_id=charge.product,
                lot_id=charge.lot,
                quantity=charge.quantity,
                unit_price_fen=charge.unit_price_fen,
                amount_fen=charge.amount_fen,
            )
        )
    row.total_fen = total_of(charge for _, _, charge in [*before, *new])
    row.sha256 = bytes.fromhex(digest_of(lines_text([*before, *new])))
    tx.session.flush()
    return lines_text(new)


def record(tx: Transaction, kind: str, row: Statement, **data: Any) -> None:
    tx.session.flush()
    parties = [row.channel_id, row.seller_id]
    tx.record(kind, "statement", row.id, parties=parties, number=row.number, **data)


def _agreements(session: Session, channel_id: UUID, *, lock: bool = False) -> list[ChannelAgreement]:
    statement = (
        sa.select(ChannelAgreement)
        .where(ChannelAgreement.channel_id == channel_id, ChannelAgreement.pattern == Pattern.CONSIGNMENT)
        .order_by(ChannelAgreement.valid_from)
    )
    return list(session.scalars(statement.with_for_update() if lock else statement))


def _in_force(agreements: list[ChannelAgreement], day: date) -> ChannelAgreement:
    """The agreement of a day; after the last one's end, that one: what still stands in the shop is settled by it."""
    begun = [row for row in agreements if row.valid_from <= day]
    if not begun:
        raise NotFound
    return begun[-1]


def _days(agreements: list[ChannelAgreement], period: str) -> tuple[date, date]:
    """The days of a period by the agreement that is in force on its last day."""
    if not agreements:
        raise NotFound
    _, latest = period_days(period, 31)
    return period_days(period, _in_force(agreements, latest).period_end_day)
