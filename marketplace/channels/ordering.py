"""A channel's order: a purchase for resale at the channel's own prices, under a number that is used once for ever.

The number is the natural key of the act: the same body again gets the first answer, byte for byte, and no effect;
another body is refused and told where it differs. So a call may always be sent again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts.models import Purpose
from marketplace.actors import Actor, Permission
from marketplace.channels.rules import body_text, cut_off_at, differing, earliest_day, leaf_marks
from marketplace.channels.states import Pattern
from marketplace.clock import business_day
from marketplace.errors import Conflict, Forbidden, RuleViolation
from marketplace.orders.purchasing import (
    DeliverTo,
    PurchaseWish,
    Terms,
    after_overdue_holds,
    place_purchase,
)
from marketplace.orders.rules import LineWish
from marketplace.unit_of_work import Answer, Replayed, Reply, Transaction, transaction
from marketplace.values import uuid7
from marketplace.wire import Call, prepare, send

_LOCK = prepare(sa.text("select pg_advisory_xact_lock(hashtextextended(:scope, 0))"))
_KNOWN = prepare(
    sa.text(
        "select digest, body, answer from partner_order"
        " where channel_id = cast(:channel as uuid) and partner_order_no = cast(:number as text)"
    )
)
_AGREEMENT = prepare(
    sa.text(
        """
    select a.id, l.code, a.order_cut_off, a.lead_days, a.confirm_within_h,
           (select p.id from payer_profile p where p.organisation_id = a.channel_id
             order by p.purpose = 'resale' desc, p.is_default desc, p.id limit 1)
    from channel_agreement a join price_list l on l.id = a.price_list_id
    where a.channel_id = cast(:channel as uuid) and a.pattern = cast(:pattern as text) and a.valid_from <= cast(:day as date)
      and (a.valid_to is null or a.valid_to >= cast(:day as date))
    """
    )
)
_ITEMS = prepare(
    sa.text(
        """
    select product_id, partner_sku, min_remaining_days from channel_item
    where channel_id = cast(:channel as uuid) and withdrawn_at is null
      and (product_id = any(cast(:products as uuid[])) or partner_sku = any(cast(:skus as text[])))
    """
    )
)

_KEEP = prepare(
    sa.text(
        """
    insert into partner_order (id, channel_id, partner_order_no, agreement_id, purchase_id, body, digest, answer,
        cut_off_at, placed_at)
    values (cast(:id as uuid), cast(:channel as uuid), cast(:number as text), cast(:agreement as uuid),
        cast(:purchase as uuid), cast(:body as text), cast(:digest as bytea), cast(:answer as bytea),
        cast(:cut_off_at as timestamptz), cast(:placed_at as timestamptz))
    returning id
    """
    )
)


class OrderNumberUsed(Conflict):
    """`differing` lists the JSON pointers at which the body is another one than the first time."""

    slug = "partner-order-no-used"
    title = "这个渠道订单号已用于另一份订单"


class NoAgreement(Conflict):
    """The channel has no agreement of the pattern in force on the day that counts: today, or the day of a report."""

    slug = "no-agreement"
    title = "没有生效的协议"


@dataclass(frozen=True)
class OrderLine:
    """A product by our id or by the channel's own number; quantity in packs."""

    product_id: UUID | None
    partner_sku: str | None
    quantity: int


@dataclass(frozen=True)
class OrderWish:
    """`body` is what was sent, for comparing; the rest is what it says."""

    body: Any
    partner_order_no: str
    deliver_on: date
    deliver_to: DeliverTo
    lines: Sequence[OrderLine]
    note: str | None = None
    pattern: Pattern = Pattern.WHOLESALE


@dataclass(frozen=True)
class _Terms:
    agreement_id: UUID
    price_list: str
    order_cut_off: str
    lead_days: int
    confirm_within_h: int
    payer_profile_id: UUID | None


def place_order(actor: Actor, wish: OrderWish, render: Callable[[dict[str, Any]], bytes]) -> Reply:
    """Place a channel's order over any number of sellers; approved at once, its stock is held from here on.

    `render` makes the answer's bytes, which are kept. Raises Replayed with the first answer, OrderNumberUsed
    (`partner-order-no-used`), NoAgreement (`no-agreement`), RuleViolation (`invalid`) with every wrong line or after
    the cut-off, InsufficientStock (`insufficient-stock`).
    """
    return after_overdue_holds(lambda: _place(actor, wish, render))


