"""One page of every kind in every role, in a real Chromium: no serious axe finding, no overflow at 360 px, no error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page

from tests.browsing import DESKTOP, PHONE, new_context, sign_in
from tests.conftest import Server
from tests.crawling import PEOPLE, signed_in, walk
from tests.traded import Traded, traded_site

# Read by programs, though a browser shows them.
OF_MACHINES = ("openapi", "metrics", "api_docs")
# How a part of a page is built, without what it says: what axe finds in one it finds in all that are built alike.
# Which entry of a menu is the current one makes no other menu.
BUILT = """
() => [...document.body.children].map(part => {
  const built = element => {
    const given = [...element.attributes]
      .filter(a => a.name !== "aria-current" && !a.name.startsWith("data-"))
      .map(a => ["class", "type", "role", "lang", "scope", "tabindex"].includes(a.name) || a.value === ""
        ? a.name + "=" + a.value : a.name);
    const says = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim() !== "");
    const named = (element.labels ? element.labels.length : "") + ["for", "aria-labelledby", "aria-describedby"]
      .flatMap(name => (element.getAttribute(name) || "").split(" "))
      .map(id => id === "" || document.getElementById(id) !== null);
    return element.tagName + given.sort() + says + named + "(" + [...new Set([...element.children].map(built))] + ")";
  };
  return built(part);
})
"""
# Tables that scroll by themselves on a phone; the calendar of twelve months may.
SCROLLING = """
() => [...document.querySelectorAll("main .scroll")]
  .filter(part => part.scrollWidth > part.clientWidth + 1 && !part.querySelector(".seasons"))
  .map(part => part.getAttribute("aria-label") || part.innerText.slice(0, 40))
"""
# What paper has no use for, and tables of which a part would stay behind.
ON_PAPER = """
() => {
  const shown = part => part.getBoundingClientRect().height > 0;
  const menus = [...document.querySelectorAll("body > header.top, .side, .pager, .tabs, main .btn, main [role=search]")];
  const cut = [...document.querySelectorAll("main .scroll")]
    .filter(part => shown(part) && getComputedStyle(part).overflowY !== "visible");
  return [...menus.filter(shown), ...cut].map(part => part.className || part.tagName);
}
"""
AXE = "async () => (await axe.run(document, {resultTypes: ['violations'], preload: false})).violations"


@pytest.fixture(scope="module")
def traded(server: Server, seeded_template: str, state_folder: Path) -> Iterator[Traded]:
    with traded_site(server, seeded_template, state_folder) as traded:
        yield traded


@pytest.fixture(scope="module")
def seen() -> set[str]:
    """Parts of pages that axe has looked at."""
    return set()


def findings(page: Page, seen: set[str]) -> list[str]:
    built = set(page.evaluate(BUILT))
    if built <= seen:
        return []
    seen |= built
    page.evaluate(AXE_SCRIPT)
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:160]}"
        for v in page.evaluate(AXE)
        if v["impact"] in ("serious", "critical")
    ]


def test_a_part_that_is_built_alike_is_looked_at_once_and_one_with_a_fault_is_found(browser: Browser) -> None:
    def shown(main: str) -> list[str]:
        page.set_content(f'<html lang="zh"><title>t</title><body><main><h1>t</h1>{main}</main></body></html>')
        return findings(page, seen)

    seen: set[str] = set()
    context = new_context(browser, DESKTOP)
    page = context.new_page()
    assert shown('<label for="a">甲</label><input id="a" name="a">') == []
    assert len(seen) == 1
    assert shown('<label for="b">乙</label><input id="b" name="b">') == []
    assert len(seen) == 1
    (fault,) = shown('<label for="c">丙</label><input id="b" name="b">')
    assert fault.startswith("label: ")
    (fault,) = shown('<p class="faint">看不清楚的字</p><style>.faint {color: #ddd; background: #fff}</style>')
    assert fault.startswith("color-contrast: ")
    context.close()


@pytest.mark.parametrize("person", [None, *PEOPLE])
def test_every_kind_of_page_can_be_used_by_everybody(
    traded: Traded, browser: Browser, seen: set[str], person: str | None
) -> None:
    found = walk(traded.app, signed_in(traded.app, person), ["/", "/desk"])
    addresses = [
        paths[0] for endpoint, paths in sorted(found.read.items()) if not endpoint.startswith(OF_MACHINES)
    ]
    # axe is put into the page from outside, which the page's own policy would refuse.
    context = new_context(browser, DESKTOP, bypass_csp=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: complaints.append(str(e)))
    if person is not None:
        sign_in(page, traded.site.base, person)
    wrong: dict[str, list[str]] = {}
    for path in addresses:
        page.goto(traded.site.base + path)
        here = findings(page, seen)
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        over = page.evaluate("document.documentElement.scrollWidth") - PHONE[0]
        scrolling = page.evaluate(SCROLLING)
        page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        page.emulate_media(media="print")
        printed = page.evaluate(ON_PAPER)
        page.emulate_media(media="screen")
        if scrolling:
            here.append(f"tables scroll sideways at {PHONE[0]}: {scrolling}")
        if printed:
            here.append(f"on paper: {printed[:5]}")
        if over > 0:
            here.append(f"overflows by {over}px at {PHONE[0]}")
        here += complaints
        complaints.clear()
        if here:
            wrong[path] = here
    context.close()
    assert wrong == {}, json.dumps(wrong, ensure_ascii=False, indent=1)
