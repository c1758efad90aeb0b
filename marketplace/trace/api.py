"""Lots of the seller, samples of the regulator, and what anybody may read behind a trace code."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, request
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.trace import growers, labels, queries, scans, service, story
from marketplace.trace.schemas import (
    CampaignInspectionIn,
    CampaignInspectionOut,
    CertificateIn,
    GrowerIn,
    GrowerOut,
    InspectionIn,
    LabelArgs,
    LotIn,
    LotOut,
    LotPrivateOut,
    LotRowOut,
    LotsArgs,
    MovementIn,
    ReasonOptionalIn,
)
from marketplace.trace.story_schemas import StoryOut
from marketplace.unit_of_work import Answer, retrying
from marketplace.web.edge import answer_response, current_actor, once, public, requires, sent, shown
from marketplace.web.quick import quick
from marketplace.web.schemas import PageArgs, ReasonIn, page_of

blp = Blueprint("trace", __name__, url_prefix="/api/v1", description="批次与追溯")
blueprints = [blp]

LOT_PAGE = page_of(LotRowOut)
GROWER_PAGE = page_of(GrowerOut)


@blp.route("/lots", methods=["GET"])
@requires(Permission.LOT_READ)
@blp.arguments(LotsArgs, location="query")
@blp.response(200, LOT_PAGE)
def list_lots(args: dict[str, Any]) -> Response:
    """The lots within one's scope, newest first."""
    return shown(LOT_PAGE, queries.list_lots(db.session(), current_actor(), **args))


@blp.route("/lots", methods=["POST"])
@requires(Permission.LOT_EDIT)
@blp.arguments(LotIn)
@blp.response(201, LotOut)
@retrying
def add_lot(data: dict[str, Any]) -> Response:
    """Register a batch of a recognised product: it gets its trace code and comes into stock as a draft."""
    return sent(service.add_lot(current_actor(), **data, once=once(LotOut(), status=201)))


@blp.route("/lots/<uuid:lot_id>", methods=["GET"])
@requires(Permission.LOT_READ)
@blp.response(200, LotOut)
def show_lot(lot_id: UUID) -> Response:
    """One lot, with what still stands against its sale."""
    return shown(LotOut(), queries.lot_view(db.session(), current_actor(), lot_id))


@blp.route("/lots/<uuid:lot_id>/private", methods=["GET"])
@requires(Permission.TRACE_PRIVATE)
@blp.response(200, LotPrivateOut)
def show_private(lot_id: UUID) -> Response:
    """What stands behind the public story: plots, growers' codes, payments, original files."""
    return shown(LotPrivateOut(), queries.private_view(db.session(), current_actor(), lot_id))


@blp.route("/lots/<uuid:lot_id>/certificates", methods=["POST"])
@requires(Permission.LOT_EDIT)
@blp.arguments(CertificateIn)
@blp.response(201, LotOut)
@retrying
def certify_lot(data: dict[str, Any], lot_id: UUID) -> Response:
    """File a paper of the lot, as it reads."""
    return sent(service.certify_lot(current_actor(), lot_id, **data, once=once(LotOut(), status=201)))


@blp.route("/lots/<uuid:lot_id>/inspections", methods=["POST"])
@requires(Permission.INSPECTION_RECORD)
@blp.arguments(InspectionIn)
@blp.response(201, LotOut)
@retrying
def inspect_lot(data: dict[str, Any], lot_id: UUID) -> Response:
    """File a sample of the lot; a failed one takes it and its siblings off sale."""
    return sent(service.inspect_lot(current_actor(), lot_id, **data, once=once(LotOut(), status=201)))


@blp.route("/inspections", methods=["POST"])
@requires(Permission.INSPECTION_RECORD)
@blp.arguments(CampaignInspectionIn)
@blp.response(201, CampaignInspectionOut)
@retrying
def add_inspection(data: dict[str, Any]) -> Response:
    """File a campaign's sample of a product of a county."""
    wish = once(CampaignInspectionOut(), status=201)
    return sent(service.add_inspection(current_actor(), **data, once=wish))


