"""The unit of work: one transaction per business act, authorised, recorded, answered once.

This file holds the only `commit(`. `transaction()` will not commit an act that recorded no fact; `housekeeping()`
commits without one, for a closed list of technical tables. Nothing here knows HTTP.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.clock import now
from marketplace.database import db
from marketplace.errors import Conflict, RuleViolation, Unavailable
from marketplace.journal.canonical import canonical, instant_text
from marketplace.pipeline import FORGOTTEN
from marketplace.values import uuid7
from marketplace.wire import prepare, send

P = ParamSpec("P")
R = TypeVar("R")

# Tables that may be changed without a fact: they hold no business state (architecture, rule 2).
HOUSEKEEPING_TABLES = frozenset(
    {
        "seal", "checkpoint", "web_session", "access_token", "throttle", "idempotency_key", "trace_scan",
        "basket_draft", "app_user_login", "procrastinate_jobs", "document_upload", "notice", "notice_read",
        "notice_cursor", "notice_sending", "partner_key_use", "webhook_delivery", "webhook_attempt",
        "webhook_cursor", "gateway_event",
    }
)  # fmt: skip


class Unrecorded(Exception):
    """A transaction ended without a fact: a defect of the service, never of the caller."""


class NestedTransaction(Exception):
    """A service that owns a transaction was called inside another one."""


class InFlight(Conflict):
    slug = "in-flight"
    title = "同一个请求正在处理，请稍后再查"


class KeyReused(RuleViolation):
    slug = "idempotency-key-reused"
    title = "这个 Idempotency-Key 已用于另一个请求"


@dataclass(frozen=True)
class Answer:
    """What goes over the wire, byte for byte, now and at every replay."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Replayed(Exception):
    """The key was answered before: the edge sends the stored answer. Control flow, not an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("replayed")
        self.answer = answer


@dataclass(frozen=True)
class Once:
    """The caller's wish that a request has one effect: key and fingerprint, and how the result is rendered.

    Without a key only the rendering is done. The key's scope is the principal of the transaction.
    """

    render: Callable[[Any], Answer] | None = None
    key: str | None = None
    fingerprint: bytes = b""
    # Nobody reads the result: whoever loads a file by the hundred need not have each one put together.
    unread: bool = False


NO_ONCE = Once()
UNREAD = Once(unread=True)


@dataclass(frozen=True)
class Reply:
    """The result of an act and, when an edge asked for it, its rendered answer."""

    result: Any
    answer: Answer | None


@dataclass(frozen=True)
class RecordedFact:
    """A fact as projections see it, before it is written: `data` is the part that belongs to the kind."""

    id: UUID
    kind: str
    recorded_at: datetime
    subject_type: str
    subject_id: UUID
    parties: tuple[UUID, ...]
    data: dict[str, Any]


Projection = Callable[["Transaction", RecordedFact], None]
_projections: dict[str, list[Projection]] = {}


def register_projection(kind: str, projection: Projection) -> None:
    """Run `projection` in the same transaction for each fact of `kind`. Registering twice is harmless."""
    known = _projections.setdefault(kind, [])
    if projection not in known:
        known.append(projection)


@dataclass
class Transaction:
    session: Session
    actor: Actor
    once: Once
    started_at: datetime
    facts: list[RecordedFact] = field(default_factory=list)
    jobs: list[tuple[str, dict[str, Any], datetime | None]] = field(default_factory=list)
    written: bool = False
    after_commit: list[Callable[[], None]] = field(default_factory=list)

    def record(
        self,
        kind: str,
        subject_type: str,
        subject_id: UUID,
        /,
        *,
        parties: Iterable[UUID | None] = (),
        **data: Any,
    ) -> RecordedFact:
        """Buffer one fact and run its projections at once. `data` holds every quantity and fen of the act.

        `parties` are the organisations that may read it. Personal data must not be in `data`.
        """
        if self.written:
            raise RuntimeError("the facts were written already")
        fact = RecordedFact(
            id=uuid7(),
            kind=kind,
            recorded_at=self.started_at,
            subject_type=subject_type,
            subject_id=subject_id,
            parties=tuple(sorted({p for p in parties if p is not None})),
            data=data,
        )
        self.facts.append(fact)
        for projection in _projections.get(kind, ()):
            projection(self, fact)
        return fact

    def defer(self, task: str, *, at: datetime | None = None, **arguments: Any) -> None:
        """Enqueue a background job that exists exactly when this transaction commits."""
        self.jobs.append((task, arguments, at))

    def answer(self, result: Any) -> Reply:
        """Render the result inside the transaction and store the bytes with the key. The last word of a service.

        `result` may be a function that reads it, which is not called where nobody wants it.
        """
        if callable(result):
            result = None if self.once.unread else result()
        self.session.flush()
        self.write_facts()
        if self.once.render is None:
            return Reply(result, None)
        answer = self.once.render(result)
        if self.once.key is not None and 200 <= answer.status < 300:
            self.session.execute(
                _STORE_ANSWER,
                {
                    "principal": self.actor.principal,
                    "key": self.once.key,
                    "fingerprint": self.once.fingerprint,
                    "status": answer.status,
                    "body": answer.body,
                    "headers": [f"{name}: {value}" for name, value in answer.headers],
                    "at": self.started_at,
                },
            )
        return Reply(result, answer)

    def render(self, result: Any) -> Answer | None:
        """The bytes of `result`, for the one statement of a purchase that stores them itself."""
        return None if self.once.render is None else self.once.render(result)

    def take_fact_row(self, fact: RecordedFact) -> dict[str, Any]:
        """Hand the only fact's row to the statement that inserts it; nothing may be recorded afterwards."""
        if self.written or self.facts != [fact] or self.jobs:
            raise RuntimeError("one fact and no job can be handed over, once")
        self.written = True
        return fact_row(fact, self.actor)

    def write_facts(self) -> None:
        """Insert the buffered facts and jobs, as the last statements, with all row locks held."""
        if self.written:
            raise RuntimeError("facts were written already; nothing may be recorded after answer()")
        self.written = True
        rows = [fact_row(fact, self.actor) for fact in self.facts]
        if rows:
            self.session.execute(INSERT_FACT, rows)
        for task, arguments, at in self.jobs:
            self.session.execute(
                _DEFER_JOB, {"task": task, "args": canonical(arguments), "at": at, "lock": None}
            )


