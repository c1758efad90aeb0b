"""Desks without a mouse: Tab, Enter, Space and arrows alone, each step in sight and in reading order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Person
from tests.browsing import PASSWORD
from tests.conftest import Server
from tests.serving import Site
from tests.story import Teller, bearer
from tests.traded import Traded, traded_site

MOST_STEPS = 120  # more than any page of a desk has to press
# Where the focus is now: whether a ring is drawn there, whether it can be seen, and where it stands on the page.
STANDS = """
() => {
  const focused = document.activeElement;
  const shown = focused.matches(".vh") && focused.nextElementSibling ? focused.nextElementSibling : focused;
  const style = getComputedStyle(shown), box = shown.getClientRects()[0];
  const inside = (low, high, end) => (Math.max(low, 0) + Math.min(high, end)) / 2;
  const at = [inside(box.left, box.right, innerWidth), inside(box.top, box.bottom, innerHeight)];
  const hit = document.elementFromPoint(at[0], at[1]);
  return {
    same: focused === window.stoodOn || ((window.stoodOn = focused), false),
    what: focused.outerHTML.slice(0, 120),
    ring: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    seen: hit !== null && (shown.contains(hit) || hit.contains(shown)),
    main: focused.closest("main") !== null,
    left: box.left, right: box.right, top: box.top + scrollY, bottom: box.bottom + scrollY,
  };
}
"""


class Keys:
    """One person at a keyboard. Every element that Tab comes to shows its ring, uncovered, and none is above the last."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.last: dict[str, float] | None = None

    def start(self) -> None:
        """On a page that has just opened: over the menus to its content."""
        self.last = None
        self._tab()
        assert self.page.evaluate("document.activeElement.className") == "skip"
        self.page.keyboard.press("Enter")
        self.last = None

    def to(self, selector: str, text: str | None = None) -> None:
        wanted = self.page.locator(selector, has_text=text).first
        for _ in range(MOST_STEPS):
            self._tab()
            if wanted.evaluate("part => part === document.activeElement"):
                return
        pytest.fail(f"Tab never comes to {selector} {text or ''}")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def go(self, key: str = "Enter") -> None:
        """A key that opens another page."""
        with self.page.expect_navigation():
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.insert_text(text)

    def _tab(self) -> None:
        self.page.keyboard.press("Tab")
        here = self.page.evaluate(STANDS)
        if here["same"]:
            return
        assert here["ring"], f"no ring around {here['what']}"
        assert here["seen"], f"covered or out of sight: {here['what']}"
        if self.last is not None and self.last["main"] and here["main"]:
            above = here["bottom"] <= self.last["top"]
            aside = here["left"] >= self.last["right"] - 1
            assert not above or aside, f"{here['what']} stands above what comes before it"
        self.last = here


Desk = Callable[[str], Keys]


@pytest.fixture(scope="module")
def traded(server: Server, seeded_template: str, state_folder: Path) -> Iterator[Traded]:
    with traded_site(server, seeded_template, state_folder) as traded:
        yield traded


@pytest.fixture(scope="module")
def browser_site(traded: Traded) -> Site:
    return traded.site


@pytest.fixture(scope="module")
def teller(traded: Traded) -> Teller:
    return Teller(traded.app, bearer(traded.app))


@pytest.fixture
def desk(person: Person, browser_site: Site) -> Desk:
    """`desk("canteen.manager")`: signed in by keyboard, on the first page of the own desk."""

    def come(username: str) -> Keys:
        page = person()
        page.goto(f"{browser_site.base}/sign-in")
        keys = Keys(page)
        keys.start()
        keys.to("#f-username")
        keys.type(username)
        keys.to("#f-password")
        keys.type(PASSWORD)
        keys.go()
        assert "/sign-in" not in page.url
        return keys

    return come


def test_a_manager_approves_one_purchase_and_returns_another(
    desk: Desk, browser_site: Site, teller: Teller
) -> None:
    approved = teller.play("submitted").purchase
    returned = teller.play("submitted").purchase
    keys = desk("canteen.manager")
    keys.start()
    keys.to(f"main a[href='/purchases/{approved['id']}/approve']")
    keys.go()
    keys.start()
    keys.to("main button", "批准")
    keys.go()
    assert teller.ask("GET", f"/purchases/{approved['id']}", "canteen.manager")["state"] == "approved"

    keys.page.goto(f"{browser_site.base}/desk")
    keys.start()
    keys.to(f"main a[href='/purchases/{returned['id']}/approve']")
    keys.go()
    keys.start()
    keys.to("main a", "退回")
    keys.go()
    keys.start()
    keys.to("#f-reason")
    keys.to("main button", "退回")
    keys.go("Space")
    # Refused without a reason: the reasons are where the focus is, and lead to the field.
    assert keys.page.evaluate("document.activeElement.id") == "errors"
    keys.last = None
    keys.to("#errors a")
    keys.press("Enter")
    assert keys.page.evaluate("document.activeElement.id") == "f-reason"
    keys.type("数量减到一半")
    keys.to("main button", "退回")
    keys.go("Space")
    assert teller.ask("GET", f"/purchases/{returned['id']}", "canteen.manager")["state"] == "rejected"


