"""Signed events of the gateway: checked over their raw bytes, kept once per id, answered at once, applied later."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from marketplace.clock import now
from marketplace.database import db
from marketplace.errors import Conflict, NotFound, RuleViolation
from marketplace.payments.events import Heard, end_event, hear, set_aside
from marketplace.payments.gateway import GatewayUnknown, configured_gateway, seen_intent, webhook_secrets
from marketplace.payments.models import GatewayEvent, PaymentAttempt, PaymentRefund
from marketplace.payments.online import settle
from marketplace.payments.refunding import settle_refund
from marketplace.payments.states import EVENT_OPEN, EventState, RefundState
from marketplace.unit_of_work import housekeeping

TOLERANCE_SECONDS = 300
# An event of something that is not known here waits so long for it.
WAIT_FOR = timedelta(days=1)

_INTENTS = frozenset(
    f"payment_intent.{news}"
    for news in ("succeeded", "payment_failed", "canceled", "requires_action", "processing")
)
_REFUNDS = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
_DEFER = sa.text(
    "select procrastinate_defer_jobs_v1(array[row('default', 'payments.apply_event', 0, null, null,"
    " jsonb_build_object('event', cast(:event as bigint)), null)::procrastinate_job_to_defer_v1])"
)


class BadSignature(RuleViolation):
    slug = "signature-invalid"
    title = "签名不对"


def check_signature(
    body: bytes, header: str, secrets: Sequence[str], at: float, tolerance: int = TOLERANCE_SECONDS
) -> None:
    """Raises BadSignature unless `header` (`t=…,v1=…`, any number of v1) signs `t.body` by one of `secrets`.

    The time inside is part of what is signed and at most `tolerance` seconds from `at`. All secrets and signatures
    are compared, in constant time.
    """
    stamp, given = _parts(header)
    if abs(at - stamp) > tolerance:
        raise BadSignature
    good = False
    for secret in secrets:
        expected = hmac.new(secret.encode(), b"%d." % stamp + body, hashlib.sha256).hexdigest().encode()
        for signature in given:
            good |= hmac.compare_digest(expected, signature)
    if not good:
        raise BadSignature


def _parts(header: str) -> tuple[int, list[bytes]]:
    stamps: list[str] = []
    given: list[bytes] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamps.append(value)
        elif name == "v1":
            given.append(value.encode())
    if len(stamps) != 1 or not (stamps[0].isascii() and stamps[0].isdigit()) or len(stamps[0]) > 12:
        raise BadSignature
    return int(stamps[0]), given


def receive(body: bytes, signature: str) -> None:
    """Keep an event for the worker; the same one again changes nothing. Answered before anything is applied.

    Raises NotFound where no events are taken, BadSignature (`signature-invalid`), RuleViolation (`invalid`).
    """
    secrets = webhook_secrets()
    if not secrets:
        raise NotFound
    check_signature(body, signature, secrets, now().timestamp())
    event_id, kind, kept = _kept(body)
    with housekeeping(["gateway_event", "procrastinate_jobs"]) as session:
        added = session.execute(
            insert(GatewayEvent)
            .values(event_id=event_id, kind=kind, body=kept, state=EventState.NEW, received_at=now())
            .on_conflict_do_nothing(index_elements=["event_id"])
            .returning(GatewayEvent.id)
        ).scalar_one_or_none()
        if added is not None:
            session.execute(_DEFER, {"event": added})


def _kept(body: bytes) -> tuple[str, str, dict[str, Any]]:
    """Id, kind, and of the object only what is needed: nothing about the payer as a person is stored."""
    try:
        event = json.loads(body)
        event_id, kind, thing = event["id"], event["type"], event["data"]["object"]
        if not (isinstance(event_id, str) and isinstance(kind, str) and isinstance(thing, dict)):
            raise TypeError
        if not (0 < len(event_id) <= 255 and 0 < len(kind) <= 255):
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise RuleViolation("这不是一个事件") from None
    names = (
        *("id", "object", "status", "amount", "amount_received", "currency", "payment_intent"),
        *("last_payment_error", "next_action", "failure_reason", "metadata"),
    )
    kept = {name: thing[name] for name in names if name in thing}
    error, ours = kept.get("last_payment_error"), kept.get("metadata")
    if isinstance(error, dict):
        kept["last_payment_error"] = {n: error[n] for n in ("code", "decline_code") if n in error}
    kept["metadata"] = (
        {n: ours[n] for n in ("attempt", "refund") if n in ours} if isinstance(ours, dict) else {}
    )
    return event_id, kind, kept


def apply_event(number: int) -> None:
    """Let an event have its effect, once. What it names may not be here yet: then it waits.

    Raises GatewayUnknown and GatewayClosed for news of a refund, which are asked for at the gateway itself.
    """
    session = db.session()
    event = session.get(GatewayEvent, number, populate_existing=True)
    session.close()
    if event is None or event.state not in EVENT_OPEN:
        return
    if event.kind in _INTENTS:
        _apply_intent(event)
    elif event.kind in _REFUNDS:
        _apply_refund(event)
    else:
        end_event(number, EventState.IGNORED)


def _apply_intent(event: GatewayEvent) -> None:
    try:
        intent = seen_intent(event.body)
    except GatewayUnknown:
        set_aside(event.id, "unreadable")
        return
    session = db.session()
    ours = _own_id(event.body, "attempt")
    row = session.execute(
        sa.select(
            PaymentAttempt.id, PaymentAttempt.payment_id, PaymentAttempt.intent_id, PaymentAttempt.amount_fen
        ).where(sa.or_(PaymentAttempt.id == ours, PaymentAttempt.intent_id == intent.id))
    ).first()
    session.close()
    if row is None:
        _wait(event, now())
    elif row.intent_id not in (None, intent.id):
        set_aside(event.id, "another-intent", row.payment_id)
    elif intent.status == "succeeded" and (intent.received_fen, intent.currency) != (row.amount_fen, "cny"):
        # The attempt is put aside by what it hears, the message for itself: it was not applied.
        hear(row.id, Heard.of(intent), settle)
        set_aside(event.id, "amount-differs", row.payment_id)
    else:
        hear(row.id, Heard.of(intent), settle, event.id)


def _apply_refund(event: GatewayEvent) -> None:
    """A refund's news may come in any order, so what holds is asked for."""
    gateway, gateway_id = configured_gateway(), event.body.get("id")
    session = db.session()
    ours = _own_id(event.body, "refund")
    row = session.execute(
        sa.select(PaymentRefund.id, PaymentRefund.payment_id, PaymentRefund.state).where(
            sa.or_(PaymentRefund.id == ours, PaymentRefund.gateway_id == gateway_id)
        )
    ).first()
    session.close()
    if row is None or gateway is None or not isinstance(gateway_id, str):
        _wait(event, now())
        return
    seen = gateway.read_refund(gateway_id)
    if row.state is RefundState.REFUNDED and seen.status in ("failed", "canceled"):
        # The bank sent the money back after all: a person decides what happens to it.
        set_aside(event.id, "failed-after-refund", row.payment_id)
        return
    try:
        hear(row.id, seen, settle_refund, event.id)
    except Conflict as conflict:
        set_aside(event.id, conflict.code, row.payment_id)


def _own_id(body: Mapping[str, Any], name: str) -> UUID | None:
    try:
        return UUID(str(body["metadata"][name]))
    except (KeyError, TypeError, ValueError):
        return None


def _wait(event: GatewayEvent, at: datetime) -> None:
    if at - event.received_at > WAIT_FOR:
        set_aside(event.id, "names-nothing-here")
    else:
        end_event(event.id, EventState.WAITING)
