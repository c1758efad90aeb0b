"""A line of a statement is disputed with another quantity; the other side corrects it, or holds to it.

Until then whoever disputed it may take that back.
"""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor
from marketplace.channels import statement_views
from marketplace.channels.statement_models import Statement, StatementDispute, StatementLine
from marketplace.channels.statement_rules import corrected, proposal_problem
from marketplace.channels.statements import (
    add_lines,
    lock_statement,
    open_disputes,
    permission_of,
    record,
)
from marketplace.channels.states import (
    DISPUTE_ADVICE,
    DISPUTE_MOVES,
    STATEMENT_ADVICE,
    STATEMENT_MOVES,
    DisputeState,
)
from marketplace.clock import business_day
from marketplace.errors import AlreadyThere, NotFound, WrongState, refuse_fields
from marketplace.orders.states import move
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7


def raise_dispute(
    actor: Actor, statement_id: UUID, line_id: UUID, *, quantity: int, reason: str, once: Once = NO_ONCE
) -> Reply:
    """Dispute one line: `quantity` packs are right, not those that stand there.

    Raises NotFound, RuleViolation (`invalid`), AlreadyThere (`already-there`) while the line is disputed, WrongState
    (`wrong-state`) once the statement is agreed or the line has been corrected.
    """
    with transaction(actor, permission_of(actor), once) as tx:
        row = lock_statement(tx, statement_id)
        line = tx.session.get(StatementLine, line_id)
        if line is None or line.statement_id != row.id:
            raise NotFound
        row.state = move(STATEMENT_MOVES, row.state, "dispute", STATEMENT_ADVICE)
        seen = set(
            tx.session.scalars(sa.select(StatementDispute.state).where(StatementDispute.line_id == line_id))
        )
        if DisputeState.OPEN in seen:
            raise AlreadyThere("这一行的异议还没有答复")
        if DisputeState.CORRECTED in seen:
            raise WrongState("这一行已经更正过，请对更正后的一行提异议")
        refuse_fields([("quantity", proposal_problem(line.kind, line.quantity, quantity))])
        # Who disputes a line does not agree any more, whatever was said before.
        if actor.organisation_id == row.channel_id:
            row.channel_agreed_at = None
        else:
            row.seller_agreed_at = None
        row.version += 1
        dispute = StatementDispute(
            id=uuid7(), statement_id=row.id, line_id=line_id, raised_by=actor.organisation_id,
            quantity=quantity, reason=reason, state=DisputeState.OPEN, raised_at=tx.started_at,
        )  # fmt: skip
        tx.session.add(dispute)
        record(
            tx, "statement.disputed", row, dispute=str(dispute.id), line=str(line_id),
            by=str(actor.organisation_id), quantity=quantity, reason_given=True,
        )  # fmt: skip
        return tx.answer(statement_views.statement_view(tx.session, row.id))


def answer_dispute(
    actor: Actor,
    statement_id: UUID,
    dispute_id: UUID,
    *,
    accept: bool,
    answer: str | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """The other side takes the proposed quantity (a red line and a new one follow, both look again) or upholds the line.

    Raises NotFound, WrongState (`wrong-state`) for an answered dispute and for the side that raised it.
    """
    with transaction(actor, permission_of(actor), once) as tx:
        row = lock_statement(tx, statement_id)
        dispute = _lock_dispute(tx, row, dispute_id)
        if dispute.raised_by == actor.organisation_id:
            raise WrongState("要由对方答复")
        dispute.state = move(DISPUTE_MOVES, dispute.state, "correct" if accept else "uphold", DISPUTE_ADVICE)
        dispute.answer, dispute.answered_at = answer, tx.started_at
        row.state = move(
            STATEMENT_MOVES, row.state, "answer_last" if _was_last(tx, row) else "answer", STATEMENT_ADVICE
        )
        row.version += 1
        before, lines = row.total_fen, []
        if accept and dispute.quantity is not None:
            line = tx.session.get_one(StatementLine, dispute.line_id)
            lines = add_lines(tx, row, corrected(statement_views.charge_of(line), dispute.quantity))
            row.channel_agreed_at = row.seller_agreed_at = None
        record(
            tx,
            "statement.answered",
            row,
            dispute=str(dispute.id),
            line=str(dispute.line_id),
            by=str(actor.organisation_id),
            outcome=dispute.state.value,
            occurred_on=business_day(tx.started_at).isoformat(),
            amount_fen=row.total_fen - before,
            total_fen=row.total_fen,
            sha256=row.sha256.hex(),
            lines=lines,
            **({} if answer is None else {"reason_given": True}),
        )
        return tx.answer(statement_views.statement_view(tx.session, row.id))


def withdraw_dispute(actor: Actor, statement_id: UUID, dispute_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """Take back an own dispute that the other side has not answered: the line stands, and may be disputed anew.

    Who had agreed before disputing agrees again. Raises NotFound, WrongState (`wrong-state`) for a dispute that has
    been answered or withdrawn, and for the side that did not raise it.
    """
    with transaction(actor, permission_of(actor), once) as tx:
        row = lock_statement(tx, statement_id)
        dispute = _lock_dispute(tx, row, dispute_id)
        if dispute.raised_by != actor.organisation_id:
            raise WrongState("只有提出异议的一方能撤回")
        dispute.state = move(DISPUTE_MOVES, dispute.state, "withdraw", DISPUTE_ADVICE)
        dispute.answered_at = tx.started_at
        row.state = move(
            STATEMENT_MOVES,
            row.state,
            "withdraw_last" if _was_last(tx, row) else "withdraw",
            STATEMENT_ADVICE,
        )
        row.version += 1
        record(
            tx, "statement.dispute_withdrawn", row, dispute=str(dispute.id), line=str(dispute.line_id),
            by=str(actor.organisation_id),
        )  # fmt: skip
        return tx.answer(statement_views.statement_view(tx.session, row.id))


def _lock_dispute(tx: Transaction, row: Statement, dispute_id: UUID) -> StatementDispute:
    dispute = tx.session.scalar(
        sa.select(StatementDispute)
        .where(StatementDispute.id == dispute_id, StatementDispute.statement_id == row.id)
        .with_for_update()
    )
    if dispute is None:
        raise NotFound
    return dispute


def _was_last(tx: Transaction, row: Statement) -> bool:
    """Whether the dispute that has just ended leaves no other one open."""
    tx.session.flush()
    return not open_disputes(tx.session, row.id)
