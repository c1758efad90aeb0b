"""What a channel is told of the sealed journal, in its order: facts that name it, in the form for partners.

The place (`seq`) is given when a fact is sealed, after its transaction has ended, so that asking on from the last
place seen leaves nothing out. The feed and the webhooks tell the same events with the same ids.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.channels.models import PartnerOrder
from marketplace.errors import Forbidden
from marketplace.journal.models import Fact, Seal
from marketplace.orders.models import Order
from marketplace.paging import DEFAULT_LIMIT

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
    items = shaped(session, [(row.seq, row.body) for row in rows[:limit]])
    return {"items": items, "next": items[-1]["seq"] if len(rows) > limit else None}


def shaped(session: Session, facts: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """Events from sealed texts: id, place, kind, time, subject, data, and the channel's own order number.

    One query for all of them.
    """
    texts = [(seq, json.loads(body)) for seq, body in facts]
    numbers = _own_numbers(session, [UUID(text["subject"]["id"]) for _, text in texts])
    return [
        {
            "id": text["id"],
            "seq": seq,
            "kind": text["kind"],
            "recorded_at": text["recorded_at"],
            "subject": text["subject"],
            "partner_order_no": numbers.get(UUID(text["subject"]["id"])),
            "data": without_inner(text["data"]),
        }
        for seq, text in texts
    ]


def without_inner(value: Any) -> Any:
    """The part of a fact's data that partners are told."""
    if isinstance(value, dict):
        return {name: without_inner(below) for name, below in value.items() if name not in INNER}
    if isinstance(value, list):
        return [without_inner(below) for below in value]
    return value


def _own_numbers(session: Session, subject_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The channel's number of each purchase and order among the subjects."""
    if not subject_ids:
        return {}
    found: dict[UUID, str] = {}
    for purchase_id, order_id, number in session.execute(
        sa.select(PartnerOrder.purchase_id, Order.id, PartnerOrder.partner_order_no)
        .outerjoin(Order, Order.purchase_id == PartnerOrder.purchase_id)
        .where(sa.or_(PartnerOrder.purchase_id.in_(subject_ids), Order.id.in_(subject_ids)))
    ):
        found[purchase_id] = number
        if order_id is not None:
            found[order_id] = number
    return found