@blp.route("/lots/<uuid:lot_id>/release", methods=["POST"])
@requires(Permission.LOT_EDIT)
@blp.response(200, LotOut)
@retrying
def release_lot(lot_id: UUID) -> Response:
    """Put the lot on sale; refused with every reason that stands against it."""
    return sent(service.release_lot(current_actor(), lot_id, once=once(LotOut())))


@blp.route("/lots/<uuid:lot_id>/hold", methods=["POST"])
@requires(Permission.LOT_HOLD, Permission.LOT_EDIT)
@blp.arguments(ReasonIn)
@blp.response(200, LotOut)
@retrying
def hold_lot(data: dict[str, Any], lot_id: UUID) -> Response:
    """Take the lot off sale at once."""
    return sent(service.hold_lot(current_actor(), lot_id, **data, once=once(LotOut())))


@blp.route("/lots/<uuid:lot_id>/unhold", methods=["POST"])
@requires(Permission.LOT_HOLD, Permission.LOT_EDIT)
@blp.arguments(ReasonOptionalIn)
@blp.response(200, LotOut)
@retrying
def unhold_lot(data: dict[str, Any], lot_id: UUID) -> Response:
    """Lift one's own holds (the regulator: all); back on sale when none is left."""
    return sent(service.unhold_lot(current_actor(), lot_id, **data, once=once(LotOut())))


@blp.route("/lots/<uuid:lot_id>/movements", methods=["POST"])
@requires(Permission.STOCK_MOVE)
@blp.arguments(MovementIn)
@blp.response(201, LotOut)
@retrying
def move_stock(data: dict[str, Any], lot_id: UUID) -> Response:
    """Book spoilage, shrinkage, sales elsewhere, own use or a count; never packs that orders hold."""
    return sent(service.move_stock(current_actor(), lot_id, **data, once=once(LotOut(), status=201)))


@blp.route("/lots/<uuid:lot_id>/labels.pdf", methods=["GET"])
@requires(Permission.LOT_READ)
@blp.arguments(LabelArgs, location="query")
@blp.response(200, content_type="application/pdf")
def labels_pdf(args: dict[str, Any], lot_id: UUID) -> Response:
    """A4 sheets of QR labels, 21 to a page."""
    label = labels.Label(**queries.label_row(db.session(), current_actor(), lot_id))
    return Response(labels.pdf_sheet(label, args["count"]), mimetype="application/pdf")


@blp.route("/lots/<uuid:lot_id>/labels.svg", methods=["GET"])
@requires(Permission.LOT_READ)
@blp.arguments(LabelArgs, location="query")
@blp.response(200, content_type="image/svg+xml")
def labels_svg(args: dict[str, Any], lot_id: UUID) -> Response:
    """One A4 sheet of at most 21 QR labels."""
    label = labels.Label(**queries.label_row(db.session(), current_actor(), lot_id))
    return Response(labels.svg_sheet(label, args["count"]), mimetype="image/svg+xml")


@blp.route("/growers", methods=["GET"])
@requires(Permission.LOT_EDIT)
@blp.arguments(PageArgs, location="query")
@blp.response(200, GROWER_PAGE)
def list_growers(args: dict[str, Any]) -> Response:
    """The growers who supply one's own organisation."""
    return shown(GROWER_PAGE, growers.list_growers(db.session(), current_actor(), **args))


@blp.route("/growers", methods=["POST"])
@requires(Permission.LOT_EDIT)
@blp.arguments(GrowerIn)
@blp.response(201, GrowerOut)
@retrying
def add_grower(data: dict[str, Any]) -> Response:
    """Register a household that supplies one's own organisation."""
    return sent(service.add_grower(current_actor(), **data, once=once(GrowerOut(), status=201)))


def _story(environ: dict[str, Any], trace_code: str) -> Answer:
    found = story.story(None, trace_code)
    opened = environ["marketplace.opened"] = scans.counter(found["lot_id"])
    opened()
    # Sealing comes within a second, and is no act that a fact tells of.
    environ["marketplace.passing"] = not found["proof"]["sealed"]
    return Answer(200, story.story_json(found))


@blp.route("/trace/<trace_code>", methods=["GET"])
@public
@quick(_story)
@blp.response(200, StoryOut)
def trace(trace_code: str) -> Response:
    """The public story of a lot; unknown, forged and mistyped codes answer alike."""
    return answer_response(_story(request.environ, trace_code))
