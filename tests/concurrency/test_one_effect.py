"""Two people do the same, or opposite things, at once: one effect, told in one fact, with the stock of that effect."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import psycopg
import pytest
import requests
from flask import Flask
from reportlab.pdfgen.canvas import Canvas

from marketplace.actors import system
from marketplace.clock import today
from marketplace.errors import WrongState
from marketplace.orders.deciding import expire_purchase
from tests.serving import Site, running_site

DELIVER_TO = {"name": "王老师", "phone": "13800000000", "address": "平凉市崆峒区"}
AT_ONCE = 8


@pytest.fixture(scope="module")
def site(app: Flask) -> Iterator[Site]:
    with running_site(app.config["TEST_ENVIRONMENT"]) as site:
        for user in ("canteen.buyer", "canteen.manager", "coop.seller"):
            site.token(user)
        yield site


def at_once(call: Callable[[], requests.Response]) -> list[requests.Response]:
    barrier = Barrier(AT_ONCE)

    def one(_: int) -> requests.Response:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def refusals(answers: list[requests.Response]) -> list[tuple[int, str]]:
    return [(a.status_code, a.json()["type"].rsplit("/", 1)[1]) for a in answers if a.status_code != 200]


def bought(site: Site, portions: int = 1) -> dict[str, Any]:
    """A purchase of the cooperative's cheapest product that awaits approval."""
    seller = site.get("/me", "coop.seller")["organisation"]["id"]
    product = site.get(f"/products?seller={seller}&available=true&sort=price")["items"][0]
    body = {
        "purpose": "canteen",
        "deliver_on": today().isoformat(),
        "deliver_to": DELIVER_TO,
        "lines": [{"product_id": product["id"], "quantity": portions * product["min_order_quantity"]}],
    }
    return dict(site.post("/purchases", "canteen.buyer", body, 201))


def placed(site: Site, portions: int = 1) -> str:
    purchase = bought(site, portions)
    site.post(f"/purchases/{purchase['id']}/approve", "canteen.manager")
    return str(purchase["orders"][0]["id"])


def shipped(site: Site, portions: int = 1) -> tuple[str, list[dict[str, Any]]]:
    """An order that left whole: its id, and what to accept, a line a lot."""
    order_id = placed(site, portions)
    line = site.post(f"/orders/{order_id}/confirm", "coop.seller")["lines"][0]
    order = site.post(
        f"/orders/{order_id}/ship",
        "coop.seller",
        {"lines": [{"line_id": line["id"], "quantity": line["quantity"]}], "carrier": "合作社自送"},
    )
    rows = [row for shipment in order["shipments"] for row in shipment["lines"]]
    return order_id, [
        {"line_id": line["id"], "trace_code": r["trace_code"], "accepted_quantity": r["quantity"]}
        for r in rows
    ]


def facts(owner: psycopg.Connection, subject: str, kind: str) -> int:
    found = owner.execute(
        "select count(*) from fact where subject_id = %s and kind = %s", (subject, kind)
    ).fetchone()
    assert found
    return int(found[0])


def booked(owner: psycopg.Connection, order: str, kind: str) -> list[int]:
    rows = owner.execute(
        "select amount_fen from reserve_entry where order_id = %s and kind = %s", (order, kind)
    )
    return [int(row[0]) for row in rows]


def held(owner: psycopg.Connection, purchase: str) -> tuple[int, int]:
    """Packs of the purchase's lines that are still allocated, and packs that its movements hold."""
    found = owner.execute(
        "select (select sum(a.quantity - a.shipped - a.freed) from allocation a join order_line l on l.id = a.line_id"
        " where l.purchase_id = %s), (select sum(m.reserved_delta) from stock_movement m"
        " join orders o on o.id = m.order_id where o.purchase_id = %s)",
        (purchase, purchase),
    ).fetchone()
    assert found
    return int(found[0]), int(found[1])


