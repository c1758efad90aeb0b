"""Orders as desks list them: where each stands, what is next and for whom, and where its yuan stand in counting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission, Role
from marketplace.clock import now, today
from marketplace.desks.counting import counting, line_standings
from marketplace.desks.steps import Part, Standing, is_open, next_step
from marketplace.orders.evaluating import DEFAULT_EVALUATION_DAYS
from marketplace.orders.models import (
    Acceptance,
    AcceptanceLine,
    Order,
    OrderLine,
    Purchase,
    Shipment,
    ShipmentLine,
)
from marketplace.orders.queries import order_scope, policy_json, policy_number
from marketplace.orders.states import EvaluationState, InvoiceState, OrderState, PaymentState, headline
from marketplace.paging import Key, paginate
from marketplace.payments.models import Invoice, InvoiceOrder, Payment, PaymentOrder
from marketplace.payments.rules import payable_fen
from marketplace.payments.states import PAYMENT_FREED, InvoiceDocState

DEFAULT_DUE_DAYS = 30  # 保障中小企业款项支付条例 第九条, where no policy row is in force
MANY = 500  # open orders of one organisation that a desk sorts by their deadlines; the oldest first
_Buyer, _Seller = aliased(Organisation), aliased(Organisation)
_Purchase = aliased(Purchase)  # the scope of orders speaks of Purchase itself
_ENDED = (OrderState.CANCELLED, OrderState.LAPSED, OrderState.REFUSED)
_FINISHED = sa.and_(
    Order.state == OrderState.ACCEPTED,
    Order.payment_state == PaymentState.PAID,
    Order.evaluation_state != EvaluationState.NONE,
    Order.invoice_state == InvoiceState.CHECKED,
)
DONE = sa.or_(Order.state.in_(_ENDED), _FINISHED)
# Orders of which something may be open still; refused ones have goods to be returned.
OPEN = sa.not_(sa.or_(Order.state.in_((OrderState.CANCELLED, OrderState.LAPSED)), _FINISHED))
SORTS: dict[str, sa.SQLColumnExpression[Any]] = {"amount": Order.__table__.c.goods_fen}


def part_of(actor: Actor, buyer_id: UUID, seller_id: UUID, for_agency_id: UUID | None) -> Part:
    """On which side of an order the actor stands."""
    if actor.organisation_id is None:
        return Part.OTHER
    if actor.role is Role.MANAGER and actor.organisation_id in (buyer_id, for_agency_id):
        return Part.MANAGER
    if actor.organisation_id == buyer_id and actor.can(Permission.ORDER_ACCEPT):
        return Part.BUYER
    return Part.SELLER if actor.organisation_id == seller_id else Part.OTHER


@dataclass(frozen=True)
class Terms:
    """The dated rules from which days are counted."""

    due_days: int
    evaluation_days: int


def terms(session: Session) -> Terms:
    due = policy_json(session, "payment_due_days", now(), {"days": DEFAULT_DUE_DAYS})
    return Terms(due["days"], policy_number(session, "evaluation_days", now(), DEFAULT_EVALUATION_DAYS))


def _statement() -> Any:
    shipped_on = (
        sa.select(sa.func.max(Shipment.shipped_on))
        .where(Shipment.order_id == Order.id)
        .correlate(Order)
        .scalar_subquery()
    )
    to_return = (
        sa.select(
            sa.func.coalesce(
                sa.func.sum(ShipmentLine.refused - ShipmentLine.restocked - ShipmentLine.lost), 0
            )
        )
        .join(Shipment, Shipment.id == ShipmentLine.shipment_id)
        .where(Shipment.order_id == Order.id)
        .correlate(Order)
        .scalar_subquery()
    )
    allowance = (
        sa.select(sa.literal(1))
        .select_from(AcceptanceLine)
        .join(Acceptance, Acceptance.id == AcceptanceLine.acceptance_id)
        .where(
            Acceptance.order_id == Order.id,
            AcceptanceLine.allowance_fen > 0,
            AcceptanceLine.allowance_agreed_at.is_(None),
        )
        .correlate(Order)
        .exists()
    )
    invoice = (
        sa.select(Invoice.id)
        .join(InvoiceOrder, InvoiceOrder.invoice_id == Invoice.id)
        .where(InvoiceOrder.order_id == Order.id, Invoice.state == InvoiceDocState.ISSUED)
        .order_by(Invoice.id.desc())
        .limit(1)
        .correlate(Order)
        .scalar_subquery()
    )
    payment = (
        sa.select(sa.func.json_build_object("id", Payment.id, "due_on", Payment.due_on, type_=sa.JSON))
        .join(PaymentOrder, PaymentOrder.payment_id == Payment.id)
        .where(PaymentOrder.order_id == Order.id, Payment.state.not_in(PAYMENT_FREED))
        .order_by(Payment.id.desc())
        .limit(1)
        .correlate(Order)
        .scalar_subquery()
    )
    return (
        sa.select(
            Order,
            _Buyer.name.label("buyer_name"),
            _Seller.name.label("seller_name"),
            *(_Purchase.number.label("purchase_number"), _Purchase.deliver_on, _Purchase.hold_until),
            *(_Purchase.submitted_at, _Purchase.purpose, _Purchase.for_agency_id),
            shipped_on.label("shipped_on"),
            to_return.label("to_return"),
            allowance.label("allowance"),
            invoice.label("invoice_id"),
            payment.label("payment"),
        )
        .join(_Purchase, _Purchase.id == Order.purchase_id)
        .join(_Buyer, _Buyer.id == Order.buyer_id)
        .join(_Seller, _Seller.id == Order.seller_id)
    )


def orders_where(
    session: Session, actor: Actor, *conditions: sa.ColumnElement[bool], most: int = MANY
) -> list[dict[str, Any]]:
    """Orders in the actor's scope, the oldest first, with lines, step and counting; five queries at most."""
    rows = session.execute(
        _statement().where(order_scope(actor), *conditions).order_by(Order.id).limit(most)
    ).all()
    return _dressed(session, actor, rows)


