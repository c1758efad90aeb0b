"""The buy box of the shop window: for buyers alone, and into their basket."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from marketplace.catalog.listing import Filters, list_products
from marketplace.database import db
from tests.desks.trading import Visitor


@pytest.fixture(scope="module")
def things(app: Flask) -> dict[str, Any]:
    with app.app_context():
        return {
            "apple": list_products(db.session(), Filters(q="静宁苹果", sort="price"), limit=1)["items"][0]
        }


def test_only_buyers_see_a_buy_box(app: Flask, things: dict[str, Any]) -> None:
    path = f"/products/{things['apple']['id']}"
    for user, shown in (("canteen.buyer", True), ("canteen.manager", False), ("county.office", False)):
        for page in (path, "/products"):
            text = Visitor(app, user).get(page)
            assert ('action="/buy/basket/add"' in text) is shown, (user, page)


def test_the_buy_box_puts_packs_into_the_basket(app: Flask, things: dict[str, Any]) -> None:
    buyer = Visitor(app, "canteen.buyer")
    text = buyer.get(f"/products/{things['apple']['id']}")
    once = re.search(r'action="/buy/basket/add".*?name="_once" value="([0-9a-f]{32})"', text, re.DOTALL)
    assert once
    fields = {"product_id": things["apple"]["id"], "quantity": "21", "unit": "jin", "_once": once[1]}
    buyer.post("/buy/basket/add", **fields)
    assert things["apple"]["name"] in buyer.get("/buy/basket")


def test_who_adds_from_a_list_stays_on_the_list(app: Flask, things: dict[str, Any]) -> None:
    buyer = Visitor(app, "canteen.buyer")
    text = buyer.get("/products?q=pg&county=620826")
    box = re.search(r'action="/buy/basket/add">.*?</form>', text, re.DOTALL)
    assert box
    fields = dict(re.findall(r'name="(\w+)"[^>]* value="([^"]*)"', box[0]))
    assert fields["_next"] == "/products?q=pg&amp;county=620826"
    fields = {**fields, "_next": "/products?q=pg&county=620826", "unit": "pack"}
    answer = buyer.post("/buy/basket/add", **fields)
    assert answer.headers["Location"] == "/products?q=pg&county=620826"
    assert "已放进采购单" in buyer.get("/products?q=pg&county=620826")
