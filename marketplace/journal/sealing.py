"""Gives committed facts their place for good, signs how far that goes, and hands both out for checking.

Facts are written without a global lock, so they become visible in another order than they were numbered, and a
transaction may stay open for long. The sealer therefore never reads "after the last one": it looks for facts without
a seal, and skips only what it knows to be sealed. What it does not do: compare texts with their seals; that is
`verify`, and `verifier.py` in the hands of others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from prometheus_client import Gauge
from sqlalchemy.orm import Session

from marketplace.clock import now
from marketplace.journal import checkpoints
from marketplace.journal.merkle import Frontier, leaf_hash
from marketplace.unit_of_work import housekeeping

BATCH = 5_000
_FETCHED = 2_000
UNSEALED_SECONDS = Gauge(
    "journal_oldest_unsealed_seconds",
    "Age of the oldest fact that has no seal yet; above 1 s the sealer is late or down.",
    multiprocess_mode="max",
)

_TRY_LOCK = sa.text("select pg_try_advisory_xact_lock(hashtextextended('journal.sealer', 0))")
_LOCK_CHECKPOINTS = sa.text("select pg_advisory_xact_lock(hashtextextended('journal.checkpoints', 0))")
# Every transaction below this id has ended, so its facts are visible to any later statement, or never will be.
_OLDEST_RUNNING = sa.text("select (pg_snapshot_xmin(pg_current_snapshot())::text)::bigint")
_LAST_SEQ = sa.text("select coalesce(max(seq), 0) from seal")
_LEAF = sa.text("select leaf_hash from seal where seq = :seq")
_UNSEALED = " from fact f where f.xid >= :bound and not exists (select from seal s where s.fact_id = f.id)"
_PENDING = sa.text(f"select f.id, f.body{_UNSEALED} order by f.number limit :batch")
_OLDEST_UNSEALED = sa.text(f"select min(f.recorded_at) as at, min(f.xid) as xid{_UNSEALED}").columns(
    at=sa.DateTime(timezone=True), xid=sa.BigInteger
)
_INSERT = sa.text(
    "insert into seal (seq, fact_id, leaf_hash)"
    " select * from unnest(cast(:seqs as bigint[]), cast(:ids as uuid[]), cast(:leaves as bytea[]))"
)
_LEAVES = sa.text("select seq, leaf_hash from seal where seq > :after order by seq")
_CHECKPOINTS = sa.text("select tree_size, root, made_at, note from checkpoint order by tree_size").columns(
    made_at=sa.DateTime(timezone=True)
)
_NEW_CHECKPOINTS = sa.text(
    "select tree_size, root, made_at, note from checkpoint"
    " where tree_size >= least(:seen, (select max(tree_size) from checkpoint)) order by tree_size"
).columns(made_at=sa.DateTime(timezone=True))
_INSERT_CHECKPOINT = sa.text(
    "insert into checkpoint (tree_size, root, made_at, note) values (:size, :root, :at, :note)"
)
_EXPORTED = sa.text(
    "select s.seq, s.leaf_hash, f.body from seal s left join fact f on f.id = s.fact_id order by s.seq"
)
_STREAMED = {"stream_results": True, "yield_per": _FETCHED}


class JournalBroken(Exception):
    """The seals contradict each other or an earlier checkpoint: nothing more is signed until it is explained."""


@dataclass
class Sealer:
    """Seals what was committed, in the order of `number`; one at a time in the whole installation.

    Remembers between passes below which transaction everything is sealed, so a pass costs what is new, not what
    there is. A new sealer knows nothing and looks through all facts once.
    """

    batch: int = BATCH
    _bound: int = 0
    _last_seq: int = 0
    _last_leaf: bytes = b""

    def seal_pending(self) -> int:
        """Every fact committed before the call is sealed after it, unless another sealer is at work; returns how
        many were. Any failure makes the next pass look through all facts again.
        """
        total = 0
        try:
            while (sealed := self._seal_batch()) == self.batch:
                total += sealed
        except BaseException:
            # The connection may have ended at another server, where the remembered bound means nothing.
            self._bound = 0
            raise
        return total + sealed

    def _seal_batch(self) -> int:
        with housekeeping(["seal"]) as session:
            if not session.execute(_TRY_LOCK).scalar_one():
                return 0
            # Read before the facts: the bound may be too low, never too high.
            oldest_running = session.execute(_OLDEST_RUNNING).scalar_one()
            self._forget_if_set_back(session, oldest_running)
            rows = session.execute(_PENDING, {"bound": self._bound, "batch": self.batch}).all()
            last = session.execute(_LAST_SEQ).scalar_one()
            leaves = [leaf_hash(seq, row.body) for seq, row in enumerate(rows, start=last + 1)]
            if rows:
                seqs = list(range(last + 1, last + len(rows) + 1))
                session.execute(_INSERT, {"seqs": seqs, "ids": [row.id for row in rows], "leaves": leaves})
        if rows:
            self._last_seq, self._last_leaf = last + len(rows), leaves[-1]
        # A full batch may have left older facts behind, so only a pass that took all of them moves the bound.
        if len(rows) < self.batch:
            self._bound = oldest_running
        return len(rows)

    def _forget_if_set_back(self, session: Session, oldest_running: int) -> None:
        """A restored backup or a failover that lost our last seals makes transaction ids start again lower."""
        leaf = None
        if self._last_seq:
            leaf = session.execute(_LEAF, {"seq": self._last_seq}).scalar_one_or_none()
        if oldest_running < self._bound or (self._last_seq and leaf != self._last_leaf):
            self._bound = self._last_seq = 0


@dataclass
class UnsealedWatch:
    """Measures the sealing delay for the alarm, in a process that need not be the sealer's."""

    _bound: int = 0

    def measure(self, session: Session) -> float:
        """Age in seconds of the oldest committed fact without a seal, 0 when there is none; sets the metric."""
        oldest_running = session.execute(_OLDEST_RUNNING).scalar_one()
        if oldest_running < self._bound:
            self._bound = 0
        row = session.execute(_OLDEST_UNSEALED, {"bound": self._bound}).one()
        self._bound = oldest_running if row.xid is None else min(row.xid, oldest_running)
        age = 0.0 if row.at is None else max(0.0, (now() - row.at).total_seconds())
        UNSEALED_SECONDS.set(age)
        return age


