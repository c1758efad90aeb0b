"""The site under gunicorn and a real Chromium, one of each per test module; a fresh profile per person."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browsing import DESKTOP, PHONE, chromium, chromium_path, new_context, sign_in
from tests.conftest import Server, cloned_app
from tests.serving import Site, running_site

Person = Callable[..., Page]

# A busy machine may take its time; what never comes is still found.
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session", autouse=True)
def _a_chromium_is_here() -> None:
    """Without a browser these tests are reported as not run; on CI that is a failure."""
    if chromium_path() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs a Chromium for tests/browser; .ci/run installs Debian's")
        pytest.skip("not run: there is no Chromium on this machine (Debian's package is `chromium`)")


@pytest.fixture(scope="module")
def browser_site(server: Server, seeded_template: str, state_folder: Path) -> Iterator[Site]:
    """A running site on a seeded database of its own."""
    with (
        cloned_app(server, seeded_template, state_folder) as app,
        running_site(app.config["TEST_ENVIRONMENT"]) as site,
    ):
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def person(browser: Browser, browser_site: Site) -> Iterator[Person]:
    """`person("canteen.buyer", phone=True)` -> a signed-in page; `person()` -> a stranger's page.

    At the end no page may have had an error in its console or a violation of the content policy.
    """
    opened: list[BrowserContext] = []
    complaints: list[str] = []

    def come(username: str | None = None, *, phone: bool = False) -> Page:
        context = new_context(browser, PHONE if phone else DESKTOP)
        opened.append(context)
        context.set_default_timeout(60_000)
        page = context.new_page()
        _end_clicks_on_whole_pages(page)
        page.on(
            "console",
            lambda m: complaints.append(m.text) if m.type == "error" and not _refused(m.text) else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        if username is not None:
            sign_in(page, browser_site.base, username)
        return page

    yield come
    for context in opened:
        context.close()
    assert complaints == []


def _end_clicks_on_whole_pages(page: Page) -> None:
    """A click that opens another page ends when that page is all there; else a test may read half of it."""
    click = page.click

    def whole(*args: Any, **kwargs: Any) -> None:
        click(*args, **kwargs)
        page.wait_for_load_state()

    page.click = whole  # type: ignore[method-assign]


def _refused(text: str) -> bool:
    """Chromium writes every 4xx answer to the console, and every request while a test has taken the signal away."""
    return "Failed to load resource" in text and any(
        sign in text
        for sign in (
            "net::ERR_INTERNET_DISCONNECTED",
            # No server of ours says so: a test plays one that can't.
            "status of 599",
            *(f"status of {n}" for n in (401, 403, 404, 409, 422, 429)),
        )
    )
