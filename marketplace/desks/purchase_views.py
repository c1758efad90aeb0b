"""Purchases as their pages show them: the list, one with its orders, and the year's pace beside them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, PayerProfile, User
from marketplace.actors import Actor, Door, Permission, system
from marketplace.clock import add_working_days, budget_year, today
from marketplace.desks import trade_views
from marketplace.errors import NotFound
from marketplace.orders.models import Order, OrderLine, Purchase
from marketplace.orders.queries import decidable, purchase_scope
from marketplace.orders.states import OrderState, PurchaseState
from marketplace.paging import Key, paginate
from marketplace.quota.explain import pace
from marketplace.values import ratio_bp

TABS = {
    "waiting": (PurchaseState.AWAITING_APPROVAL,),
    "approved": (PurchaseState.APPROVED,),
    "ended": (PurchaseState.REJECTED, PurchaseState.CANCELLED, PurchaseState.EXPIRED),
}
SORTS: dict[str, Any] = {"amount": Purchase.__table__.c.total_fen, "day": Purchase.__table__.c.deliver_on}
# A purchase that waits always has a hold.
DECIDE_SORTS: dict[str, Any] = {**SORTS, "hold": Purchase.__table__.c.hold_until}
# From an order to its evaluation, in working days, as trade here goes: delivery 3, acceptance and invoice 3, payment 2.
USUAL_DAYS = 8


def _statement() -> Any:
    sellers = (
        sa.select(sa.func.string_agg(Organisation.name, sa.literal("、")))
        .join(Order, Order.seller_id == Organisation.id)
        .where(Order.purchase_id == Purchase.id)
        .correlate(Purchase)
        .scalar_subquery()
    )
    goods = (
        sa.select(
            sa.func.string_agg(
                sa.func.concat(OrderLine.product_name, " ", OrderLine.quantity, OrderLine.pack_unit),
                sa.literal("、"),
            )
        )
        .where(OrderLine.purchase_id == Purchase.id)
        .correlate(Purchase)
        .scalar_subquery()
    )
    buyer = sa.select(Organisation.name).where(Organisation.id == Purchase.buyer_id).scalar_subquery()
    asker = sa.select(User.name).where(User.id == Purchase.submitted_by).scalar_subquery()
    return sa.select(
        Purchase, buyer.label("buyer"), asker.label("asker"), sellers.label("sellers"), goods.label("goods")
    )


def _shape(actor: Actor) -> Any:
    def shape(row: Any) -> dict[str, Any]:
        purchase: Purchase = row.Purchase
        own = purchase.buyer_id == actor.organisation_id or purchase.for_agency_id == actor.organisation_id
        return {
            "id": purchase.id,
            "number": purchase.number,
            "state": purchase.state,
            "purpose": str(purchase.purpose),
            "buyer": {"id": purchase.buyer_id, "name": row.buyer},
            # Names of people stay in their own organisation.
            "asker": row.asker if own else None,
            "sellers": row.sellers or "",
            "goods": row.goods or "",
            "deliver_on": purchase.deliver_on,
            "hold_until": purchase.hold_until,
            "submitted_at": purchase.submitted_at,
            "submitted_by": purchase.submitted_by,
            "decided_at": purchase.decided_at,
            "decision_reason": purchase.decision_reason if own else None,
            "goods_fen": purchase.goods_fen,
            "total_fen": purchase.total_fen,
            "quota_agency_id": purchase.quota_agency_id,
            "reference": purchase.reference,
            "note": purchase.note if own else None,
            "own_request": purchase.submitted_by == actor.user_id,
        }

    return shape


def found_by(q: str | None) -> sa.ColumnElement[bool]:
    """Purchases with what was typed in their number, a product's name, or the name of the buyer or a seller."""
    if not q:
        return sa.true()
    goods = sa.exists().where(
        OrderLine.purchase_id == Purchase.id, OrderLine.product_name.icontains(q, autoescape=True)
    )
    named = Organisation.name.icontains(q, autoescape=True)
    seller = sa.exists().where(Order.purchase_id == Purchase.id, Organisation.id == Order.seller_id, named)
    buyer = sa.exists().where(Organisation.id == Purchase.buyer_id, named)
    return sa.or_(Purchase.number.icontains(q, autoescape=True), goods, seller, buyer)


