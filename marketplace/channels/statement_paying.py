"""An agreed statement is paid by one transfer: the channel says which, its seller confirms that the money came (到账)."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor, Permission
from marketplace.channels import statement_views
from marketplace.channels.statement_models import Statement
from marketplace.channels.statements import lock_statement, record
from marketplace.channels.states import STATEMENT_ADVICE, STATEMENT_MOVES
from marketplace.clock import business_day
from marketplace.documents.models import DocumentKind
from marketplace.errors import Conflict, NotFound, RuleViolation, WrongState
from marketplace.orders.states import move
from marketplace.payments.ledger import share_document
from marketplace.payments.models import Payment, Slip
from marketplace.payments.rules import plain_number, slip_errors
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction

_LOCK = sa.text("select pg_advisory_xact_lock(hashtextextended(:scope, 0))")


def declare_transfer(
    actor: Actor,
    statement_id: UUID,
    *,
    paid_on: date,
    bank_reference: str,
    document_id: UUID | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """The channel says by which transfer it paid an agreed statement; its seller confirms it, waits for it or returns it.

    `document_id` is the bank's slip, which the seller may read from then on. Another transfer is named only after he
    returned this one. Raises NotFound for all but its channel and for a file of others, RuleViolation (`invalid`,
    `document-kind`), Conflict `slip-used`, WrongState (`wrong-state`), also where the channel owes nothing.
    """
    with transaction(actor, Permission.CHANNEL_STATEMENTS, once) as tx:
        row = lock_statement(tx, statement_id)
        if actor.organisation_id != row.channel_id:
            raise NotFound
        row.state = move(STATEMENT_MOVES, row.state, "declare", STATEMENT_ADVICE)
        if row.total_fen <= 0:
            raise WrongState("这张结算单渠道不用付款")
        if row.paid_on is not None:
            raise WrongState(
                "已经登记过付款，等供应商确认到账；登记错了，请供应商退回以后再登记",
                state=row.state.value,
                event="declare",
            )
        day = _put_transfer(tx, row, paid_on, bank_reference)
        slip = {}
        if document_id is not None:
            readers = {row.channel_id, row.seller_id}
            slip = {"document": str(share_document(tx, document_id, DocumentKind.SLIP, readers).id)}
        row.document_id, row.return_reason, row.returned_at = document_id, None, None
        row.version += 1
        record(tx, "statement.declared", row, paid_on=day.isoformat(), amount_fen=row.total_fen, **slip)
        return tx.answer(statement_views.statement_view(tx.session, row.id))


def return_transfer(actor: Actor, statement_id: UUID, *, reason: str, once: Once = NO_ONCE) -> Reply:
    """The seller does not find the transfer that the channel named; the channel reads why and names it anew.

    Raises NotFound for all but its seller, WrongState (`wrong-state`) when the channel has named none.
    """
    with transaction(actor, Permission.PAYMENT_CONFIRM, once) as tx:
        row = _lock_as_seller(tx, statement_id)
        row.state = move(STATEMENT_MOVES, row.state, "return", STATEMENT_ADVICE)
        if row.paid_on is None:
            raise WrongState("渠道还没有登记付款")
        row.paid_on = row.bank_reference = row.document_id = None
        row.return_reason, row.returned_at = reason, tx.started_at
        row.version += 1
        record(tx, "statement.transfer_returned", row, amount_fen=row.total_fen, reason_given=True)
        return tx.answer(statement_views.statement_view(tx.session, row.id))


def settle_statement(
    actor: Actor,
    statement_id: UUID,
    *,
    paid_on: date | None = None,
    bank_reference: str | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """The seller has the money of an agreed statement in his bank (到账): the whole amount, by one transfer.

    What is not given is taken from the channel's slip. Raises NotFound for all but its seller, RuleViolation (`invalid`),
    Conflict `slip-used`, WrongState (`wrong-state`).
    """
    with transaction(actor, Permission.PAYMENT_CONFIRM, once) as tx:
        row = _lock_as_seller(tx, statement_id)
        row.state = move(STATEMENT_MOVES, row.state, "settle", STATEMENT_ADVICE)
        day = _put_transfer(tx, row, paid_on or row.paid_on, bank_reference or row.bank_reference)
        row.settled_at, row.return_reason, row.returned_at = tx.started_at, None, None
        row.version += 1
        record(
            tx, "statement.settled", row, occurred_on=business_day(tx.started_at).isoformat(),
            paid_on=day.isoformat(), amount_fen=row.total_fen,
        )  # fmt: skip
        return tx.answer(statement_views.statement_view(tx.session, row.id))


def _lock_as_seller(tx: Transaction, statement_id: UUID) -> Statement:
    row = lock_statement(tx, statement_id)
    if tx.actor.organisation_id != row.seller_id:
        raise NotFound
    return row


def _put_transfer(tx: Transaction, row: Statement, paid_on: date | None, bank_reference: str | None) -> date:
    """Note on a statement the transfer that pays it; the day on which it is paid.

    A statement of nothing is paid by none, and one transfer pays one statement and no order: its bank reference is free
    again when the seller returns it. The trigger `slip_pays_no_statement` holds orders to the same. Raises
    RuleViolation (`invalid`), Conflict `slip-used`.
    """
    today = business_day(tx.started_at)
    if row.total_fen == 0:
        return today
    if paid_on is None or bank_reference is None:
        missing = [("paid_on", paid_on, "请写付款日期"), ("bank_reference", bank_reference, "请写银行流水号")]
        raise RuleViolation(
            errors=[
                {"pointer": f"#/{name}", "detail": detail} for name, value, detail in missing if value is None
            ]
        )
    reference = plain_number(bank_reference)
    errors = slip_errors(
        bank_reference=reference, paid_on=paid_on, opened_on=business_day(row.issued_at), today=today
    )
    if errors:
        raise RuleViolation(errors=errors)
    # One at a time for each seller, so that two statements, or an order, cannot take the same transfer at once.
    tx.session.execute(_LOCK, {"scope": f"statement-transfer:{row.seller_id}"})
    statement = sa.exists().where(
        Statement.seller_id == row.seller_id,
        Statement.bank_reference == reference,
        Statement.id != row.id,
    )
    slips = sa.select(Slip.id).join(Payment, Payment.id == Slip.payment_id)
    order = slips.where(Payment.seller_id == row.seller_id, Slip.bank_reference == reference).exists()
    # What the seller pays back himself is no transfer into his account.
    used = sa.or_(statement, order) if row.total_fen > 0 else statement
    if tx.session.scalar(sa.select(sa.true()).where(used)):
        raise Conflict("这笔银行流水已经用过", slug="slip-used", bank_reference=reference)
    row.paid_on, row.bank_reference = paid_on, reference
    return paid_on