def found_by(q: str | None) -> sa.ColumnElement[bool]:
    """Orders with what was typed in their number, a product's name, or the name of one of the two sides."""
    if not q:
        return sa.true()
    goods = sa.exists().where(
        OrderLine.order_id == Order.id, OrderLine.product_name.icontains(q, autoescape=True)
    )
    named = (column.icontains(q, autoescape=True) for column in (Order.number, _Buyer.name, _Seller.name))
    return sa.or_(*named, goods)


def open_orders(session: Session, actor: Actor, q: str | None = None) -> list[dict[str, Any]]:
    """Of an organisation: its open orders by deadline, late ones first, those without a day last."""
    found = [o for o in orders_where(session, actor, OPEN, found_by(q)) if o["open"]]
    return sorted(found, key=by_deadline)


def page_of_orders(
    session: Session,
    actor: Actor,
    *conditions: sa.ColumnElement[bool],
    sort: str | None,
    limit: int,
    after: str | None,
) -> dict[str, Any]:
    """One page of orders, the newest first or by one of `SORTS`, dressed like `orders_where`."""
    newest: Key = (Order.__table__.c.id, True)
    column = SORTS.get((sort or "").removeprefix("-"))
    keys = [newest] if column is None else [(column, (sort or "").startswith("-")), newest]
    page = paginate(
        session,
        _statement().where(order_scope(actor), *conditions),
        keys,
        limit=limit,
        after=after,
        shape=lambda row: row,
    )
    return {**page, "items": _dressed(session, actor, page["items"])}


def count_done(session: Session, actor: Actor) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(Order).where(order_scope(actor), DONE)) or 0


def by_deadline(order: dict[str, Any]) -> tuple[int, str, str]:
    """Own acts before those of others, then the nearer day."""
    step = order["step"]
    deadline = step.deadline
    day = "9999" if deadline is None else deadline.isoformat()
    return (0 if step.mine else 1, day, str(order["id"]))


