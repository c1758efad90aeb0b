"""Consignment by hand: sent by a seller's form, counted and taken over by the shop's, printed, and taken back."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from tests.channels.sending import SHOP, Sender
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import Visitor


@pytest.fixture(scope="module")
def seller(app: Flask) -> Visitor:
    return Visitor(app, "coop.seller")


@pytest.fixture(scope="module")
def partner(app: Flask) -> Visitor:
    return Visitor(app, "tianjin.partner")


@pytest.fixture(scope="module")
def sender(app: Flask) -> Sender:
    return Sender(app)


def address_of_form(seller: Visitor) -> str:
    found = re.search(r'href="(/sell/channels/[0-9a-f-]+/send)"', seller.get("/sell/consignments"))
    assert found is not None
    return found[1]


def rows(lots: list[str], *packs: str) -> dict[str, str]:
    named = zip(lots, packs, strict=True)
    return {
        name: value
        for code, n in named
        for name, value in ((f"lines-{code}-trace_code", code), (f"lines-{code}-quantity", n))
    }


def test_a_seller_sends_by_form_and_the_shop_counts_and_takes_over(
    seller: Visitor, partner: Visitor, sender: Sender
) -> None:
    form = address_of_form(seller)
    shown = seller.get(form)
    codes = [lot["trace_code"] for lot in sender.lots()][:3]
    assert SHOP in shown
    assert all(f'name="lines-{code}-quantity"' in shown for code in codes)

    refused = seller.post(form, 409, **rows(codes, "100000", "", "7")).get_data(as_text=True)
    assert 'value="100000"' in refused
    assert 'value="7"' in refused
    nothing = seller.post(form, 422, **rows(codes, "", "0", "")).get_data(as_text=True)
    assert "至少写一行" in nothing

    key = {"_once": "a" * 32}
    first = seller.post(form, **rows(codes, "12", "", "5"), **key)
    again = seller.post(form, **rows(codes, "12", "", "5"), **key)
    assert (first.status_code, first.headers["Location"]) == (303, again.headers["Location"])
    own = first.headers["Location"]
    number = re.search(r"SH-\d{4}-\d{6}", seller.get(own))
    assert number is not None
    assert seller.get("/sell/consignments").count(number[0]) == 1
    assert "没有这样的送货单" in seller.get("/sell/consignments?state=cancelled")

    waiting = partner.get("/portal/stock")
    assert waiting.count(number[0]) == 2
    assert "门店里没有代销的货" in waiting
    taking = f"/portal/consignments/{own.rpartition('/')[2]}"
    page = partner.get(taking)
    assert page.count('value="12"') == 1
    assert page.count('value="5"') == 1
    kept = partner.post(taking, 422, **taken(sorted([codes[0], codes[2]]), codes, "13", "")).get_data(
        as_text=True
    )
    assert 'value="13"' in kept
    done = partner.post(taking, **taken(sorted([codes[0], codes[2]]), codes, "11", "5"))
    assert (done.status_code, done.headers["Location"]) == (303, "/portal/stock")

    stock = partner.get("/portal/stock")
    assert "没有在路上的货" in stock
    assert "<b>11</b>" in stock
    table = sheet_rows(partner.client.get("/portal/stock?format=xlsx").data)
    assert sum(int(row[6]) for row in table if row[0] == SHOP) == 16
    assert "退回 </span>1</td>" in seller.get(own)
    for sort in ("number", "-seller", "sent_at", "unknown"):
        assert number[0] in partner.get(f"/portal/consignments?sort={sort}")
    assert number[0] in seller.get("/sell/consignments?sort=-shop")
    fewest = sheet_rows(partner.client.get("/portal/stock?format=xlsx&sort=quantity").data)
    assert [int(row[6]) for row in fewest if row[0] == SHOP] == [5, 11]
    assert "点收" not in partner.get(taking)
    files = [
        sheet_rows(visitor.client.get(f"{address}?format=xlsx").data)
        for visitor, address in ((seller, "/sell/consignments"), (partner, "/portal/consignments"))
    ]
    lots = [row[9:11] for row in files[0] if row[0] == number[0]]
    assert sorted(lots) == [["12", "11"], ["5", "5"]]
    assert [row for row in files[1] if row[0] == number[0]] == [
        row for row in files[0] if row[0] == number[0]
    ]
    none = sheet_rows(seller.client.get("/sell/consignments?format=xlsx&state=cancelled").data)
    assert none[-1][0] == "送货单号"


def taken(sent: list[str], codes: list[str], first: str, third: str) -> dict[str, str]:
    """The form of taking over, in the order in which the lots were sent."""
    packs = {codes[0]: first, codes[2]: third}
    return {
        name: value
        for n, code in enumerate(sent)
        for name, value in ((f"lines-{n}-trace_code", code), (f"lines-{n}-accepted_quantity", packs[code]))
    }


def test_what_is_on_the_way_is_printed_and_taken_back(
    app: Flask, seller: Visitor, partner: Visitor, sender: Sender
) -> None:
    sent = sender.send(4)
    own = f"/sell/consignments/{sent['id']}"
    for reader in (seller, partner):
        note = reader.client.get(f"/papers/consignments/{sent['id']}/note.pdf")
        assert (note.status_code, note.mimetype, note.data[:5]) == (200, "application/pdf", b"%PDF-")
    assert SHOP in seller.get(f"{own}/cancel")
    assert seller.post(f"{own}/cancel").headers["Location"] == own
    seller.post(f"{own}/cancel", 409)
    assert "不能撤回" in seller.get(f"{own}/cancel")
    assert "已撤回" in partner.get(f"/portal/consignments/{sent['id']}")

    other, channel = Visitor(app, "coop2.seller"), Visitor(app, "tianjin2.partner")
    other.get(own, 404)
    other.get(f"{own}/cancel", 404)
    channel.get(f"/portal/consignments/{sent['id']}", 404)
    channel.get(f"/papers/consignments/{sent['id']}/note.pdf", 404)
    assert sent["number"] not in other.get("/sell/consignments")
    assert sent["number"] not in channel.get("/portal/consignments")


def test_a_shop_that_carries_nothing_of_a_seller_is_not_his_to_send_to(app: Flask, seller: Visitor) -> None:
    Visitor(app, "coop2.seller").get(address_of_form(seller), 404)
    seller.get("/sell/channels/00000000-0000-7000-8000-000000000000/send", 404)
    seller.get("/portal/stock", 403)