def fact_row(fact: RecordedFact, actor: Actor) -> dict[str, Any]:
    """Columns of a fact; `body` is the text that is sealed, the others are copies for reading."""
    body = canonical(
        {
            "id": str(fact.id),
            "kind": fact.kind,
            "recorded_at": instant_text(fact.recorded_at),
            "actor": None if actor.user_id is None else str(actor.user_id),
            "role": None if actor.role is None else actor.role.value,
            "door": actor.door.value,
            "subject": {"type": fact.subject_type, "id": str(fact.subject_id)},
            "parties": [str(p) for p in fact.parties],
            "data": fact.data,
        }
    )
    return {
        "id": fact.id,
        "kind": fact.kind,
        "recorded_at": fact.recorded_at,
        "actor_id": actor.user_id,
        "door": actor.door.value,
        "subject_type": fact.subject_type,
        "subject_id": fact.subject_id,
        "parties": list(fact.parties),
        "body": body,
    }


INSERT_FACT = sa.text(
    "insert into fact (id, kind, recorded_at, actor_id, door, subject_type, subject_id, parties, body)"
    " values (:id, :kind, :recorded_at, :actor_id, :door, :subject_type, :subject_id, :parties, :body)"
)
_STORE_ANSWER = sa.text(
    "insert into idempotency_key (principal_id, key, fingerprint, status, body, headers, created_at)"
    " values (:principal, :key, :fingerprint, :status, :body, :headers, :at)"
)
# The claim and the look-up are two statements: in one, the snapshot would be older than the lock.
_CLAIM = prepare(sa.text("select pg_try_advisory_xact_lock(hashtextextended(:scope, 0))"))
_SEEN = prepare(
    sa.text(
        "select fingerprint, status, body, headers from idempotency_key"
        " where principal_id = cast(:principal as uuid) and key = cast(:key as text)"
    )
)
_DEFER_JOB = sa.text(
    "select procrastinate_defer_jobs_v1(array[row('default', :task, 0, :lock, null, cast(:args as jsonb),"
    " cast(:at as timestamptz))::procrastinate_job_to_defer_v1])"
)


