"""Where a rule comes from, as the public reads it: the document's name without the notes of whoever keeps the rows. Pure."""

from __future__ import annotations

import re

_NOTE = re.compile(r"\s*\([^()]*(?:\bS\d+\b|public|not listed|before)[^()]*\)")
_OURS = ("estimate", "synthetic", "earlier years", "default estimate", "GB/T 2260")


def public_source(text: str | None) -> str:
    """Names of the documents, joined by ；. Empty when there is none and the value is the platform's own."""
    parts = (part.strip() for part in _NOTE.sub("", text or "").split(";"))
    return "；".join(p for p in parts if p and not p.startswith(_OURS))