def test_an_approval_at_the_end_of_the_hold_meets_the_expiry_in_one_outcome(
    site: Site, owner: psycopg.Connection, app: Flask
) -> None:
    for round_number in range(20):
        purchase = bought(site)
        packs = purchase["orders"][0]["lines"][0]["quantity"]
        end = datetime.now(UTC) + timedelta(milliseconds=60)
        owner.execute("update purchase set hold_until = %s where id = %s", (end, purchase["id"]))

        def expire(purchase: dict[str, Any] = purchase, end: datetime = end) -> bool:
            with app.app_context():
                while datetime.now(UTC) < end:
                    time.sleep(0.0005)
                try:
                    return expire_purchase(system(), purchase["id"])
                except WrongState:
                    return False

        def approve(
            purchase: dict[str, Any] = purchase, end: datetime = end, early: int = round_number
        ) -> requests.Response:
            while datetime.now(UTC) < end - timedelta(milliseconds=1.5 * early):
                time.sleep(0.0005)
            return site.call("POST", f"/purchases/{purchase['id']}/approve", "canteen.manager")

        with ThreadPoolExecutor(2) as pool:
            expiring, approving = pool.submit(expire), pool.submit(approve)
            expired, answer = expiring.result(), approving.result()

        state = owner.execute("select state from purchase where id = %s", (purchase["id"],)).fetchone()[0]
        told = [facts(owner, purchase["id"], f"purchase.{end}") for end in ("approved", "expired")]
        if answer.status_code == 200:
            assert (expired, state, told) == (False, "approved", [1, 0])
            assert held(owner, purchase["id"]) == (packs, packs)
        else:
            assert refusals([answer])[0] in [(409, "hold-expired"), (409, "wrong-state")]
            if not expired:  # The approval held the row while the expiry asked: the next sweep ends it.
                with app.app_context():
                    assert expire_purchase(system(), purchase["id"])
                state, told = "expired", [0, 1]
            assert (state, told) == ("expired", [0, 1])
            assert held(owner, purchase["id"]) == (0, 0)


def test_cancelling_and_expiry_at_once_set_the_packs_free_once(
    site: Site, owner: psycopg.Connection, app: Flask
) -> None:
    for _ in range(5):
        purchase = bought(site)
        packs = purchase["orders"][0]["lines"][0]["quantity"]
        assert held(owner, purchase["id"]) == (packs, packs)
        owner.execute(
            "update purchase set hold_until = now() - interval '1 second' where id = %s", (purchase["id"],)
        )
        barrier = Barrier(AT_ONCE)

        def end(number: int, purchase: dict[str, Any] = purchase, barrier: Barrier = barrier) -> None:
            barrier.wait()
            if number % 2:
                site.call(
                    "POST", f"/purchases/{purchase['id']}/cancel", "canteen.buyer", json={"reason": "不要了"}
                )
                return
            with app.app_context():
                try:
                    expire_purchase(system(), purchase["id"])
                except WrongState:
                    return

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(end, range(AT_ONCE)))

        told = [facts(owner, purchase["id"], f"purchase.{end}") for end in ("cancelled", "expired")]
        assert sorted(told) == [0, 1]
        assert held(owner, purchase["id"]) == (0, 0)


def test_of_eight_confirmations_at_once_one_counts(site: Site, owner: psycopg.Connection) -> None:
    order_id = placed(site)

    answers = at_once(lambda: site.call("POST", f"/orders/{order_id}/confirm", "coop.seller"))

    assert refusals(answers) == [(409, "wrong-state")] * 7
    goods_fen = next(a for a in answers if a.status_code == 200).json()["goods_fen"]
    assert facts(owner, order_id, "order.confirmed") == 1
    assert booked(owner, order_id, "ordered") == [goods_fen]


