"""One page of every kind in every role, in a real Chromium: no serious axe finding, no overflow at 360 px, no error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.browsing import DESKTOP, PHONE, new_context, sign_in
from tests.conftest import Server
from tests.crawling import PEOPLE, WORKBOOK, signed_in, walk
from tests.traded import Traded, traded_site

# What a page of papers, files and machines answers is no page to read.
NOT_HTML = ("papers.", "static", "openapi", "livez", "readyz", "metrics", "api_docs")


@pytest.fixture(scope="module")
def traded(server: Server, seeded_template: str, state_folder: Path) -> Iterator[Traded]:
    with traded_site(server, seeded_template, state_folder) as traded:
        yield traded


def findings(page: Page) -> list[str]:
    result = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:160]}"
        for v in result.response["violations"]
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("person", [None, *PEOPLE])
def test_every_kind_of_page_can_be_used_by_everybody(
    traded: Traded, browser: Browser, person: str | None
) -> None:
    found = walk(traded.app, signed_in(traded.app, person), ["/", "/desk"])
    addresses = [
        paths[0]
        for endpoint, paths in sorted(found.pages.items())
        if not (endpoint.startswith(NOT_HTML) or endpoint.endswith(WORKBOOK))
    ]
    wrong: dict[str, list[str]] = {}
    for size in (DESKTOP, PHONE):
        # axe is put into the page from outside, which the page's own policy would refuse.
        context = new_context(browser, size, bypass_csp=True)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda m, to=complaints: to.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e, to=complaints: to.append(str(e)))
        if person is not None:
            sign_in(page, traded.site.base, person)
        for path in addresses:
            if "html" not in context.request.head(traded.site.base + path).headers.get("content-type", ""):
                continue
            page.goto(traded.site.base + path)
            here = list(findings(page)) if size == DESKTOP else []
            over = page.evaluate("document.documentElement.scrollWidth") - size[0]
            if over > 0:
                here.append(f"overflows by {over}px at {size[0]}")
            here += complaints
            complaints.clear()
            if here:
                wrong[f"{path} at {size[0]}"] = here
        context.close()
    assert wrong == {}, json.dumps(wrong, ensure_ascii=False, indent=1)
