"""A lot goes off sale, or back on sale, while packs of it are on their way to channels or stand in their shops.

Each of these channels gets a fact of its own, which names nothing of another one: it stands in its feed and its webhooks.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.catalog.models import Lot, LotState, Place, PlaceKind, Stock
from marketplace.channels.consignment_models import Consignment, ConsignmentLine
from marketplace.channels.states import ConsignmentState
from marketplace.unit_of_work import RecordedFact, Transaction

KINDS = {"lot.held": "lot.held_in_shops", "lot.unheld": "lot.unheld_in_shops"}


def packs_at_channels(session: Session, lot_id: UUID) -> list[dict[str, Any]]:
    """Packs of a lot on consignment, by channel, those on their way first; two queries."""
    names = (Organisation.id, Organisation.name, Place.id.label("shop_id"), Place.name.label("shop"))
    sent = session.execute(
        sa.select(
            *names, Consignment.id.label("consignment_id"), Consignment.number, ConsignmentLine.quantity
        )
        .join(Consignment, Consignment.channel_id == Organisation.id)
        .join(Place, Place.id == Consignment.place_id)
        .join(ConsignmentLine, ConsignmentLine.consignment_id == Consignment.id)
        .where(ConsignmentLine.lot_id == lot_id, Consignment.state == ConsignmentState.SENT)
        .order_by(Organisation.name, Consignment.id)
    )
    standing = session.execute(
        sa.select(*names, Stock.on_hand.label("quantity"))
        .join(Place, Place.organisation_id == Organisation.id)
        .join(Stock, Stock.place_id == Place.id)
        .where(Stock.lot_id == lot_id, Place.kind == PlaceKind.SHOP, Stock.on_hand > 0)
        .order_by(Organisation.name, Place.id)
    )
    found: list[tuple[Any, dict[str, Any] | None]] = [
        (row, {"id": row.consignment_id, "number": row.number}) for row in sent
    ]
    found += [(row, None) for row in standing]
    return [
        {
            "channel": {"id": row.id, "name": row.name},
            "shop": {"id": row.shop_id, "name": row.shop},
            "consignment": consignment,
            "quantity": row.quantity,
        }
        for row, consignment in found
    ]


def tell_channels(tx: Transaction, fact: RecordedFact) -> None:
    """Record for each channel that has packs of the lot which of them it may not sell, or may again."""
    if fact.kind == "lot.unheld" and fact.data.get("state") == LotState.HELD:
        return
    packs: dict[UUID, list[dict[str, Any]]] = {}
    for row in packs_at_channels(tx.session, fact.subject_id):
        packs.setdefault(row["channel"]["id"], []).append(row)
    for channel_id, rows in packs.items():
        lot = tx.session.get_one(Lot, fact.subject_id)
        tx.record(
            KINDS[fact.kind],
            "lot",
            lot.id,
            parties=[channel_id, lot.seller_id],
            channel=str(channel_id),
            product=str(lot.product_id),
            trace_code=lot.trace_code,
            state=lot.state.value,
            packs=sum(row["quantity"] for row in rows),
            consignments=[
                {
                    "consignment": str(row["consignment"]["id"]),
                    "number": row["consignment"]["number"],
                    "quantity": row["quantity"],
                }
                for row in rows
                if row["consignment"]
            ],
            shops=[
                {"shop": str(row["shop"]["id"]), "quantity": row["quantity"]}
                for row in rows
                if not row["consignment"]
            ],
        )
