"""A partner's first quarter of an hour, and the seller who is asked: key, order by program, change after the cut-off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import psycopg
import pytest
from flask import Flask

from tests.browser.conftest import Person
from tests.channels.partner import Program, order_body
from tests.channels.sent import sent_order
from tests.conftest import PASSWORD
from tests.serving import Site, running_site


@pytest.fixture(scope="module")
def browser_site(app: Flask) -> Iterator[Site]:
    """On the module's own database, so that the test may move a cut-off."""
    with running_site(app.config["TEST_ENVIRONMENT"]) as site:
        yield site


def ask(site: Site, key: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urlopen(Request(f"{site.base}/partner/v1{path}", data, headers), timeout=120) as answer:
        return json.load(answer)


def test_a_partner_gets_a_key_orders_and_the_seller_answers_its_change(
    person: Person, browser_site: Site, owner: psycopg.Connection
) -> None:
    partner = person("tianjin.partner")
    assert partner.url.endswith("/partner")
    partner.click("main >> text=接口密钥 >> nth=0")
    partner.fill("#f-name", "门店收银系统")
    partner.fill("#f-current_password", PASSWORD)
    partner.click("main button:has-text('新建密钥')")
    found = re.search(r"pl_live_[a-z2-7]{12}_[0-9a-f]{64}", partner.inner_text("main"))
    assert found
    key = found[0]
    partner.goto(f"{browser_site.base}/portal/keys")
    assert key not in partner.content()

    item = next(i for i in ask(browser_site, key, "/catalogue?limit=100")["items"] if i["sku"] == "PL-0001")
    placed = ask(browser_site, key, "/orders", order_body("WEB-1", [item], packs=3))
    owner.execute("update partner_order set cut_off_at = now() - interval '1 minute'")
    asked = ask(browser_site, key, "/orders/WEB-1/cancel", {"reason": "门店装修"})
    assert asked["outcome"] == "asked"

    seller = person("coop.seller", phone=True)
    seller.goto(f"{browser_site.base}/sell/changes")
    assert placed["orders"][0]["number"] in seller.inner_text("main")
    seller.click("main >> text=同意 >> nth=0")
    assert "门店装修" in seller.inner_text("main")
    seller.click("main button:has-text('同意')")
    assert "已同意改单" in seller.inner_text("main")
    assert ask(browser_site, key, "/orders/WEB-1")["state"] == "cancelled"

    partner.reload()
    partner.click("main a:has-text('停用')")
    partner.click("main button:has-text('停用')")
    assert "密钥已停用" in partner.inner_text("main")


def test_a_partner_names_an_address_for_events_and_looks_at_an_order(
    person: Person, browser_site: Site, app: Flask
) -> None:
    partner = person("tianjin.partner")
    partner.click("nav.side >> text=接口密钥")
    partner.fill("#f-name", "进销存系统")
    partner.fill("#f-current_password", PASSWORD)
    partner.click("main button:has-text('新建密钥')")
    found = re.search(r"pl_live_[a-z2-7]{12}_[0-9a-f]{64}", partner.inner_text("main"))
    assert found
    sent_order(app, Program(app, key=found[0]), "WEB-2")

    partner.click("nav.side >> text=事件推送")
    partner.fill("#f-url", "https://partner.example/hooks")
    partner.check("main label:has-text('订单、发货与验收')")
    partner.click("main button:has-text('新建推送地址')")
    assert "只显示这一次" in partner.inner_text("main")
    partner.click("main >> text=https://partner.example/hooks")
    assert "只显示这一次" not in partner.inner_text("main")
    partner.click("main button:has-text('发一次测试推送')")
    assert "test.ping" in partner.inner_text("main")

    partner.click("nav.side >> text=渠道订单")
    partner.fill("#f-q", "WEB-2")
    partner.click("main button:has-text('筛选')")
    partner.click("main >> text=WEB-2")
    assert "已发货，待验收" in partner.inner_text("main")
    with partner.expect_download() as download:
        partner.click("main a:has-text('合格证') >> nth=0")
    assert download.value.path().stat().st_size > 100