def fingerprint(*parts: bytes) -> bytes:
    """SHA-256 over length-prefixed parts, so that no two part lists share one."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _replay_or_claim(session: Session, actor: Actor, once: Once) -> None:
    if once.key is None:
        return
    principal = actor.principal
    claimed, seen = send(
        session,
        (_CLAIM, {"scope": f"{principal}:{once.key}"}),
        (_SEEN, {"principal": principal, "key": once.key}),
    )
    if not claimed[0][0]:
        raise InFlight(retry_after=1)
    if not seen:
        return
    of_first, status, body, headers = seen[0]
    if bytes(of_first) != once.fingerprint:
        raise KeyReused
    named = tuple((h.split(": ", 1)[0], h.split(": ", 1)[1]) for h in headers)
    raise Replayed(Answer(status, bytes(body), named))


@contextmanager
def transaction(actor: Actor, permission: Permission, once: Once = NO_ONCE) -> Iterator[Transaction]:
    """Authorise, open, commit on success, roll back on any exception.

    Raises Forbidden/Unauthenticated, NestedTransaction, Unrecorded, InFlight (`in-flight`), KeyReused
    (`idempotency-key-reused`); Replayed carries the stored answer of an earlier call.
    """
    actor.require(permission)
    session = db.session()
    if "tx" in session.info:
        raise NestedTransaction
    # Whatever was read before belongs to an older snapshot; close() also forgets its objects, so that nothing
    # stale is written back.
    session.close()
    tx = session.info["tx"] = Transaction(session, actor, once, now())
    try:
        _replay_or_claim(session, actor, once)
        yield tx
        if not tx.facts:
            raise Unrecorded
        if not tx.written:
            session.flush()
            tx.write_facts()
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.info["tx"]
    for callback in tx.after_commit:
        callback()


@contextmanager
def housekeeping(tables: Sequence[str], engine: sa.Engine | None = None) -> Iterator[Session]:
    """Commit technical rows without a fact. Raises ValueError for a table that is not on the closed list.

    Uses a session of its own: a refusal inside a request can still be counted. `engine` is for threads that run
    outside of any application.
    """
    unknown = set(tables) - HOUSEKEEPING_TABLES
    if unknown:
        raise ValueError(f"not a housekeeping table: {', '.join(sorted(unknown))}")
    with Session(engine or db.engine, expire_on_commit=False) as session:
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


# Lost to another transaction, or asked of a connection whose prepared statements were cleared meanwhile.
_RETRIED = {"40001", "40P01"} | FORGOTTEN
_LOCK_TIMEOUT = {"55P03", "57014"}


def retrying(function: Callable[P, R]) -> Callable[P, R]:
    """Call the whole function again on a serialization failure, deadlock or cleared statement, three times at most.

    A lock or statement timeout becomes Unavailable (`unavailable`): nothing was changed, the client may retry.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(3):
            try:
                return function(*args, **kwargs)
            except DBAPIError as error:
                state = getattr(error.orig, "sqlstate", None)
                if state in _LOCK_TIMEOUT:
                    raise Unavailable(retry_after=2) from error
                if state not in _RETRIED or attempt == 2:
                    raise
                time.sleep(random.uniform(0.01, 0.05) * (attempt + 1))  # jitter only
        raise AssertionError("unreachable")

    return call
