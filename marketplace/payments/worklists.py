"""What is left to invoice and to pay, and how much a seller is owed: the same sums from which papers are opened."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor
from marketplace.clock import SHANGHAI, business_day, today
from marketplace.errors import NotFound
from marketplace.orders.models import Order, OrderLine, Purchase
from marketplace.orders.states import OrderState
from marketplace.payments import ledger, rules
from marketplace.payments.models import Invoice, Payment, Slip
from marketplace.payments.queries import is_party, visible_invoices, visible_payments
from marketplace.payments.states import PAYMENT_CLAIMED, PaymentDocState
from marketplace.policies.queries import policy_value

MANY = 200  # rows of a worklist on a page; the longest-waiting first

# As `rules.payable_fen`: freight is owed once anything was accepted.
_PAYABLE = sa.case((Order.accepted_fen > 0, Order.accepted_fen + Order.freight_fen), else_=0)
# Orders with accepted goods that no invoice covers in full.
UNINVOICED = sa.and_(
    Order.accepted_fen > 0, Order.invoiced_fen < _PAYABLE, Order.state != OrderState.AWAITING_APPROVAL
)


def _rows(
    session: Session,
    covered: InstrumentedAttribute[int],
    partner: InstrumentedAttribute[UUID],
    *where: sa.ColumnElement[bool],
) -> list[dict[str, Any]]:
    left = (_PAYABLE - covered).label("left_fen")
    rows = session.execute(
        sa.select(
            *(Order.id, Order.number, Order.accepted_on, Order.accepted_fen, Order.freight_fen),
            *(Order.invoice_state, Order.payment_state, Order.seller_id, Order.buyer_id),
            *(Purchase.payer_profile_id, Organisation.name.label("partner"), left),
        )
        .join(Purchase, Purchase.id == Order.purchase_id)
        .join(Organisation, Organisation.id == partner)
        .where(
            Order.accepted_fen > 0, covered < _PAYABLE, Order.state != OrderState.AWAITING_APPROVAL, *where
        )
        .order_by(Order.accepted_on, Order.id)
        .limit(MANY)
    )
    return [dict(row) for row in rows.mappings()]


def to_invoice(session: Session, actor: Actor, *where: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    """The seller's accepted orders that no invoice covers in full, with what is left (`left_fen`)."""
    return _rows(session, Order.invoiced_fen, Order.buyer_id, is_party(Order.seller_id, actor), *where)


