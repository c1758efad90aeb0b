"""The door of the site in a real browser: sign in, language, theme, sign out."""

from __future__ import annotations

from tests.browser.conftest import Person
from tests.serving import Site


def test_a_wrong_password_keeps_the_name_and_says_what_to_do(person: Person, browser_site: Site) -> None:
    page = person()
    page.goto(f"{browser_site.base}/sign-in")
    page.fill("#f-username", "canteen.buyer")
    page.fill("#f-password", "not the password")
    page.click("main button")
    assert page.input_value("#f-username") == "canteen.buyer"
    assert "用户名、密码或验证码不对" in page.inner_text("#errors")


def test_english_is_chosen_in_the_menu_and_kept(person: Person, browser_site: Site) -> None:
    page = person()
    page.goto(f"{browser_site.base}/sign-in")
    page.click(".menu summary")
    page.click("text=English")
    assert page.inner_text("h1") == "Sign in"
    page.reload()
    assert page.get_attribute("html", "lang") == "en"


def test_signing_out_ends_the_session(person: Person, browser_site: Site) -> None:
    page = person("canteen.buyer")
    page.goto(f"{browser_site.base}/sign-in")
    page.click(".menu summary")
    page.click("text=退出登录")
    page.goto(f"{browser_site.base}/desk")
    assert page.url.endswith("/sign-in")


def test_an_act_that_takes_its_time_says_that_it_is_under_way(person: Person, browser_site: Site) -> None:
    page = person()
    page.goto(f"{browser_site.base}/sign-in")
    # As the browser tells of it; nothing is sent, so the answer never comes.
    page.evaluate("document.querySelector('main form').dispatchEvent(new Event('submit', {bubbles: true}))")
    assert page.inner_text("p.busy[role=status]") == "正在提交……"
    page.evaluate("window.dispatchEvent(new Event('pageshow'))")
    assert page.query_selector("p.busy") is None
