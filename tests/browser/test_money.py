"""The money's way and the second factor in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pyotp

from marketplace.clock import now, today
from marketplace.values import yuan
from tests.browser.conftest import Person
from tests.browsing import PASSWORD
from tests.desks.trading import Trader
from tests.payments.test_invoice_files import electronic, picture
from tests.serving import Site


class SiteTrader(Trader):
    """The same acts over HTTP."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def call(self, method: str, path: str, user: str, body: object = None, status: int = 200) -> object:
        answer = self.site.call(method, path, user, json=body) if body else self.site.call(method, path, user)
        assert answer.status_code == status, answer.text
        return answer.json()


def test_an_invoice_is_issued_checked_paid_and_confirmed(
    person: Person, browser_site: Site, tmp_path: Path
) -> None:
    order = SiteTrader(browser_site).accepted_order()
    amount, base = order["accepted_fen"], browser_site.base
    xml = (
        electronic()
        .replace(b"5160.00", f"{amount / 100:.2f}".encode())
        .replace(b"2026-11-20", str(today()).encode())
    )
    (tmp_path / "票.xml").write_bytes(xml)
    (tmp_path / "回单.png").write_bytes(picture("HLX20269999" * 4))

    seller = person("coop.seller", phone=True)
    seller.goto(f"{base}/sell/money")
    seller.click("#bill a.btn >> nth=0")
    seller.set_input_files("#f-file", tmp_path / "票.xml")
    seller.click("text=上传并读出")
    assert seller.input_value("#f-number") == "24622000000012345678"
    assert seller.input_value("#f-amount_fen") == yuan(amount)
    seller.click("text=核对无误，交给采购单位")
    assert "发票已交给采购单位验票" in seller.inner_text("main")

    buyer = person("canteen.buyer")
    buyer.goto(f"{base}/invoices")
    buyer.click("tbody a >> nth=0")
    buyer.click("text=核对并验票")
    assert buyer.locator(".chip--done").count() == 5
    buyer.click("text=已查验，通过")
    buyer.goto(f"{base}/payments")
    buyer.click("section >> nth=0 >> a.btn >> nth=0")
    buyer.click("main form button")
    buyer.click("text=已转账，交凭证")
    buyer.fill("#f-bank_reference", "HLX20269999")
    buyer.set_input_files("#f-file", tmp_path / "回单.png")
    buyer.click("main form button")
    assert "等供应商确认到账" in buyer.inner_text("main .title")

    seller.goto(f"{base}/sell/money")
    seller.click("#slips a.btn")
    slip = seller.locator("img.slip")
    slip.evaluate("image => image.decode()")
    assert slip.evaluate("image => image.naturalWidth") > 0
    seller.click("text=收到了，确认到账")
    buyer.reload()
    assert "已到账" in buyer.inner_text("main .title")


def test_a_second_factor_is_set_up_and_asked_for(person: Person, browser_site: Site) -> None:
    page, base = person("finance.reviewer"), browser_site.base
    page.goto(f"{base}/account")
    page.click(".note >> text=现在开通")
    page.fill("#f-current_password", PASSWORD)
    page.click("main form button")
    secret = re.search(r"\b[A-Z2-7]{32}\b", page.inner_text("main"))
    assert secret is not None
    assert page.locator(".qr svg").is_visible()
    page.fill("#f-otp", pyotp.TOTP(secret[0]).now())
    page.click("main form button")
    assert page.locator(".codes li").count() == 10
    page.locator("[data-print]").wait_for()
    page.click("text=存好了，重新登录")
    page.fill("#f-username", "finance.reviewer")
    page.fill("#f-password", PASSWORD)
    page.click("main button")
    assert "密码对了，还差验证码" in page.inner_text("main")
    assert page.input_value("#f-username") == "finance.reviewer"
    page.fill("#f-password", PASSWORD)
    page.fill("#f-otp", pyotp.TOTP(secret[0]).at(int(now().timestamp()) + 30))
    page.click("main button")
    assert "/sign-in" not in page.url
