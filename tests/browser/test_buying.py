"""A school's first purchase, its approval, and the goods at the gate, in a real browser."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, Route

from tests.browser.conftest import Person
from tests.browsing import PASSWORD
from tests.serving import Site


class Clicks:
    """Clicks of one person, those into the fields of a form among them."""

    def __init__(self, page: Page) -> None:
        self.page, self.count = page, 0

    def on(self, place: str, to: str | None = None) -> None:
        self.page.click(place)
        self.count += 1
        if to is not None:
            self.page.wait_for_url(to)

    def type(self, place: str, text: str) -> None:
        self.on(place)
        self.page.fill(place, text)


def api(site: Site) -> Callable[..., Any]:
    tokens: dict[str, str] = {}

    def ask(user: str, method: str, path: str, body: Any = None) -> Any:
        if user not in tokens and path != "/tokens":
            tokens[user] = ask(user, "POST", "/tokens", {"username": user, "password": PASSWORD})["token"]
        headers = {"Content-Type": "application/json"}
        if user in tokens:
            headers["Authorization"] = f"Bearer {tokens[user]}"
        content = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{site.base}/api/v1{path}", content, headers, method=method)
        with urllib.request.urlopen(asked, timeout=120) as answer:
            return json.load(answer)

    return ask


def test_a_new_buyer_orders_in_twelve_clicks_a_manager_approves_and_the_gate_refuses_a_pack(
    person: Person, browser_site: Site
) -> None:
    page = person()
    clicks = Clicks(page)
    page.goto(f"{browser_site.base}/")
    clicks.on(".top-end > a[href='/sign-in']", "**/sign-in")
    clicks.type("#f-username", "canteen.buyer")
    clicks.type("#f-password", PASSWORD)
    clicks.on("main button", "**/buy")
    clicks.type("#site-q", "静宁苹果")
    clicks.on(".find button", "**/products?*")
    clicks.on("article.offer:has-text('塬上果香') >> nth=0 >> form.buy button")
    clicks.on("main .note a", "**/buy/basket")
    # The basket says what a quantity costs while it is typed.
    before = page.inner_text("[data-total]")
    clicks.type("input[name='lines-0-quantity']", "12")
    assert page.inner_text("[data-total]") != before
    clicks.type("#f-deliver_to-phone", "13800000000")
    clicks.on("text=提交采购单", "**/purchases/*")
    assert clicks.count <= 12
    purchase_id = page.url.rsplit("/", 1)[1]

    manager = person("canteen.manager")
    manager.goto(f"{browser_site.base}/manage")
    manager.click("table a.btn >> nth=0")
    manager.click("text=批准，发给供应商")
    manager.wait_for_url("**/manage/approvals")

    ask = api(browser_site)
    order = ask("canteen.buyer", "GET", f"/purchases/{purchase_id}")["orders"][0]
    seller = "coop.seller"
    line = ask(seller, "POST", f"/orders/{order['id']}/confirm")["lines"][0]
    sent = {"lines": [{"line_id": line["id"], "quantity": 12}], "carrier": "合作社自送"}
    ask(seller, "POST", f"/orders/{order['id']}/ship", sent)

    gate = person("canteen.buyer", phone=True)
    gate.goto(f"{browser_site.base}/buy")
    gate.click("text=开始验收")
    gate.fill("input[name='lines-0-accepted_quantity']", "12")
    gate.fill("input[name='lines-0-refused_quantity']", "1")
    assert "比送来的多1" in gate.inner_text("[data-said] >> nth=0")
    gate.fill("input[name='lines-0-accepted_quantity']", "11")
    gate.fill("input[name='lines-0-reason']", "磕碰、压伤")
    gate.fill("#f-inspectors-1", "王老师")
    _send_without_signal(gate)
    gate.wait_for_url(f"**/orders/{order['id']}")
    assert "拒收1" in gate.inner_text("main")
    accepted = ask("canteen.buyer", "GET", f"/orders/{order['id']}")
    assert [(row["accepted_quantity"], row["refused_quantity"]) for row in accepted["lines"]] == [(11, 1)]


def _send_without_signal(page: Page) -> None:
    """The form stays on the phone while there is no signal, or a server that can't, and goes by itself afterwards,
    also after the page was opened anew.
    """
    said = page.locator("[data-draft-said]")
    page.context.set_offline(True)
    page.click("text=提交验收")
    said.filter(has_text="没有信号").wait_for()

    def busy(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=599, body="busy")
        else:
            route.continue_()

    page.route("**/*", busy)
    page.context.set_offline(False)
    said.filter(has_text="忙不过来").wait_for()
    page.clock.install()
    page.reload()
    said.filter(has_text="忙不过来").wait_for()
    page.unroute("**/*")
    # No event tells of it: the phone asks by itself.
    page.clock.fast_forward(31_000)
