"""The pictures of products themselves, under names that change with their content."""

from __future__ import annotations

import re

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from marketplace.catalog import photos
from marketplace.database import db
from marketplace.documents.rules import JPEG
from marketplace.documents.storage import current_store
from marketplace.errors import NotFound
from marketplace.web.edge import current_actor, public

files = Blueprint("photos", __name__)
blueprints = [files]

YEAR_SECONDS = 365 * 24 * 3600


@files.route("/photos/<digest>.jpg", methods=["GET"])
@public
def picture(digest: str) -> AnyResponse:
    """A picture by the hash of its bytes: what this address answers never changes, so browsers keep it for a year."""
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise NotFound
    everybody = photos.showable(db.session(), current_actor(), digest)
    # The connection goes back before the store is asked.
    db.session.remove()
    response = Response(current_store().get(photos.storage_key(digest)), mimetype=JPEG)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = (
        f"public, max-age={YEAR_SECONDS}, immutable" if everybody else "private, no-store"
    )
    response.set_etag(digest)
    answer: AnyResponse = response.make_conditional(request)
    return answer
