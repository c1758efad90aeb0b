"""A worker dies, or the server is told to stop, while requests are under way: nothing is done twice, nothing lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg
import pytest
import requests
from flask import Flask

from marketplace.clock import today
from tests.serving import Site, running_site

DELIVER_TO = {"name": "王老师", "phone": "13800000000", "address": "平凉市崆峒区"}
THREADS = 8  # Two workers of four threads each.
DIES = "X-Worker-Dies"  # What `dying` obeys.


@pytest.fixture(scope="module")
def site(app: Flask) -> Iterator[Site]:
    with running_site(app.config["TEST_ENVIRONMENT"], "tests.concurrency.dying:app") as site:
        for user in ("canteen.buyer", "canteen.manager", "coop.seller"):
            site.token(user)
        yield site


def wish(site: Site) -> dict[str, Any]:
    seller = site.get("/me", "coop.seller")["organisation"]["id"]
    product = site.get(f"/products?seller={seller}&available=true&sort=price")["items"][0]
    return {
        "purpose": "canteen",
        "deliver_on": today().isoformat(),
        "deliver_to": DELIVER_TO,
        "lines": [{"product_id": product["id"], "quantity": product["min_order_quantity"]}],
    }


def counted(owner: psycopg.Connection, statement: str, *values: object) -> int:
    found = owner.execute(statement, values).fetchone()
    assert found
    return int(found[0])


def told(owner: psycopg.Connection, kind: str) -> int:
    return counted(owner, "select count(*) from fact where kind = %s", kind)


def sent_until_answered(site: Site, path: str, user: str, key: str, body: Any = None) -> requests.Response:
    """The worker is killed in the middle of it; then as an honest client does: the same again, until it is answered."""
    with pytest.raises(requests.ConnectionError):
        site.call("POST", path, user, json=body, headers={"Idempotency-Key": key, DIES: "1"})
    deadline = time.monotonic() + 60
    while True:
        try:
            return site.call("POST", path, user, json=body, headers={"Idempotency-Key": key})
        except requests.ConnectionError:  # Its connection was in the dead worker's queue.
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_what_a_killed_worker_had_done_is_answered_to_the_same_key_and_done_once(
    site: Site, owner: psycopg.Connection
) -> None:
    body = wish(site)
    held_before = counted(owner, "select sum(reserved) from stock")
    kinds = ("purchase.submitted", "purchase.approved", "order.confirmed")
    before = {kind: told(owner, kind) for kind in kinds}

    bought = sent_until_answered(site, "/purchases", "canteen.buyer", "lost-1", body)
    assert bought.status_code == 201, bought.text
    approved = sent_until_answered(
        site, f"/purchases/{bought.json()['id']}/approve", "canteen.manager", "lost-2"
    )
    order = bought.json()["orders"][0]
    confirmed = sent_until_answered(site, f"/orders/{order['id']}/confirm", "coop.seller", "lost-3")

    assert (approved.status_code, approved.json()["state"]) == (200, "approved"), approved.text
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "confirmed"), confirmed.text
    assert {kind: told(owner, kind) - before[kind] for kind in kinds} == dict.fromkeys(kinds, 1)
    assert counted(owner, "select sum(reserved) from stock") - held_before == order["lines"][0]["quantity"]
    again = site.call("POST", "/purchases", "canteen.buyer", json=body, headers={"Idempotency-Key": "lost-1"})
    assert again.content == bought.content


@contextmanager
def purchases_wait(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Every purchase stands before its insert until the block, or its lock timeout, ends."""
    with psycopg.connect(owner.info.dsn, password=owner.info.password) as holding:
        holding.execute("lock table purchase in share row exclusive mode")
        yield holding


def waiting(owner: psycopg.Connection) -> int:
    """How many stand, one after the other: for the table, or for the stock of whoever stands before it."""
    return counted(
        owner,
        "select count(*) from pg_locks l join pg_stat_activity a using (pid)"
        " where not l.granted and a.datname = current_database()",
    )


def test_a_purchase_that_waits_too_long_is_refused_as_unavailable_and_leaves_nothing(
    site: Site, owner: psycopg.Connection
) -> None:
    body, before = wish(site), told(owner, "purchase.submitted")
    held_before = counted(owner, "select sum(reserved) from stock")
    with purchases_wait(owner):
        answer = site.call(
            "POST", "/purchases", "canteen.buyer", json=body, headers={"Idempotency-Key": "late"}
        )

    assert answer.status_code == 503, answer.text
    assert answer.json()["type"].rsplit("/", 1)[1] == "unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert told(owner, "purchase.submitted") == before
    assert counted(owner, "select sum(reserved) from stock") == held_before
    again = site.call("POST", "/purchases", "canteen.buyer", json=body, headers={"Idempotency-Key": "late"})
    assert again.status_code == 201, again.text
    assert told(owner, "purchase.submitted") == before + 1


def accepted(master: int) -> int:
    """Connections that the workers of a server hold with their callers."""
    held = 0
    for worker in psutil.Process(master).children():
        lines = worker.net_connections("tcp")
        port = next((c.laddr.port for c in lines if c.status == psutil.CONN_LISTEN), None)
        held += sum(c.status == psutil.CONN_ESTABLISHED and c.laddr.port == port for c in lines)
    return held


def test_a_server_that_is_told_to_stop_answers_all_that_it_has_begun(
    app: Flask, owner: psycopg.Connection
) -> None:
    with running_site(app.config["TEST_ENVIRONMENT"]) as site:
        site.token("canteen.buyer")
        body, before = wish(site), told(owner, "purchase.submitted")

        def buy(_: int) -> requests.Response:
            return site.call("POST", "/purchases", "canteen.buyer", json=body)

        # Twice as many as there are threads: the others are read and stand in line.
        with ThreadPoolExecutor(2 * THREADS) as pool:
            with purchases_wait(owner):
                answers: list[Future[requests.Response]] = [
                    pool.submit(buy, number) for number in range(2 * THREADS)
                ]
                deadline = time.monotonic() + 60
                assert site.process is not None
                # What no worker has taken from the listening socket, the system resets: that is not begun.
                while time.monotonic() < deadline and (
                    (under_way := waiting(owner)) < 4 or accepted(site.process.pid) < 2 * THREADS
                ):
                    time.sleep(0.01)
                site.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
                done = [a.exception() or a.result().text for a in answers if a.done()]
                assert done == []
            codes = [answer.result().status_code for answer in answers]
        ended = site.process.wait(60)

    assert under_way >= 4
    assert codes == [201] * (2 * THREADS), site.defects()
    assert ended == 0
    assert told(owner, "purchase.submitted") == before + 2 * THREADS


def test_after_all_losses_every_table_says_what_the_facts_say(app: Flask) -> None:
    checked = app.test_cli_runner().invoke(args=["verify"])
    assert checked.exit_code == 0, checked.output
