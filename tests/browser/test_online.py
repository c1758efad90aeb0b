"""One order paid by the gateway in a real browser, and a part of it given back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import Person
from tests.conftest import Server, cloned_app
from tests.faults.gateway_double import Double, running_double
from tests.faults.speed import SiteTrader, gateway_settings
from tests.serving import Site, running_site


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with running_double() as running:
        yield running


@pytest.fixture(scope="module")
def browser_site(server: Server, seeded_template: str, state_folder: Path, double: Double) -> Iterator[Site]:
    with (
        cloned_app(server, seeded_template, state_folder) as app,
        running_site({**app.config["TEST_ENVIRONMENT"], **gateway_settings(double)}) as site,
    ):
        yield site


def test_an_order_is_paid_online_and_a_part_is_given_back(
    person: Person, browser_site: Site, double: Double
) -> None:
    order, base = SiteTrader(browser_site).accepted_order(), browser_site.base

    buyer = person("canteen.buyer", phone=True)
    buyer.goto(f"{base}/payments/new?order_id={order['id']}")
    buyer.check("#f-method-gateway")
    buyer.click("main form button")
    page = buyer.url
    buyer.click("#online a.btn--next")
    buyer.click("main form button")
    assert buyer.url == page
    assert "已扣款，订单已记为付款" in buyer.inner_text("#online")
    assert [i["amount_received"] for i in double.intents.values()] == [order["accepted_fen"]]

    seller = person("coop.seller")
    seller.goto(page)
    seller.click("#online a.btn >> text=退款")
    seller.fill("#f-amount_fen", "1.50")
    seller.fill("#f-reason", "压坏一个")
    seller.click("main form button")
    assert seller.url == page
    assert "已退回" in seller.inner_text("#online")
    assert [r["amount"] for r in double.refunds.values()] == [150]
