"""Files on the forms of money: stored at once, so that a form which is refused need not be given its file again."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import current_app, g, request

from marketplace.database import db
from marketplace.documents import queries, service
from marketplace.documents.models import DocumentKind
from marketplace.errors import NotFound
from marketplace.web.edge import current_actor
from marketplace.web.forms import uploaded

blueprints: list[Any] = []
FIELD = "document_id"


def keep_file(kind: DocumentKind) -> dict[str, Any]:
    """`{"document_id": …}` of the file that was chosen in the field `file`, else {}; stored once per request.

    Raises as `documents.service.store_document`.
    """
    if "kept_file" not in g:
        chosen = uploaded("file")
        g.kept_file = None
        if chosen is not None:
            g.kept_file = service.store_document(
                current_actor(),
                kind=kind.value,
                filename=chosen[0],
                content=chosen[1],
                max_bytes=current_app.config["SETTINGS"].max_upload_bytes,
            ).result
    return {FIELD: str(g.kept_file["id"])} if g.kept_file else {}


def kept_file() -> dict[str, Any] | None:
    """The file that this form carries already (chosen now, or at an earlier try), for showing its name."""
    if g.get("kept_file"):
        kept: dict[str, Any] = g.kept_file
        return kept
    return file_view(request.form.get(FIELD, ""))


def file_view(document_id: UUID | str | None) -> dict[str, Any] | None:
    """Name and type of a file that the reader may open; None for none."""
    try:
        found = queries.readable_document(db.session(), current_actor(), UUID(str(document_id)))
    except (ValueError, NotFound):
        return None
    return queries.document_view(found)
