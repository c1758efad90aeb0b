"""Statements as their two sides and the office read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Lot, Product
from marketplace.channels.models import ChannelItem
from marketplace.channels.statement_models import Statement, StatementDispute, StatementLine
from marketplace.channels.statement_rules import Charge
from marketplace.errors import NotFound
from marketplace.paging import DEFAULT_LIMIT, Key, paginate

SORTS: Mapping[str, sa.SQLColumnExpression[Any]] = {
    name: Statement.__table__.c[name] for name in ("period", "due_on", "total_fen")
}
_CHANNEL, _SELLER = aliased(Organisation), aliased(Organisation)


def visible(actor: Actor) -> sa.ColumnElement[bool]:
    """Own statements of either side; the office that keeps the agreements reads all, a county's those of its sellers."""
    if actor.can(Permission.CHANNEL_MANAGE):
        return Statement.seller_id.in_(sorted(actor.subordinate_ids)) if actor.of_county else sa.true()
    return sa.or_(Statement.channel_id == actor.organisation_id, Statement.seller_id == actor.organisation_id)


def list_statements(
    session: Session,
    actor: Actor,
    *,
    period: str | None = None,
    state: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """Heads, newest first or by one of `SORTS`; one query."""
    statement = _heads().where(visible(actor))
    if period is not None:
        statement = statement.where(Statement.period == period)
    if state is not None:
        statement = statement.where(Statement.state == state)
    newest: Key = (Statement.__table__.c.id, True)
    column = SORTS.get((sort or "").removeprefix("-"))
    keys = [newest] if column is None else [(column, (sort or "").startswith("-")), newest]
    return paginate(session, statement, keys, limit=limit, after=after, shape=_head)


def own_statement(session: Session, actor: Actor, statement_id: UUID) -> dict[str, Any]:
    """One statement with its lines and disputes. Raises NotFound outside the actor's scope."""
    found = session.scalar(sa.select(Statement.id).where(Statement.id == statement_id, visible(actor)))
    if found is None:
        raise NotFound
    return statement_view(session, statement_id)


def statement_view(session: Session, statement_id: UUID) -> dict[str, Any]:
    session.flush()
    row = session.execute(
        _heads().where(Statement.id == statement_id).execution_options(populate_existing=True)
    ).one()
    lines = session.execute(
        sa.select(
            StatementLine,
            Product.sku,
            Product.name,
            Product.spec,
            Product.pack_unit,
            Lot.trace_code,
            ChannelItem.partner_sku,
        )
        .join(Statement, Statement.id == StatementLine.statement_id)
        .join(Product, Product.id == StatementLine.product_id)
        .outerjoin(
            ChannelItem,
            sa.and_(
                ChannelItem.channel_id == Statement.channel_id,
                ChannelItem.product_id == StatementLine.product_id,
            ),
        )
        .join(Lot, Lot.id == StatementLine.lot_id)
        .where(StatementLine.statement_id == statement_id)
        .order_by(StatementLine.position)
    )
    disputes = session.scalars(
        sa.select(StatementDispute)
        .where(StatementDispute.statement_id == statement_id)
        .order_by(StatementDispute.id)
        .execution_options(populate_existing=True)
    )
    return {
        **_head(row),
        "lines": [
            {
                "id": line.id,
                "position": line.position,
                "kind": line.kind.value,
                "day": line.day,
                "source_id": line.source_id,
                "product_id": line.product_id,
                "lot_id": line.lot_id,
                "trace_code": trace_code,
                "sku": sku,
                "partner_sku": partner_sku,
                "name": f"{name} {spec}",
                "unit": unit,
                "quantity": line.quantity,
                "unit_price_fen": line.unit_price_fen,
                "amount_fen": line.amount_fen,
            }
            for line, sku, name, spec, unit, trace_code, partner_sku in lines
        ],
        "disputes": [
            {
                "id": dispute.id,
                "line_id": dispute.line_id,
                "raised_by": dispute.raised_by,
                "side": "channel" if dispute.raised_by == row[0].channel_id else "seller",
                "quantity": dispute.quantity,
                "reason": dispute.reason,
                "state": dispute.state.value,
                "answer": dispute.answer,
                "raised_at": dispute.raised_at,
                "answered_at": dispute.answered_at,
            }
            for dispute in disputes
        ],
    }


def charges(session: Session, statement_id: UUID) -> Sequence[tuple[UUID, int, Charge]]:
    """Id, position and charge of every line, in their order."""
    rows = session.scalars(
        sa.select(StatementLine)
        .where(StatementLine.statement_id == statement_id)
        .order_by(StatementLine.position)
    )
    return [(row.id, row.position, charge_of(row)) for row in rows]


def charge_of(row: StatementLine) -> Charge:
    return Charge(
        row.kind, row.day, row.source_id, row.product_id, row.lot_id, row.quantity, row.unit_price_fen
    )


def _heads() -> sa.Select[Statement, str, str]:
    return (
        sa.select(Statement, _CHANNEL.name, _SELLER.name)
        .join(_CHANNEL, _CHANNEL.id == Statement.channel_id)
        .join(_SELLER, _SELLER.id == Statement.seller_id)
    )


def _head(row: Any) -> dict[str, Any]:
    statement, channel, seller = row[0], row[1], row[2]
    return {
        "id": statement.id,
        "number": statement.number,
        "channel": {"id": statement.channel_id, "name": channel},
        "seller": {"id": statement.seller_id, "name": seller},
        "period": statement.period,
        "from_day": statement.from_day,
        "to_day": statement.to_day,
        "due_on": statement.due_on,
        "state": statement.state.value,
        "total_fen": statement.total_fen,
        "sha256": statement.sha256.hex(),
        "issued_at": statement.issued_at,
        "channel_agreed_at": statement.channel_agreed_at,
        "seller_agreed_at": statement.seller_agreed_at,
        "agreed_at": statement.agreed_at,
        "settled_at": statement.settled_at,
        "paid_on": statement.paid_on,
        "bank_reference": statement.bank_reference,
        "document_id": statement.document_id,
        "return_reason": statement.return_reason,
        "returned_at": statement.returned_at,
        "version": statement.version,
    }
