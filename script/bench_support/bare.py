"""The floor of reads: Flask with one view that answers prepared JSON bytes, under the same gunicorn settings."""

from __future__ import annotations

from functools import cache

from flask import Flask, Response

app = Flask(__name__)


@cache
def prepared(size: int) -> bytes:
    """A JSON object of exactly `size` bytes (at least 11)."""
    return b'{"text":"' + b"x" * (size - 11) + b'"}'


@app.route("/<int:size>", methods=["GET", "POST"])
def answer(size: int) -> Response:
    return Response(prepared(size), mimetype="application/json")
