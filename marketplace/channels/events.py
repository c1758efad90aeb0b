"""What a channel is told of the sealed journal, in its order: facts that name it, in the form for partners.

The place (`seq`) is given when a fact is sealed, after its transaction has ended, so that asking on from the last
place seen leaves nothing out. The feed and the webhooks tell the same events with the same ids.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.channels.models import ChangeRequest, PartnerOrder
from marketplace.errors import Forbidden
from marketplace.journal.models import Fact, Seal
from marketplace.orders.models import Order
from marketplace.paging import DEFAULT_LIMIT
from marketplace.payments.models import InvoiceOrder, PaymentOrder

# What a subject is about decides; people, keys, accounts and documents of the channel are told to nobody's program.
SUBJECTS = (
    "purchase", "order", "invoice", "payment", "channel_agreement", "price_list", "channel_item", "lot",
    "consignment", "sales_report", "stock_count", "statement", "change_request",
)  # fmt: skip
# Parts of facts that only we need: for replaying counters, or about how the buyer's side decides.
INNER = frozenset(
    {
        "moves", "policy_version", "counted_states", "buyer_county", "for_agency", "agency", "canteen", "eligible",
        "reason", "reason_given", "payer_profile", "hold_until", "document", "place", "reserved",
    }
)  # fmt: skip


def told_to(channel_ids: Sequence[UUID]) -> sa.ColumnElement[bool]:
    """The condition on `fact` that keeps what one of the channels is told."""
    named = Fact.parties.op("&&", is_comparison=True)(
        sa.literal(list(channel_ids), ARRAY(PgUUID(as_uuid=True)))
    )
    return sa.and_(named, Fact.subject_type.in_(SUBJECTS))


def list_events(
    session: Session, actor: Actor, *, after: int = 0, limit: int = DEFAULT_LIMIT
) -> dict[str, Any]:
    """Events with a place above `after`: {"items": […], "next": last place of the page, or None at the end}."""
    actor.require(Permission.CHANNEL_EVENTS)
    if actor.organisation_id is None:
        raise Forbidden
    rows = session.execute(
        sa.select(Seal.seq, Fact.body)
        .join(Fact, Fact.id == Seal.fact_id)
        .where(Seal.seq > after, told_to([actor.organisation_id]))
        .order_by(Seal.seq)
        .limit(limit + 1)
    ).all()
    items = [told.event for told in shaped(session, [(row.seq, row.body) for row in rows[:limit]])]
    return {"items": items, "next": items[-1]["seq"] if len(rows) > limit else None}


@dataclass(frozen=True)
class Told:
    """An event, and what it has to keep its order with: the purchase of the channel's order, else its subject."""

    event: dict[str, Any]
    order_key: UUID


def shaped(session: Session, facts: Sequence[tuple[int, str]]) -> list[Told]:
    """Events from sealed texts: id, place, kind, time, subject, data, and the channel's own order number.

    One query for all of them.
    """
    texts = [(seq, json.loads(body)) for seq, body in facts]
    of_orders = _of_partner_orders(session, [UUID(text["subject"]["id"]) for _, text in texts])
    told = []
    for seq, text in texts:
        subject = UUID(text["subject"]["id"])
        orders = of_orders.get(subject, {})
        event = {
            "id": text["id"],
            "seq": seq,
            "kind": text["kind"],
            "recorded_at": text["recorded_at"],
            "subject": text["subject"],
            # A payment or an invoice of several orders names these in its data.
            "partner_order_no": next(iter(orders.values())) if len(orders) == 1 else None,
            "data": without_inner(text["data"]),
        }
        told.append(Told(event, min(orders, default=subject)))
    return told


def without_inner(value: Any) -> Any:
    """The part of a fact's data that partners are told."""
    if isinstance(value, dict):
        return {name: without_inner(below) for name, below in value.items() if name not in INNER}
    if isinstance(value, list):
        return [without_inner(below) for below in value]
    return value


def _of_partner_orders(session: Session, subject_ids: Sequence[UUID]) -> dict[UUID, dict[UUID, str]]:
    """For each subject that belongs to orders of a channel: their purchases with the channel's numbers."""
    if not subject_ids:
        return {}
    no = PartnerOrder.partner_order_no
    own = PartnerOrder.purchase_id == Order.purchase_id
    ways = (
        sa.select(PartnerOrder.purchase_id, PartnerOrder.purchase_id, no).where(
            PartnerOrder.purchase_id.in_(subject_ids)
        ),
        sa.select(Order.id, PartnerOrder.purchase_id, no)
        .join(PartnerOrder, own)
        .where(Order.id.in_(subject_ids)),
        sa.select(ChangeRequest.id, PartnerOrder.purchase_id, no)
        .join(PartnerOrder, PartnerOrder.id == ChangeRequest.partner_order_id)
        .where(ChangeRequest.id.in_(subject_ids)),
        sa.select(InvoiceOrder.invoice_id, PartnerOrder.purchase_id, no)
        .join(Order, Order.id == InvoiceOrder.order_id)
        .join(PartnerOrder, own)
        .where(InvoiceOrder.invoice_id.in_(subject_ids)),
        sa.select(PaymentOrder.payment_id, PartnerOrder.purchase_id, no)
        .join(Order, Order.id == PaymentOrder.order_id)
        .join(PartnerOrder, own)
        .where(PaymentOrder.payment_id.in_(subject_ids)),
    )
    found: dict[UUID, dict[UUID, str]] = {}
    for subject_id, purchase_id, number in session.execute(sa.union_all(*ways)):
        found.setdefault(subject_id, {})[purchase_id] = number
    return found
