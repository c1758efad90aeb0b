"""One page of every kind in every role, in a real Chromium: no serious axe finding, no overflow at 360 px, no error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Page

from tests.browsing import DESKTOP, PHONE, new_context, sign_in
from tests.conftest import Server
from tests.crawling import PEOPLE, parts_of, signed_in, walk
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
# Colours are nine tenths of what axe computes. Its verdict on a text hangs on the styles from the text up to the
# page and on what is placed freely beside these: a text that passed is not looked at again where all of that is alike.
# Only what passed counts: a text too short, hidden or partly covered, of which axe says nothing, is asked about again.
AXE = """
async passed => {
  const styles = ["color", "backgroundColor", "backgroundImage", "backgroundClip", "opacity", "fontSize", "fontWeight",
    "textShadow", "webkitTextStrokeWidth", "position", "filter", "mixBlendMode", "visibility", "overflow"];
  const own = new Map(), whole = new Map();
  // 53 bits of a text (cyrb53): the styles of a whole page would be megabytes.
  const brief = text => {
    let a = 0xdeadbeef, b = 0x41c6ce57;
    for (let i = 0; i < text.length; i++) {
      const c = text.charCodeAt(i);
      a = Math.imul(a ^ c, 2654435761);
      b = Math.imul(b ^ c, 1597334677);
    }
    a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
    b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
    return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
  };
  const look = element => {
    if (!own.has(element)) {
      const pseudo = ["::before", "::after"].map(p => getComputedStyle(element, p)).filter(s => s.content !== "none");
      own.set(element, [element, ...pseudo].map(s => s === element ? getComputedStyle(s) : s)
        .map(s => brief(styles.map(name => s[name]).join(";"))).join("|") + element.matches(":disabled, [aria-disabled]"));
    }
    return own.get(element);
  };
  const chain = element => {
    if (element === null) return "";
    if (!whole.has(element)) {
      const placed = [...element.children].filter(c => getComputedStyle(c).position !== "static").map(look);
      whole.set(element, brief(look(element) + "{" + [...new Set(placed)] + "}" + chain(element.parentElement)));
    }
    return whole.get(element);
  };
  const texts = [...document.body.querySelectorAll("*")].filter(e => e.matches("input, select, textarea") ||
    [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim() !== ""));
  const known = new Set(passed);
  const fresh = texts.filter(e => !known.has(chain(e)));
  const options = {resultTypes: ["violations"], preload: false};
  const found = await axe.run(document, {...options, rules: {"color-contrast": {enabled: false}}});
  if (fresh.length === 0) return {violations: found.violations, passed: []};
  const colours = await axe.run({include: fresh}, {...options, resultTypes: ["violations", "passes"],
    runOnly: ["color-contrast"], selectors: false, elementRef: true});
  const good = colours.passes.flatMap(rule => rule.nodes.map(node => chain(node.element)));
  const plain = rule => ({...rule, nodes: rule.nodes.map(node => ({html: node.html}))});
  return {violations: [...found.violations, ...colours.violations].map(plain), passed: [...new Set(good)]};
}
"""


@dataclass
class Seen:
    """What axe has looked at: parts of pages, and the surroundings in which a text could be read."""

    built: set[str] = field(default_factory=set)
    readable: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def traded(server: Server, seeded_template: str, state_folder: Path) -> Iterator[Traded]:
    with traded_site(server, seeded_template, state_folder) as traded:
        yield traded


@pytest.fixture(scope="module")
def seen() -> Seen:
    return Seen()


@pytest.fixture(scope="module")
def shown() -> set[str]:
    """Parts of pages that the browser has shown, byte for byte."""
    return set()


@pytest.fixture(scope="module")
def files() -> set[str]:
    """Kinds of addresses that gave a file to somebody and a page to nobody: papers take longer than pages."""
    return set()


def findings(page: Page, seen: Seen) -> list[str]:
    built = set(page.evaluate(BUILT))
    if built <= seen.built:
        return []
    seen.built |= built
    page.evaluate(AXE_SCRIPT)
    told = page.evaluate(AXE, sorted(seen.readable))
    seen.readable |= set(told["passed"])
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:160]}"
        for v in told["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def test_a_part_that_is_built_alike_is_looked_at_once_and_one_with_a_fault_is_found(browser: Browser) -> None:
    def shown(main: str) -> list[str]:
        page.set_content(f'<html lang="zh"><title>t</title><body><main><h1>t</h1>{main}</main></body></html>')
        return findings(page, seen)

    seen = Seen()
    context = new_context(browser, DESKTOP)
    page = context.new_page()
    assert shown('<label for="a">甲</label><input id="a" name="a">') == []
    assert len(seen.built) == 1
    assert shown('<label for="b">乙</label><input id="b" name="b">') == []
    assert len(seen.built) == 1
    (fault,) = shown('<label for="c">丙</label><input id="b" name="b">')
    assert fault.startswith("label: ")
    (fault,) = shown('<p class="faint">看不清楚的字</p><style>.faint {color: #ddd; background: #fff}</style>')
    assert fault.startswith("color-contrast: ")
    # The same style as of a text that passed, now on a ground that it can't be read on, by an ancestor or a neighbour.
    grey = "<style>.grey {color: #555} .dark {background: #444} .rel {position: relative} .under {position: absolute; "
    grey += "inset: 0; background: #444; z-index: -1}</style>"
    assert shown(f'<p class="grey">灰色的字</p>{grey}') == []
    passed = len(seen.readable)
    assert shown(f'<p class="grey">别的灰色的字</p><hr>{grey}') == []
    assert len(seen.readable) == passed
    (fault,) = shown(f'<div class="dark"><p class="grey">看不清楚的字</p></div>{grey}')
    assert fault.startswith("color-contrast: ")
    under = (
        '<div class="rel" style="z-index: 0"><p class="grey">看不清楚的字</p><div class="under"></div></div>'
    )
    (fault,) = shown(under + grey)
    assert fault.startswith("color-contrast: ")
    # Of one letter axe says nothing: it makes no word of the same style a readable one.
    assert shown('<p class="pale">字</p><style>.pale {color: #ccc}</style>') == []
    (fault,) = shown('<p class="pale">看不清楚的字</p><hr><style>.pale {color: #ccc}</style>')
    assert fault.startswith("color-contrast: ")
    context.close()


def test_a_page_is_shown_again_when_any_part_of_it_differs() -> None:
    def page(menu: str = "甲", now: str = "", main: str = "正文", once: str = "0a") -> frozenset[str]:
        head = f'<header class="top"><a{now}>{menu}</a></header><nav class="side pocket"><a>{menu}</a></nav>'
        return parts_of(f'<body>{head}<main>{main}<input name="_once" value="{once}"></main></body>')

    shown = page() | page(menu="乙")
    assert page(now=' aria-current="page"', once="0b") <= shown
    assert page(menu="乙", once="0c") <= shown
    assert not page(menu="丙") <= shown
    assert not page(main="别的") <= shown


@pytest.mark.parametrize("person", [None, *PEOPLE])
def test_every_kind_of_page_can_be_used_by_everybody(
    traded: Traded, browser: Browser, seen: Seen, shown: set[str], files: set[str], person: str | None
) -> None:
    found = walk(traded.app, signed_in(traded.app, person), ["/", "/desk"], without=frozenset(files))
    files |= found.files
    files -= found.read.keys()
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
        if found.parts[path] <= shown:
            continue
        shown |= found.parts[path]
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
