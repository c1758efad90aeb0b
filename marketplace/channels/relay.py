"""Brings events to the channels' addresses: at least once, in order, and nothing is lost.

Those of one order of the channel come one after another, its change requests, invoices and payments among them; and so
do those of a subject that belongs to no order.

Two steps that share nothing but rows. `hand_out` follows the sealed journal and makes deliveries together with its
cursor. `Relay` takes a due delivery by moving its time on (a lease), sends it outside of any transaction, and notes
the outcome; one killed in between leaves a delivery that is due again when the lease is over, under the same id.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.channels import backoff, events, webhooks
from marketplace.channels.addresses import Outcome, post
from marketplace.channels.signing import signed_headers
from marketplace.channels.states import DeliveryState
from marketplace.channels.webhook_models import (
    WebhookAttempt,
    WebhookCursor,
    WebhookDelivery,
    WebhookEndpoint,
)
from marketplace.config import Settings
from marketplace.database import db
from marketplace.errors import WrongState
from marketplace.journal.models import Fact, Seal
from marketplace.unit_of_work import housekeeping

TABLES = ("webhook_delivery", "webhook_attempt", "webhook_cursor")
CURSOR = "deliveries"
BATCH = 200
# Longer than any try takes, so that nobody else takes a delivery that is under way.
LEASE = timedelta(seconds=30)
THREADS = 16
# Tries for one address in one go; afterwards others have their turn.
IN_A_ROW = 50
# One follower at a time; the number is any that no other lock uses.
_FOLLOWER = sa.text("select pg_try_advisory_xact_lock(7261151)")
# Pending, its time has come, and nothing before it of the same order or subject waits.
_READY = """
    webhook_delivery d
    join webhook_endpoint e on e.id = d.endpoint_id and e.disabled_at is null
    where d.state = 'pending' and d.next_at <= :now
      and not exists (select from webhook_delivery b where b.endpoint_id = d.endpoint_id
        and b.order_key = d.order_key and b.state = 'pending' and b.seq < d.seq)
