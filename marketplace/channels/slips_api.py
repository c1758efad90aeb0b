"""The bank's slips of a channel's transfers by its programs: handed in, and read back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import slips
from marketplace.database import db
from marketplace.documents import service as documents
from marketplace.documents.models import DocumentKind
from marketplace.documents.queries import document_view
from marketplace.documents.schemas import DocumentFileIn, DocumentOut
from marketplace.unit_of_work import retrying
from marketplace.web.attachments import attachment
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.parsing import accepts_files

blp = Blueprint("partner_slips", __name__, url_prefix="/partner/v1", description="渠道付款回单")
blueprints = [blp]


@blp.route("/slips", methods=["POST"])
@requires(Permission.CHANNEL_STATEMENTS)
@accepts_files
@blp.arguments(DocumentFileIn, location="files")
@blp.response(201, DocumentOut)
@retrying
def store_slip(files: dict[str, Any]) -> Response:
    """Hand in the bank's slip of a transfer as `file`; its `id` is the `document_id` of the transfer."""
    reply = documents.store_document(
        current_actor(),
        kind=DocumentKind.SLIP,
        filename=files["file"].filename or "",
        content=files["file"].stream.read(),
        max_bytes=current_app.config["SETTINGS"].max_upload_bytes,
        once=once(DocumentOut(), 201),
    )
    return sent(reply)


@blp.route("/slips/<uuid:slip_id>")
@requires(Permission.CHANNEL_STATEMENTS)
@blp.response(200, DocumentOut)
def show_slip(slip_id: UUID) -> Response:
    """What the channel handed in: size, type and SHA-256 of its bytes."""
    return shown(DocumentOut(), document_view(slips.own_slip(db.session(), current_actor(), slip_id)))


@blp.route("/slips/<uuid:slip_id>/content")
@requires(Permission.CHANNEL_STATEMENTS)
@blp.response(200, content_type="application/octet-stream")
def send_slip(slip_id: UUID) -> Response:
    """The bytes that the channel handed in, compared with their SHA-256."""
    row = slips.own_slip(db.session(), current_actor(), slip_id)
    # The connection goes back before the store is asked: a slow store must not hold it.
    db.session.remove()
    return attachment(documents.content_of(row), row.content_type, row.filename)
