"""Submitting a purchase: stock is held from here on, until `deciding` ends or approves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.accounts.models import Purpose
from marketplace.actors import Actor, Permission
from marketplace.catalog.stock import InsufficientStock
from marketplace.errors import Conflict, Forbidden, RuleViolation
from marketplace.orders import placing
from marketplace.orders.allocation import Plan, Want, allocate
from marketplace.orders.deciding import DEFAULT_CONFIRM_HOURS, end_overdue_holds
from marketplace.orders.models import Purchase
from marketplace.orders.rules import (
    LineWish,
    PricedLine,
    check_delivery_day,
    merge_lines,
    needs_approval,
    price_lines,
    quota_agency,
)
from marketplace.orders.states import OrderState, PurchaseState
from marketplace.orders.submitted import fact_data, line_row, view
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7
from marketplace.wire import Call

DEFAULT_HOLD_HOURS = 72
DEFAULT_COUNTED_STATES = ["accepted", "paid", "evaluated"]


class ReferenceUsed(Conflict):
    """The buyer's own number names an earlier purchase; its id is told, so that a retry finds it."""

    slug = "reference-used"
    title = "这个采购编号已经用过"


@dataclass(frozen=True)
class DeliverTo:
    """Who takes the goods and where: personal data, kept in the purchase's row only."""

    name: str
    phone: str
    address: str


@dataclass(frozen=True)
class PurchaseWish:
    """What a buyer submits. lines: 1 to 500, quantity 1 to 10,000,000 packs each."""

    purpose: Purpose
    deliver_on: date
    deliver_to: DeliverTo
    lines: Sequence[LineWish]
    payer_profile_id: UUID | None = None
    canteen_id: UUID | None = None
    for_agency_id: UUID | None = None
    reference: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Terms:
    """What a channel's agreement changes of a purchase.

    `confirm_by`: until when sellers may confirm, else the policy's hours. `remaining_days`: days that must be left
    until the best-before day on delivery, by product. `told`: further members of the fact. `holds_reference`: the
    caller holds a lock on the buyer's number and knows that it is new. `written_with`: rows of the caller's own about
    the purchase, from its view, written together with it.
    """

    price_list: str = "public"
    confirm_by: datetime | None = None
    remaining_days: Mapping[UUID, int] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    holds_reference: bool = False
    written_with: Callable[[Mapping[str, Any]], Sequence[Call]] | None = None


PUBLIC_TERMS = Terms()


def submit_purchase(actor: Actor, wish: PurchaseWish, *, once: Once = NO_ONCE) -> Reply:
    """Hold stock for a purchase over any number of sellers, one order each.

    Prices, eligibility and the rules in force are copied onto the lines. Raises RuleViolation (`invalid`) with
    every wrong line, InsufficientStock (`insufficient-stock`) with every product that is short, ReferenceUsed
    (`reference-used`). When stock is short because of holds
    that have run out, those are ended first and the purchase is tried once more.
    """
    return after_overdue_holds(lambda: _submit(actor, wish, once))


def after_overdue_holds(attempt: Callable[[], Reply]) -> Reply:
    """Try a purchase; where stock is short, end the holds on it that have run out, and try once more."""
    try:
        return attempt()
    except InsufficientStock as short:
        products = [UUID(s["product_id"]) for s in short.data.get("shortages", ())]
        if not end_overdue_holds(products):
            raise
    return attempt()


def _submit(actor: Actor, wish: PurchaseWish, once: Once) -> Reply:
    with transaction(actor, Permission.PURCHASE_SUBMIT, once) as tx:
        return place_purchase(tx, wish)