def list_purchases(
    session: Session,
    actor: Actor,
    *,
    tab: str,
    q: str | None = None,
    sort: str | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """One page of purchases in scope, the newest first or by one of `SORTS`, in one query."""
    newest: Key = (Purchase.__table__.c.id, True)
    column = SORTS.get((sort or "").removeprefix("-"))
    keys = [newest] if column is None else [(column, (sort or "").startswith("-")), newest]
    statement = _statement().where(purchase_scope(actor), found_by(q))
    if tab in TABS:
        statement = statement.where(Purchase.state.in_(TABS[tab]))
    return paginate(session, statement, keys, limit=limit, after=after, shape=_shape(actor))


def to_decide(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """Purchases that wait for this manager, the one whose hold runs out first on top."""
    rows = session.execute(
        _statement()
        .where(decidable(actor), Purchase.state == PurchaseState.AWAITING_APPROVAL)
        .order_by(Purchase.hold_until, Purchase.id)
        .limit(trade_views.MANY)
    )
    return [_shape(actor)(row) for row in rows]


def page_to_decide(
    session: Session,
    actor: Actor,
    *,
    q: str | None = None,
    sort: str | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """One page of the same, by one of `DECIDE_SORTS` or, as a manager works, by the end of the hold; one query."""
    newest: Key = (Purchase.__table__.c.id, False)
    column = DECIDE_SORTS.get((sort or "").removeprefix("-"), DECIDE_SORTS["hold"])
    waits = Purchase.state == PurchaseState.AWAITING_APPROVAL
    statement = _statement().where(decidable(actor), waits, found_by(q))
    keys = [(column, (sort or "").startswith("-")), newest]
    return paginate(session, statement, keys, limit=limit, after=after, shape=_shape(actor))


def count_to_decide(session: Session, actor: Actor) -> int:
    """The number for the menu; 0 for those who decide nothing."""
    if not actor.can(Permission.PURCHASE_DECIDE):
        return 0
    waiting = sa.select(sa.func.count()).select_from(Purchase)
    return (
        session.scalar(waiting.where(decidable(actor), Purchase.state == PurchaseState.AWAITING_APPROVAL))
        or 0
    )


def purchase_page(session: Session, actor: Actor, purchase_id: UUID) -> dict[str, Any]:
    """A purchase with its orders and payer. Raises NotFound outside the actor's scope."""
    row = session.execute(_statement().where(Purchase.id == purchase_id, purchase_scope(actor))).one_or_none()
    if row is None:
        raise NotFound
    purchase: Purchase = row.Purchase
    may_decide = (
        actor.can(Permission.PURCHASE_DECIDE)
        and session.scalar(sa.select(Purchase.id).where(Purchase.id == purchase_id, decidable(actor)))
        is not None
    )
    orders = trade_views.orders_where(session, actor, Order.purchase_id == purchase_id)
    payer = None
    if purchase.payer_profile_id is not None:
        payer = session.get_one(PayerProfile, purchase.payer_profile_id).invoice_title
    inside = actor.organisation_id in (purchase.buyer_id, purchase.for_agency_id)
    counted_fen = sum(
        line.goods_fen for order in orders for line in order["lines"] if line.ineligible_reason is None
    )
    confirmed = [o for o in orders if o["state"] not in (OrderState.AWAITING_APPROVAL, OrderState.PLACED)]
    return {
        **_shape(actor)(row),
        "orders": orders,
        "payer": payer,
        "deliver_days": sorted({day for order in orders for day in order["deliver_days"]}),
        "counted_fen": counted_fen,
        "counted_bp": ratio_bp(counted_fen, purchase.goods_fen),
        "deliver_to": {
            "name": purchase.deliver_name,
            "phone": purchase.deliver_phone,
            "address": purchase.deliver_address,
        }
        if inside
        else None,
        "may_decide": may_decide and purchase.state is PurchaseState.AWAITING_APPROVAL,
        "may_cancel": actor.can(Permission.PURCHASE_CANCEL)
        and purchase.buyer_id == actor.organisation_id
        and purchase.state in (PurchaseState.AWAITING_APPROVAL, PurchaseState.APPROVED)
        and not confirmed,
    }


def agency_of(session: Session, actor: Actor) -> UUID | None:
    """The agency whose reserve the actor's purchases fill: its own, or the representative of a shared canteen."""
    if actor.organisation_kind != "agency" or actor.organisation_id is None:
        return None
    own = session.get_one(Organisation, actor.organisation_id)
    if own.canteen_mode == "shared" and own.canteen_partner_id is not None:
        return own.canteen_partner_id
    return own.id


def year_pace(session: Session, agency_id: UUID | None) -> dict[str, Any] | None:
    """The pace of an agency's reserve this year as the quota package tells it, with what a desk adds.

    `last_order_on` is the last day whose orders usually are evaluated in the year; `week_fen` what must be ordered a
    week until then. None without an agency or without a reserve.
    """
    if agency_id is None:
        return None
    # A buyer sees its own agency's pace, and no figure of anybody else.
    found = pace(session, system(Door.WEB), agency_id=agency_id, year=budget_year(today()))
    if not found["reserve_fen"]:
        return None
    last = _last_order_day(found["last_day"])
    weeks_days = max(1, (last - today()).days)
    return {
        **found,
        "last_order_on": last,
        "order_days": (last - today()).days,
        "week_fen": -(-found["to_order_fen"] * 7 // max(7, weeks_days)),
        "way_bp": ratio_bp(found["under_way_fen"], found["reserve_fen"]),
    }


def _last_order_day(end: date) -> date:
    day = end
    while add_working_days(day, USUAL_DAYS) > end:
        day -= timedelta(days=1)
    return day


def important(orders: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the open orders those that should not wait: late steps, then goods at the gate; at most five."""
    late = [o for o in orders if o["step"].late and o["step"].mine]
    gate = [o for o in orders if o["step"].key == "accept" and o not in late]
    return (late + gate)[:5]