@dataclass
class Notary:
    """Signs checkpoints. Keeps the small frontier of the tree, so each one costs only what came since the last:
    its seals, and no earlier note but the newest.

    `earlier_vkeys`: verifier keys that signed before `signer` did, after a change of key.
    """

    signer: str
    earlier_vkeys: tuple[str, ...] = ()
    _frontier: Frontier = field(default_factory=Frontier)
    _last_leaf: bytes | None = None

    def make_checkpoint(self) -> str | None:
        """Signs and stores how many facts are sealed and their root; the note is for the document store and the
        poverty office. Without a new seal the last note is returned, None when nothing was ever sealed.

        Before signing, the seals must give the root of every earlier checkpoint not yet checked by this object;
        its first call reads all seals. Raises JournalBroken, and BadKey for a damaged signer key.
        """
        vkeys = (checkpoints.verifier_key(self.signer), *self.earlier_vkeys)
        with housekeeping(["checkpoint"]) as session:
            session.execute(_LOCK_CHECKPOINTS)
            made = session.execute(_NEW_CHECKPOINTS, {"seen": self._frontier.size}).all()
            frontier = self._frontier.copy()
            self._require_same_history(session)
            leaves = _stored_leaves(session, frontier.size)
            roots = _checked_roots(made, vkeys)
            if roots.get(frontier.size, frontier.root()) != frontier.root():
                raise JournalBroken(f"the seals do not give the root of checkpoint {frontier.size}")
            last_leaf = _extend(frontier, leaves, roots) or self._last_leaf
            _require_reach(made, frontier)
            last = made[-1] if made else None
            if frontier.size == 0:
                return None
            if last is not None and last.tree_size == frontier.size:
                note = str(last.note)
            else:
                # A clock that was set back must not look like a journal that shrank.
                moment = now() if last is None else max(now(), last.made_at + timedelta(microseconds=1))
                origin = checkpoints.key_name(self.signer)
                stated = checkpoints.Checkpoint(origin, frontier.size, frontier.root(), moment)
                note = checkpoints.sign(stated, self.signer)
                session.execute(
                    _INSERT_CHECKPOINT,
                    {"size": stated.size, "root": stated.root, "at": moment, "note": note},
                )
        self._frontier, self._last_leaf = frontier, last_leaf
        return note

    def _require_same_history(self, session: Session) -> None:
        if self._last_leaf is None:
            return
        leaf = session.execute(_LEAF, {"seq": self._frontier.size}).scalar_one_or_none()
        if leaf is None or bytes(leaf) != self._last_leaf:
            raise JournalBroken(f"seal {self._frontier.size} is not the one that was seen before")