def to_pay(session: Session, actor: Actor, *where: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    """The buyer's accepted orders for which no payment is open in full, with what is left (`left_fen`)."""
    return _rows(session, Order.payment_opened_fen, Order.seller_id, is_party(Order.buyer_id, actor), *where)


def _order(session: Session, order_id: UUID, scope: sa.ColumnElement[bool]) -> Order:
    order = session.scalars(
        sa.select(Order).where(Order.id == order_id, Order.state != OrderState.AWAITING_APPROVAL, scope)
    ).one_or_none()
    if order is None:
        raise NotFound
    return order


def _same_payer(session: Session, order: Order, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The order first, then others between the same two sides for the same payer: one paper may cover all."""
    payer = session.scalar(sa.select(Purchase.payer_profile_id).where(Purchase.id == order.purchase_id))
    fitting = [row for row in rows if row["payer_profile_id"] == payer]
    return sorted(fitting, key=lambda row: row["id"] != order.id)


def invoice_card(session: Session, actor: Actor, order_id: UUID) -> dict[str, Any]:
    """What the seller writes on an invoice: title, tax number, goods, and the orders that it may cover.

    Raises NotFound for an order that is not the actor's to invoice.
    """
    order = _order(session, order_id, is_party(Order.seller_id, actor))
    payer, _ = ledger.one_payer(session, [order])
    pair = (Order.seller_id == order.seller_id, Order.buyer_id == order.buyer_id)
    orders = _same_payer(session, order, to_invoice(session, actor, *pair))
    return {
        "order": {"id": order.id, "number": order.number, "accepted_on": order.accepted_on},
        "buyer": session.get_one(Organisation, order.buyer_id).name,
        "seller_kind": session.get_one(Organisation, order.seller_id).subkind,
        "title": payer.title,
        "tax_number": payer.tax_number,
        "orders": orders,
        "lines": accepted_lines(session, [row["id"] for row in orders]),
    }


def card_differences(card: dict[str, Any], read: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Where an invoice's file says something else than its card: (field, what was read, what the card says).

    An amount that is that of all orders on the card together is none. What could not be read is not compared.
    """
    left = [row["left_fen"] for row in card["orders"]]
    if not left:
        return []
    wanted = {
        "amount_fen": read.get("amount_fen") if read.get("amount_fen") == sum(left) else left[0],
        "buyer_title": card["title"],
        "buyer_tax_number": card["tax_number"],
    }
    return [
        (name, read[name], value)
        for name, value in wanted.items()
        if read.get(name) is not None
        and rules.plain_number(str(read[name])) != rules.plain_number(str(value))
    ]


def accepted_lines(session: Session, order_ids: list[UUID]) -> list[dict[str, Any]]:
    """Accepted goods of some orders as an invoice names them."""
    rows = session.execute(
        sa.select(
            *(OrderLine.order_id, OrderLine.product_name, OrderLine.spec, OrderLine.pack_unit),
            *(OrderLine.category_code, OrderLine.accepted_quantity, OrderLine.unit_price_fen),
            OrderLine.accepted_fen,
        )
        .where(OrderLine.order_id.in_(order_ids), OrderLine.accepted_fen > 0)
        .order_by(OrderLine.order_id, OrderLine.position)
    )
    return [dict(row) for row in rows.mappings()]


def payment_choice(session: Session, actor: Actor, order_id: UUID) -> dict[str, Any]:
    """The order that a buyer wants to pay, with others of the same seller and payer that are unpaid.

    Raises NotFound for an order that is not the actor's to pay.
    """
    order = _order(session, order_id, is_party(Order.buyer_id, actor))
    payer, _ = ledger.one_payer(session, [order])
    pair = (Order.seller_id == order.seller_id, Order.buyer_id == order.buyer_id)
    seller = session.get_one(Organisation, order.seller_id)
    return {
        "order": {"id": order.id, "number": order.number},
        "seller": {"id": seller.id, "name": seller.name},
        "payer": payer.title,
        "orders": _same_payer(session, order, to_pay(session, actor, *pair)),
    }


def owed(session: Session, actor: Actor, today: date) -> list[dict[str, Any]]:
    """Who owes the seller for accepted goods, the longest overdue first.

    An order is overdue after `payment_due_days` from its acceptance, whether or not a payment was opened.
    """
    terms = policy_value(session, "payment_due_days", today)
    late = Order.accepted_on < today - timedelta(days=min(terms["days"], rules.MAX_DUE_DAYS))
    rest = _PAYABLE - Order.paid_fen
    claimed = (
        sa.select(sa.func.coalesce(sa.func.sum(Payment.amount_fen), 0))
        .where(
            Payment.buyer_id == Order.buyer_id,
            Payment.seller_id == Order.seller_id,
            Payment.state.in_(PAYMENT_CLAIMED),
        )
        .correlate(Order)
        .scalar_subquery()
    )
    rows = session.execute(
        sa.select(
            Organisation.id,
            Organisation.name,
            sa.func.count().label("orders"),
            sa.func.sum(rest).label("owed_fen"),
            sa.func.coalesce(sa.func.sum(rest).filter(late), 0).label("overdue_fen"),
            sa.func.min(Order.accepted_on).label("since"),
            claimed.label("claimed_fen"),
        )
        .join(Organisation, Organisation.id == Order.buyer_id)
        .where(is_party(Order.seller_id, actor), Order.paid_fen < _PAYABLE)
        .group_by(Organisation.id, Organisation.name, Order.buyer_id, Order.seller_id)
        .order_by(sa.text("overdue_fen desc"), sa.text("owed_fen desc"), Organisation.id)
        .limit(MANY)
    )
    return [
        {**row, **{name: int(row[name]) for name in ("owed_fen", "overdue_fen", "claimed_fen")}}
        for row in map(dict, rows.mappings())
    ]


def arrived(session: Session, actor: Actor, today: date) -> dict[str, int]:
    """What arrived at the seller this month (Shanghai): {"payments", "paid_fen"}."""
    start = datetime.combine(today.replace(day=1), time(), SHANGHAI)
    row = session.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(Payment.amount_fen), 0)).where(
            is_party(Payment.seller_id, actor),
            Payment.state == PaymentDocState.PAID,
            Payment.settled_at >= start,
        )
    ).one()
    return {"payments": row[0], "paid_fen": int(row[1])}


def invoice_counts(session: Session, actor: Actor) -> dict[str, int]:
    """Invoices in the actor's scope by state."""
    rows = session.execute(
        sa.select(Invoice.state, sa.func.count()).where(visible_invoices(actor)).group_by(Invoice.state)
    )
    return {state.value: count for state, count in rows}


def payment_counts(session: Session, actor: Actor) -> dict[str, int]:
    """Payments in the actor's scope by state."""
    rows = session.execute(
        sa.select(Payment.state, sa.func.count()).where(visible_payments(actor)).group_by(Payment.state)
    )
    return {state.value: count for state, count in rows}


def newest_slip_is_bare(session: Session, payment_id: UUID) -> bool:
    """Whether the payment has a slip, the newest of which still lacks its file."""
    bare = session.execute(
        sa.select(Slip.document_id.is_(None))
        .where(Slip.payment_id == payment_id)
        .order_by(Slip.id.desc())
        .limit(1)
    )
    return bare.scalar_one_or_none() is True


def answer_by(session: Session, declared_at: datetime) -> date:
    """The last day on which only the seller answers a slip that was filed at `declared_at`."""
    silence = policy_value(session, "slip_silence_days", today())
    return rules.seller_answers_until(business_day(declared_at), silence)
