"""An application with a gateway behind it, and the steps of a payment by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Flask

from marketplace.actors import Actor
from marketplace.payments import inbox, jobs, service
from marketplace.payments.models import GatewayEvent, Payment, PaymentAttempt, PaymentRefund
from marketplace.payments.service import OrderAmount
from marketplace.payments.states import PaymentMethod
from tests.faults.gateway_double import KEY, SECRET, Double, Json, signed
from tests.payments.factory import Ordered, World, rows

CARD = "pm_card_visa"
_addresses = count(1)


@contextmanager
def gateway(app: Flask, double: Double, **changes: Any) -> Iterator[None]:
    """Settings of a gateway at an address of its own, so that no breaker is shared with another test."""
    before = app.config["SETTINGS"]
    app.config["SETTINGS"] = replace(
        before,
        **{
            "payment_api_base": f"{double.base}/{next(_addresses)}",
            "payment_api_key": KEY,
            "payment_means": (CARD, "alipay"),
            "payment_webhook_secrets": (SECRET,),
            "payment_timeout_seconds": 1.5,
            **changes,
        },
    )
    try:
        yield
    finally:
        app.config["SETTINGS"] = before


@dataclass
class Payer:
    """A buyer and a seller in a world, and the gateway between them."""

    world: World
    double: Double
    buyer: str = "buyer"
    seller: str = "seller"

    def actor(self, name: str) -> Actor:
        return self.world.actor(name)

    def opened(self, *orders: Ordered) -> Json:
        asked = [OrderAmount(o.id) for o in orders]
        reply = service.open_payment(self.actor(self.buyer), orders=asked, method=PaymentMethod.GATEWAY)
        return dict(reply.result)

    def pay(self, payment: Json, **wish: Any) -> Json:
        return dict(service.pay_online(self.actor(self.buyer), payment["id"], **wish).result)

    def paid(self, *orders: Ordered) -> Json:
        payment = self.opened(*orders)
        self.pay(payment)
        return payment

    def refund(self, payment: Json, fen: int, **wish: Any) -> Json:
        actor = self.actor(wish.pop("by", self.seller))
        reply = service.refund_payment(actor, payment["id"], amount_fen=fen, reason="货损", **wish)
        return dict(reply.result)

    def deliver(self, events: list[Json] | None = None) -> None:
        """Events come in and the worker applies them; by default all that the gateway has to tell."""
        for event in list(self.double.events) if events is None else events:
            inbox.receive(*signed(event))
        if events is None:
            self.double.events.clear()
        for (number,) in rows(
            sa.select(GatewayEvent.id).where(GatewayEvent.ended_at.is_(None)).order_by(GatewayEvent.id)
        ):
            inbox.apply_event(number)

    def reconcile(self) -> None:
        jobs.reconcile(0.0)


def attempts(payment_id: UUID) -> list[tuple[Any, ...]]:
    """(state, captured_fen, refunded_fen, booked) of each attempt, the oldest first."""
    columns = (
        PaymentAttempt.state, PaymentAttempt.captured_fen, PaymentAttempt.refunded_fen, PaymentAttempt.booked,
    )  # fmt: skip
    found = rows(
        sa.select(*columns).where(PaymentAttempt.payment_id == payment_id).order_by(PaymentAttempt.id)
    )
    return [(state.value, *rest) for state, *rest in found]


def refunds(payment_id: UUID) -> list[tuple[str, int]]:
    found = rows(
        sa.select(PaymentRefund.state, PaymentRefund.amount_fen)
        .where(PaymentRefund.payment_id == payment_id)
        .order_by(PaymentRefund.id)
    )
    return [(state.value, fen) for state, fen in found]


def payment_state(payment_id: UUID) -> str:
    ((state,),) = rows(sa.select(Payment.state).where(Payment.id == payment_id))
    return str(state.value)


def event_states() -> list[tuple[str, str | None]]:
    found = rows(sa.select(GatewayEvent.state, GatewayEvent.reason).order_by(GatewayEvent.id))
    return [(state.value, reason) for state, reason in found]
