"""Messages of the gateway that agree with nothing: a person has them applied anew or ends them, and books nothing by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask, current_app

from marketplace.database import db
from marketplace.errors import Forbidden, NotFound, WrongState
from marketplace.journal.models import Fact
from marketplace.journal.sealing import Sealer
from marketplace.notices.following import follow
from marketplace.notices.models import Notice
from marketplace.payments import inbox, queries, service
from marketplace.payments.models import GatewayEvent
from marketplace.payments.set_aside import count_set_aside, list_set_aside
from marketplace.payments.states import EventEnd
from marketplace.quota.verify import verify
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
    before = count_set_aside(db.session(), payer.actor("office"))
    service.end_set_aside(payer.actor("office"), number, outcome=EventEnd.FOREIGN)
    assert state(number) == ("ignored", "foreign")
    assert count_set_aside(db.session(), payer.actor("office")) == before - 1
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


def test_an_office_of_a_county_is_not_told_of_messages_and_decides_about_none(
    payer: Payer, clock: time_machine.Traveller
):
    number = set_aside_after_a_day(clock, "evt_county")
    county = replace(payer.actor("office"), organisation_kind="office", region_code="620826")
    before = counts()

    assert list_set_aside(db.session(), county, queries.visible_payments(county)) == []
    assert count_set_aside(db.session(), county) == 0
    with pytest.raises(NotFound):
        service.end_set_aside(county, number, outcome=EventEnd.FOREIGN)

    assert counts() == before
    assert state(number) == ("quarantined", "names-nothing-here")


def open_notices(event_id: str) -> list[str]:
    """Topics of what people are asked about a message, by now."""
    Sealer().seal_pending()
    while follow():
        pass
    return sorted(
        row[0]
        for row in rows(
            sa.select(Notice.topic).where(
                Notice.subject_id == uuid5(NAMESPACE_URL, event_id),
                Notice.done_at.is_(None),
                Notice.organisation_id.is_(None),
            )
        )
    )


def facts_about(event_id: str) -> list[tuple[str, dict[str, Any]]]:
    found = rows(
        sa.select(Fact.kind, Fact.body).where(Fact.kind.like("gateway_event.%")).order_by(Fact.recorded_at)
    )
    texts = [(kind, json.loads(body)["data"]) for kind, body in found]
    return [(kind, data) for kind, data in texts if data["event"] == event_id]


def set_aside_after_a_day(clock: time_machine.Traveller, event_id: str, **more: Any) -> int:
    number = told(event_id, id=f"pi_{event_id}", amount=700, amount_received=700, **more)
    clock.shift(timedelta(days=1, minutes=1))
    inbox.apply_event(number)
    return number


def test_what_is_put_aside_is_a_fact_without_the_payers_data_and_told_to_office_and_clerk_until_it_is_decided(
    payer: Payer, clock: time_machine.Traveller
):
    number = set_aside_after_a_day(
        clock,
        "evt_told",
        receipt_email="wang@example.cn",
        shipping={"name": "王小明", "phone": "13800000000"},
    )
    inbox.apply_event(number)

    ((kind, data),) = facts_about("evt_told")
    assert kind == "gateway_event.set_aside"
    assert data == {
        "event": "evt_told", "event_kind": "payment_intent.succeeded", "why": "names-nothing-here",
        "payment": None, "seen_fen": 700,
    }  # fmt: skip
    assert open_notices("evt_told") == ["gateway_message", "gateway_message_clerk"]
    verified()

    service.end_set_aside(payer.actor("office"), number, outcome=EventEnd.FOREIGN)

    assert open_notices("evt_told") == []
    assert [kind for kind, _ in facts_about("evt_told")] == [
        "gateway_event.set_aside",
        "gateway_event.decided",
    ]
    verified()


def test_a_success_of_another_sum_is_put_aside_once_however_often_it_is_applied(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("never", "confirm")
    payer.pay(payment)
    intent = next(iter(payer.double.intents.values()))
    number = told("evt_more", id=intent["id"], amount=45_100, amount_received=45_100)

    with ThreadPoolExecutor(4) as pool:
        app = current_app._get_current_object()  # type: ignore[attr-defined]

        def apply(_: int) -> None:
            with app.app_context():
                inbox.apply_event(number)

        list(pool.map(apply, range(4)))

    assert state(number) == ("quarantined", "amount-differs")
    ((_, data),) = facts_about("evt_more")
    assert (data["payment"], data["seen_fen"]) == (str(payment["id"]), 45_100)
    assert attempts(payment["id"])[0][0] == "quarantined"
    assert "gateway_message" in open_notices("evt_more")
    verified()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("set state = 'ignored', reason = 'foreign'", "gateway_event.state"),
        ("set state = 'applied', reason = null", "gateway_event"),
        ("set reason = 'unreadable'", "gateway_event.reason"),
    ],
)
def test_a_message_that_somebody_hides_is_found(
    payer: Payer, clock: time_machine.Traveller, change: str, what: str
):
    number = set_aside_after_a_day(clock, f"evt_hidden_{what}_{len(change)}")
    with db.session() as session:
        before = session.execute(
            sa.text("select state, reason from gateway_event where id = :id"), {"id": number}
        ).one()
        session.execute(sa.text(f"update gateway_event {change} where id = :id"), {"id": number})
        session.commit()

    found = {difference.what for difference in verify(db.engine, []).differences}

    assert what in found
    with db.session() as session:
        session.execute(
            sa.text("update gateway_event set state = :state, reason = :reason where id = :id"),
            {"id": number, "state": before.state, "reason": before.reason},
        )
        session.commit()
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