"""
_DUE = sa.text("select distinct d.endpoint_id from READY".replace("READY", _READY))
_TAKE = sa.text(
    "update webhook_delivery set next_at = :until where id = (select d.id from READY and d.endpoint_id = :endpoint"
    " order by d.seq, d.id limit 1 for update of d skip locked) returning id".replace("READY", _READY)
)
_GIVEN_UP = sa.text(
    """
    select count(distinct a.delivery_id) from webhook_attempt a
    join webhook_delivery d on d.id = a.delivery_id and d.endpoint_id = :endpoint and d.state = 'failed'
    where a.tried_at > coalesce((select max(delivered_at) from webhook_delivery where endpoint_id = :endpoint),
                                '-infinity')
      and a.tried_at >= (select watched_since from webhook_endpoint where id = :endpoint)
    """
)


def hand_out() -> int:
    """Make deliveries of the next sealed facts; returns how many facts were looked at."""
    with housekeeping(TABLES) as session:
        if not session.execute(_FOLLOWER).scalar_one():
            return 0
        cursor = session.get(WebhookCursor, CURSOR)
        if cursor is None:
            cursor = WebhookCursor(name=CURSOR, seq=0)
            session.add(cursor)
        last = session.scalar(
            sa.select(sa.func.max(Seal.seq)).where(Seal.seq > cursor.seq, Seal.seq <= cursor.seq + BATCH)
        )
        if last is None:
            return 0
        endpoints = session.scalars(
            sa.select(WebhookEndpoint).where(WebhookEndpoint.disabled_at.is_(None))
        ).all()
        if endpoints:
            _make(session, cursor.seq, last, endpoints)
        looked_at = last - cursor.seq
        cursor.seq = last
        return int(looked_at)


def _make(session: Session, after: int, last: int, endpoints: Sequence[WebhookEndpoint]) -> None:
    rows = session.execute(
        sa.select(Seal.seq, Fact.body, Fact.parties, Fact.id, Fact.recorded_at)
        .join(Fact, Fact.id == Seal.fact_id)
        .where(
            Seal.seq > after,
            Seal.seq <= last,
            events.told_to(sorted({endpoint.channel_id for endpoint in endpoints})),
        )
        .order_by(Seal.seq)
    ).all()
    at = clock.now()
    for row, told in zip(rows, events.shaped(session, [(r.seq, r.body) for r in rows]), strict=True):
        for endpoint in endpoints:
            if (
                endpoint.channel_id in row.parties
                and row.recorded_at >= endpoint.created_at
                and wanted(told.event["kind"], endpoint.kinds)
            ):
                session.add(webhooks.new_delivery(endpoint.id, told.event, row.id, told.order_key, at))


def wanted(kind: str, kinds: Sequence[str]) -> bool:
    """Whether an address takes a kind: all without a list, else by name or by `<subject>.*`."""
    return not kinds or kind in kinds or f"{kind.partition('.')[0]}.*" in kinds


@dataclass
class Relay:
    """Sends due deliveries, each address in a thread of its own: one that hangs holds up nobody else.

    `tick` starts what is due and doesn't wait; `wait` lets the running tries end. Runs in an application context.
    """

    settings: Settings
    lease: timedelta = LEASE
    send: Callable[..., Outcome] = post
    # Addresses of which an event was given up since the last look.
    _suspects: set[UUID] = field(default_factory=set)
    _busy: dict[UUID, Future[None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="webhooks")
    )

    def tick(self) -> int:
        """Start a go for each address that has something due; returns how many were started."""
        engine = db.engine
        with Session(engine) as session:
            due = session.scalars(_DUE, {"now": clock.now()}).all()
        started = 0
        for endpoint_id in due:
            with self._lock:
                running = self._busy.get(endpoint_id)
                if running is not None and not running.done():
                    continue
                self._busy[endpoint_id] = self._threads.submit(self._go, engine, endpoint_id)
            started += 1
        for endpoint_id, given_up in self._failing():
            try:
                webhooks.leave_alone(endpoint_id, given_up)
            except WrongState:
                continue  # another worker, or the channel itself, was first
        return started

    def wait(self) -> None:
        for running in list(self._busy.values()):
            running.result()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _go(self, engine: sa.Engine, endpoint_id: UUID) -> None:
        for _ in range(IN_A_ROW):
            taken = self._take(engine, endpoint_id)
            if taken is None:
                return
            delivery, url, secrets = taken
            at = clock.now()
            body = delivery.body.encode()
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                **signed_headers(str(delivery.event_id), int(at.timestamp()), body, secrets),
            }
            outcome = self.send(url, body, headers, local=self.settings.webhook_local)
            if not self._note(engine, delivery.id, outcome, at):
                # The address does not answer now; the next tick tries again.
                return

    def _take(self, engine: sa.Engine, endpoint_id: UUID) -> tuple[WebhookDelivery, str, list[str]] | None:
        with housekeeping(TABLES, engine) as session:
            now = clock.now()
            found = session.execute(
                _TAKE, {"endpoint": endpoint_id, "now": now, "until": now + self.lease}
            ).scalar_one_or_none()
            if found is None:
                return None
            delivery = session.get_one(WebhookDelivery, found)
            endpoint = session.get_one(WebhookEndpoint, endpoint_id)
            stored = [endpoint.secret]
            if endpoint.previous_secret is not None and (endpoint.previous_until or now) > now:
                stored.append(endpoint.previous_secret)
            secrets = [webhooks.open_secret(self.settings.field_key, endpoint_id, each) for each in stored]
            return delivery, endpoint.url, secrets

    def _note(self, engine: sa.Engine, delivery_id: UUID, outcome: Outcome, at: Any) -> bool:
        """Write down a try; False when the address is to be left for this go."""
        with housekeeping(TABLES, engine) as session:
            delivery = session.get_one(WebhookDelivery, delivery_id, with_for_update=True)
            session.add(
                WebhookAttempt(
                    delivery_id=delivery_id, tried_at=at, status=outcome.status, failure=outcome.failure,
                    took_ms=outcome.took_ms,
                )
            )  # fmt: skip
            if delivery.state is not DeliveryState.PENDING:
                # Somebody else brought it after our lease was over.
                return True
            delivery.attempts += 1
            if backoff.taken(outcome.status):
                delivery.state, delivery.delivered_at = DeliveryState.DELIVERED, clock.now()
                return True
            following = backoff.next_try(
                status=outcome.status,
                attempts=delivery.attempts,
                tried_since=delivery.made_at,
                at=clock.now(),
                chance=random.random(),
            )
            if following is None:
                delivery.state = DeliveryState.FAILED
                with self._lock:
                    self._suspects.add(delivery.endpoint_id)
                return not backoff.retried(outcome.status)
            delivery.next_at = following
            return False

    def _failing(self) -> list[tuple[UUID, int]]:
        """Addresses that gave nothing but failures for so long that they are left alone, with how many in a row."""
        with self._lock:
            suspects, self._suspects = self._suspects, set()
        if not suspects:
            return []
        with Session(db.engine) as session:
            counted = [
                (each, session.execute(_GIVEN_UP, {"endpoint": each}).scalar_one()) for each in suspects
            ]
        return [(each, int(count)) for each, count in counted if count >= backoff.GIVEN_UP_IN_A_ROW]
