"""Puts signed checkpoints where others fetch them: a folder that holds one note a file, named by its size."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from marketplace.config import Settings


def folder(settings: Settings) -> Path:
    return settings.state_folder / "checkpoints"


def publish(settings: Settings, note: str) -> Path:
    """Write the note as `checkpoints/<size>.txt` in the state folder; a reader sees it whole or not at all."""
    size = int(note.split("\n", 2)[1])
    path = folder(settings) / f"{size:012}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    draft.write_bytes(note.encode())
    os.replace(draft, path)
    return path
