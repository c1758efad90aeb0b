"""Proofs over the sealed tree without keeping it: the roots of whole blocks of 1,024 leaves are remembered.

Cost: the first proof of a process streams all leaves once (0.6 s for half a million seals on two cores); a later one
reads the seals since then and two or three blocks (2 ms). Leaves never change, so what is remembered stays right; a
restored backup is noticed by its last leaf, as the notary does it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.journal import merkle
from marketplace.journal.models import Seal

BLOCK_LEVEL = 10
BLOCK = 1 << BLOCK_LEVEL


@dataclass
class BlockRoots:
    """Roots of the complete blocks, in order, and what is built on them."""

    _tree: merkle.Tree = field(default_factory=merkle.Tree)
    _last_leaf: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inclusion(self, session: Session, index: int, size: int) -> list[bytes]:
        """As `merkle.inclusion_proof`, over the first `size` seals."""
        return merkle.inclusion_proof(self._nodes(session, size), index, size)

    def consistency(self, session: Session, old: int, new: int) -> list[bytes]:
        """As `merkle.consistency_proof`, over the first `new` seals."""
        return merkle.consistency_proof(self._nodes(session, new), old, new)

    def _nodes(self, session: Session, size: int) -> merkle.NodeFetch:
        tree = self._extended(session, size // BLOCK)
        blocks: dict[int, merkle.Tree] = {}

        def node(level: int, index: int) -> bytes:
            if level >= BLOCK_LEVEL:
                return tree.node(level - BLOCK_LEVEL, index)
            block, within = divmod(index << level, BLOCK)
            if block not in blocks:
                blocks[block] = merkle.Tree(_leaves(session, block * BLOCK, (block + 1) * BLOCK))
            return blocks[block].node(level, within >> level)

        return node

    def _extended(self, session: Session, blocks: int) -> merkle.Tree:
        with self._lock:
            known = len(self._tree) * BLOCK
            if known and _leaves(session, known - 1, known) != [self._last_leaf]:
                self._tree = merkle.Tree()
            while len(self._tree) < blocks:
                start = len(self._tree) * BLOCK
                leaves = _leaves(session, start, start + BLOCK)
                self._tree.append(merkle.root(leaves))
                self._last_leaf = leaves[-1]
            return self._tree


def _leaves(session: Session, start: int, end: int) -> list[bytes]:
    rows = session.execute(
        sa.select(Seal.leaf_hash).where(Seal.seq > start, Seal.seq <= end).order_by(Seal.seq)
    ).scalars()
    return [bytes(leaf) for leaf in rows]
