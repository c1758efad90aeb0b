"""The offices in a real browser: from the city's total to one plot, and a declaration there and back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Person
from tests.conftest import Server
from tests.serving import Site
from tests.traded import Traded, traded_site


class Clicks:
    """Counts what a person presses."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.number = 0

    def on(self, selector: str) -> None:
        self.page.locator(selector).first.click()
        self.page.wait_for_load_state()
        self.number += 1


@pytest.fixture(scope="module")
def traded(server: Server, seeded_template: str, state_folder: Path) -> Iterator[Traded]:
    with traded_site(server, seeded_template, state_folder) as traded:
        yield traded


@pytest.fixture(scope="module")
def browser_site(traded: Traded) -> Site:
    return traded.site


def test_an_auditor_comes_from_the_total_to_one_plot_in_at_most_four_clicks(
    person: Person, browser_site: Site
) -> None:
    page = person("county.office")
    page.goto(f"{browser_site.base}/quota")
    clicks = Clicks(page)
    total = page.locator(".figures dd a[href*='kind=ordered']").inner_text()
    assert total != "0.00"
    clicks.on(".figures dd a[href*='kind=ordered']")
    assert "这个数怎么来的" in page.inner_text("h1")
    clicks.on("a[href^='/quota/lots/']")
    assert clicks.number <= 4
    plot = page.locator("section:has(#c1) tbody th").first.inner_text()
    assert plot.strip()
    assert page.locator("section:has(#c1) tbody td").nth(0).inner_text().strip()


def test_a_figure_leads_to_the_sealed_fact_and_its_proof(person: Person, browser_site: Site) -> None:
    page = person("county.office")
    page.goto(f"{browser_site.base}/quota/entries?kind=ordered")
    page.locator("a[href^='/journal/']").first.click()
    page.wait_for_load_state()
    assert page.inner_text("h1") == "供应商接单"
    assert '"kind":"order.confirmed"' in page.inner_text("pre.sealed >> nth=0")


def test_a_declaration_is_filed_returned_filed_again_and_approved(person: Person, browser_site: Site) -> None:
    manager = person("canteen2.manager")
    manager.goto(f"{browser_site.base}/declarations/new?year=2027")
    manager.check("input[data-mode=none]")
    assert not manager.is_visible("#f-base_fen")
    manager.check("input[data-mode=own]")
    manager.fill("#f-base_fen", "500000")
    manager.fill("#f-share_bp", "12")
    manager.locator("#reckoned", has_text="60,000.00").wait_for()
    manager.click("text=存为草稿")
    manager.click("main a:has-text('提交审核')")
    manager.click("main button:has-text('提交审核')")
    address = manager.url
    assert "待审核" in manager.inner_text(".title")

    reviewer = person("finance.reviewer")
    reviewer.goto(address)
    reviewer.click("main a:has-text('退回')")
    reviewer.fill("#f-reason", "基数请按决算填")
    reviewer.click("main button:has-text('退回')")

    manager.goto(address)
    assert "基数请按决算填" in manager.inner_text("main")
    manager.click("text=改了再填")
    manager.fill("#f-base_fen", "600000")
    manager.click("text=存为草稿")
    assert manager.locator("td.changed").count() == 2
    manager.click("main a:has-text('提交审核')")
    manager.click("main button:has-text('提交审核')")

    reviewer.goto(address)
    reviewer.click("main a:has-text('审核通过')")
    reviewer.click("main button:has-text('审核通过')")
    assert "份额按这一版算" in reviewer.inner_text(".figures")
    assert "72,000.00" in reviewer.inner_text(".figures")


def test_the_regulator_holds_a_lot_on_a_phone(person: Person, browser_site: Site) -> None:
    page = person("market.regulator", phone=True)
    page.goto(f"{browser_site.base}/regulate/lots?state=released")
    page.locator("tbody th a").first.click()
    page.click("main a:has-text('停售')")
    page.fill("#f-reason", "核对检疫证明")
    page.click("main button:has-text('停售')")
    assert "核对检疫证明" in page.inner_text("main")
    assert "暂停销售" in page.inner_text(".title")