def seal_pending() -> int:
    """One pass of a sealer that remembers nothing: for commands and tests. Returns how many facts it sealed."""
    return Sealer().seal_pending()


def make_checkpoint(signer: str) -> str | None:
    """One checkpoint by a notary that remembers nothing; see `Notary.make_checkpoint`."""
    return Notary(signer).make_checkpoint()


def export(folder: Path, session: Session) -> int:
    """Writes what `verifier.py` reads: facts.jsonl, seals.jsonl and checkpoints/; returns the number of seals.

    `folder` must be new or empty (FileExistsError otherwise): a left-over checkpoint would be a false alarm.
    Facts and seals are one statement, hence one moment; the checkpoints are read before it and so never ahead.
    """
    (folder / "checkpoints").mkdir(parents=True)
    for row in session.execute(_CHECKPOINTS):
        (folder / "checkpoints" / f"{row.tree_size:012}.txt").write_bytes(row.note.encode())
    count = 0
    with (folder / "facts.jsonl").open("xb") as facts, (folder / "seals.jsonl").open("xb") as seals:
        for row in session.execute(_EXPORTED, execution_options=_STREAMED):
            count += 1
            seals.write(_line({"seq": row.seq, "leaf_hash": bytes(row.leaf_hash).hex()}))
            if row.body is not None:
                facts.write(_line({"seq": row.seq, "text": row.body}))
    return count


def _line(value: dict[str, object]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _stored_leaves(session: Session, after: int) -> Iterator[tuple[int, bytes]]:
    for row in session.execute(_LEAVES, {"after": after}, execution_options=_STREAMED):
        yield row.seq, bytes(row.leaf_hash)


def _checked_roots(made: Sequence[sa.Row[tuple[object, ...]]], vkeys: tuple[str, ...]) -> dict[int, bytes]:
    """Root by size of the stored checkpoints, each as its signature vouches for it, not as the columns say."""
    roots: dict[int, bytes] = {}
    for row in made:
        stated = _open_with_any(row.note, vkeys)
        if stated is None:
            raise JournalBroken(f"checkpoint {row.tree_size} is signed by none of the known keys")
        if (stated.size, stated.root) != (row.tree_size, bytes(row.root)):
            raise JournalBroken(f"checkpoint {row.tree_size}: its columns differ from its signed note")
        roots[stated.size] = stated.root
    return roots


def _open_with_any(note: str, vkeys: tuple[str, ...]) -> checkpoints.Checkpoint | None:
    for vkey in vkeys:
        try:
            return checkpoints.open_note(note, vkey)
        except (checkpoints.BadNote, checkpoints.BadSignature):
            continue
    return None


def _extend(frontier: Frontier, leaves: Iterator[tuple[int, bytes]], roots: dict[int, bytes]) -> bytes | None:
    leaf = None
    for seq, leaf in leaves:
        if seq != frontier.size + 1:
            raise JournalBroken(f"seal {frontier.size + 1} is missing")
        frontier.append(leaf)
        if seq in roots and frontier.root() != roots[seq]:
            raise JournalBroken(f"the seals do not give the root of checkpoint {seq}")
    return leaf


def _require_reach(made: Sequence[sa.Row[tuple[object, ...]]], frontier: Frontier) -> None:
    if made and made[-1].tree_size > frontier.size:
        raise JournalBroken(f"{frontier.size} seals, but checkpoint {made[-1].tree_size} was signed")
