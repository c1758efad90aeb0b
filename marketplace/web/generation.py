"""What must be seen at once: facts that make every kept answer worthless as soon as they are committed.

A number lies in a file of the state folder that all processes of a machine map into memory; these facts raise it, and
workers see it with their next request.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

from flask import current_app

from marketplace.actors import Door
from marketplace.unit_of_work import RecordedFact, Transaction, register_projection
from marketplace.web.watching import LONGEST_LEASE

LIVE_KINDS = (
    "lot.inspected", "lot.held", "lot.unheld", "lot.released", "lot.recalled", "recall.opened", "recall.closed",
    "product.withdrawn", "product.refused", "product.recognised", "product.edited",
)  # fmt: skip
# Those that a reader of a story must not miss: they are answered only when no process can tell the story before.
WARNING_KINDS = frozenset({"lot.inspected", "lot.held", "lot.recalled", "recall.opened"})


class Generation:
    """A number that all processes of this machine see; raising it makes every kept answer worthless."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(folder / "read-cache-generation", os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._handle).st_size < 8:
            os.ftruncate(self._handle, 8)
        self._memory = mmap.mmap(self._handle, 8)

    def current(self) -> int:
        return int(struct.unpack("<Q", self._memory[:8])[0])

    def advance(self) -> None:
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        try:
            self._memory[:8] = struct.pack("<Q", self.current() + 1)
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)


_generations: dict[Path, Generation] = {}


def generation_of(folder: Path) -> Generation:
    if folder not in _generations:
        _generations[folder] = Generation(folder)
    return _generations[folder]


def purge_all() -> None:
    """Forget all kept answers, in every process of this machine that serves from a state folder known here."""
    for generation in _generations.values():
        generation.advance()


def _purge_after_commit(tx: Transaction, fact: RecordedFact) -> None:
    _afterwards(tx, purge_all)
    # Who loads a file waits for nobody's reading, lot by lot.
    if fact.kind in WARNING_KINDS and tx.actor.door is not Door.IMPORT:
        _afterwards(tx, _wait_for_leases)


def _afterwards(tx: Transaction, step: Callable[[], None]) -> None:
    if step not in tx.after_commit:
        tx.after_commit.append(step)


def _wait_for_leases() -> None:
    """Until no process of any machine can answer from before the commit. Nothing is kept where the cache is off."""
    lease = min(current_app.config["SETTINGS"].read_cache_seconds, LONGEST_LEASE)
    if lease > 0:
        time.sleep(lease)


def register_live_kinds(folder: Path) -> None:
    """Forget kept answers once a fact that must be seen at once is committed, whichever process records it."""
    generation_of(folder)
    for kind in LIVE_KINDS:
        register_projection(kind, _purge_after_commit)
