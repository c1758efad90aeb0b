"""The journal for those who may read it: the feed of facts in seal order, checkpoints, and proofs.

A fact is read by the organisations it concerns, by the poverty and finance offices, and what concerns lots by the
market regulator; an office of a county reads those that concern an organisation of the county. Checkpoints and consistency proofs hold hashes alone and are for everybody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission, Role
from marketplace.errors import Conflict, NotFound
from marketplace.journal.merkle import verify_consistency, verify_inclusion
from marketplace.journal.models import Checkpoint, Fact, Seal
from marketplace.journal.proofs import BlockRoots
from marketplace.journal.sealing import JournalBroken
from marketplace.paging import DEFAULT_LIMIT, paginate

READS_ALL = frozenset({Role.POVERTY_OFFICE, Role.FINANCE_REVIEWER})
# Rules, regions and classes of goods, which name nobody: every office works by them.
OF_ALL_OFFICES = ("region.", "township.", "policy.", "eligibility.", "category.", "period.")

_roots = BlockRoots()


class NotSignedYet(Conflict):
    slug = "not-signed-yet"
    title = "这条记录还没有被签名的检查点覆盖，请稍后再查"


def readable(actor: Actor) -> sa.ColumnElement[bool]:
    """The condition on `fact` that keeps the facts `actor` may read."""
    if actor.can(Permission.SYSTEM):
        return sa.true()
    own = _concerns({actor.organisation_id} - {None})
    near = _concerns(actor.subordinate_ids)
    if actor.role in READS_ALL:
        common = sa.or_(*(Fact.kind.startswith(prefix) for prefix in OF_ALL_OFFICES))
        return sa.or_(own, near, common) if actor.of_county else sa.true()
    if actor.role is Role.MARKET_REGULATOR:
        lots = Fact.kind.startswith("lot.")
        return sa.or_(own, sa.and_(lots, near) if actor.of_county else lots)
    # Of the other offices a county's have no more than the city's: what they take part in.
    return own if actor.organisation_kind == "office" else sa.or_(own, near)


def _concerns(organisations: Iterable[UUID | None]) -> sa.ColumnElement[bool]:
    found = sorted({o for o in organisations if o is not None})
    return Fact.parties.op("&&", is_comparison=True)(sa.literal(found, ARRAY(PgUUID(as_uuid=True))))


def events(session: Session, actor: Actor, *, after: int = 0, limit: int = DEFAULT_LIMIT) -> dict[str, Any]:
    """Facts with a place above `after`, in seal order: {"items": […], "next": last seq of the page, or None}.

    A reader keeps the last `seq` it has seen and asks again from there: nothing is left out and nothing comes twice.
    """
    actor.require(Permission.JOURNAL_READ)
    rows = session.execute(
        sa.select(Seal.seq, Fact.body)
        .join(Fact, Fact.id == Seal.fact_id)
        .where(Seal.seq > after, readable(actor))
        .order_by(Seal.seq)
        .limit(limit + 1)
    ).all()
    items = [_event(row.seq, row.body) for row in rows[:limit]]
    return {"items": items, "next": items[-1]["seq"] if len(rows) > limit else None}


def newest_events(
    session: Session,
    actor: Actor,
    *,
    before: int | None = None,
    after: int | None = None,
    oldest_first: bool = False,
    kind: str | None = None,
    subject_type: str | None = None,
    subject_id: UUID | None = None,
    limit: int = DEFAULT_LIMIT,
) -> dict[str, Any]:
    """The facts that `events` feeds, the newest first and below `before`; of one kind or one subject.

    Or the oldest first and above `after`. {"items": […], "next": the last seq of the page, or None}.
    """
    actor.require(Permission.JOURNAL_READ)
    statement = newest_statement(
        actor, before=before, kind=kind, subject_type=subject_type, subject_id=subject_id
    )
    if after is not None:
        statement = statement.where(Seal.seq > after)
    if oldest_first:
        statement = statement.order_by(None).order_by(Seal.seq)
    rows = session.execute(statement.limit(limit + 1)).all()
    items = [{**_event(row.seq, row.body), "door": row.door} for row in rows[:limit]]
    return {"items": items, "next": items[-1]["seq"] if len(rows) > limit else None}


def newest_statement(
    actor: Actor,
    *,
    before: int | None = None,
    kind: str | None = None,
    subject_type: str | None = None,
    subject_id: UUID | None = None,
) -> sa.Select[int, str, str]:
    """(seq, body, door) of the facts that `actor` may read, the newest first."""
    statement = (
        sa.select(Seal.seq, Fact.body, Fact.door).join(Fact, Fact.id == Seal.fact_id).where(readable(actor))
    )
    if before is not None:
        statement = statement.where(Seal.seq < before)
    if kind is not None:
        statement = statement.where(Fact.kind == kind)
    if subject_type is not None:
        statement = statement.where(Fact.subject_type == subject_type)
    if subject_id is not None:
        statement = statement.where(Fact.subject_id == subject_id)
    return statement.order_by(Seal.seq.desc())


def sealed(session: Session, actor: Actor, seq: int) -> dict[str, Any]:
    """The sealed text of a fact and its leaf hash, signed or not yet: {seq, leaf_hash, text}. Raises NotFound."""
    actor.require(Permission.JOURNAL_READ)
    row = session.execute(
        sa.select(Seal.leaf_hash, Fact.body)
        .join(Fact, Fact.id == Seal.fact_id)
        .where(Seal.seq == seq, readable(actor))
    ).one_or_none()
    if row is None:
        raise NotFound
    return {"seq": seq, "leaf_hash": bytes(row.leaf_hash).hex(), "text": row.body}


def checkpoints(session: Session, *, after: str | None = None, limit: int = DEFAULT_LIMIT) -> dict[str, Any]:
    """Signed checkpoints, newest first."""
    return paginate(
        session,
        sa.select(Checkpoint),
        [(Checkpoint.__table__.c.tree_size, True)],
        limit=limit,
        after=after,
        shape=_checkpoint,
    )


def proof(session: Session, actor: Actor, seq: int, *, size: int | None = None) -> dict[str, Any]:
    """That the fact at `seq` stands, unchanged, under the root of a checkpoint: the newest, or the one of `size`.

    Raises NotFound for a fact the actor may not read and for a size nobody signed, NotSignedYet
    (`not-signed-yet`) when the checkpoint does not reach the fact.
    """
    actor.require(Permission.JOURNAL_READ)
    row = session.execute(
        sa.select(Seal.leaf_hash, Fact.body)
        .join(Fact, Fact.id == Seal.fact_id)
        .where(Seal.seq == seq, readable(actor))
    ).one_or_none()
    if row is None:
        raise NotFound
    newest = sa.select(Checkpoint.tree_size, Checkpoint.root, Checkpoint.note)
    if size is None:
        head = session.execute(newest.order_by(Checkpoint.tree_size.desc()).limit(1)).one_or_none()
    else:
        head = session.execute(newest.where(Checkpoint.tree_size == size)).one_or_none()
        if head is None:
            raise NotFound
    if head is None or head.tree_size < seq:
        raise NotSignedYet(seq=seq)
    leaf, root = bytes(row.leaf_hash), bytes(head.root)
    path = _roots.inclusion(session, seq - 1, head.tree_size)
    if not verify_inclusion(leaf, seq - 1, head.tree_size, path, root):
        raise JournalBroken(f"seal {seq} is not under the root of checkpoint {head.tree_size}")
    return {
        "seq": seq,
        "leaf_hash": leaf.hex(),
        "tree_size": head.tree_size,
        "root": root.hex(),
        "path": [each.hex() for each in path],
        "text": row.body,
        "checkpoint": head.note,
    }


def consistency(session: Session, old: int, new: int) -> dict[str, Any]:
    """That the journal of checkpoint `new` only appended to the one of checkpoint `old`. Raises NotFound."""
    found = session.execute(
        sa.select(Checkpoint.tree_size, Checkpoint.root).where(Checkpoint.tree_size.in_([old, new]))
    ).all()
    roots = {row.tree_size: bytes(row.root) for row in found}
    if old > new or old not in roots or new not in roots:
        raise NotFound
    path = _roots.consistency(session, old, new)
    if not verify_consistency(old, new, roots[old], roots[new], path):
        raise JournalBroken(f"checkpoint {new} does not continue checkpoint {old}")
    return {
        "from_size": old,
        "from_root": roots[old].hex(),
        "to_size": new,
        "to_root": roots[new].hex(),
        "path": [each.hex() for each in path],
    }


def _event(seq: int, body: str) -> dict[str, Any]:
    text = json.loads(body)
    return {"seq": seq, **{name: text[name] for name in ("id", "kind", "recorded_at", "subject", "data")}}


def _checkpoint(row: Any) -> dict[str, Any]:
    made: Checkpoint = row.Checkpoint
    return {
        "tree_size": made.tree_size,
        "root": bytes(made.root).hex(),
        "made_at": made.made_at,
        "note": made.note,
    }
