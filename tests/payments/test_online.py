"""Payment by the gateway: committed before the call, one charge whatever happens, unknown is never failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from marketplace.database import db
from marketplace.errors import Conflict, NotFound, RuleViolation, WrongState
from marketplace.payments import service
from marketplace.payments.gateway import GatewayClosed
from marketplace.payments.models import PaymentAttempt
from marketplace.payments.states import PaymentMethod
from marketplace.quota.models import ReserveEntry
from marketplace.quota.verify import verify
from tests.faults.gateway_double import running_double
from tests.payments.factory import NOON, World, counts, facts, line_paid, order_row, rows
from tests.payments.paying_online import Payer, attempts, event_states, gateway, payment_state
from tests.payments.test_payments import open_payment, refused

AMOUNT = 45_000


@pytest.fixture
def payer(empty_app: Flask, world: World) -> Iterator[Payer]:
    with running_double() as double, gateway(empty_app, double):
        yield Payer(world, double)


def posted(kind: str) -> list[int]:
    """Amounts of the reserve ledger of one kind, in the order in which they were booked."""
    return [
        fen
        for (fen,) in rows(
            sa.select(ReserveEntry.amount_fen).where(ReserveEntry.kind == kind).order_by(ReserveEntry.id)
        )
    ]


def verified() -> None:
    db.session().rollback()
    # The world's orders have no fact of their purchase: only the money is compared here.
    found = [d.line() for d in verify(db.engine).differences if d.what.split(".")[0] in MONEY_TABLES]
    assert found == []


MONEY_TABLES = ("money_entry", "money_posting", "payment_attempt")


def test_a_payment_by_the_gateway_is_paid_and_counted_at_once(payer: Payer):
    order = payer.world.order([(4500, 10)])
    payment = payer.opened(order)
    assert (payment["method"], payment["merchant_of_record"]) == (PaymentMethod.GATEWAY, "合作社账户")
    answer = payer.pay(payment)
    assert [a["state"].value for a in answer["attempts"]] == ["pending"]
    assert payment_state(payment["id"]) == "paid"
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]
    assert (line_paid(order.id), order_row(order.id)["paid_fen"]) == ([AMOUNT], AMOUNT)
    assert posted("paid")[-1] == AMOUNT
    kinds = [f["kind"] for f in facts(payment["id"])]
    assert kinds == ["payment.opened", "payment.attempted", "payment.attempt_sent", "payment.captured"]
    captured = facts(payment["id"])[-1]["data"]
    assert (captured["booked"], captured["late"], captured["amount_fen"]) == (True, False, AMOUNT)
    verified()


def test_the_attempt_is_committed_and_no_connection_is_held_while_the_gateway_is_asked(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    seen: list[tuple[int, int]] = []

    def watch(call: Any) -> None:
        with db.engine.connect() as own:
            live = own.scalar(sa.select(sa.func.count()).where(PaymentAttempt.payment_id == payment["id"]))
            # The one connection is ours, of this look.
            seen.append((int(live or 0), db.engine.pool.checkedout()))  # type: ignore[attr-defined]

    engine_of = db.engine
    payer.double.watch = lambda call: _in_context(payer, watch, call)
    payer.pay(payment)
    assert seen == [(1, 1), (1, 1)]
    assert engine_of is db.engine


def _in_context(payer: Payer, watch: Any, call: Any) -> None:
    with APP["app"].app_context():
        watch(call)


APP: dict[str, Flask] = {}


@pytest.fixture(autouse=True)
def app_of_the_threads(empty_app: Flask) -> None:
    APP["app"] = empty_app


def test_the_gateway_gets_our_own_id_as_key_and_a_pinned_version(payer: Payer):
    payment = payer.paid(payer.world.order([(4500, 10)]))
    (attempt,) = rows(sa.select(PaymentAttempt.id).where(PaymentAttempt.payment_id == payment["id"]))
    create, confirm = payer.double.calls
    assert create.headers["Idempotency-Key"] == f"{attempt[0]}-create"
    assert confirm.headers["Idempotency-Key"] == f"{attempt[0]}-confirm"
    for call in (create, confirm):
        assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert call.headers["Stripe-Version"] == "2023-08-16"
    assert (create.form["amount"], create.form["currency"]) == (str(AMOUNT), "cny")
    assert confirm.form == {}


def test_a_sum_above_eight_digits_is_for_a_transfer(payer: Payer):
    order = payer.world.order([(100_000_000, 1)])
    refusal = refused(RuleViolation, "gateway-amount", lambda: payer.opened(order))
    assert refusal.data == {"limit_fen": 99_999_999}
    payer.opened(payer.world.order([(99_999_999, 1)]))


def test_without_a_gateway_only_transfers_are_opened_and_paid(world: World):
    order = world.order([(4500, 10)])
    refused(
        RuleViolation,
        "gateway-not-configured",
        lambda: open_payment(world, order, method=PaymentMethod.GATEWAY),
    )
    payment = open_payment(world, order)
    refused(
        RuleViolation, "gateway-not-configured",
        lambda: service.pay_online(world.actor("buyer"), payment["id"]),
    )  # fmt: skip


def test_only_the_buyer_pays_and_only_a_payment_for_the_gateway(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    refused(NotFound, "not-found", lambda: service.pay_online(payer.actor("buyer2"), payment["id"]))
    refused(RuleViolation, "invalid", lambda: payer.pay(payment, means="cash"))
    transfer = open_payment(payer.world, payer.world.order([(4500, 10)]))
    refused(Conflict, "paid-by-transfer", lambda: payer.pay(transfer))
    service.cancel_payment(payer.actor("buyer"), payment["id"])
    refused(WrongState, "wrong-state", lambda: payer.pay(payment))
    assert payer.double.calls == []


def test_a_gateway_payment_takes_no_slip(payer: Payer):
    from tests.payments.test_payments import slip

    payment = payer.opened(payer.world.order([(4500, 10)]))
    refused(Conflict, "paid-online", lambda: slip(payer.world, payment))


def test_a_decline_is_definite_and_another_attempt_may_follow(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.declines = True
    payer.pay(payment)
    assert attempts(payment["id"]) == [("failed", 0, 0, False)]
    assert facts(payment["id"])[-1]["data"]["code"] == "insufficient_funds"
    assert payment_state(payment["id"]) == "open"
    payer.double.heal()
    payer.pay(payment)
    assert attempts(payment["id"]) == [("failed", 0, 0, False), ("captured", AMOUNT, 0, True)]
    payer.deliver()
    assert attempts(payment["id"]) == [("failed", 0, 0, False), ("captured", AMOUNT, 0, True)]


def test_a_reset_after_the_charge_is_unknown_and_five_retries_charge_nobody_again(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("reset_after", "confirm")
    payer.pay(payment)
    assert attempts(payment["id"]) == [("pending", 0, 0, False)]
    for _ in range(5):
        refused(Conflict, "attempt-live", lambda: payer.pay(payment))
    refused(Conflict, "attempt-live", lambda: service.cancel_payment(payer.actor("buyer"), payment["id"]))
    payer.reconcile()
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]
    assert len(payer.double.charges(payment["number"])) == 1


def test_two_who_pay_at_once_make_one_attempt_and_one_intent(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    barrier = threading.Barrier(4)

    def pay() -> str:
        with APP["app"].app_context():
            barrier.wait()
            try:
                payer.pay(payment)
            except (Conflict, WrongState, GatewayClosed) as refusal:
                return refusal.code
            return "begun"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(f.result() for f in [pool.submit(pay) for _ in range(4)])
    payer.reconcile()
    assert outcomes.count("begun") == 1
    assert set(outcomes) <= {"begun", "attempt-live", "wrong-state"}
    assert len(payer.double.intents) == 1
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]


def test_an_intent_created_twice_is_confirmed_once(payer: Payer):
    payer.double.keeps_keys = False
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("500_after", "create")
    payer.pay(payment)
    payer.reconcile()
    assert len(payer.double.intents) == 2
    assert [i["confirmed"] for i in payer.double.intents.values()] == [0, 1]
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]


def test_what_nobody_confirmed_in_time_is_cancelled_not_charged(payer: Payer, clock):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("never", "confirm")
    payer.double.hang = 1.6
    payer.pay(payment)
    assert attempts(payment["id"]) == [("pending", 0, 0, False)]
    clock.move_to(NOON + timedelta(minutes=16))
    payer.reconcile()
    assert attempts(payment["id"]) == [("failed", 0, 0, False)]
    assert payer.double.charges(payment["number"]) == []
    assert facts(payment["id"])[-1]["data"]["code"] == "canceled"


def test_another_sum_than_ours_is_put_aside_for_a_person(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("wrong_amount", "confirm")
    payer.double.fail("wrong_amount", "read", times=None)
    payer.pay(payment)
    assert attempts(payment["id"]) == [("quarantined", 0, 0, False)]
    fact = facts(payment["id"])[-1]
    assert fact["kind"] == "payment.quarantined"
    assert (fact["data"]["amount_fen"], fact["data"]["seen_fen"]) == (AMOUNT, AMOUNT + 1)
    assert payment_state(payment["id"]) == "open"
    recorded = counts()
    payer.reconcile()
    assert counts() == recorded
    refused(Conflict, "attempt-live", lambda: payer.pay(payment))


def late(payer: Payer, payment: dict[str, Any]) -> None:
    """The gateway declines, and charges all the same; the news of it come later."""
    payer.double.declines = True
    payer.pay(payment)
    payer.double.heal()
    payer.double.events.clear()


def arrives(payer: Payer) -> None:
    payer.double.succeed(next(iter(payer.double.intents)))
    payer.deliver()


def test_a_late_success_of_a_cancelled_payment_pays_what_is_still_owed(payer: Payer):
    order = payer.world.order([(4500, 10)])
    payment = payer.opened(order)
    late(payer, payment)
    service.cancel_payment(payer.actor("buyer"), payment["id"])
    assert order_row(order.id)["payment_opened_fen"] == 0
    arrives(payer)
    assert payment_state(payment["id"]) == "paid"
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]
    row = order_row(order.id)
    assert (row["paid_fen"], row["payment_opened_fen"], row["payment_state"]) == (AMOUNT, AMOUNT, "paid")
    captured = facts(payment["id"])[-1]["data"]
    assert (captured["late"], captured["booked"]) == (True, True)
    verified()


def test_a_late_success_of_what_another_payment_covers_goes_back_by_itself(payer: Payer):
    order = payer.world.order([(4500, 10)])
    payment = payer.opened(order)
    late(payer, payment)
    service.cancel_payment(payer.actor("buyer"), payment["id"])
    other = open_payment(payer.world, order)
    arrives(payer)
    assert payment_state(payment["id"]) == "cancelled"
    assert attempts(payment["id"]) == [("captured", AMOUNT, AMOUNT, False)]
    payer.reconcile()
    kinds = [f["kind"] for f in facts(payment["id"])][-3:]
    assert kinds == ["payment.captured", "payment.refund_asked", "payment.refunded"]
    (intent,) = payer.double.charges(payment["number"])
    assert payer.double.given_back(intent["id"]) == AMOUNT
    assert order_row(order.id)["paid_fen"] == 0
    assert payment_state(other["id"]) == "open"
    verified()


def test_a_second_success_of_one_payment_goes_back_by_itself(payer: Payer):
    order = payer.world.order([(4500, 10)])
    payment = payer.opened(order)
    late(payer, payment)
    payer.pay(payment)
    arrives(payer)
    payer.reconcile()
    assert attempts(payment["id"]) == [("captured", AMOUNT, AMOUNT, False), ("captured", AMOUNT, 0, True)]
    assert order_row(order.id)["paid_fen"] == AMOUNT
    verified()


def test_any_order_of_arrival_ends_in_the_same_state(payer: Payer):
    ends = set()
    for order_of_arrival in permutations(range(4)):
        order = payer.world.order([(4500, 10)])
        payment = payer.opened(order)
        payer.double.fail("500_after", "confirm")
        # An address of its own: so many failures would open the breaker.
        with gateway(APP["app"], payer.double):
            payer.pay(payment)
        intent = dict(payer.double.charges(payment["number"])[0])
        payer.double.events.clear()
        error = {"code": "card_declined"}
        for kind, change in (
            ("payment_intent.processing", {"status": "processing", "amount_received": 0}),
            (
                "payment_intent.payment_failed",
                {"status": "requires_payment_method", "last_payment_error": error},
            ),
            ("payment_intent.requires_action", {"status": "requires_action", "amount_received": 0}),
            ("payment_intent.succeeded", {}),
        ):
            payer.double.tell(kind, {**intent, **change})
        told = list(payer.double.events)
        payer.double.events.clear()
        payer.deliver([told[i] for i in order_of_arrival])
        ends.add((payment_state(payment["id"]), *attempts(payment["id"]), order_row(order.id)["paid_fen"]))
    assert ends == {("paid", ("captured", AMOUNT, 0, True), AMOUNT)}
    verified()


def test_a_storm_of_events_has_one_effect(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("500_after", "confirm")
    payer.pay(payment)
    told = list(payer.double.events)
    twin = {**told[-1], "id": told[-1]["id"] + "_twin"}
    known = len(event_states())
    payer.deliver([*told, twin, *reversed(told), *told])
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]
    assert [f["kind"] for f in facts(payment["id"])].count("payment.captured") == 1
    assert sorted(event_states()[known:]) == [("applied", None), ("ignored", None), ("ignored", None)]


def test_an_event_that_comes_before_its_intent_is_known_pays_in_time(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("never", "create", times=None)
    payer.double.hang = 1.6
    payer.pay(payment)
    (attempt,) = rows(sa.select(PaymentAttempt.id).where(PaymentAttempt.payment_id == payment["id"]))
    event = payer.double.tell(
        "payment_intent.succeeded",
        {
            "id": "pi_early", "object": "payment_intent", "status": "succeeded", "amount": AMOUNT,
            "amount_received": AMOUNT, "currency": "cny", "metadata": {"attempt": str(attempt[0])},
        },
    )  # fmt: skip
    payer.deliver([event])
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]


def test_an_event_of_nothing_known_here_waits_and_is_put_aside_after_a_day(payer: Payer, clock):
    thing = {
        "id": "pi_foreign",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 5,
        "currency": "cny",
    }
    before = counts()
    payer.deliver([payer.double.tell("payment_intent.succeeded", thing)])
    assert event_states()[-1] == ("waiting", None)
    clock.move_to(NOON + timedelta(days=1, minutes=1))
    payer.reconcile()
    assert event_states()[-1] == ("quarantined", "names-nothing-here")
    assert counts() == before | {"fact": before["fact"] + 1}


def test_the_breaker_refuses_to_begin_what_cannot_be_asked(payer: Payer):
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("500_after", "create", times=None)
    payer.pay(payment)
    for _ in range(4):
        payer.reconcile()
    other = payer.opened(payer.world.order([(4500, 10)]))
    asked = len(payer.double.calls)
    refused(GatewayClosed, "gateway-unavailable", lambda: payer.pay(other))
    payer.reconcile()
    assert len(payer.double.calls) == asked
    assert attempts(other["id"]) == []
