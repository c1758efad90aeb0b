"""The papers as PDF downloads: plain GETs, so that they work in WeChat's browser and can be printed from any PC."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, Response, current_app, url_for

from marketplace.accounts.queries import region_names
from marketplace.actors import Permission
from marketplace.channels import consignment_views
from marketplace.clock import now
from marketplace.database import db
from marketplace.documents.storage import current_store
from marketplace.papers import bundle, consigning, content, queries
from marketplace.papers.sheet import Sheet, pdf
from marketplace.web.edge import current_actor, requires

blp = Blueprint("papers", __name__, url_prefix="/papers")
blueprints = [blp]


def _file(name: str, body: bytes) -> Response:
    response = Response(body, mimetype="application/pdf")
    response.headers["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(name)}.pdf"
    return response


def _printed(name: str, sheets: Sequence[Sheet]) -> Response:
    return _file(name, pdf(sheets, now()))


def _address(endpoint: str, **values: object) -> str:
    """Where the QR code of a paper leads: the page of the thing itself, for those who may see it."""
    base: str = current_app.config["SETTINGS"].public_base_url
    return base + url_for(endpoint, **values)  # type: ignore[arg-type]


@blp.route("/purchases/<uuid:purchase_id>/approval.pdf", methods=["GET"])
@requires(Permission.PURCHASE_READ)
def approval(purchase_id: UUID) -> Response:
    """采购审批单."""
    session = db.session()
    view = queries.purchase_paper(session, current_actor(), purchase_id)
    address = _address("buying.purchase", purchase_id=purchase_id)
    return _printed(f"采购审批单{view['number']}", [content.approval(view, region_names(session), address)])


@blp.route("/shipments/<uuid:shipment_id>/delivery.pdf", methods=["GET"])
@requires(Permission.ORDER_READ)
def delivery(shipment_id: UUID) -> Response:
    """送货单 in three copies."""
    session = db.session()
    shipment, paper, sent = queries.shipment_paper(session, current_actor(), shipment_id)
    address = _address("trading.order", order_id=paper.order.id)
    return _printed(
        f"送货单{shipment.number}", content.delivery(shipment, paper, sent, region_names(session), address)
    )


@blp.route("/orders/<uuid:order_id>/acceptance.pdf", methods=["GET"])
@requires(Permission.ORDER_READ)
def acceptance(order_id: UUID) -> Response:
    """食材验收单."""
    session = db.session()
    paper = queries.order_paper(session, current_actor(), order_id)
    lines, acts = queries.taken(session, paper)
    certificates, samples = queries.proofs(session, [t.lot.id for t in lines])
    address = _address("trading.order", order_id=order_id)
    sheet = content.acceptance(paper, lines, acts, certificates, samples, address)
    return _printed(f"食材验收单{paper.order.number}", [sheet])


@blp.route("/orders/<uuid:order_id>/storage.pdf", methods=["GET"])
@requires(Permission.ORDER_READ)
def storage(order_id: UUID) -> Response:
    """入库单."""
    session = db.session()
    paper = queries.order_paper(session, current_actor(), order_id)
    lines, _ = queries.taken(session, paper)
    sheet = content.storage(paper, lines, _address("trading.order", order_id=order_id))
    return _printed(f"入库单{paper.order.number}", [sheet])


@blp.route("/orders/<uuid:order_id>/settlement.pdf", methods=["GET"])
@requires(Permission.ORDER_READ)
def settlement(order_id: UUID) -> Response:
    """结算单."""
    session = db.session()
    paper = queries.order_paper(session, current_actor(), order_id)
    sheet = content.settlement(
        paper,
        list(paper.lines.values()),
        queries.order_invoices(session, [order_id]),
        queries.order_payments(session, order_id),
        _address("trading.order", order_id=order_id),
    )
    return _printed(f"结算单{paper.order.number}", [sheet])


@blp.route("/consignments/<uuid:consignment_id>/note.pdf", methods=["GET"])
@requires(Permission.ORDER_SHIP, Permission.CHANNEL_SALES)
def consignment(consignment_id: UUID) -> Response:
    """代销送货单; its code leads to where the shop takes over."""
    view = consignment_views.consignment_view(db.session(), current_actor(), consignment_id)
    address = _address("portal_stock.take_over", consignment_id=consignment_id)
    return _printed(f"代销送货单{view['number']}", [consigning.consignment_note(view, address)])


@blp.route("/payments/<uuid:payment_id>/request.pdf", methods=["GET"])
@requires(Permission.PAYMENT_READ)
def payment_request(payment_id: UUID) -> Response:
    """付款申请."""
    found = queries.payment_paper(db.session(), current_actor(), payment_id)
    sheet = content.payment_request(*found, _address("money.payment", payment_id=payment_id))
    return _printed(f"付款申请{found[0].number}", [sheet])


@blp.route("/shipments/<uuid:shipment_id>/all.pdf", methods=["GET"])
@requires(Permission.ORDER_READ)
def all_papers(shipment_id: UUID) -> Response:
    """索证索票: every paper of one delivery in one file."""
    session = db.session()
    shipment, paper, sent = queries.shipment_paper(session, current_actor(), shipment_id)
    files = queries.delivery_files(session, paper, sorted({s.lot.id for s in sent}))
    address = _address("trading.order", order_id=paper.order.id)
    note = content.delivery(shipment, paper, sent, region_names(session), address)[1]
    front = pdf([content.bundle_list(shipment, paper, files, address), note], now())
    keys = [(f.document.content_type, f.document.storage_key) for f in files if f.document is not None]
    # The bytes may come over the network: no connection waits for them.
    db.session.remove()
    store = current_store()
    parts = (
        (kind, store.get(key)) for kind, key in keys if kind == "application/pdf" or kind.startswith("image/")
    )
    return _file(f"索证索票{shipment.number}", bundle.joined(front, parts))
