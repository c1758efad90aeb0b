"""What sellers do for a shop on consignment in the sandbox: send goods, answer disputes, agree, confirm money."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor
from marketplace.channels.consignment import Packs, send_goods
from marketplace.channels.consignment_views import sendable_lots
from marketplace.channels.sandbox import seller_actor
from marketplace.channels.statement_disputes import answer_dispute
from marketplace.channels.statement_models import Statement
from marketplace.channels.statement_paying import return_transfer, settle_statement
from marketplace.channels.statements import agree_statement
from marketplace.channels.states import StatementState
from marketplace.clock import today
from marketplace.errors import Forbidden, NotFound, WrongState
from marketplace.unit_of_work import Reply


def send_to_shop(session: Session, actor: Actor, partner_sku: str, quantity: int) -> Reply:
    """The seller of an item sends packs of the lot that he has most of; they wait for the shop to take them over.

    Raises NotFound for what the channel does not carry or nobody has for it, and what sending refuses.
    """
    if actor.organisation_id is None:
        raise Forbidden
    lots = sendable_lots(session, actor.organisation_id, today(), partner_sku=partner_sku)
    if not lots:
        raise NotFound("渠道目录里没有能送的这个产品")
    lot = max(lots, key=lambda row: row["free"])
    return send_goods(
        seller_actor(session, lot["seller_id"]),
        channel_id=actor.organisation_id,
        lines=[Packs(lot["trace_code"], quantity)],
    )


def agree(session: Session, actor: Actor, statement_id: UUID) -> Reply:
    """The seller finds a statement right. Raises NotFound, WrongState (`wrong-state`)."""
    return agree_statement(_seller_of(session, actor, statement_id), statement_id)


def answer(
    session: Session,
    actor: Actor,
    statement_id: UUID,
    dispute_id: UUID,
    *,
    accept: bool,
    answer: str | None = None,
) -> Reply:
    """The seller answers what the channel disputes. Raises NotFound, WrongState (`wrong-state`)."""
    seller = _seller_of(session, actor, statement_id)
    return answer_dispute(seller, statement_id, dispute_id, accept=accept, answer=answer)


def confirm_money(session: Session, actor: Actor, statement_id: UUID) -> Reply:
    """The seller has the transfer that the channel declared, or has paid back what he owes by one of his own.

    Raises NotFound, WrongState (`wrong-state`) for what the channel owes and has declared no transfer of.
    """
    seller = _seller_of(session, actor, statement_id)
    row = session.get_one(Statement, statement_id)
    if row.state is StatementState.AGREED and row.total_fen > 0 and row.paid_on is None:
        raise WrongState("渠道还没有登记付款", state=row.state.value, event="settle")
    if row.total_fen < 0:
        return settle_statement(
            seller, statement_id, paid_on=today(), bank_reference=f"SANDBOX-{statement_id.hex.upper()}"
        )
    return settle_statement(seller, statement_id)


def return_money(session: Session, actor: Actor, statement_id: UUID, reason: str) -> Reply:
    """The seller does not find the transfer that the channel declared. Raises NotFound, WrongState (`wrong-state`)."""
    return return_transfer(_seller_of(session, actor, statement_id), statement_id, reason=reason)


def _seller_of(session: Session, actor: Actor, statement_id: UUID) -> Actor:
    seller_id = session.scalar(
        sa.select(Statement.seller_id).where(
            Statement.id == statement_id, Statement.channel_id == actor.organisation_id
        )
    )
    if seller_id is None:
        raise NotFound
    return seller_actor(session, seller_id)
