"""What is heard of the gateway, by its answer or by a signed event, and how it is taken in: once, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5

from marketplace.actors import Permission, system
from marketplace.clock import now
from marketplace.payments.gateway import Intent
from marketplace.payments.models import GatewayEvent
from marketplace.payments.states import EVENT_OPEN, AttemptState, EventState
from marketplace.unit_of_work import Transaction, housekeeping, transaction

News = TypeVar("News")


class _NothingNew(Exception):
    """Ends a transaction that found nothing to change."""


@dataclass(frozen=True)
class Heard:
    """News of an attempt. `received_fen` and `currency` are told by a success alone."""

    state: AttemptState
    intent_id: str | None = None
    received_fen: int = 0
    currency: str = ""
    failure_code: str | None = None
    next_url: str | None = None

    @classmethod
    def failed(cls, code: str) -> Heard:
        return cls(AttemptState.FAILED, failure_code=code)

    @classmethod
    def of(cls, intent: Intent) -> Heard:
        """An intent that waits for a method, with an error told, was declined; without one it was never tried."""
        state = {
            "succeeded": AttemptState.CAPTURED,
            "canceled": AttemptState.FAILED,
            "requires_action": AttemptState.ACTION,
        }.get(intent.status, AttemptState.PENDING)
        if intent.status == "requires_payment_method" and intent.failure_code is not None:
            state = AttemptState.FAILED
        code = intent.failure_code or ("canceled" if intent.status == "canceled" else None)
        return cls(state, intent.id, intent.received_fen, intent.currency, code, intent.next_url)


def hear(
    subject: UUID, news: News, take: Callable[[Transaction, UUID, News], bool], event: int | None = None
) -> bool:
    """Give news of `subject` to `take` in a transaction of its own, which also ends the event that brought them.

    False when they were no news: nothing is recorded then, and an event is ended as ignored.
    """
    try:
        with transaction(system(), Permission.SYSTEM) as tx:
            if not take(tx, subject, news):
                raise _NothingNew
            if event is not None:
                row = tx.session.get_one(GatewayEvent, event, with_for_update=True)
                if row.state in EVENT_OPEN:
                    row.state, row.ended_at = EventState.APPLIED, tx.started_at
    except _NothingNew:
        if event is not None:
            end_event(event, EventState.IGNORED)
        return False
    return True


def end_event(event: int, state: EventState) -> None:
    """The message says nothing new, or waits on. One that was ended meanwhile, or put aside, stays as it is."""
    with housekeeping(["gateway_event"]) as session:
        row = session.get_one(GatewayEvent, event, with_for_update=True)
        if row.state in EVENT_OPEN:
            row.state = state
            row.ended_at = None if state is EventState.WAITING else now()


def set_aside(event: int, why: str, payment_id: UUID | None = None) -> None:
    """A message that agrees with nothing here waits for a person, who is told; `why` is its code."""
    try:
        with transaction(system(), Permission.SYSTEM) as tx:
            row = tx.session.get_one(GatewayEvent, event, with_for_update=True)
            if row.state not in EVENT_OPEN:
                raise _NothingNew
            row.state, row.reason, row.ended_at = EventState.QUARANTINED, why, tx.started_at
            tx.record(
                "gateway_event.set_aside",
                "gateway_event",
                event_subject(row),
                event=row.event_id,
                event_kind=row.kind,
                why=why,
                payment=None if payment_id is None else str(payment_id),
                seen_fen=told_fen(row.body),
            )
    except _NothingNew:
        return


def event_subject(row: GatewayEvent) -> UUID:
    """What facts and notices name a message by: its number here is ours alone."""
    return uuid5(NAMESPACE_URL, row.event_id)


def told_fen(body: Mapping[str, Any]) -> int | None:
    """The amount of a message as the gateway told it, when it is a whole number."""
    value = body.get("amount_received", body.get("amount"))
    return value if isinstance(value, int) and not isinstance(value, bool) else None
