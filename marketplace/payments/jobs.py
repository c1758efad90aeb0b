"""The worker's part of gateway payments: it finishes what a request began, and asks on until it knows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.clock import now
from marketplace.database import db
from marketplace.errors import MarketplaceError
from marketplace.jobs import task
from marketplace.payments.gateway import GatewayClosed, GatewayUnknown
from marketplace.payments.inbox import apply_event
from marketplace.payments.models import GatewayEvent, PaymentAttempt, PaymentRefund
from marketplace.payments.online import drive
from marketplace.payments.refunding import drive_refund
from marketplace.payments.states import ATTEMPT_LIVE, EVENT_OPEN, RefundState

log = logging.getLogger("marketplace.payments")

# Younger ones are still in the hands of the request that made them.
YOUNG = timedelta(seconds=20)
BATCH = 200


@task("payments.drive_attempt")
def drive_attempt(attempt: str) -> None:
    """Look after an attempt whose own request may have been killed."""
    drive(UUID(attempt))


@task("payments.drive_refund")
def ask_for_refund(refund: str) -> None:
    drive_refund(UUID(refund))


@task("payments.apply_event")
def take_event(event: int) -> None:
    apply_event(event)


@task("payments.reconcile", cron="* * * * *")
def reconcile(young: float = YOUNG.total_seconds()) -> None:
    """Every attempt, refund and event whose end is not known, asked for again; the oldest first.

    With the gateway gone the breaker makes this short: what is left is asked for a minute later.
    """
    before = now() - timedelta(seconds=young)
    lists: list[tuple[Any, Any, sa.ColumnElement[bool], Callable[[Any], None]]] = [
        (PaymentAttempt.id, PaymentAttempt.asked_at, PaymentAttempt.state.in_(ATTEMPT_LIVE), drive),
        (PaymentRefund.id, PaymentRefund.asked_at, PaymentRefund.state == RefundState.PENDING, drive_refund),
        (
            GatewayEvent.id,
            GatewayEvent.received_at,
            GatewayEvent.state.in_(EVENT_OPEN),
            apply_event,
        ),
    ]
    for key, at, unknown, lead in lists:
        session = db.session()
        keys = session.scalars(sa.select(key).where(unknown, at <= before).order_by(at).limit(BATCH)).all()
        session.close()
        for each in keys:
            _tried(lead, each)


def _tried(lead: Callable[[Any], None], key: Any) -> None:
    """One that cannot be settled now does not keep the others from it."""
    try:
        lead(key)
    except (GatewayUnknown, GatewayClosed):
        log.info("not known yet: %s", key)
    except MarketplaceError:
        log.exception("cannot be settled: %s", key)