def _place(actor: Actor, wish: OrderWish, render: Callable[[dict[str, Any]], bytes]) -> Reply:
    text = body_text(wish.body)
    digest = sha256(text.encode()).digest()
    with transaction(actor, Permission.CHANNEL_ORDER) as tx:
        channel_id = actor.organisation_id
        if channel_id is None:
            raise Forbidden("渠道订单由渠道的密钥提交")
        named = {"channel": channel_id, "number": wish.partner_order_no}
        _, known, agreements, items = send(
            tx.session,
            (_LOCK, {"scope": f"partner-order:{channel_id}:{wish.partner_order_no}"}),
            (_KNOWN, named),
            (
                _AGREEMENT,
                {"channel": channel_id, "day": business_day(tx.started_at), "pattern": wish.pattern.value},
            ),
            (
                _ITEMS,
                {
                    "channel": channel_id,
                    "products": [line.product_id for line in wish.lines if line.product_id],
                    "skus": [line.partner_sku for line in wish.lines if line.partner_sku],
                },
            ),
        )
        if known:
            first_digest, first_marks, answer = known[0]
            if bytes(first_digest) == digest:
                raise Replayed(Answer(201, bytes(answer)))
            marks = json.loads(first_marks)
            raise OrderNumberUsed(differing=differing(marks, leaf_marks(json.loads(text))))
        if not agreements:
            raise NoAgreement("今天没有生效的批发协议")
        terms = _Terms(*agreements[0])
        products = _products(wish.lines, items)
        limit = cut_off_at(wish.deliver_on, terms.order_cut_off, terms.lead_days)
        if tx.started_at >= limit:
            day = earliest_day(tx.started_at, terms.order_cut_off, terms.lead_days)
            detail = f"这一天的截单时间已过，最早可以订{day.isoformat()}送货"
            raise RuleViolation("送货日期不对", errors=[{"pointer": "#/deliver_on", "detail": detail}])
        view: dict[str, Any] = {
            "partner_order_no": wish.partner_order_no,
            "placed_at": tx.started_at,
            "cut_off_at": limit,
        }
        answer = b""

        def kept(purchase: Mapping[str, Any]) -> Sequence[Call]:
            nonlocal answer
            view["purchase"] = purchase
            answer = render(view)
            row = {
                "id": uuid7(),
                "channel": channel_id,
                "number": wish.partner_order_no,
                "agreement": terms.agreement_id,
                "purchase": purchase["id"],
                "body": json.dumps(leaf_marks(wish.body), separators=(",", ":")),
                "digest": digest,
                "answer": answer,
                "cut_off_at": limit,
                "placed_at": tx.started_at,
            }
            return [(_KEEP, row)]

        _purchase(tx, wish, terms, products, kept)
    return Reply(view, Answer(201, answer))


def _products(lines: Sequence[OrderLine], items: Sequence[Any]) -> list[tuple[UUID, int]]:
    """(product, days that must be left) of each line. Raises RuleViolation with every line that names no item."""
    by_id = {row[0]: row for row in items}
    by_sku = {row[1]: row for row in items if row[1] is not None}
    found: list[tuple[UUID, int]] = []
    errors = []
    for n, line in enumerate(lines):
        if (line.product_id is None) == (line.partner_sku is None):
            errors.append(
                {"pointer": f"#/lines/{n}", "detail": "product_id 和 partner_sku 要填一个，只填一个"}
            )
            continue
        name = "product_id" if line.product_id is not None else "partner_sku"
        row = by_id.get(line.product_id) if line.product_id is not None else by_sku.get(line.partner_sku)
        if row is None:
            errors.append({"pointer": f"#/lines/{n}/{name}", "detail": "这个产品不在渠道的目录里"})
            continue
        found.append((row[0], row[2]))
    if errors:
        raise RuleViolation("有的行不能这样订，请看每行的说明", errors=errors)
    return found


def _purchase(
    tx: Transaction,
    wish: OrderWish,
    terms: _Terms,
    products: Sequence[tuple[UUID, int]],
    kept: Callable[[Mapping[str, Any]], Sequence[Call]],
) -> None:
    remaining: Mapping[UUID, int] = dict(products)
    place_purchase(
        tx,
        PurchaseWish(
            purpose=Purpose.RESALE,
            deliver_on=wish.deliver_on,
            deliver_to=wish.deliver_to,
            lines=[
                LineWish(n, product_id, line.quantity, wish.deliver_on, None)
                for n, (line, (product_id, _)) in enumerate(zip(wish.lines, products, strict=True))
            ],
            payer_profile_id=terms.payer_profile_id,
            reference=wish.partner_order_no,
            note=wish.note,
        ),
        Terms(
            price_list=terms.price_list,
            confirm_by=tx.started_at + timedelta(hours=terms.confirm_within_h),
            remaining_days=remaining,
            told={
                "partner_order_no": wish.partner_order_no,
                "agreement": str(terms.agreement_id),
                "price_list": terms.price_list,
            },
            holds_reference=True,
            written_with=kept,
        ),
    )