def _dressed(session: Session, actor: Actor, rows: Sequence[Any]) -> list[dict[str, Any]]:
    ids = [row.Order.id for row in rows]
    lines: dict[UUID, list[OrderLine]] = {}
    for line in session.scalars(
        sa.select(OrderLine).where(OrderLine.order_id.in_(ids)).order_by(OrderLine.position)
    ):
        lines.setdefault(line.order_id, []).append(line)
    standings = line_standings(session, ids)
    rules = terms(session)
    return [_order(actor, row, lines.get(row.Order.id, []), standings, rules) for row in rows]


def _order(
    actor: Actor, row: Any, lines: list[OrderLine], standings: dict[UUID, Any], rules: Terms
) -> dict[str, Any]:
    order: Order = row.Order
    part = part_of(actor, order.buyer_id, order.seller_id, row.for_agency_id)
    standing = standing_of(row, lines, rules)
    since, text = _since(row)
    return {
        "id": order.id,
        "number": order.number,
        "purchase_id": order.purchase_id,
        "purchase_number": row.purchase_number,
        "purpose": str(row.purpose),
        "buyer": {"id": order.buyer_id, "name": row.buyer_name},
        "seller": {"id": order.seller_id, "name": row.seller_name},
        "state": order.state,
        "headline": headline(order.state, order.invoice_state, order.payment_state, order.evaluation_state),
        "goods_fen": order.goods_fen,
        "accepted_fen": order.accepted_fen,
        "paid_fen": order.paid_fen,
        "owed_fen": max(0, payable_fen(order.accepted_fen, order.freight_fen) - order.paid_fen),
        "deliver_on": standing.deliver_on,
        "deliver_days": sorted({line.deliver_on for line in lines}),
        "submitted_at": row.submitted_at,
        # What one side told the other; for nobody else.
        "cancel_reason": None if part is Part.OTHER else order.cancel_reason,
        "invoice_id": row.invoice_id,
        "payment_id": None if row.payment is None else row.payment["id"],
        "lines": lines,
        "standing": counting(order.state, lines, standings),
        "step": next_step(standing, part, now(), today()),
        "part": part,
        "open": is_open(standing),
        "facts": standing,
        "since": since,
        "since_text": text,
    }


def standing_of(row: Any, lines: Iterable[OrderLine], rules: Terms) -> Standing:
    """What the steps are read from."""
    order: Order = row.Order
    due_on = None
    if row.payment is not None:
        due_on = date.fromisoformat(row.payment["due_on"])
    elif order.accepted_on is not None:
        due_on = order.accepted_on + timedelta(days=rules.due_days)
    evaluate_by = None
    if order.accepted_on is not None and order.paid_on is not None:
        evaluate_by = max(order.accepted_on, order.paid_on) + timedelta(days=rules.evaluation_days)
    lines = list(lines)
    days = [line.deliver_on for line in lines if _to_ship(line) > 0]
    asked = None
    if order.cancel_asked_by is not None:
        asked = Part.BUYER if order.cancel_asked_by == order.buyer_id else Part.SELLER
    return Standing(
        state=order.state,
        invoice=order.invoice_state,
        payment=order.payment_state,
        evaluation=order.evaluation_state,
        hold_until=row.hold_until,
        confirm_by=order.confirm_by,
        deliver_on=min(days, default=row.deliver_on),
        shipped_on=row.shipped_on,
        due_on=due_on,
        evaluate_by=evaluate_by,
        cancel_asked_by=asked,
        to_ship=sum(_to_ship(line) for line in lines),
        to_accept=sum(
            line.shipped_quantity - line.accepted_quantity - line.refused_quantity for line in lines
        ),
        to_return=int(row.to_return),
        allowance_open=row.allowance,
        accepted_fen=order.accepted_fen,
    )


def _to_ship(line: OrderLine) -> int:
    return line.quantity - line.shipped_quantity - line.cancelled_quantity


def _since(row: Any) -> tuple[date | datetime | None, str]:
    """The day of what happened last, and its words."""
    order: Order = row.Order
    if order.paid_on is not None and order.payment_state is PaymentState.PAID:
        return order.paid_on, "{day}到账"
    if order.accepted_on is not None:
        return order.accepted_on, "{day}验收"
    if row.shipped_on is not None:
        return row.shipped_on, "{day}发货"
    return row.submitted_at, "{day}下单"
