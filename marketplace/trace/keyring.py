"""The keys of the running application's trace codes, and the address that its QR codes carry."""

from __future__ import annotations

from flask import current_app

from marketplace.config import Settings


def trace_keys() -> tuple[str, ...]:
    """Oldest first: the place of a key is the version that stands in its codes."""
    settings: Settings = current_app.config["SETTINGS"]
    return settings.trace_keys


def code_address(code: str) -> str:
    """What the QR code of a label opens."""
    settings: Settings = current_app.config["SETTINGS"]
    return f"{settings.public_base_url}/t/{code}"
