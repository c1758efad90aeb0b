"""Stored files as answers: always an attachment with our own type, so that no browser runs them as a page of ours."""

from __future__ import annotations

from urllib.parse import quote

from flask import Response


def attachment(content: bytes, content_type: str, filename: str) -> Response:
    """The bytes under their name, kept by nobody on the way."""
    response = Response(content, mimetype=content_type)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["Cache-Control"] = "private, no-store"
    return response
