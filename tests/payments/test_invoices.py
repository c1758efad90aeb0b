"""Invoices through the services on a real database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import count
from threading import Barrier

import pytest

from marketplace.documents.models import DocumentKind
from marketplace.errors import Conflict, Forbidden, NotFound, PreconditionFailed, RuleViolation, WrongState
from marketplace.orders.states import OrderState
from marketplace.payments import queries, service
from marketplace.payments.service import OrderAmount
from marketplace.payments.states import InvoiceDocState, InvoiceKind
from tests.payments.factory import counts, facts, order_row

_serial = count(1)


def fresh_number():
    return f"2662{next(_serial):016d}"


def issue(world, *orders, actor="seller", **changes):
    asked = [o if isinstance(o, OrderAmount) else OrderAmount(o.id) for o in orders]
    values = {
        "number": fresh_number(),
        "kind": InvoiceKind.DIGITAL_ORDINARY,
        "issued_on": date(2026, 11, 23),
        "amount_fen": 45_000,
        "tax_free": True,
        "orders": asked,
        **changes,
    }
    if "document_id" not in values:
        values["document_id"] = world.document(actor)
    return service.issue_invoice(world.actor(actor), **values).result


def refused(kind, slug, world, *orders, **changes):
    before, rows_before = counts(), [order_row(o.id) for o in orders if not isinstance(o, OrderAmount)]
    with pytest.raises(kind) as caught:
        issue(world, *orders, **changes)
    assert caught.value.code == slug
    assert counts() == before
    assert [order_row(o.id) for o in orders if not isinstance(o, OrderAmount)] == rows_before
    return caught.value


def test_an_invoice_covers_what_was_accepted_and_names_the_payer(world):
    order = world.order([(4500, 10)])
    number = fresh_number()
    document = world.document("seller")
    seen = issue(world, order, number=f" {number[:10]} {number[10:]}", document_id=document)
    assert (seen["number"], seen["state"], seen["amount_fen"]) == (number, InvoiceDocState.ISSUED, 45_000)
    assert (seen["buyer_title"], seen["buyer_tax_number"]) == ("抬头canteen", "TAXCANTEEN")
    assert seen["orders"] == [{"order_id": order.id, "number": order.number, "amount_fen": 45_000}]
    assert order_row(order.id) == {
        "invoice_state": "issued",
        "payment_state": "none",
        "accepted_fen": 45_000,
        "invoiced_fen": 45_000,
        "payment_opened_fen": 0,
        "paid_fen": 0,
        "version": 2,
    }
    (fact,) = facts(seen["id"])
    assert fact["kind"] == "invoice.issued"
    assert fact["parties"] == sorted(str(world.organisations[n]) for n in ("buyer", "seller"))
    assert fact["data"] == {
        "number": number,
        "kind": "digital_ordinary",
        "issued_on": "2026-11-23",
        "amount_fen": 45_000,
        "tax_free": True,
        "seller": str(world.organisations["seller"]),
        "buyer": str(world.organisations["buyer"]),
        "orders": [{"order": str(order.id), "amount_fen": 45_000}],
        "document": str(document),
        "sha256": f"{document.int:064x}",
    }


def test_one_invoice_covers_parts_of_several_orders_of_one_payer(world):
    first, second = world.order([(100, 10)]), world.order([(200, 10)])
    seen = issue(world, OrderAmount(first.id, 400), second, amount_fen=2_400)
    assert sorted(o["amount_fen"] for o in seen["orders"]) == [400, 2_000]
    assert (order_row(first.id)["invoiced_fen"], order_row(second.id)["invoiced_fen"]) == (400, 2_000)
    rest = issue(world, first, amount_fen=600)
    assert rest["orders"][0]["amount_fen"] == 600
    refused(Conflict, "nothing-left", world, first, amount_fen=600)


def test_an_order_that_was_not_accepted_gets_no_invoice(world):
    order = world.order(accepted=[0], state=OrderState.SHIPPED, accepted_on=None)
    refused(Conflict, "nothing-accepted", world, order)


def test_no_more_is_invoiced_than_was_accepted(world):
    order = world.order([(4500, 10)], accepted=[40_000], state=OrderState.PART_ACCEPTED)
    error = refused(Conflict, "above-accepted", world, OrderAmount(order.id, 40_001), amount_fen=40_001)
    assert error.data == {"order": str(order.id), "asked_fen": 40_001, "left_fen": 40_000}
    assert order_row(order.id)["invoiced_fen"] == 0


def test_orders_of_two_payers_or_two_sellers_share_no_invoice(world):
    canteen, union = world.order(), world.order(profile="union")
    refused(RuleViolation, "one-payer", world, canteen, union, amount_fen=90_000)
    # Another seller's order is outside the seller's scope altogether.
    refused(NotFound, "not-found", world, canteen, world.order(seller="seller2"), amount_fen=90_000)


def test_the_paper_carries_the_payers_title_and_tax_number(world):
    order = world.order()
    error = refused(
        RuleViolation, "invalid", world, order, buyer_title="抬头union", buyer_tax_number="TAXUNION"
    )
    assert [e["pointer"] for e in error.data["errors"]] == ["#/buyer_title", "#/buyer_tax_number"]
    assert issue(world, order, buyer_title="抬头canteen", buyer_tax_number="taxcanteen")["version"] == 1


def test_an_order_without_a_payer_profile_is_invoiced_to_the_buyer_itself(world):
    seen = issue(world, world.order(profile=None))
    assert (seen["buyer_title"], seen["buyer_tax_number"]) == ("单位buyer", "CREDITbuyer")


def test_an_invoice_is_not_older_than_its_order(world):
    error = refused(RuleViolation, "invalid", world, world.order(), issued_on=date(2026, 11, 9))
    assert [e["pointer"] for e in error.data["errors"]] == ["#/issued_on"]


def test_an_order_is_named_once_on_an_invoice(world):
    order = world.order()
    refused(RuleViolation, "invalid", world, order, order)


def test_a_number_is_used_once_ever_even_when_its_invoice_was_returned(world):
    first, second = world.order(), world.order()
    number = fresh_number()
    used = issue(world, first, number=number)
    assert refused(Conflict, "invoice-number-used", world, second, number=number).data == {"number": number}
    service.return_invoice(world.actor("buyer"), used["id"], reason="税号写错")
    refused(Conflict, "invoice-number-used", world, first, number=number)
    assert issue(world, first)["state"] is InvoiceDocState.ISSUED


def test_a_number_filed_twice_in_parallel_is_taken_once(empty_app, world):
    orders = [world.order(), world.order()]
    number, documents, barrier = fresh_number(), [world.document("seller") for _ in orders], Barrier(2)

    def file(n):
        with empty_app.app_context():
            barrier.wait(5)
            try:
                return issue(world, orders[n], number=number, document_id=documents[n])["state"]
            except Conflict as error:
                return error.code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(file, range(2))) == ["invoice-number-used", "issued"]
    assert sorted(order_row(o.id)["invoiced_fen"] for o in orders) == [0, 45_000]


def test_the_file_must_be_ones_own_invoice_file(world):
    order = world.order()
    refused(NotFound, "not-found", world, order, document_id=world.document("seller2"))
    photo = world.document("seller", DocumentKind.PHOTO)
    refused(RuleViolation, "document-kind", world, order, document_id=photo)


def test_the_buyer_checks_an_invoice_once(world):
    order = world.order()
    seen = issue(world, order)
    checked = service.check_invoice(world.actor("buyer"), seen["id"]).result
    assert (checked["state"], checked["version"]) == (InvoiceDocState.CHECKED, 2)
    assert checked["checked_at"].isoformat() == "2026-11-24T04:00:00+00:00"
    assert order_row(order.id)["invoice_state"] == "checked"
    assert facts(seen["id"])[-1]["kind"] == "invoice.checked"
    assert facts(seen["id"])[-1]["data"] == {
        "number": seen["number"],
        "orders": [{"order": str(order.id), "amount_fen": 45_000}],
    }
    before = counts()
    for act in (
        lambda: service.check_invoice(world.actor("buyer"), seen["id"]),
        lambda: service.return_invoice(world.actor("buyer"), seen["id"], reason="太晚"),
    ):
        with pytest.raises(WrongState):
            act()
    assert counts() == before
    assert order_row(order.id)["version"] == 3


def test_a_returned_invoice_frees_its_amount_and_its_reason_stays_in_the_table(world):
    order = world.order()
    seen = issue(world, order)
    back = service.return_invoice(world.actor("buyer"), seen["id"], reason="找张三重开").result
    assert (back["state"], back["return_reason"]) == (InvoiceDocState.RETURNED, "找张三重开")
    assert order_row(order.id)["invoice_state"] == "returned"
    assert order_row(order.id)["invoiced_fen"] == 0
    fact = facts(seen["id"])[-1]
    assert fact["kind"] == "invoice.returned"
    assert fact["data"]["reason_given"] is True
    assert "张三" not in str(fact)


def test_an_order_is_checked_only_when_checked_invoices_cover_it(world):
    order = world.order()
    half = issue(world, OrderAmount(order.id, 20_000), amount_fen=20_000)
    service.check_invoice(world.actor("buyer"), half["id"])
    assert order_row(order.id)["invoice_state"] == "issued"
    rest = issue(world, order, amount_fen=25_000)
    service.check_invoice(world.actor("buyer"), rest["id"])
    assert order_row(order.id)["invoice_state"] == "checked"


def test_another_tenant_finds_nothing_and_another_role_is_refused(world):
    order = world.order()
    seen = issue(world, order)
    before = counts()
    with pytest.raises(NotFound):
        service.check_invoice(world.actor("buyer2"), seen["id"])
    with pytest.raises(Forbidden):
        service.check_invoice(world.actor("seller"), seen["id"])
    with pytest.raises(Forbidden):
        issue(world, order, actor="buyer")
    with pytest.raises(NotFound):
        issue(world, order, actor="seller2")
    assert counts() == before


def test_a_change_seen_by_nobody_stops_the_check(world):
    seen = issue(world, world.order())
    before = counts()
    with pytest.raises(PreconditionFailed):
        service.check_invoice(world.actor("buyer"), seen["id"], expected_version=2)
    assert counts() == before
    assert service.check_invoice(world.actor("buyer"), seen["id"], expected_version=1).result["version"] == 2


def test_each_side_lists_its_own_invoices(world):
    from marketplace.database import db

    order = world.order(buyer="buyer2", profile="canteen2")
    seen = issue(world, order)

    def listed(name):
        page = queries.list_invoices(db.session(), world.actor(name), order_id=order.id)
        return [item["id"] for item in page["items"]]

    for name in ("buyer2", "seller", "office", "county_office"):
        assert listed(name) == [seen["id"]], name
    for name in ("buyer", "manager", "seller2", "far_office"):
        assert listed(name) == [], name
        with pytest.raises(NotFound):
            queries.invoice_view(db.session(), seen["id"], world.actor(name))
    mine = queries.list_invoices(
        db.session(), world.actor("buyer2"), state=InvoiceDocState.CHECKED, order_id=order.id
    )
    assert mine == {"items": [], "next": None}
