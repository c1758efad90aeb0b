"""The portal's orders and webhooks: read, taken away as a table, changed by form, and hidden from other channels."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from flask import Flask

from tests.channels.partner import Program, order_body
from tests.channels.sent import sent_order
from tests.channels.test_orders import pass_the_cut_off
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import Visitor

HOOK = "https://partner.example/hooks"


@pytest.fixture(scope="module")
def partner(app: Flask) -> Visitor:
    return Visitor(app, "tianjin.partner")


@pytest.fixture(scope="module")
def program(app: Flask) -> Program:
    return Program(app)


@pytest.fixture(scope="module")
def item(program: Program) -> dict[str, Any]:
    return next(i for i in program.items() if i["sku"] == "PL-0001")


def new_order(program: Program, item: dict[str, Any], number: str) -> dict[str, Any]:
    return dict(program.post("/orders", order_body(number, [item], packs=3), 201))


def states(program: Program, number: str) -> tuple[str, int, list[str]]:
    """State, cancelled packs, states of the change requests."""
    order = program.get(f"/orders/{number}")
    packs = sum(line["cancelled_quantity"] for part in order["orders"] for line in part["lines"])
    return order["state"], packs, [c["state"] for c in order["changes"]]


def test_the_list_is_filtered_sorted_and_taken_away_as_a_table(
    partner: Visitor, program: Program, item: dict[str, Any]
) -> None:
    for number in ("L-1", "L-2", "L_3"):
        new_order(program, item, number)
    partner.post("/portal/orders/L-2/cancel", reason="不要了")

    assert re.findall(r">(L.\d)</a>", partner.get("/portal/orders?q=L")) == ["L_3", "L-2", "L-1"]
    assert re.findall(r">(L.\d)</a>", partner.get("/portal/orders?q=L-&sort=placed_at")) == ["L-1", "L-2"]
    assert re.findall(r">(L.\d)</a>", partner.get("/portal/orders?q=L_")) == ["L_3"]
    assert re.findall(r">(L.\d)</a>", partner.get("/portal/orders?standing=ended")) == ["L-2"]
    assert "没有这样的订单" in partner.get("/portal/orders?standing=done&q=L-1")
    assert "没有这样的订单" in partner.get("/portal/orders?deliver_to=2020-01-01")
    rows = sheet_rows(partner.client.get("/portal/orders?q=L-&format=xlsx").data)
    assert rows[1][0].startswith("金额为含税货款")
    assert [row[:3:2] for row in rows[-2:]] == [["L-2", "已取消"], ["L-1", "待供应商确认"]]
    assert int(rows[-1][6]) == item["min_order_quantity"] * 3
    assert float(rows[-1][7]) * 100 == program.get("/orders/L-1")["goods_fen"]


def test_an_order_is_reduced_at_once_before_the_cut_off(
    partner: Visitor, program: Program, item: dict[str, Any]
) -> None:
    line = new_order(program, item, "R-1")["orders"][0]["lines"][0]
    fields = {"lines-0-line_id": line["id"], "lines-0-quantity": "1", "_once": "a" * 32}
    shown = partner.get("/portal/orders/R-1/reduce")
    assert "现在改马上生效" in shown

    refused = partner.post("/portal/orders/R-1/reduce", 422, **fields, reason="")
    assert 'value="1"' in refused.get_data(as_text=True)
    assert states(program, "R-1") == ("approved", 0, [])
    partner.post("/portal/orders/R-1/reduce", **fields, reason="少卖")
    partner.post("/portal/orders/R-1/reduce", **fields, reason="少卖")

    assert states(program, "R-1") == ("approved", 1, [])


def test_after_the_cut_off_the_form_asks_the_seller(
    partner: Visitor, program: Program, item: dict[str, Any], owner: psycopg.Connection
) -> None:
    new_order(program, item, "R-2")
    pass_the_cut_off(owner, "R-2")
    assert "每个供应商各自答复" in partner.get("/portal/orders/R-2/cancel")

    partner.post("/portal/orders/R-2/cancel", reason="门店装修")

    assert states(program, "R-2") == ("approved", 0, ["open"])
    assert "待答复" in partner.get("/portal/orders/R-2")
    assert "改单待答复" in partner.get("/portal/orders?q=R-2")


def test_an_order_shows_its_lots_and_gives_their_proofs_to_its_channel_alone(
    app: Flask, partner: Visitor, program: Program
) -> None:
    order = sent_order(app, program, "S-1")
    text = partner.get("/portal/orders/S-1")
    code = order["orders"][0]["shipments"][0]["lines"][0]["trace_code"]
    assert f"/t/{code}" in text
    found = re.findall(r'href="(/portal/orders/S-1/certificates/[0-9a-f-]+)"', text)
    assert len(found) == len(order["orders"][0]["certificates"]) > 0

    answer = partner.client.get(found[0])

    assert (answer.status_code, answer.headers["Content-Disposition"][:10]) == (200, "attachment")
    stranger = Visitor(app, "tianjin2.partner")
    for address in (found[0], "/portal/orders/S-1", "/portal/orders/S-1/cancel"):
        stranger.get(address, 404)
    assert "S-1" not in stranger.get("/portal/orders")
    Visitor(app, "coop.seller").get("/portal/orders", 403)


def test_a_webhook_is_made_tried_renewed_stopped_and_taken_up_again(
    app: Flask, partner: Visitor, owner: psycopg.Connection
) -> None:
    refused = partner.post("/portal/webhooks", 422, url="http://10.0.0.1/hook", kinds=["order.*"])
    text = refused.get_data(as_text=True)
    assert 'value="http://10.0.0.1/hook"' in text
    assert "还没有推送地址" in text

    made = partner.post("/portal/webhooks", 200, url=HOOK, kinds=["order.*"])

    secret = re.search(r'class="code">(whsec_[^<]+|[\w+/=]{30,})</span>', made.get_data(as_text=True))
    assert secret
    assert made.headers["Cache-Control"] == "no-store"
    listed = partner.get("/portal/webhooks")
    assert secret[1] not in listed
    found = re.search(r'href="(/portal/webhooks/[0-9a-f-]+)"', listed)
    assert found
    address = found[1]
    for act in ("secret", "disable", "enable", "ping"):
        assert HOOK in partner.get(f"{address}/{act}")
    partner.post(f"{address}/ping")
    log = partner.get(address)
    assert "test.ping" in log
    assert "再送一次" not in log
    rows = sheet_rows(partner.client.get(f"{address}?format=xlsx&sort=-attempts").data)
    assert [row[0] for row in rows[3:]] == ["test.ping"]
    assert 'aria-sort="descending"' in partner.get(f"{address}?sort=-attempts")
    owner.execute("update webhook_delivery set state = 'failed'")
    log = partner.get(f"{address}?state=failed")
    again = re.search(r'action="(/portal/webhooks/[0-9a-f-]+/deliveries/[0-9a-f-]+)"', log)
    assert again
    assert "没有这样的记录" in partner.get(f"{address}?kind=order.shipped")
    partner.post(again[1])
    assert "没有这样的记录" in partner.get(f"{address}?state=failed")
    partner.post(again[1], 409)
    renewed = partner.post(f"{address}/secret", 200).get_data(as_text=True)
    assert secret[1] not in renewed
    assert "两个签名" in renewed
    partner.post(f"{address}/disable")
    assert "恢复推送" in partner.get(address)
    partner.post(f"{address}/ping", 409)
    partner.post(f"{address}/enable")
    assert "推送中" in partner.get(address)
    stranger = Visitor(app, "tianjin2.partner")
    for path in (address, f"{address}/secret", f"{address}/disable"):
        stranger.get(path, 404)
    assert HOOK not in stranger.get("/portal/webhooks")
