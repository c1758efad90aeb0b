"""Files that people open from a page: slips, invoices, certificates, with the session of the page."""

from __future__ import annotations

from urllib.parse import quote
from uuid import UUID

from flask import Blueprint, Response

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.documents import queries, service
from marketplace.web.edge import current_actor, requires

blp = Blueprint("files", __name__)
blueprints = [blp]


@blp.route("/files/<uuid:document_id>", methods=["GET"])
@requires(Permission.DOCUMENT_READ)
def document(document_id: UUID) -> Response:
    """The bytes as a download with our own type: no browser runs them as a page of ours. Pictures show in `<img>`."""
    row = queries.readable_document(db.session(), current_actor(), document_id)
    # The connection goes back before the store is asked: a slow store must not hold it.
    db.session.remove()
    response = Response(service.content_of(row), mimetype=row.content_type)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(row.filename, safe='')}"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private, no-store"
    return response
