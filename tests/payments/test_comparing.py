"""An attempt that was put aside is ended by a person, and only as the gateway's own account allows at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from marketplace.actors import Role
from marketplace.errors import Conflict, Forbidden, NotFound, WrongState
from marketplace.payments import service
from marketplace.payments.comparing import gateways_account
from marketplace.payments.gateway import GatewayUnknown
from marketplace.payments.states import AttemptEnd
from tests.faults.gateway_double import running_double
from tests.payments.factory import Ordered, World, actor_of, counts, facts, order_row
from tests.payments.paying_online import Payer, attempts, gateway, payment_state
from tests.payments.test_online import verified
from tests.payments.test_payments import refused

AMOUNT = 45_000


@pytest.fixture
def payer(empty_app: Flask, world: World) -> Iterator[Payer]:
    with running_double() as double, gateway(empty_app, double):
        yield Payer(world, double)


def put_aside(payer: Payer) -> tuple[Ordered, dict[str, Any]]:
    """A payment whose charge was answered with one fen too much; what the gateway really took is ours."""
    order = payer.world.order([(4500, 10)])
    payment = payer.opened(order)
    payer.double.fail("wrong_amount", "confirm")
    payer.pay(payment)
    assert attempts(payment["id"]) == [("quarantined", 0, 0, False)]
    return order, payment


def intent_of(payer: Payer) -> dict[str, Any]:
    return next(iter(payer.double.intents.values()))


def charged_too_much(payer: Payer) -> tuple[Ordered, dict[str, Any]]:
    """The same, and the gateway really took one fen too much."""
    order, payment = put_aside(payer)
    intent = intent_of(payer)
    intent["amount"] = intent["amount_received"] = AMOUNT + 1
    payer.double.events.clear()
    return order, payment


def give_back(payer: Payer, fen: int) -> None:
    intent = intent_of(payer)["id"]
    payer.double.refunds[f"re_{fen}"] = {
        "id": f"re_{fen}", "object": "refund", "amount": fen, "currency": "cny", "status": "succeeded",
        "payment_intent": intent, "metadata": {},
    }  # fmt: skip


def resolve(payer: Payer, payment: dict[str, Any], outcome: str, by: str = "office") -> dict[str, Any]:
    reply = service.resolve_attempt(
        payer.actor(by), payment["id"], outcome=AttemptEnd(outcome), reason="与渠道账单核对过"
    )
    return dict(reply.result)


def test_where_the_gateway_holds_our_sum_it_ends_as_captured_and_pays_the_order(payer: Payer):
    order, payment = put_aside(payer)
    account = gateways_account(payer.actor("office"), payment["id"])
    assert account is not None
    assert (account.agrees(AMOUNT), account.holds_nothing) == (True, False)
    refused(Conflict, "still-charged", lambda: resolve(payer, payment, "void"))
    shown = resolve(payer, payment, "captured")
    assert (shown["state"].value, shown["state_reason"]) == ("paid", "与渠道账单核对过")
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]
    assert order_row(order.id)["paid_fen"] == AMOUNT
    told = facts(payment["id"])[-2:]
    assert [fact["kind"] for fact in told] == ["payment.attempt_resolved", "payment.captured"]
    data = told[0]["data"]
    assert (data["outcome"], data["seen_fen"], data["given_back_fen"]) == ("captured", AMOUNT, 0)
    assert "与渠道账单核对过" not in str(told)
    verified()
    recorded = counts()
    payer.deliver()
    payer.reconcile()
    assert counts() == recorded


def test_another_sum_is_neither_captured_nor_void_until_all_of_it_went_back(payer: Payer):
    order, payment = charged_too_much(payer)
    before = counts()
    for back in (0, AMOUNT):
        if back:
            give_back(payer, back)
        refused(Conflict, "sum-differs", lambda: resolve(payer, payment, "captured"))
        refused(Conflict, "still-charged", lambda: resolve(payer, payment, "void"))
    assert attempts(payment["id"]) == [("quarantined", 0, 0, False)]
    assert counts() == before
    give_back(payer, 1)
    shown = resolve(payer, payment, "void")
    assert (shown["state"].value, shown["attempts"][0]["failure_code"]) == ("open", "void-given-back")
    assert attempts(payment["id"]) == [("failed", 0, 0, False)]
    assert order_row(order.id)["paid_fen"] == 0
    verified()


def test_a_void_whose_money_went_back_stays_void_and_the_payment_is_paid_anew(payer: Payer):
    order, payment = charged_too_much(payer)
    give_back(payer, AMOUNT + 1)
    resolve(payer, payment, "void")
    payer.double.tell("payment_intent.succeeded", intent_of(payer))
    payer.deliver()
    payer.reconcile()
    assert attempts(payment["id"]) == [("failed", 0, 0, False)]
    payer.pay(payment)
    assert attempts(payment["id"]) == [("failed", 0, 0, False), ("captured", AMOUNT, 0, True)]
    assert payment_state(payment["id"]) == "paid"
    assert order_row(order.id)["paid_fen"] == AMOUNT
    verified()


def test_what_the_gateway_never_charged_is_cancelled_there_before_it_is_void(payer: Payer):
    _, payment = put_aside(payer)
    intent = intent_of(payer)
    intent["status"], intent["amount_received"] = "requires_action", 0
    payer.double.events.clear()
    office = payer.world.organisations["office"]
    payer.world.actors["clerk"] = actor_of(office, Role.SETTLEMENT_CLERK, region="620800")
    shown = resolve(payer, payment, "void", by="clerk")
    assert intent["status"] == "canceled"
    assert shown["attempts"][0]["failure_code"] == "void-not-charged"
    assert payer.double.charges(payment["number"]) == []


def test_without_the_gateways_word_nothing_ends(payer: Payer):
    _, payment = put_aside(payer)
    before = counts()
    payer.double.fail("500_after", "read", times=None)
    for outcome in ("captured", "void"):
        with pytest.raises(GatewayUnknown):
            resolve(payer, payment, outcome)
    assert counts() == before
    assert attempts(payment["id"]) == [("quarantined", 0, 0, False)]


def test_only_offices_of_the_place_end_it_and_only_what_was_put_aside(payer: Payer):
    _, payment = put_aside(payer)
    for name in ("buyer", "seller"):
        with pytest.raises(Forbidden):
            resolve(payer, payment, "captured", by=name)
    with pytest.raises(NotFound):
        resolve(payer, payment, "captured", by="far_office")
    assert attempts(payment["id"]) == [("quarantined", 0, 0, False)]
    resolve(payer, payment, "captured")
    with pytest.raises(WrongState):
        resolve(payer, payment, "void")
    assert gateways_account(payer.actor("office"), payment["id"]) is None