def place_purchase(tx: Transaction, wish: PurchaseWish, terms: Terms = PUBLIC_TERMS) -> Reply:
    """The purchase within a transaction: judged, planned, written; its fact is the transaction's only one.

    Raises as `submit_purchase`.
    """
    actor = tx.actor
    if actor.organisation_id is None or actor.user_id is None:
        raise Forbidden("采购单由单位的账号提交")
    today = clock.business_day(tx.started_at)
    errors = check_delivery_day(wish.deliver_on, today, "#/deliver_on")
    for line in wish.lines:
        errors += check_delivery_day(line.deliver_on, today, f"#/lines/{line.position}/deliver_on")
    if errors:
        raise RuleViolation("送货日期不对", errors=_unique(errors))
    lines = merge_lines(wish.lines)
    product_ids = sorted({line.product_id for line in lines})
    grounds = placing.read_grounds(
        tx.session,
        placing.Asked(
            buyer_id=actor.organisation_id,
            for_agency_id=wish.for_agency_id,
            purpose=wish.purpose.value,
            profile_id=wish.payer_profile_id,
            canteen_id=wish.canteen_id,
            product_ids=product_ids,
            today=today,
            earliest=min(_must_last(line, terms) for line in lines),
            price_list=terms.price_list,
        ),
    )
    context = grounds.context
    # Before payer and canteen, which are looked up at the agency that is named.
    agency_id, buyer_county = quota_agency(context.buyer, context.for_agency)
    if wish.payer_profile_id is not None and context.payer_profile_id is None:
        raise RuleViolation("付款主体不对", errors=[_wrong("payer_profile_id", "请选择本单位的付款主体")])
    if wish.canteen_id is not None and context.canteen_id is None:
        raise RuleViolation("食堂不对", errors=[_wrong("canteen_id", "请选择本单位的食堂")])
    if wish.reference is not None and not terms.holds_reference:
        _refuse_used_reference(tx.session, actor.organisation_id, wish.reference)
    priced = price_lines(
        lines, grounds.offers, eligible_counties=context.eligible_counties, agency=agency_id is not None
    )
    wants = [
        Want(n, p.wish.product_id, p.wish.quantity, _must_last(p.wish, terms)) for n, p in enumerate(priced)
    ]
    plan = allocate(wants, grounds.candidates)
    if plan.shortages:
        raise InsufficientStock(
            "有的产品库存不够，可以减少数量、改送货日期或换一个产品",
            shortages=[
                {"product_id": str(s.product_id), "asked": s.asked, "available": s.available}
                for s in plan.shortages
            ],
        )
    return _write(tx, wish, context, agency_id, buyer_county, priced, plan, terms)


def _must_last(line: LineWish, terms: Terms) -> date:
    """The day that a lot for this line must be best before, or later."""
    return line.deliver_on + timedelta(days=terms.remaining_days.get(line.product_id, 0))