def test_the_finance_office_returns_a_declaration_and_approves_another(
    desk: Desk, browser_site: Site, teller: Teller
) -> None:
    filed = {}
    for manager in ("canteen.manager", "canteen2.manager"):
        agency = teller.ask("GET", "/me", manager)["organisation"]["id"]
        content = {
            "agency_id": agency,
            "year": 2027,
            "canteen": "own",
            "base_fen": 10_000_000,
            "share_bp": 2000,
        }
        filed[manager] = teller.ask("POST", "/declarations", manager, content)["id"]
        teller.ask("POST", f"/declarations/{filed[manager]}/submit", manager)
    keys = desk("finance.reviewer")
    for manager, verb, reason in (
        ("canteen.manager", "退回", "基数请按决算填"),
        ("canteen2.manager", "审核通过", ""),
    ):
        keys.page.goto(f"{browser_site.base}/declarations?year=2027&state=submitted")
        keys.start()
        keys.to(f"main a[href*='{filed[manager]}']")
        keys.go()
        keys.start()
        keys.to("main a.btn", verb)
        keys.go()
        keys.start()
        if reason:
            keys.to("#f-reason")
            keys.type(reason)
        keys.to("main button", verb)
        keys.go()
    states = [
        teller.ask("GET", f"/declarations/{each}", "finance.reviewer")["state"] for each in filed.values()
    ]
    assert states == ["returned", "approved"]


def test_the_administrator_makes_a_user_and_changes_the_role(desk: Desk, browser_site: Site) -> None:
    keys = desk("platform.admin")
    keys.page.goto(f"{browser_site.base}/admin/users")
    keys.start()
    keys.to("main a", "加用户")
    keys.go()
    keys.start()
    keys.to("#f-q")
    keys.type("泾滨中学")
    keys.go()
    keys.start()
    keys.to("main a", "选它")
    keys.go()
    keys.start()
    keys.to("#f-username")
    keys.type("key.board")
    keys.to("#f-name")
    keys.type("键盘老师")
    keys.to("#f-role")
    keys.press("ArrowDown")
    keys.to("main form button", "加用户")
    keys.go()
    assert "只显示这一次" in keys.page.inner_text("main")
    keys.start()
    keys.to("main a", "已告诉本人")
    keys.go()
    keys.start()
    keys.to("main a", "改角色")
    keys.go()
    keys.start()
    keys.to("#f-role")
    before = keys.page.input_value("#f-role")
    keys.press("ArrowUp")
    assert keys.page.input_value("#f-role") != before
    keys.to("main button", "改角色")
    keys.go()
    assert "角色已改" in keys.page.inner_text("main")


def test_the_poverty_office_gives_a_rule_a_new_value(desk: Desk, browser_site: Site) -> None:
    keys = desk("county.office")
    keys.page.goto(f"{browser_site.base}/policies")
    keys.start()
    keys.to("main a[href*='/policies/new?key=']")
    keys.go()
    keys.start()
    keys.to("#f-valid_from")
    for _ in range(3):  # year, month and day stand as the browser's own language has them
        keys.press("ArrowUp")
        keys.press("ArrowUp")
        keys.press("ArrowRight")
    keys.to("#f-title")
    keys.page.keyboard.press("Control+A")
    keys.type("明年的规则")
    keys.to("#f-source")
    keys.type("平财采〔2026〕9号")
    keys.to("main button", "记下这个值")
    keys.go()
    assert "规则已记下" in keys.page.inner_text("main")


def test_the_regulator_holds_a_lot(desk: Desk, browser_site: Site) -> None:
    keys = desk("market.regulator")
    keys.page.goto(f"{browser_site.base}/regulate/lots?state=released")
    keys.start()
    keys.to("main tbody th a")
    keys.go()
    keys.start()
    keys.to("main a.btn", "停售")
    keys.go()
    keys.start()
    keys.to("#f-reason")
    keys.type("核对检疫证明")
    keys.to("main button", "停售")
    keys.go("Space")
    assert "核对检疫证明" in keys.page.inner_text("main")
    assert "暂停销售" in keys.page.inner_text(".title")


def test_the_settlement_clerk_decides_about_a_message(desk: Desk, traded: Traded) -> None:
    with psycopg.connect(
        traded.app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True
    ) as owner:
        owner.execute(
            "insert into gateway_event (event_id, kind, body, state, reason, received_at, ended_at) values"
            ' (\'evt_keys\', \'payment_intent.succeeded\', \'{"id": "pi_x", "amount_received": 1200,'
            " \"currency\": \"cny\"}', 'quarantined', 'names-nothing-here', now(), now())"
        )
    keys = desk("settlement.clerk")
    keys.page.goto(f"{traded.site.base}/settlement")
    keys.start()
    keys.to("main a[href='/settlement/messages']")
    keys.go()
    keys.start()
    keys.to("main tbody a")
    keys.go()
    keys.start()
    keys.to("[name=outcome]")
    keys.press("ArrowUp")
    assert keys.page.is_checked("#f-outcome-foreign")
    keys.to("main button", "确认处理")
    keys.go()
    assert "已处理这条通知" in keys.page.inner_text("main")
