"""A real Chromium for tests and screenshots: one browser per run, a fresh profile per person."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

PASSWORD = "pingliang-demo-2026"
DESKTOP = (1280, 900)
PHONE = (360, 740)
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--font-render-hinting=none",
]


def chromium_path() -> str | None:
    """Where a Chromium is on this machine; CHROMIUM names another one."""
    named = os.environ.get("CHROMIUM")
    found = (shutil.which(name) for name in NAMES)
    return named or next((path for path in found if path), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. Raises RuntimeError when there is none."""
    path = chromium_path()
    if path is None:
        raise RuntimeError("there is no Chromium here; Debian's package is `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def new_context(browser: Browser, size: tuple[int, int] = DESKTOP, **options: object) -> BrowserContext:
    """A fresh profile in Chinese and Beijing time; at phone width also a coarse pointer."""
    phone = size[0] < 600
    return browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale="zh-CN",
        timezone_id="Asia/Shanghai",
        has_touch=phone,
        is_mobile=phone,
        **options,  # type: ignore[arg-type]
    )


def sign_in(page: Page, base: str, username: str, password: str = PASSWORD) -> None:
    """Through the door, as a person does."""
    page.goto(f"{base}/sign-in")
    page.fill("#f-username", username)
    page.fill("#f-password", password)
    page.click("main button")
    page.wait_for_load_state()
    assert "/sign-in" not in page.url, page.inner_text("main")
