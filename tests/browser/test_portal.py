"""A partner's first quarter of an hour, and the seller who is asked: key, order by program, change after the cut-off.

Then a month of its shop on consignment, on a phone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import psycopg
import pyotp
import pytest
from flask import Flask
from playwright.sync_api import Page

from marketplace.clock import now
from tests.browser.conftest import Person
from tests.browsing import PHONE
from tests.channels.consigned import LAST_DAY, PERIOD
from tests.channels.partner import Program, order_body
from tests.channels.pavilion import take_back
from tests.channels.sending import Sender
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
    partner.select_option("#f-mode", "live")
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
    seller.click("main >> text='同意' >> nth=0")
    assert "门店装修" in seller.inner_text("main")
    seller.click("main button:has-text('同意')")
    assert "已同意改单" in seller.inner_text("main")
    assert ask(browser_site, key, "/orders/WEB-1")["state"] == "cancelled"

    partner.reload()
    partner.click("main a:has-text('停用')")
    partner.click("main button:has-text('停用')")
    assert "密钥已停用" in partner.inner_text("main")


def test_a_partner_looks_at_an_order_and_takes_a_certificate(
    person: Person, browser_site: Site, app: Flask
) -> None:
    partner = person("tianjin.partner")
    partner.click("nav.side >> text=接口密钥")
    partner.fill("#f-name", "进销存系统")
    partner.select_option("#f-mode", "live")
    partner.fill("#f-current_password", PASSWORD)
    partner.click("main button:has-text('新建密钥')")
    found = re.search(r"pl_live_[a-z2-7]{12}_[0-9a-f]{64}", partner.inner_text("main"))
    assert found
    sent_order(app, Program(app, key=found[0]), "WEB-2")

    partner.click("nav.side >> text=渠道订单")
    partner.fill("#f-q", "WEB-2")
    partner.click("main button:has-text('筛选')")
    partner.click("main >> text=WEB-2")
    assert "已发货，待验收" in partner.inner_text("main")
    with partner.expect_download() as download:
        partner.click("main a:has-text('合格证') >> nth=0")
    assert download.value.path().stat().st_size > 100


def on_phone(page: Page) -> str:
    """What the page says; no part of it is wider than the phone."""
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], page.url
    return page.inner_text("main")


def with_second_factor(page: Page, base: str) -> pyotp.TOTP:
    """Set up, and signed in again by one of the recovery codes."""
    page.goto(f"{base}/account/second-factor")
    page.fill("#f-current_password", PASSWORD)
    page.click("main form button")
    secret = re.search(r"\b[A-Z2-7]{32}\b", on_phone(page))
    assert secret is not None
    device = pyotp.TOTP(secret[0])
    page.fill("#f-otp", device.now())
    page.click("main form button")
    code = page.locator(".codes li").first.inner_text()
    page.click("text=存好了，重新登录")
    page.fill("#f-username", "tianjin.partner")
    page.fill("#f-password", PASSWORD)
    page.click("main button")
    page.fill("#f-password", PASSWORD)
    page.fill("#f-otp", code)
    page.click("main button")
    return device


def test_a_partner_runs_its_shop_for_a_month_from_a_phone(
    person: Person, browser_site: Site, app: Flask
) -> None:
    # The last one here: afterwards the partner's door asks for the second factor.
    base, sender = browser_site.base, Sender(app)
    sent = sender.send(12)
    code = sent["lines"][0]["trace_code"]
    partner = person("tianjin.partner", phone=True)
    device = with_second_factor(partner, base)

    partner.goto(f"{base}/portal/keys?mode=test")
    partner.fill("#f-name", "门店收银系统试用")
    partner.fill("#f-current_password", PASSWORD)
    partner.fill("#f-otp", device.at(int(now().timestamp()) + 30))
    partner.click("main button:has-text('新建密钥')")
    key = re.search(r"pl_test_[a-z2-7]{12}_[0-9a-f]{64}", on_phone(partner))
    assert key is not None
    partner.goto(f"{base}/portal/webhooks")
    assert key[0] not in partner.content()
    partner.fill("#f-url", "https://partner.example/hooks")
    partner.check("main label:has-text('订单、发货与验收')")
    partner.click("main button:has-text('新建推送地址')")
    assert "只显示这一次" in on_phone(partner)
    partner.click("main >> text=https://partner.example/hooks")
    assert "只显示这一次" not in on_phone(partner)
    partner.click("main button:has-text('发一次测试推送')")
    assert "test.ping" in on_phone(partner)

    partner.goto(f"{base}/portal/consignments/{sent['id']}")
    partner.fill("#f-lines-0-accepted_quantity", "10")
    partner.click("main button:has-text('接收入库')")
    assert "已接收" in on_phone(partner)
    take_back(app, sent["id"])
    partner.goto(f"{base}/portal/sales/new")
    table = f"日期,追溯码,件数\n{LAST_DAY},{code},4\n".encode()
    partner.set_input_files("#f-file", {"name": "sales.csv", "mimeType": "text/csv", "buffer": table})
    partner.click("main button:has-text('看一遍')")
    assert "第一次上报" in on_phone(partner)
    partner.click("main button:has-text('上报1天')")
    assert partner.url == f"{base}/portal/sales"
    assert "首报" in on_phone(partner)
    partner.goto(f"{base}/portal/counts/new")
    partner.fill("#f-lines-0-counted", "5")
    partner.click("main summary")
    partner.fill("#f-lines-0-differences-0-quantity", "1")
    partner.select_option("#f-lines-0-differences-0-borne_by", "seller")
    partner.click("main button:has-text('记下盘点')")
    assert "供应商承担" in on_phone(partner)

    ask = sender.teller.ask
    seller_id = ask("GET", "/me", "coop.seller")["organisation"]["id"]
    wish = {"channel_code": "ORG-CH-WQ", "seller_id": seller_id, "period": PERIOD}
    statement = ask("POST", "/statements", "county.office", wish)
    price = statement["total_fen"] // 4
    page = f"/portal/statements/{statement['id']}"
    partner.goto(base + page)
    partner.click("main a:has-text('提异议')")
    partner.fill("#f-quantity", "3")
    partner.fill("#f-reason", "有一箱是退货")
    partner.click("main button:has-text('提出异议')")
    assert "还有1行有异议" in on_phone(partner)

    seller = person("coop.seller")
    seller.goto(f"{base}/sell/channels/statements/{statement['id']}")
    seller.click("main a:has-text('答复异议')")
    assert "有一箱是退货" in seller.inner_text("main")
    seller.select_option("#f-accept", "1")
    seller.click("main button:has-text('答复')")
    assert f"{3 * price / 100:.2f}" in seller.inner_text("main h1")
    seller.click("main a:has-text('同意这张结算单')")
    seller.click("main button:has-text('同意')")
    assert "你们已同意" in seller.inner_text("main")

    partner.reload()
    assert "对方已同意" in on_phone(partner)
    partner.click("main a:has-text('同意这张结算单')")
    partner.click("main button:has-text('同意')")
    partner.click("main a:has-text('已转账，登记付款')")
    assert "开户行" in on_phone(partner)
    partner.fill("#f-bank_reference", "TJ20260001")
    partner.click("main button:has-text('登记付款')")
    assert "等供应商确认到账" in on_phone(partner)
    seller.reload()
    assert "TJ20260001" in seller.inner_text("main")
    seller.click("main a:has-text('确认到账')")
    seller.click("main button:has-text('确认到账')")
    assert "已结清" in seller.inner_text("main")
    partner.reload()
    assert "已结清" in on_phone(partner)
