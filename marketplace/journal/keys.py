"""The key that signs checkpoints: given in production, made and kept in the state folder elsewhere."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from marketplace.config import Settings
from marketplace.journal.checkpoints import make_key

FALLBACK_NAME = "pingliang-marketplace"


def origin(settings: Settings) -> str:
    """The name under which the journal signs: the host of PUBLIC_BASE_URL."""
    return urlsplit(settings.public_base_url).hostname or FALLBACK_NAME


def signing_key(settings: Settings) -> str:
    """CHECKPOINT_KEY, else the development key of the state folder (made at the first call, readable by us alone)."""
    if settings.checkpoint_key:
        return settings.checkpoint_key
    path = settings.state_folder / "development-checkpoint-key"
    if not path.exists():
        _keep(path, make_key(origin(settings))[0])
    return path.read_text("ascii").strip()


def _keep(path: Path, key: str) -> None:
    """Write the file whole or not at all; when two processes try, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(f"{key}\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