def test_of_eight_acceptances_at_once_one_counts(site: Site, owner: psycopg.Connection) -> None:
    order_id, lines = shipped(site)
    body = {"inspectors": ["李师傅", "王老师"], "lines": lines}

    answers = at_once(lambda: site.call("POST", f"/orders/{order_id}/accept", "canteen.buyer", json=body))

    assert refusals(answers) == [(409, "wrong-state")] * 7
    accepted = next(a for a in answers if a.status_code == 200).json()
    assert accepted["accepted_fen"] == accepted["goods_fen"]
    assert facts(owner, order_id, "order.accepted") == 1
    assert booked(owner, order_id, "accepted") == [accepted["goods_fen"]]


def test_parts_accepted_at_once_never_add_up_to_more_than_came(site: Site, owner: psycopg.Connection) -> None:
    """Eight times a third: three parts are taken over, the fourth would be more than came."""
    order_id, lines = shipped(site, 3)
    came = sum(line["accepted_quantity"] for line in lines)
    first = {**lines[0], "accepted_quantity": lines[0]["accepted_quantity"] // 3}
    body = {"inspectors": ["李师傅", "王老师"], "lines": [first]}
    fit = lines[0]["accepted_quantity"] // first["accepted_quantity"]

    answers = at_once(lambda: site.call("POST", f"/orders/{order_id}/accept", "canteen.buyer", json=body))

    assert [a.status_code for a in answers].count(200) == fit
    assert {status for status, _ in refusals(answers)} <= {409, 422}
    assert facts(owner, order_id, "order.accepted") == fit
    taken = owner.execute(
        "select sum(accepted_quantity) from order_line where order_id = %s", (order_id,)
    ).fetchone()
    assert taken[0] == fit * first["accepted_quantity"] <= came


def test_of_eight_confirmations_of_a_payment_one_counts(site: Site, owner: psycopg.Connection) -> None:
    order_id, lines = shipped(site)
    fen = site.post(
        f"/orders/{order_id}/accept", "canteen.buyer", {"inspectors": ["李师傅", "王老师"], "lines": lines}
    )["accepted_fen"]
    _checked_invoice(site, order_id, fen)
    payment = site.post(
        "/payments", "canteen.buyer", {"method": "transfer", "orders": [{"order_id": order_id}]}, 201
    )
    site.post(
        f"/payments/{payment['id']}/slips",
        "canteen.buyer",
        {
            "amount_fen": fen,
            "paid_on": today().isoformat(),
            "bank_reference": "HLX-ONE-EFFECT",
            "payer_name": "国库",
        },
        201,
    )

    answers = at_once(lambda: site.call("POST", f"/payments/{payment['id']}/confirm", "coop.seller"))

    assert refusals(answers) == [(409, "wrong-state")] * 7
    assert facts(owner, payment["id"], "payment.confirmed") == 1
    assert booked(owner, order_id, "paid") == [fen]
    paid = owner.execute("select paid_fen, payment_state from orders where id = %s", (order_id,)).fetchone()
    assert paid == (fen, "paid")


def _checked_invoice(site: Site, order_id: str, fen: int) -> None:
    paper = io.BytesIO()
    canvas = Canvas(paper)
    canvas.drawString(72, 720, "invoice")
    canvas.save()
    document = site.call(
        "POST",
        "/documents",
        "coop.seller",
        files={"file": ("invoice.pdf", paper.getvalue(), "application/pdf")},
        data={"kind": "invoice"},
    ).json()
    invoice = site.post(
        "/invoices",
        "coop.seller",
        {"number": "26627000000087654321", "kind": "digital_ordinary", "issued_on": today().isoformat(),
         "amount_fen": fen, "tax_free": True, "orders": [{"order_id": order_id, "amount_fen": fen}],
         "document_id": document["id"]},
        201,
    )  # fmt: skip
    site.post(f"/invoices/{invoice['id']}/check", "canteen.buyer")


def test_after_all_races_every_table_says_what_the_facts_say(app: Flask) -> None:
    checked = app.test_cli_runner().invoke(args=["verify"])
    assert checked.exit_code == 0, checked.output
