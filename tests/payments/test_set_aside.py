"""Messages of the gateway that agree with nothing: a person has them applied anew or ends them, and books nothing by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from marketplace.database import db
from marketplace.errors import Forbidden, NotFound, WrongState
from marketplace.payments import inbox, queries, service
from marketplace.payments.models import GatewayEvent
from marketplace.payments.set_aside import count_set_aside, list_set_aside
from marketplace.payments.states import EventEnd
from tests.faults.gateway_double import running_double, signed
from tests.payments.factory import World, counts, rows
from tests.payments.paying_online import Payer, attempts, gateway, payment_state
from tests.payments.test_online import verified


@pytest.fixture
def payer(empty_app: Flask, world: World) -> Iterator[Payer]:
    with running_double() as double, gateway(empty_app, double):
        yield Payer(world, double)


def told(event_id: str, **thing: Any) -> int:
    """A signed message of a success, taken in; answers its number."""
    intent = {"object": "payment_intent", "status": "succeeded", "currency": "cny", "metadata": {}} | thing
    body = {"id": event_id, "object": "event", "type": "payment_intent.succeeded", "data": {"object": intent}}
    inbox.receive(*signed(body))
    return int(rows(sa.select(GatewayEvent.id).where(GatewayEvent.event_id == event_id))[0][0])


def state(number: int) -> tuple[str, str | None]:
    row = rows(sa.select(GatewayEvent.state, GatewayEvent.reason).where(GatewayEvent.id == number))[0]
    return row[0].value, row[1]


def waiting(payer: Payer, by: str = "office") -> list[dict[str, Any]]:
    actor = payer.actor(by)
    found = list_set_aside(db.session(), actor, queries.visible_payments(actor))
    db.session().close()
    return found


def test_a_message_of_nothing_known_waits_a_day_is_put_aside_and_ended(
    payer: Payer, clock: time_machine.Traveller
):
    number = told("evt_of_another_shop", id="pi_of_another_shop", amount=700, amount_received=700)
    inbox.apply_event(number)
    assert state(number) == ("waiting", None)
    clock.shift(timedelta(days=1, minutes=1))
    inbox.apply_event(number)
    assert state(number) == ("quarantined", "names-nothing-here")

    shown = next(row for row in waiting(payer) if row["id"] == number)
    assert (shown["why"], shown["amount_fen"], shown["currency"], shown["payment"]) == (
        "names-nothing-here", 700, "cny", None,
    )  # fmt: skip
    before = count_set_aside(db.session())
    service.end_set_aside(payer.actor("office"), number, outcome=EventEnd.FOREIGN)
    assert state(number) == ("ignored", "foreign")
    assert count_set_aside(db.session()) == before - 1
    recorded = counts()
    with pytest.raises(WrongState):
        service.end_set_aside(payer.actor("office"), number, outcome=EventEnd.AGAIN)
    inbox.apply_event(number)
    assert counts() == recorded
    assert state(number) == ("ignored", "foreign")
    verified()


def test_applied_anew_it_goes_through_all_checks_and_pays_when_its_cause_is_gone(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("never", "confirm")
    payer.pay(payment)
    intent = next(iter(payer.double.intents.values()))
    number = told("evt_early", id="pi_of_nobody", amount=45_000, amount_received=45_000)
    with db.session() as session:
        session.execute(
            sa.update(GatewayEvent).where(GatewayEvent.id == number).values(state="quarantined", reason="x")
        )
        session.commit()

    service.end_set_aside(payer.actor("office"), number, outcome=EventEnd.AGAIN)
    assert state(number) == ("new", None)
    inbox.apply_event(number)
    assert state(number) == ("waiting", None)  # it still names nothing
    assert attempts(payment["id"])[0][0] == "pending"

    with db.session() as session:
        body = session.get_one(GatewayEvent, number).body | {"id": intent["id"]}
        session.execute(sa.update(GatewayEvent).where(GatewayEvent.id == number).values(body=body))
        session.commit()
    inbox.apply_event(number)
    assert state(number)[0] == "applied"
    assert payment_state(payment["id"]) == "paid"
    verified()


def test_only_the_office_and_the_settlement_clerk_decide(payer: Payer):
    number = told("evt_scope", id="pi_scope", amount=1, amount_received=1)
    recorded = counts()
    for stranger in ("buyer", "seller"):
        with pytest.raises(Forbidden):
            service.end_set_aside(payer.actor(stranger), number, outcome=EventEnd.FOREIGN)
        with pytest.raises(Forbidden):
            waiting(payer, stranger)
    with pytest.raises(WrongState):  # it was not put aside
        service.end_set_aside(payer.actor("office"), number, outcome=EventEnd.FOREIGN)
    with pytest.raises(NotFound):
        service.end_set_aside(payer.actor("office"), 10**12, outcome=EventEnd.FOREIGN)
    assert counts() == recorded
