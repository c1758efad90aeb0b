"""Handing in files and reading them back, as attachments only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.documents import queries, service
from marketplace.documents.schemas import DocumentFileIn, DocumentKindIn, DocumentOut
from marketplace.unit_of_work import retrying
from marketplace.web.attachments import attachment
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.parsing import accepts_files

blp = Blueprint("documents", __name__, url_prefix="/api/v1", description="文件")
blueprints = [blp]


@blp.route("/documents", methods=["POST"])
@requires(Permission.DOCUMENT_UPLOAD)
@accepts_files
@blp.arguments(DocumentKindIn, location="form")
@blp.arguments(DocumentFileIn, location="files")
@blp.response(201, DocumentOut)
@retrying
def store_document(form: dict[str, Any], files: dict[str, Any]) -> Response:
    """Hand in a file as `file`, with its `kind`; what it is, is read from its bytes."""
    wish = once(DocumentOut(), status=201)
    reply = service.store_document(
        current_actor(),
        kind=form["kind"],
        filename=files["file"].filename or "",
        content=files["file"].stream.read(),
        max_bytes=current_app.config["SETTINGS"].max_upload_bytes,
        once=wish,
    )
    return sent(reply)


@blp.route("/documents/<uuid:document_id>", methods=["GET"])
@requires(Permission.DOCUMENT_READ)
@blp.response(200, DocumentOut)
def show_document(document_id: UUID) -> Response:
    """What a file is: kind, size and hash."""
    row = queries.readable_document(db.session(), current_actor(), document_id)
    return shown(DocumentOut(), queries.document_view(row))


@blp.route("/documents/<uuid:document_id>/content", methods=["GET"])
@requires(Permission.DOCUMENT_READ)
@blp.response(200, content_type="application/octet-stream")
def send_document(document_id: UUID) -> Response:
    """The bytes, as an attachment with our own type: no browser opens them as a page."""
    row = queries.readable_document(db.session(), current_actor(), document_id)
    # The connection goes back before the store is asked: a slow store must not hold it.
    db.session.remove()
    return attachment(service.content_of(row), row.content_type, row.filename)
