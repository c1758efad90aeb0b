"""The seller's products by page: list one, its ladder and certifications, to the office and back, off the shelf."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from tests.desks.trading import SignIn, Trader, Visitor


@pytest.fixture(scope="module")
def trader(app: Flask, sign_in: SignIn) -> Trader:
    return Trader(app, sign_in)


@pytest.fixture(scope="module")
def seller(app: Flask) -> Visitor:
    return Visitor(app, "coop.seller")


def wish(sku: str, **changes: str) -> dict[str, Any]:
    return {
        "sku": sku, "name": "静宁苹果", "family": "苹果", "spec": "红富士 70# 二级 10公斤", "category_code": "010301",
        "county_code": "620826", "pack_unit": "箱", "net_g": "10", "priced_by": "pack", "min_order_quantity": "2",
        "order_multiple": "2", "price_ladder-0-min_quantity": "2", "price_ladder-0-price_fen": "66.50",
        "price_ladder-1-min_quantity": "50", "price_ladder-1-price_fen": "62", "storage": "0-4℃冷藏",
        "certifications-0-scheme": "green", "certifications-0-number": "LB-18-1",
        "certifications-0-valid_until": "2028-09-30",
    } | changes  # fmt: skip


def new_product(seller: Visitor, sku: str, **changes: str) -> str:
    answer = seller.post("/sell/products/new", **wish(sku, **changes))
    return str(answer.location.rsplit("/", 1)[1])


def shown(trader: Trader, product: str) -> dict[str, Any]:
    return dict(trader.call("GET", f"/my/products/{product}", "coop.seller"))


@pytest.mark.parametrize("path", ["/sell/products", "/sell/products/new", "/sell/products?sort=-price"])
def test_a_page_of_products_is_the_sellers_alone(app: Flask, seller: Visitor, path: str) -> None:
    seller.get(path)
    Visitor(app, "canteen.buyer").get(path, 403)


def test_a_product_is_listed_as_it_was_typed(trader: Trader, seller: Visitor) -> None:
    product = shown(trader, new_product(seller, "XS-1"))
    assert product["state"] == "draft"
    assert product["pack"] == {"unit": "箱", "net_g": 10_000}
    assert product["price_ladder"] == [
        {"min_quantity": 2, "price_fen": 6650},
        {"min_quantity": 50, "price_fen": 6200},
    ]
    assert product["certifications"] == [
        {"scheme": "green", "number": "LB-18-1", "valid_until": "2028-09-30"}
    ]


def test_a_refused_product_keeps_its_rows_and_says_where(trader: Trader, seller: Visitor) -> None:
    fields = wish("XS-2", **{"price_ladder-1-price_fen": "70", "net_g": "十"})
    page = seller.post("/sell/products/new", 422, **fields).get_data(as_text=True)
    assert 'href="#f-net_g"' in page
    assert 'value="十"' in page
    assert 'value="LB-18-1"' in page
    page = seller.post("/sell/products/new", 422, **(fields | {"net_g": "10"})).get_data(as_text=True)
    assert 'href="#f-price_ladder-1-price_fen"' in page
    names = [p["sku"] for p in trader.call("GET", "/my/products?limit=100", "coop.seller")["items"]]
    assert "XS-2" not in names


def test_one_more_step_is_added_without_a_script(seller: Visitor) -> None:
    page = seller.post("/sell/products/new", 200, **wish("XS-3", _more="price_ladder")).get_data(as_text=True)
    assert 'name="price_ladder-2-price_fen"' in page
    assert 'value="66.50"' in page


def test_a_draft_is_edited_submitted_refused_and_submitted_again(trader: Trader, seller: Visitor) -> None:
    product = new_product(seller, "XS-4", season="10月")
    emptied = {f"certifications-0-{part}": "" for part in ("scheme", "number", "valid_until")}
    changes = {**wish("XS-4"), **emptied, "season": "", "name": "静宁红富士"}
    del changes["sku"]
    seller.post(f"/sell/products/{product}/edit", **changes)
    after = shown(trader, product)
    assert (after["name"], after["season"], after["certifications"]) == ("静宁红富士", None, [])
    seller.post(f"/sell/products/{product}/submit")
    assert "这时不能改" in seller.get(f"/sell/products/{product}/edit")
    trader.call("POST", f"/products/{product}/refuse", "county.office", {"reason": "产地证明不清楚"})
    page = seller.get(f"/sell/products/{product}")
    assert "产地证明不清楚" in page
    seller.post(f"/sell/products/{product}/submit")
    assert shown(trader, product)["state"] == "submitted"


def test_on_the_shelf_only_the_terms_may_change(trader: Trader, seller: Visitor) -> None:
    product = new_product(seller, "XS-5")
    seller.post(f"/sell/products/{product}/submit")
    trader.call("POST", f"/products/{product}/recognise", "county.office")
    page = seller.get(f"/sell/products/{product}/edit")
    assert 'name="price_ladder-0-price_fen"' in page
    assert 'name="name"' not in page
    version = re.search(r'name="_version" value="(\d+)"', page)
    assert version is not None
    terms = {
        "_version": version[1], "min_order_quantity": "2", "order_multiple": "2", "storage": "0-4℃冷藏",
        "price_ladder-0-min_quantity": "2", "price_ladder-0-price_fen": "60",
    }  # fmt: skip
    seller.post(f"/sell/products/{product}/edit", **terms)
    assert shown(trader, product)["price_ladder"] == [{"min_quantity": 2, "price_fen": 6000}]
    # The same page from before, in another tab: somebody changed the product meanwhile.
    seller.post(f"/sell/products/{product}/edit", 412, **(terms | {"price_ladder-0-price_fen": "59"}))
    assert shown(trader, product)["price_ladder"] == [{"min_quantity": 2, "price_fen": 6000}]


def test_a_product_is_taken_off_the_shelf_with_a_reason(trader: Trader, seller: Visitor) -> None:
    product = new_product(seller, "XS-6")
    seller.post(f"/sell/products/{product}/submit")
    trader.call("POST", f"/products/{product}/recognise", "county.office")
    seller.post(f"/sell/products/{product}/withdraw", 422, reason="")
    seller.post(f"/sell/products/{product}/withdraw", reason="卖完了")
    assert shown(trader, product)["state"] == "withdrawn"
    assert "卖完了" in seller.get(f"/sell/products/{product}")


def test_another_sellers_product_is_absent(app: Flask, trader: Trader, seller: Visitor) -> None:
    product, other = new_product(seller, "XS-7"), Visitor(app, "coop2.seller")
    for end in ("", "/edit", "/submit", "/withdraw"):
        other.get(f"/sell/products/{product}{end}", 404)
    for end in ("/edit", "/submit", "/withdraw"):
        other.post(f"/sell/products/{product}{end}", 404, reason="x", name="别人的")
    assert shown(trader, product)["state"] == "draft"


def test_products_are_downloaded(seller: Visitor) -> None:
    answer = seller.client.get("/sell/products?format=xlsx")
    assert answer.mimetype.endswith("spreadsheetml.sheet")
