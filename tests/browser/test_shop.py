"""The shop window in a real browser: suggestions by keyboard, a lot found from the front page, nothing wider than a phone."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Person
from tests.serving import Site


def test_a_search_is_finished_with_the_keyboard_alone(person: Person, browser_site: Site) -> None:
    page = person()
    page.goto(f"{browser_site.base}/products")
    field = page.get_by_role("combobox")
    field.click()
    page.keyboard.type("jingning", delay=30)
    options = page.get_by_role("option")
    expect(options.filter(has_text="静宁县塬上果香果品农民专业合作社")).to_be_visible()
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(field).to_have_attribute("aria-expanded", "false")
    page.keyboard.type("x")
    with page.expect_response(lambda answer: answer.url.endswith("q=jingning")):
        page.keyboard.press("Backspace")
    expect(options.first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/products/[0-9a-f-]{36}$"))
    assert "静宁" in page.inner_text("h1")


def test_a_stranger_finds_a_lot_from_the_front_page_by_its_code(person: Person, browser_site: Site) -> None:
    page = person(phone=True)
    page.goto(f"{browser_site.base}/products?q=静宁苹果")
    page.click(".offer h2 a >> nth=0")
    code = page.inner_text("table .code >> nth=0")
    page.goto(browser_site.base)
    page.fill("#home-code", code.lower().replace("-", " "))
    page.click(".door form button")
    assert code in page.inner_text("main")
    assert "这一批的经过" in page.inner_text("main")


def test_no_public_page_is_wider_than_a_phone(person: Person, browser_site: Site) -> None:
    page = person(phone=True)
    for path in (
        "/",
        "/products",
        "/sellers",
        "/counties/620826",
        "/trace",
        "/about/figures",
        "/about/accessibility",
    ):
        page.goto(browser_site.base + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 360, path
