"""Messages of the gateway that were put aside: a person has each applied anew, or ends it with a word why."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.errors import NotFound, WrongState
from marketplace.payments.events import event_subject, told_fen
from marketplace.payments.models import GatewayEvent, Payment, PaymentAttempt
from marketplace.payments.states import EventEnd, EventState
from marketplace.unit_of_work import NO_ONCE, Once, Reply, transaction


def deciding_permission(actor: Actor) -> Permission:
    """The office upholds payments, the settlement clerk records receipts; either decides here."""
    office = actor.can(Permission.PAYMENT_UPHOLD)
    return Permission.PAYMENT_UPHOLD if office else Permission.RECEIPT_RECORD


def list_set_aside(
    session: Session, actor: Actor, visible: sa.ColumnElement[bool], limit: int = 200
) -> list[dict[str, Any]]:
    """The messages that wait for a person, the longest first; two queries.

    `why` is the code of what was wrong, `amount_fen` and `currency` are as the gateway told them, and `payment` is the
    one that it is about, when that is known and within `visible`. Offices of the city decide about them: of a message
    that agrees with nothing it is not known which county it concerns. Raises Forbidden.
    """
    actor.require(deciding_permission(actor))
    if actor.of_county:
        return []
    rows = session.execute(
        sa.select(
            GatewayEvent.id, GatewayEvent.event_id, GatewayEvent.kind, GatewayEvent.body,
            GatewayEvent.reason.label("why"), GatewayEvent.received_at,
        )
        .where(GatewayEvent.state == EventState.QUARANTINED)
        .order_by(GatewayEvent.id)
        .limit(limit)
    ).mappings().all()  # fmt: skip
    named = {row["id"]: _intent(row["body"]) for row in rows}
    known = {
        intent: {"id": payment_id, "number": number}
        for intent, payment_id, number in session.execute(
            sa.select(PaymentAttempt.intent_id, Payment.id, Payment.number)
            .join(Payment, Payment.id == PaymentAttempt.payment_id)
            .where(PaymentAttempt.intent_id.in_({*named.values()} - {None}), visible)
        )
    }
    return [
        {
            **{name: row[name] for name in ("id", "event_id", "kind", "why", "received_at")},
            "amount_fen": told_fen(row["body"]),
            "currency": row["body"].get("currency"),
            "payment": known.get(named[row["id"]]),
        }
        for row in rows
    ]


def count_set_aside(session: Session, actor: Actor) -> int:
    """How many messages wait for a person, as `list_set_aside` lists them."""
    if actor.of_county:
        return 0
    waiting = sa.select(sa.func.count()).where(GatewayEvent.state == EventState.QUARANTINED)
    return session.scalar(waiting) or 0


def end_set_aside(actor: Actor, number: int, *, outcome: EventEnd, once: Once = NO_ONCE) -> Reply:
    """Decide about a message that was put aside; what it says of a payment is not believed by this alone.

    Applied anew it goes the way of every message, with the checks of that way, and may be put aside again. Otherwise it
    has no effect for good. Raises Forbidden, NotFound, also for an office of a county,
    WrongState (`wrong-state`) when somebody was quicker.
    """
    with transaction(actor, deciding_permission(actor), once) as tx:
        row = tx.session.get(GatewayEvent, number, with_for_update=True)
        if row is None or actor.of_county:
            raise NotFound
        if row.state is not EventState.QUARANTINED:
            raise WrongState("这条通知已经处理过了")
        tx.record(
            "gateway_event.decided",
            "gateway_event",
            event_subject(row),
            event=row.event_id,
            event_kind=row.kind,
            why=row.reason,
            outcome=outcome.value,
        )
        if outcome is EventEnd.AGAIN:
            # It has a whole day again for what it names.
            row.state, row.reason, row.ended_at, row.received_at = EventState.NEW, None, None, tx.started_at
            tx.defer("payments.apply_event", event=row.id)
        else:
            row.state, row.reason, row.ended_at = EventState.IGNORED, outcome.value, tx.started_at
        return tx.answer({"id": row.id, "state": row.state.value})


def _intent(body: dict[str, Any]) -> str | None:
    """The intent that a message is about: its own, or the one that a refund names."""
    found = body.get("payment_intent") if body.get("object") == "refund" else body.get("id")
    return found if isinstance(found, str) else None
