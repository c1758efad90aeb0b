"""The poverty office keeps the channels' terms by API; what it sets is what the channel's programs read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from marketplace.clock import today
from tests.channels.partner import Program, order_body

SignIn = Callable[[str], dict[str, str]]


@pytest.fixture
def office(app: Flask, sign_in: SignIn) -> Callable[..., Any]:
    headers = sign_in("county.office")

    def call(method: str, path: str, body: object = None, status: int = 200) -> Any:
        answer = app.test_client().open(f"/api/v1/channels{path}", method=method, json=body, headers=headers)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()

    return call


def test_the_office_reads_every_channel_with_its_terms(office: Callable[..., Any]) -> None:
    items = office("GET", "")["items"]

    assert [i["code"] for i in items] == ["ORG-CH-HX", "ORG-CH-JN", "ORG-CH-WQ"]
    wuqing = items[2]
    assert [c["code"] for c in wuqing["counties"]] == ["620821", "620826"]
    assert [a["pattern"] for a in wuqing["agreements"]] == ["consignment", "wholesale"]
    assert wuqing["items"] == 14
    page = office("GET", "/ORG-CH-WQ/items?limit=100")
    assert len(page["items"]) == 14
    assert page["items"][0]["prices"] != []
    office("GET", "/ORG-COOP-01/items", status=404)


def test_what_the_office_agrees_is_what_a_channel_orders_at(app: Flask, office: Callable[..., Any]) -> None:
    program = Program(app, "tianjin2.partner")
    apple = next(
        p
        for p in app.test_client().get("/api/v1/products?limit=100").get_json()["items"]
        if p["sku"] == "PL-0001"
    )
    program.get(f"/catalogue/{apple['id']}", 404)
    office("POST", "/ORG-CH-JN/price-lists", {"code": "TJ-JN-SPRING", "name": "春季价"}, 201)
    terms = {
        "pattern": "wholesale", "price_list_code": "TJ-JN-SPRING", "order_cut_off": "18:00", "lead_days": 1,
        "confirm_within_h": 12, "ship_within_h": 24, "period_end_day": 31, "due_days": 10,
        "valid_from": today().isoformat(),
    }  # fmt: skip
    office("POST", "/ORG-CH-JN/agreements", terms | {"price_list_code": "TJ-WQ-2026"}, 422)
    office("POST", "/ORG-CH-JN/agreements", terms | {"pattern": "drop_ship"}, 422)
    office("POST", "/ORG-CH-JN/agreements", terms, 201)
    ladder = [{"min_quantity": 1, "price_fen": 3300}, {"min_quantity": 20, "price_fen": 3100}]
    prices = {"price_list_code": "TJ-JN-SPRING", "product_id": apple["id"], "ladder": ladder}
    office("POST", "/ORG-CH-JN/prices", prices | {"ladder": ladder[::-1]}, 422)
    office("POST", "/ORG-CH-JN/prices", prices)
    item = {
        "product_id": apple["id"],
        "partner_sku": "JN-APPLE",
        "box_mm": [400, 300, 200],
        "min_remaining_days": 10,
    }
    office("POST", "/ORG-CH-JN/items", item)

    seen = program.get(f"/catalogue/{apple['id']}")
    assert [(p["valid_from"], p["ladder"]) for p in seen["prices"]] == [(today().isoformat(), ladder)]
    assert (seen["box"]["length_mm"], seen["box"]["height_mm"]) == (400, 200)
    placed = program.post("/orders", order_body("JN-1", [seen], packs=20), 201)
    assert placed["orders"][0]["lines"][0]["unit_price_fen"] == 3100

    office("POST", f"/ORG-CH-JN/items/{apple['id']}/withdraw")
    office("POST", f"/ORG-CH-JN/items/{apple['id']}/withdraw", status=409)
    refused = program.post("/orders", order_body("JN-2", [seen], day=today() + timedelta(days=6)), 422)
    assert refused["errors"][0]["pointer"] == "#/lines/0/partner_sku"
    assert program.get("/orders/JN-1")["state"] == "approved"
