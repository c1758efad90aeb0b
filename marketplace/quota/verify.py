"""Proves that the tables say what the sealed facts say, and names every place where they do not.

One read-only snapshot of the whole database: the sealed facts are replayed in their order, then those committed
but not sealed yet, and the tables of the same snapshot are compared with the result. So it is right while the
marketplace is at work, and its own size is the number of lines and entries, not of facts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from marketplace.journal import checkpoints
from marketplace.journal.merkle import Frontier, leaf_hash
from marketplace.quota.compare import compare_tables
from marketplace.quota.comparison import Difference
from marketplace.quota.rebuild import Rebuilt

_FETCHED = 2_000
_STREAMED = {"stream_results": True, "yield_per": _FETCHED}
INSTANT = "to_char({} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

_COLUMNS = (
    f"f.id::text, f.kind, {INSTANT.format('f.recorded_at')}, f.actor_id::text, f.door, f.subject_type,"
    " f.subject_id::text, array_to_string(f.parties, ','), f.body"
)
_SEALED = "select s.seq, s.leaf_hash, COLUMNS from seal s left join fact f on f.id = s.fact_id order by s.seq".replace(
    "COLUMNS", _COLUMNS
)
_UNSEALED = (
    "select null::bigint, null::bytea, COLUMNS from fact f"
    " where not exists (select from seal s where s.fact_id = f.id) order by f.number"
).replace("COLUMNS", _COLUMNS)
_CHECKPOINTS = "select tree_size, root, note from checkpoint order by tree_size"


@dataclass
class Report:
    """Counts of what was read, and the differences; `unsealed` facts stand in no checkpoint yet."""

    facts: int = 0
    sealed: int = 0
    unsealed: int = 0
    stock_rows: int = 0
    entries: int = 0
    lines: int = 0
    money: int = 0
    checkpoints: int = 0
    signatures: int = 0
    differences: list[Difference] = field(default_factory=list)

    def counts(self) -> str:
        return (
            f"facts={self.facts} sealed={self.sealed} unsealed={self.unsealed} stock_rows={self.stock_rows}"
            f" entries={self.entries} lines={self.lines} money={self.money} checkpoints={self.checkpoints}"
            f" signatures={self.signatures}"
        )


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A read-only view of one moment, for as long as the replay takes; nothing is written or kept."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.exec_driver_sql("set transaction read only")
        connection.exec_driver_sql("set local statement_timeout = 0")
        connection.exec_driver_sql("set local idle_in_transaction_session_timeout = 0")
        try:
            yield connection
        finally:
            connection.rollback()


def verify(engine: sa.Engine, vkeys: Sequence[str] = ()) -> Report:
    """Everything that differs between the facts, their seals and checkpoints, and the tables.

    With `vkeys` each checkpoint must carry a signature of one of them; without, only its root is compared.
    """
    report = Report()
    rebuilt = Rebuilt()
    with snapshot(engine) as connection:
        _replay(connection, rebuilt, report, vkeys)
        for refusal in rebuilt.refusals:
            report.differences.append(
                Difference("fact.replay", refusal.fact, "follows from the facts before", refusal.why)
            )
        sizes = compare_tables(connection, rebuilt, report.differences)
    report.stock_rows, report.entries, report.lines = sizes.stock_rows, sizes.entries, sizes.lines
    report.money = sizes.money
    return report


def _replay(connection: sa.Connection, rebuilt: Rebuilt, report: Report, vkeys: Sequence[str]) -> None:
    heads = {row.tree_size: row for row in connection.exec_driver_sql(_CHECKPOINTS)}
    report.checkpoints = len(heads)
    frontier = Frontier()
    differences = report.differences
    for row in connection.exec_driver_sql(_SEALED, execution_options=_STREAMED):
        seq, leaf, body = row[0], bytes(row[1]), row[10]
        if seq != report.sealed + 1:
            differences.append(Difference("seal.seq", str(seq), report.sealed + 1, seq))
        report.sealed = seq
        if body is None:
            differences.append(Difference("fact", f"seq {seq}", "a fact", "none"))
            frontier.append(leaf)
        else:
            told = leaf_hash(seq, body)
            if told != leaf:
                differences.append(Difference("seal.leaf_hash", f"seq {seq}", told.hex(), leaf.hex()))
            frontier.append(told)
            report.facts += 1
            _read(row, rebuilt, differences)
        if seq in heads:
            _check_head(heads.pop(seq), frontier.root(), vkeys, report)
    for size in heads:
        differences.append(
            Difference("checkpoint", f"tree_size {size}", f"{size} sealed facts", report.sealed)
        )
    for row in connection.exec_driver_sql(_UNSEALED, execution_options=_STREAMED):
        report.facts += 1
        report.unsealed += 1
        _read(row, rebuilt, differences)


def _read(row: Any, rebuilt: Rebuilt, differences: list[Difference]) -> None:
    """Compare the columns of a fact with its text, then replay the text."""
    _, _, fact, kind, recorded_at, actor, door, subject_type, subject, parties, body = row
    try:
        text = json.loads(body)
        told = (
            text["id"],
            text["kind"],
            text["recorded_at"],
            text["actor"],
            text["door"],
            text["subject"]["type"],
            text["subject"]["id"],
            ",".join(text["parties"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        differences.append(Difference("fact.body", fact, "a fact's text", f"{type(error).__name__}: {error}"))
        return
    found = (fact, kind, recorded_at, actor, door, subject_type, subject, parties)
    if told != found:
        names = ("id", "kind", "recorded_at", "actor_id", "door", "subject_type", "subject_id", "parties")
        for name, expected, stored in zip(names, told, found, strict=True):
            if expected != stored:
                differences.append(Difference(f"fact.{name}", fact, expected, stored))
    rebuilt.feed(text)


def _check_head(row: Any, root: bytes, vkeys: Sequence[str], report: Report) -> None:
    where = f"tree_size {row.tree_size}"
    if bytes(row.root) != root:
        report.differences.append(Difference("checkpoint.root", where, root.hex(), bytes(row.root).hex()))
    if not vkeys:
        return
    for vkey in vkeys:
        try:
            stated = checkpoints.open_note(row.note, vkey)
        except (checkpoints.BadNote, checkpoints.BadSignature):
            continue
        report.signatures += 1
        if (stated.size, stated.root) != (row.tree_size, root):
            report.differences.append(
                Difference("checkpoint.note", where, root.hex(), f"{stated.size} {stated.root.hex()}")
            )
        return
    report.differences.append(Difference("checkpoint.note", where, "a signature of a known key", "none"))
