"""The client: what it sends is what the routes take, and what it makes of each kind of answer."""

from __future__ import annotations

import csv
import gzip
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace import serving
from marketplace.payments import gateway as module
from marketplace.payments.gateway import (
    AT_ONCE,
    Breaker,
    Gateway,
    GatewayClosed,
    GatewayRefused,
    GatewayUnknown,
    Guard,
)
from tests.faults.gateway_double import KEY, Double, running_double

ROOT = Path(__file__).resolve().parent.parent.parent
TABLE = Path(module.__file__).with_name("gateway_parameters.csv")
SPECIFICATION = "2023-08-16"
ROUTES = {
    "create": ("POST", "/v1/payment_intents"),
    "confirm": ("POST", "/v1/payment_intents/{intent}/confirm"),
    "cancel": ("POST", "/v1/payment_intents/{intent}/cancel"),
    "read": ("GET", "/v1/payment_intents/{intent}"),
    "refund": ("POST", "/v1/refunds"),
}


def table() -> dict[tuple[str, str], set[str]]:
    taken: dict[tuple[str, str], set[str]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            assert row["specification"] == SPECIFICATION
            known = taken.setdefault((row["method"], row["path"]), set())
            if row["parameter"]:
                assert row["parameter"] not in known
                known.add(row["parameter"])
    return taken


@pytest.fixture
def double() -> Iterator[Double]:
    with running_double() as running:
        yield running


def client(double: Double, timeout: float = 2.0) -> Gateway:
    return Gateway(f"{double.base}/{uuid.uuid4()}", KEY, SPECIFICATION, timeout, ("pm_card_visa", "alipay"))


def test_every_call_sends_only_what_its_route_takes(double: Double):
    taken, gateway = table(), client(double)
    for means in ("pm_card_visa", "alipay"):
        attempt = uuid.uuid4()
        intent = gateway.create_intent(attempt, 500, means, "FK-1")
        gateway.confirm_intent(attempt, intent.id, means, "https://shop.example/payments/1")
        gateway.read_intent(intent.id)
        refund = gateway.create_refund(uuid.uuid4(), intent.id, 200)
        gateway.read_refund(refund.id)
        assert [r.amount_fen for r in gateway.refunds_of(intent.id)] == [200]
        other = gateway.create_intent(uuid.uuid4(), 500, means, "FK-2")
        assert gateway.cancel_intent(uuid.uuid4(), other.id).status == "canceled"
    assert {call.phase for call in double.calls} == {*ROUTES, "refunds"}
    for call in double.calls:
        if call.phase in ROUTES:
            names = {name.split("[")[0] for name in call.form}
            assert names <= taken[ROUTES[call.phase]], call
        if call.method == "POST":
            assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
            assert call.headers["Idempotency-Key"]
        assert call.headers["Authorization"] == f"Bearer {KEY}"
    queries = {
        c.path.split("?")[1].split("=")[0] for c in double.calls if c.phase == "refunds" and "?" in c.path
    }
    assert queries <= taken["GET", "/v1/refunds"]


def test_our_table_of_parameters_is_the_specifications():
    path = ROOT.parent / "shared" / "schemas" / f"stripe_spec3_{SPECIFICATION}.json.gz"
    taken = table()
    assert set(taken) >= set(ROUTES.values()) | {("GET", "/v1/refunds"), ("GET", "/v1/refunds/{refund}")}
    if not path.exists():
        return  # the whole specification is compared where it is at hand
    document = json.loads(gzip.decompress(path.read_bytes()))
    assert document["info"]["version"] == SPECIFICATION
    for (method, route), names in taken.items():
        operation = document["paths"][route][method.lower()]
        form = operation.get("requestBody", {}).get("content", {})
        schema = form.get("application/x-www-form-urlencoded", {}).get("schema", {})
        said = set(schema.get("properties", {}))
        said |= {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        assert names == said, route


@pytest.mark.parametrize(
    "kind", ["reset_before", "reset_after", "timeout", "500_after", "garbage", "429", "409"]
)
def test_no_clear_answer_is_unknown_never_a_refusal(double: Double, kind: str):
    double.hang = 1.0
    double.fail(kind, "create")
    with pytest.raises(GatewayUnknown):
        client(double, timeout=0.4).create_intent(uuid.uuid4(), 500, "pm_card_visa", "FK-1")


def test_a_decline_and_a_wrong_request_are_refusals_with_the_gateways_word(double: Double):
    gateway, attempt = client(double), uuid.uuid4()
    intent = gateway.create_intent(attempt, 500, "pm_card_visa", "FK-1")
    double.declines = True
    with pytest.raises(GatewayRefused, match="card_declined") as caught:
        gateway.confirm_intent(attempt, intent.id, "pm_card_visa", "")
    assert caught.value.status == 402
    with pytest.raises(GatewayRefused, match="resource_missing"):
        gateway.read_intent("pi_absent")
    assert gateway.read_intent(intent.id).failure_code == "insufficient_funds"


def test_the_same_key_answers_the_same_intent(double: Double):
    gateway, attempt = client(double), uuid.uuid4()
    first, again = (gateway.create_intent(attempt, 500, "pm_card_visa", "FK-1") for _ in range(2))
    assert first == again
    assert len(double.intents) == 1


def test_a_silent_gateway_is_left_in_time(double: Double):
    double.hang = 30.0
    double.fail("never", "create")
    started = time.monotonic()
    with pytest.raises(GatewayUnknown):
        client(double, timeout=0.5).create_intent(uuid.uuid4(), 500, "pm_card_visa", "FK-1")
    assert time.monotonic() - started < 20


def test_the_breaker_opens_after_five_failures_and_lets_one_probe_through():
    moment = [100.0]
    guard = Guard(Breaker(clock=lambda: moment[0]))

    def fails() -> None:
        with guard.call():
            raise GatewayUnknown

    for _ in range(4):
        with pytest.raises(GatewayUnknown):
            fails()
    moment[0] += 11
    with pytest.raises(GatewayUnknown):
        fails()  # the first four are forgotten
    assert not guard.breaker.is_open()
    for _ in range(4):
        with pytest.raises(GatewayUnknown):
            fails()
    assert guard.breaker.is_open()
    with pytest.raises(GatewayClosed):
        fails()
    moment[0] += 5
    with guard.call(), pytest.raises(GatewayClosed):  # one probe at a time
        guard.breaker.enter()
    assert not guard.breaker.is_open()
    for _ in range(5):
        with pytest.raises(GatewayUnknown):
            fails()
    moment[0] += 5
    with pytest.raises(GatewayUnknown):
        fails()
    assert guard.breaker.is_open()


def test_a_refusal_is_an_answer_and_opens_nothing():
    guard = Guard()
    for _ in range(20):
        with pytest.raises(GatewayRefused), guard.call():
            raise GatewayRefused("no", 400)
    assert not guard.breaker.is_open()


def test_at_most_a_quarter_of_the_threads_wait_for_the_gateway():
    assert serving.threads / 4 >= AT_ONCE
    guard = Guard()
    with guard.call(), pytest.raises(GatewayClosed), guard.call():
        raise AssertionError("there was no place left")
    with guard.call():
        pass
