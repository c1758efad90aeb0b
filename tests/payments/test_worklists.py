"""What is left to invoice and to pay, who owes how much, and the order of lists."""

from __future__ import annotations

from datetime import date

import pytest

from marketplace.actors import Actor
from marketplace.clock import today
from marketplace.database import db
from marketplace.errors import NotFound
from marketplace.payments import queries, service, worklists
from marketplace.payments.ledger import OrderAmount
from marketplace.payments.states import InvoiceKind
from tests.payments.factory import World


def left(rows: list[dict[str, object]]) -> dict[object, object]:
    return {row["number"]: row["left_fen"] for row in rows}


def test_an_order_is_left_to_pay_until_a_payment_covers_it(world: World) -> None:
    order = world.order([(4500, 10)], freight_fen=500)
    buyer, seller = world.actor("buyer"), world.actor("seller")
    assert left(worklists.to_pay(db.session(), buyer))[order.number] == 45_500
    assert left(worklists.to_invoice(db.session(), seller))[order.number] == 45_500
    assert order.number not in left(worklists.to_pay(db.session(), world.actor("buyer2")))

    service.open_payment(buyer, orders=[OrderAmount(order.id, 40_000)])
    assert left(worklists.to_pay(db.session(), buyer))[order.number] == 5_500
    service.open_payment(buyer, orders=[OrderAmount(order.id)])
    assert order.number not in left(worklists.to_pay(db.session(), buyer))
    assert left(worklists.to_invoice(db.session(), seller))[order.number] == 45_500


def test_nothing_is_asked_for_what_nobody_accepted(world: World) -> None:
    order = world.order(accepted=[0], freight_fen=500)
    assert order.number not in left(worklists.to_pay(db.session(), world.actor("buyer")))
    assert order.number not in left(worklists.to_invoice(db.session(), world.actor("seller")))


def test_the_invoice_card_names_title_goods_and_orders_of_one_payer(world: World) -> None:
    order, other = world.order([(4500, 10)]), world.order([(100, 3)])
    union = world.order([(100, 3)], profile="union")
    card = worklists.invoice_card(db.session(), world.actor("seller"), order.id)
    assert (card["title"], card["tax_number"]) == ("抬头canteen", "TAXCANTEEN")
    numbers = [row["number"] for row in card["orders"]]
    assert numbers[0] == order.number
    assert other.number in numbers
    assert union.number not in numbers
    assert [line["accepted_fen"] for line in card["lines"] if line["order_id"] == order.id] == [45_000]
    for stranger in ("seller2", "buyer"):
        with pytest.raises(NotFound):
            worklists.invoice_card(db.session(), world.actor(stranger), order.id)


def test_the_choice_of_a_payment_is_the_buyers_alone(world: World) -> None:
    order = world.order()
    choice = worklists.payment_choice(db.session(), world.actor("buyer"), order.id)
    assert choice["orders"][0]["number"] == order.number
    assert choice["payer"] == "抬头canteen"
    for stranger in ("seller", "buyer2"):
        with pytest.raises(NotFound):
            worklists.payment_choice(db.session(), world.actor(stranger), order.id)


def test_a_seller_sees_who_owes_what_since_when(world: World) -> None:
    seller = world.actor("seller2")
    world.order([(1000, 1)], seller="seller2", accepted_on=date(2026, 10, 24))
    late = world.order([(2000, 1)], seller="seller2", accepted_on=date(2026, 10, 25), freight_fen=50)
    (row,) = worklists.owed(db.session(), seller, today())
    # Thirty days after 25 October is 24 November itself, which is not late yet.
    assert {n: row[n] for n in ("orders", "owed_fen", "overdue_fen", "since")} == {
        "orders": 2,
        "owed_fen": 3_050,
        "overdue_fen": 1_000,
        "since": date(2026, 10, 24),
    }
    assert row["claimed_fen"] == 0
    assert late.number in left(worklists.to_invoice(db.session(), seller))
    assert worklists.arrived(db.session(), seller, today()) == {"payments": 0, "paid_fen": 0}


def test_what_arrived_this_month_is_counted_from_its_first_day(world: World) -> None:
    order = world.order([(700, 1)])
    seller = world.actor("seller")
    before = worklists.arrived(db.session(), seller, today())
    paid = service.open_payment(world.actor("buyer"), orders=[OrderAmount(order.id)]).result
    service.file_slip(
        world.actor("buyer"),
        paid["id"],
        amount_fen=700,
        paid_on=today(),
        bank_reference="ARR0001",
        payer_name="财政",
    )
    assert worklists.payment_counts(db.session(), seller)["declared"] >= 1
    service.confirm_payment(seller, paid["id"])
    after = worklists.arrived(db.session(), seller, today())
    assert after == {"payments": before["payments"] + 1, "paid_fen": before["paid_fen"] + 700}
    assert worklists.arrived(db.session(), seller, date(2026, 12, 1))["paid_fen"] == 0


def test_lists_are_sorted_as_asked_and_paged_in_that_order(world: World) -> None:
    buyer = world.actor("buyer")
    for price in (300, 100, 200):
        service.open_payment(buyer, orders=[OrderAmount(world.order([(price, 1)]).id)])
    whole = queries.list_payments(db.session(), buyer, today=today(), sort="amount", limit=100)["items"]
    amounts = [item["amount_fen"] for item in whole]
    assert amounts == sorted(amounts)
    first = queries.list_payments(db.session(), buyer, today=today(), sort="-amount", limit=2)
    second = queries.list_payments(
        db.session(), buyer, today=today(), sort="-amount", limit=2, after=first["next"]
    )
    assert [i["id"] for i in first["items"] + second["items"]] == [i["id"] for i in reversed(whole)][:4]
    newest = queries.list_payments(db.session(), buyer, today=today(), sort="no such thing", limit=1)
    assert newest["items"][0]["amount_fen"] == 200


def test_a_payment_is_found_by_the_remark_of_the_transfer(world: World) -> None:
    buyer, seller = world.actor("buyer"), world.actor("seller")
    paid = service.open_payment(buyer, orders=[OrderAmount(world.order().id)]).result
    service.open_payment(buyer, orders=[OrderAmount(world.order().id)])

    def found(actor: Actor, q: str) -> list[str]:
        return [p["number"] for p in queries.list_payments(db.session(), actor, today=today(), q=q)["items"]]

    code = paid["transfer_code"]
    for typed in (code, code.lower(), f" {code[:4]} {code[4:]} ", paid["number"], paid["number"][-6:]):
        assert found(seller, typed) == [paid["number"]]
    assert found(world.actor("seller2"), code) == []
    assert found(seller, "%") == []
    assert found(seller, "no such thing") == []


def test_an_invoice_is_found_by_the_end_of_its_number(world: World) -> None:
    seller, order = world.actor("seller"), world.order([(900, 1)])
    service.issue_invoice(
        seller,
        number="24622000000012340042",
        kind=InvoiceKind.DIGITAL_ORDINARY,
        issued_on=today(),
        amount_fen=900,
        tax_free=True,
        orders=[OrderAmount(order.id)],
        document_id=world.document("seller"),
    )
    found = queries.list_invoices(db.session(), world.actor("buyer"), q=" 40042")["items"]
    assert [i["number"] for i in found] == ["24622000000012340042"]
    assert queries.list_invoices(db.session(), world.actor("buyer"), q="40043")["items"] == []
