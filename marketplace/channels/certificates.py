"""Proofs that came with a channel's goods: the file of a certificate, for the channel whose order its lot was sent on."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.channels.order_views import own_order
from marketplace.documents.models import Document, DocumentState
from marketplace.errors import NotFound
from marketplace.orders.models import Order, Shipment, ShipmentLine
from marketplace.trace.models import LotCertificate


def certificate_file(session: Session, actor: Actor, partner_order_no: str, document_id: UUID) -> Document:
    """The document of a certificate of a lot that was sent on this order of the channel's own.

    Raises NotFound (`not-found`) for any other document, as for another channel's order.
    """
    actor.require(Permission.CHANNEL_ORDER)
    row = own_order(session, actor, partner_order_no)
    sent = (
        sa.select(LotCertificate.document_id)
        .join(ShipmentLine, ShipmentLine.lot_id == LotCertificate.lot_id)
        .join(Shipment, Shipment.id == ShipmentLine.shipment_id)
        .join(Order, Order.id == Shipment.order_id)
        .where(Order.purchase_id == row.purchase_id, LotCertificate.document_id == document_id)
    )
    found = session.scalars(
        sa.select(Document).where(Document.id.in_(sent), Document.state == DocumentState.STORED)
    ).one_or_none()
    if found is None:
        raise NotFound("找不到这个文件")
    return found