def _write(
    tx: Transaction,
    wish: PurchaseWish,
    context: placing.Context,
    agency_id: UUID | None,
    buyer_county: str,
    priced: list[PricedLine],
    plan: Plan,
    terms: Terms,
) -> Reply:
    actor, at = tx.actor, tx.started_at
    today = clock.business_day(at)
    waits = needs_approval(context.buyer)
    state = PurchaseState.AWAITING_APPROVAL if waits else PurchaseState.APPROVED
    order_state = OrderState.AWAITING_APPROVAL if waits else OrderState.PLACED
    hold_until = (
        clock.add_working_hours(at, int(context.policy("hold_hours", DEFAULT_HOLD_HOURS))) if waits else None
    )
    confirm_by = (
        None
        if waits
        else terms.confirm_by
        or clock.add_working_hours(at, int(context.policy("confirm_hours", DEFAULT_CONFIRM_HOURS)))
    )
    states = ",".join(context.policy("counted_states", DEFAULT_COUNTED_STATES))
    version = ";".join(sorted(row["version"] for row in context.policies.values()))
    purchase_id = uuid7()
    goods_fen = sum(p.goods_fen for p in priced)
    purchase = {
        "id": purchase_id,
        "number": context.number,
        "buyer_id": actor.organisation_id,
        "submitted_by": actor.user_id,
        "payer_profile_id": context.payer_profile_id,
        "canteen_id": context.canteen_id,
        "quota_agency_id": agency_id,
        "for_agency_id": wish.for_agency_id,
        "purpose": wish.purpose.value,
        "buyer_county_code": buyer_county,
        "policy_version": version,
        "counted_states": states,
        "deliver_on": wish.deliver_on,
        "deliver_name": wish.deliver_to.name,
        "deliver_phone": wish.deliver_to.phone,
        "deliver_address": wish.deliver_to.address,
        "reference": wish.reference,
        "note": wish.note,
        "state": state.value,
        "hold_until": None if hold_until is None else hold_until.isoformat(),
        "goods_fen": goods_fen,
        "freight_fen": 0,
        "total_fen": goods_fen,
        "submitted_at": at.isoformat(),
        "decided_at": None if waits else at.isoformat(),
    }
    orders: dict[UUID, dict[str, Any]] = {}
    line_rows: list[dict[str, Any]] = []
    for position, p in enumerate(priced):
        order = orders.get(p.offer.seller_id)
        if order is None:
            order = orders[p.offer.seller_id] = {
                "id": uuid7(),
                "number": f"{context.number}-{len(orders) + 1}",
                "purchase_id": purchase_id,
                "seller_id": p.offer.seller_id,
                "buyer_id": actor.organisation_id,
                "quota_agency_id": agency_id,
                "state": order_state.value,
                "confirm_by": None if confirm_by is None else confirm_by.isoformat(),
                "goods_fen": 0,
            }
        order["goods_fen"] += p.goods_fen
        line_rows.append(line_row(uuid7(), order["id"], purchase_id, position, p))
    allocations = [
        {
            "line": line_rows[take.line]["id"],
            "order": line_rows[take.line]["order_id"],
            "stock": take.candidate.stock_id,
            "lot": take.candidate.lot_id,
            "code": take.candidate.trace_code,
            "quantity": take.quantity,
        }
        for take in plan.takes
    ]
    takes: dict[int, int] = {}
    for take in plan.takes:
        takes[take.candidate.stock_id] = takes.get(take.candidate.stock_id, 0) + take.quantity
    parties = [actor.organisation_id, agency_id, wish.for_agency_id, *orders]
    fact = tx.record(
        "purchase.submitted",
        "purchase",
        purchase_id,
        # Sellers learn of an order when it is approved; their names on the fact are for its later readers.
        parties=[actor.organisation_id, agency_id, wish.for_agency_id] if waits else parties,
        **fact_data(purchase, orders, line_rows, plan, today, wish.deliver_on, hold_until),
        **terms.told,
    )
    shown = view(purchase, orders, priced, line_rows, allocations)
    answer = tx.render(shown)
    row = tx.take_fact_row(fact)
    if not takes:
        raise AssertionError("a purchase without a take cannot come here")
    placing.write_purchase(
        tx.session,
        {
            "takes": placing.as_json([{"stock": s, "quantity": q} for s, q in sorted(takes.items())]),
            "purchase": placing.as_json(purchase),
            "orders": placing.as_json(list(orders.values())),
            "lines": placing.as_json(line_rows),
            "allocations": placing.as_json(allocations),
            "at": at,
            "fact_id": row["id"],
            "fact_kind": row["kind"],
            "actor": actor.user_id,
            "door": row["door"],
            "subject": purchase_id,
            "parties": row["parties"],
            "body": row["body"],
            "principal": actor.user_id,
            "key": tx.once.key if answer is not None else None,
            "fingerprint": tx.once.fingerprint,
            "status": 0 if answer is None else answer.status,
            "answer": b"" if answer is None else answer.body,
            "headers": [] if answer is None else [f"{n}: {v}" for n, v in answer.headers],
            "expected": len(takes),
            "hold_until": hold_until,
        },
        *(() if terms.written_with is None else terms.written_with(shown)),
    )
    return Reply(shown, answer)


def _refuse_used_reference(session: Session, buyer_id: UUID, reference: str) -> None:
    known = session.execute(
        sa.select(Purchase.id, Purchase.number).where(
            Purchase.buyer_id == buyer_id, Purchase.reference == reference
        )
    ).one_or_none()
    if known is not None:
        raise ReferenceUsed(purchase_id=str(known.id), number=known.number)


def _wrong(name: str, detail: str) -> dict[str, str]:
    return {"pointer": f"#/{name}", "detail": detail}


def _unique(errors: list[dict[str, str]]) -> list[dict[str, str]]:
    return list({error["pointer"]: error for error in errors}.values())
