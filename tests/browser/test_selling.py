"""A bookkeeper on a phone: from a new lot to printed labels in ten taps, and a lot that was typed without a signal."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Person
from tests.serving import Site

PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\nxref\n0 1\ntrailer\n<< >>\nstartxref\n50\n%%EOF\n"
APPLES = "静宁苹果 红富士 80# 一级 5公斤"


class Taps:
    """Counts what a thumb does; typing is not counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.count = 0

    def tap(self, name: str, *, exact: bool = True) -> None:
        self.count += 1
        main = self.page.locator("main")
        links, buttons = (main.get_by_role(role, name=name, exact=exact) for role in ("link", "button"))
        links.or_(buttons).first.tap()
        self.page.wait_for_load_state()

    def choose(self, field: str, label: str) -> None:
        self.count += 1
        self.page.select_option(field, label=label)


def test_from_a_new_lot_to_printed_labels_in_ten_taps(
    person: Person, browser_site: Site, tmp_path: Path
) -> None:
    page = person("coop.seller", phone=True)
    page.goto(f"{browser_site.base}/sell")
    thumb = Taps(page)
    thumb.tap("报新批次")
    thumb.tap(APPLES, exact=False)
    page.fill("#f-quantity", "40")
    thumb.choose("#f-origins-0-township_code", "城川镇")
    page.fill("#f-origins-0-village", "上塬村")
    page.fill("#f-origins-0-plot", "A09号地块")
    thumb.tap("登记这一批")
    page.wait_for_url(re.compile(r"/sell/lots/[0-9a-f-]{36}$"))
    thumb.tap("补传承诺达标合格证")
    paper = tmp_path / "合格证.pdf"
    paper.write_bytes(PDF)
    thumb.count += 1
    page.set_input_files("#f-document_id", paper)
    thumb.tap("交证明")
    thumb.tap("放行")
    expect(page.locator(".chip").first).to_have_text("可售")
    address = page.locator("form[action$='labels.pdf']").get_attribute("action")
    thumb.count += 1  # "打印标签": a phone opens the file, a headless browser has nothing to show it with
    answer = page.request.get(f"{browser_site.base}{address}?count={page.input_value('#f-count')}")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().count(b"/Contents") == 2
    assert thumb.count <= 10


def test_a_lot_typed_without_a_signal_is_sent_once_when_it_returns(
    person: Person, browser_site: Site
) -> None:
    page = person("coop.seller", phone=True)
    page.goto(f"{browser_site.base}/sell/lots/new")
    page.get_by_text(APPLES, exact=True).tap()
    page.fill("#f-quantity", "41")
    page.fill("#f-origins-0-plot", "B07号地块")
    page.get_by_text("再加一处产地").tap()
    assert page.get_attribute("#f-origins-1-village", "list") == "villages-" + page.input_value(
        "#f-origins-0-township_code"
    )
    page.fill("#f-origins-1-village", "下川村")
    page.fill("#f-origins-1-plot", "B08号地块")
    page.context.set_offline(True)
    page.get_by_role("button", name="登记这一批").tap()
    expect(page.locator("[data-draft-note]")).to_contain_text("没有信号")
    before = browser_site.get("/lots?limit=1", "coop.seller")["items"][0]["id"]
    page.context.set_offline(False)
    page.wait_for_url(re.compile(r"/sell/lots/[0-9a-f-]{36}$"))
    assert "B08号地块" in page.inner_text("main")
    lots = browser_site.get("/lots?limit=2", "coop.seller")["items"]
    assert lots[0]["quantity"] == 41
    assert lots[1]["id"] == before
    # The draft has gone with it: the form is empty again.
    page.goto(f"{browser_site.base}/sell/lots/new")
    page.get_by_text(APPLES, exact=True).tap()
    expect(page.locator("#f-quantity")).to_have_value("")
    assert page.locator("[data-draft-note]").is_hidden()


def test_enter_sends_the_form_and_adds_no_row(person: Person, browser_site: Site) -> None:
    page = person("coop.seller")
    page.goto(f"{browser_site.base}/sell/products/new")
    page.fill("#f-sku", "XS-90")
    page.press("#f-sku", "Enter")
    page.wait_for_selector("#errors")
    assert page.input_value("#f-sku") == "XS-90"
    assert page.locator("[name=price_ladder-1-price_fen]").count() == 0


FOCUSED = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  const seen = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  return [at.innerText?.trim() || at.id, seen];
}"""


def go_to(page: Page, name: str) -> None:
    """Tab until the part with this name has the focus, which must be seen on every way station."""
    for _ in range(60):
        page.keyboard.press("Tab")
        told, seen = page.evaluate(FOCUSED)
        assert seen, f"nothing shows that {told!r} has the focus"
        if told == name:
            return
    raise AssertionError(f"no way to {name!r} by the keyboard")


def test_the_desk_is_used_by_the_keyboard_alone(person: Person, browser_site: Site) -> None:
    page = person("coop.seller")
    page.goto(f"{browser_site.base}/sell/products")
    go_to(page, "跳到正文")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    go_to(page, "产品和规格")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("sort=name"))
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("产品和规格")

    page.goto(f"{browser_site.base}/orders")
    page.evaluate("document.querySelector('details.menu summary').focus()")
    page.keyboard.press("Enter")
    assert page.locator("details.menu").get_attribute("open") is not None
    go_to(page, "账号与安全")
    page.keyboard.press("Escape")
    assert page.locator("details.menu").get_attribute("open") is None
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
