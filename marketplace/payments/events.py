"""What is heard of the gateway, by its answer or by a signed event, and how it is taken in: once, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from marketplace.actors import Permission, system
from marketplace.clock import now
from marketplace.payments.gateway import Intent
from marketplace.payments.models import GatewayEvent
from marketplace.payments.states import AttemptState, EventState
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
                row.state, row.ended_at = EventState.APPLIED, tx.started_at
    except _NothingNew:
        if event is not None:
            end_event(event, EventState.IGNORED)
        return False
    return True


def end_event(event: int, state: EventState, reason: str | None = None) -> None:
    with housekeeping(["gateway_event"]) as session:
        row = session.get_one(GatewayEvent, event, with_for_update=True)
        row.state, row.reason = state, reason
        row.ended_at = None if state is EventState.WAITING else now()
