"""Storms over HTTP at the site as it is deployed, with its worker: one effect, and never more back than was captured."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
import requests

from tests.conftest import Server, cloned_app
from tests.faults.gateway_double import Double, running_double, signed
from tests.faults.recovery import worker
from tests.faults.speed import SiteTrader, gateway_settings, open_payments
from tests.serving import Site, running_site


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with running_double() as running:
        yield running


@pytest.fixture(scope="module")
def books(server: Server, seeded_template: str, state_folder: object, double: Double) -> Iterator[tuple]:
    with cloned_app(server, seeded_template, state_folder) as app:  # type: ignore[arg-type]
        env = app.config["TEST_ENVIRONMENT"]
        with (
            running_site({**env, **gateway_settings(double)}) as site,
            worker(app, double),
            psycopg.connect(env["DATABASE_OWNER_URL"], autocommit=True) as owner,
        ):
            yield site, owner


def until(seen: Callable[[], bool], seconds: float = 180.0) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "not seen in time"
        time.sleep(0.1)


def count(owner: psycopg.Connection, statement: str, *values: object) -> int:
    row = owner.execute(statement, values).fetchone()
    assert row is not None
    return int(row[0] or 0)


def test_each_event_three_times_in_any_order_has_one_effect(
    books: tuple[Site, psycopg.Connection], double: Double
) -> None:
    site, owner = books
    payments = open_payments(SiteTrader(site), 6)
    for payment in payments:
        double.fail("500_after", "confirm")
        site.post(f"/payments/{payment}/pay", "canteen.buyer", {}, 202)
    told = list(double.events) * 3
    random.Random(7).shuffle(told)
    known = count(owner, "select count(*) from gateway_event")

    def send(event: dict[str, object]) -> int:
        body, signature = signed(event)
        address = f"{site.base}/webhooks/payments"
        return requests.post(
            address, data=body, headers={"Stripe-Signature": signature}, timeout=120
        ).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = Counter(pool.map(send, told))

    assert answers == {204: len(told)}
    assert count(owner, "select count(*) from gateway_event") == known + len(double.events)
    captured = "select count(*) from payment where state = 'paid' and id = any(%s::uuid[])"
    until(lambda: count(owner, captured, payments) == 6)
    waits = "select count(*) from gateway_event where ended_at is null"
    until(lambda: count(owner, waits) == 0)
    for payment in payments:
        entries = "select count(*) from money_entry where kind = 'payment.captured' and payment_id = %s"
        assert count(owner, entries, payment) == 1
        booked = "select sum(amount_fen) from payment_line where payment_id = %s"
        assert (
            count(owner, booked, payment) == site.get(f"/payments/{payment}", "canteen.buyer")["amount_fen"]
        )
    assert all(i["confirmed"] == 1 for i in double.intents.values())


def test_twenty_refunds_at_once_never_give_back_more_than_was_captured(
    books: tuple[Site, psycopg.Connection], double: Double
) -> None:
    site, owner = books
    (payment,) = open_payments(SiteTrader(site), 1)
    # The gateway failed in the tests before: for a while its callers are told to try again.
    until(
        lambda: site.call(
            *("POST", f"/payments/{payment}/pay", "canteen.buyer"),
            json={}, headers={"Idempotency-Key": str(uuid4())},
        ).status_code == 202
    )  # fmt: skip
    until(lambda: site.get(f"/payments/{payment}", "canteen.buyer")["state"] == "paid")
    captured = site.get(f"/payments/{payment}", "canteen.buyer")["amount_fen"]
    part = captured // 11
    site.token("coop.seller")

    def refund(_: int) -> int:
        return site.call(
            *("POST", f"/payments/{payment}/refunds", "coop.seller"),
            json={"amount_fen": part, "reason": "压坏"},
            headers={"Idempotency-Key": str(uuid4())},
        ).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(refund, range(20)))

    assert answers == {202: 11, 409: 9}
    done = "select count(*) from payment_refund where state = 'refunded' and payment_id = %s"
    until(lambda: count(owner, done, payment) == 11)
    number = site.get(f"/payments/{payment}", "canteen.buyer")["number"]
    (intent,) = double.charges(number)
    assert double.given_back(intent["id"]) == 11 * part <= captured
    refunded = "select sum(refunded_fen) from payment_attempt where payment_id = %s"
    assert count(owner, refunded, payment) == 11 * part
