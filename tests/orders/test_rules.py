"""What may be bought, at which price and for whose reserve: the rules over plain values, then what the API makes of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from marketplace.accounts import service as accounts
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role, system
from marketplace.clock import today
from marketplace.errors import RuleViolation
from marketplace.orders.deciding import OwnPurchase, approve_purchase
from marketplace.orders.rules import (
    COUNTY_NOT_LISTED,
    FARTHEST_DELIVERY_DAYS,
    NO_AGENCY,
    SELLER_NOT_ADMITTED,
    Buyer,
    LineWish,
    Offer,
    PricedLine,
    check_delivery_day,
    merge_lines,
    needs_approval,
    price_lines,
    quota_agency,
)
from marketplace.values import uuid7
from tests.conftest import PASSWORD

APPLES, POTATOES = UUID(int=1), UUID(int=2)
DAY = date(2026, 11, 20)
JINGNING, KONGTONG = "620826", "620802"

OFFER = Offer(
    product_id=APPLES, seller_id=UUID(int=9), seller_name="塬上果香合作社", name="静宁苹果", spec="80#",
    pack_unit="箱", net_g=5000, priced_by="pack", category_code="010301", county_code=JINGNING,
    min_order_quantity=10, order_multiple=5, ladder=((1, 4500), (50, 4200), (100, 4000)),
    price_list_code="public", seller_admitted=True,
)  # fmt: skip


def wish(quantity: int, position: int = 0, **other: Any) -> LineWish:
    return LineWish(**{"position": position, "product_id": APPLES, "quantity": quantity, "deliver_on": DAY,
                       "funding_source": None, **other})  # fmt: skip


def priced(*wishes: LineWish, offer: Offer = OFFER, agency: bool = True) -> list[PricedLine]:
    return price_lines(wishes, {offer.product_id: offer}, eligible_counties={JINGNING}, agency=agency)


def refused(*wishes: LineWish, offer: Offer = OFFER) -> Sequence[dict[str, str]]:
    with pytest.raises(RuleViolation) as caught:
        priced(*wishes, offer=offer)
    return list(caught.value.data["errors"])


def test_below_the_minimum_is_refused_with_what_is_missing() -> None:
    assert refused(wish(5, 3)) == [
        {"pointer": "#/lines/3/quantity", "detail": "静宁苹果最少订10箱，现在是5箱"}
    ]
    assert priced(wish(10))[0].wish.quantity == 10


def test_no_multiple_is_refused_with_the_two_beside_it() -> None:
    assert refused(wish(23)) == [
        {"pointer": "#/lines/0/quantity", "detail": "静宁苹果按5箱的倍数订：可改成20或25"}
    ]
    assert priced(wish(25))[0].wish.quantity == 25


def test_the_multiple_that_is_offered_is_never_below_the_minimum() -> None:
    offer = replace(OFFER, min_order_quantity=7)
    assert refused(wish(8), offer=offer)[0]["detail"] == "静宁苹果按5箱的倍数订：可改成7或10"


def test_ten_million_of_a_product_is_the_most_in_all_lines_together() -> None:
    most = [wish(9_000_000, 0), wish(1_000_000, 1, funding_source="个人")]
    assert [line.wish.quantity for line in priced(*most)] == [9_000_000, 1_000_000]
    detail = "同一产品合计最多10,000,000件"
    assert refused(most[0], wish(1_000_005, 1, funding_source="个人")) == [
        {"pointer": "#/lines/0/quantity", "detail": detail},
        {"pointer": "#/lines/1/quantity", "detail": detail},
    ]


def test_a_product_that_is_not_on_sale_is_refused_and_every_wrong_line_is_told() -> None:
    assert refused(wish(10, 0, product_id=POTATOES), wish(5, 1)) == [
        {"pointer": "#/lines/0/product_id", "detail": "这个产品现在不在售"},
        {"pointer": "#/lines/1/quantity", "detail": "静宁苹果最少订10箱，现在是5箱"},
    ]


@pytest.mark.parametrize(
    ("quantity", "step"),
    [
        (10, (1, 4500)),
        (45, (1, 4500)),
        (50, (50, 4200)),
        (95, (50, 4200)),
        (100, (100, 4000)),
        (900, (100, 4000)),
    ],
)
def test_the_step_of_the_price_begins_at_its_quantity(quantity: int, step: tuple[int, int]) -> None:
    (line,) = priced(wish(quantity))
    assert (line.tier_min_quantity, line.unit_price_fen) == step
    assert line.goods_fen == quantity * step[1]


def test_the_step_is_that_of_all_lines_of_the_product() -> None:
    two = priced(wish(30, 0), wish(20, 1, deliver_on=DAY + timedelta(days=1)))
    assert [(x.tier_min_quantity, x.unit_price_fen, x.goods_fen) for x in two] == [
        (50, 4200, 126_000),
        (50, 4200, 84_000),
    ]


def test_the_minimum_and_the_multiple_are_those_of_all_lines_of_the_product() -> None:
    assert [x.wish.quantity for x in priced(wish(7), wish(8, 1, funding_source="个人"))] == [7, 8]
    details = [e["detail"] for e in refused(wish(3), wish(4, 1, funding_source="个人"))]
    assert details == ["静宁苹果最少订10箱，现在是7箱"] * 2


def test_a_line_fills_a_reserve_only_from_a_listed_county_and_an_admitted_seller_for_an_agency() -> None:
    outside, unadmitted = replace(OFFER, county_code="620881"), replace(OFFER, seller_admitted=False)
    assert priced(wish(10))[0].ineligible_reason is None
    assert priced(wish(10), offer=outside)[0].ineligible_reason == COUNTY_NOT_LISTED
    assert priced(wish(10), offer=unadmitted)[0].ineligible_reason == SELLER_NOT_ADMITTED
    assert priced(wish(10), agency=False)[0].ineligible_reason == NO_AGENCY
    # Nobody's reserve is the last reason that is told.
    assert priced(wish(10), offer=unadmitted, agency=False)[0].ineligible_reason == SELLER_NOT_ADMITTED


def test_lines_of_one_product_day_and_fund_become_one_at_the_place_of_the_first() -> None:
    later = DAY + timedelta(days=1)
    merged = merge_lines(
        [
            wish(10, 0),
            wish(1, 1, product_id=POTATOES),
            wish(20, 2, deliver_on=later),
            wish(30, 3, funding_source="个人"),
            wish(5, 4),
            wish(2, 5, deliver_on=later),
            wish(3, 6, funding_source="个人"),
        ]
    )
    assert merged == [
        wish(15, 0),
        wish(1, 1, product_id=POTATOES),
        wish(22, 2, deliver_on=later),
        wish(33, 3, funding_source="个人"),
    ]


@pytest.mark.parametrize("days", [0, 1, FARTHEST_DELIVERY_DAYS])
def test_a_delivery_from_today_to_the_farthest_day_is_taken(days: int) -> None:
    assert check_delivery_day(DAY + timedelta(days=days), DAY, "#/deliver_on") == []


def test_a_delivery_yesterday_or_beyond_the_farthest_day_is_refused() -> None:
    assert check_delivery_day(DAY - timedelta(days=1), DAY, "#/deliver_on") == [
        {"pointer": "#/deliver_on", "detail": "送货日期已经过去"}
    ]
    assert check_delivery_day(date(2027, 11, 22), DAY, "#/lines/0/deliver_on") == [
        {"pointer": "#/lines/0/deliver_on", "detail": "送货日期最远366天"}
    ]


SCHOOL, PARTNER = UUID(int=21), UUID(int=22)


def agency(mode: str | None, partner: UUID | None = None) -> Buyer:
    return Buyer(SCHOOL, "agency", "school", JINGNING, mode, partner)


CATERER = Buyer(PARTNER, "contractor", None, KONGTONG, None, None)


@pytest.mark.parametrize(
    ("mode", "partner", "filled"),
    [
        ("own", None, SCHOOL),
        (None, None, SCHOOL),
        ("shared", PARTNER, PARTNER),
        ("outsourced", PARTNER, SCHOOL),
    ],
    ids=["own", "none", "shared", "outsourced"],
)
def test_whose_reserve_an_agency_fills(mode: str | None, partner: UUID | None, filled: UUID) -> None:
    assert quota_agency(agency(mode, partner), None) == (filled, JINGNING)


def test_a_contractor_fills_the_reserve_of_the_agency_that_gave_it_the_canteen() -> None:
    assert quota_agency(CATERER, agency("outsourced", PARTNER)) == (SCHOOL, JINGNING)


@pytest.mark.parametrize(
    "named",
    [
        None,
        agency("outsourced", UUID(int=23)),
        agency("shared", PARTNER),
        agency("own"),
        agency(None, PARTNER),
    ],
    ids=["nobody", "another's", "shared", "own", "none"],
)
def test_a_contractor_names_an_agency_of_its_own(named: Buyer | None) -> None:
    with pytest.raises(RuleViolation) as caught:
        quota_agency(CATERER, named)
    assert [error["pointer"] for error in caught.value.data["errors"]] == ["#/for_agency_id"]


@pytest.mark.parametrize("kind", ["agency", "union", "social"])
def test_nobody_but_a_contractor_buys_for_another(kind: str) -> None:
    with pytest.raises(RuleViolation) as caught:
        quota_agency(replace(agency("own"), kind=kind), agency("outsourced", SCHOOL))
    assert [error["pointer"] for error in caught.value.data["errors"]] == ["#/for_agency_id"]


def test_who_is_no_agency_fills_no_reserve_and_waits_for_nobody() -> None:
    union = replace(agency("shared", PARTNER), kind="union")
    assert quota_agency(union, None) == (None, JINGNING)
    assert [needs_approval(buyer) for buyer in (union, agency("own"), CATERER)] == [False, True, True]


# By the API.


class Shop:
    """Purchases of the seed's products, as clients send them."""

    def __init__(
        self, client: FlaskClient, owner: psycopg.Connection, sign_in: Callable[[str], dict[str, str]]
    ) -> None:
        self.client, self.owner, self.sign_in = client, owner, sign_in

    def product(self, sku: str) -> str:
        return str(self.one("select id from product where sku = %s", sku))

    def organisation(self, code: str) -> UUID:
        found = self.one("select id from organisation where code = %s", code)
        assert isinstance(found, UUID)
        return found

    def one(self, query: str, *values: object) -> object:
        row = self.owner.execute(query, values).fetchone()
        assert row is not None
        return row[0]

    def buy(self, *lines: dict[str, Any], user: str = "canteen.buyer", **more: Any) -> TestResponse:
        body = {
            "purpose": "canteen",
            "deliver_on": (today() + timedelta(days=3)).isoformat(),
            "deliver_to": {"name": "王芳", "phone": "13800000000", "address": "崆峒区柳湖路1号"},
            "lines": lines,
            **more,
        }
        return self.client.post("/api/v1/purchases", json=body, headers=self.sign_in(user))


@pytest.fixture
def shop(client: FlaskClient, owner: psycopg.Connection, sign_in: Callable[[str], dict[str, str]]) -> Shop:
    return Shop(client, owner, sign_in)


def pointers(answer: TestResponse) -> list[str]:
    assert answer.status_code == 422, answer.get_data(as_text=True)
    return [error["pointer"] for error in answer.get_json()["errors"]]


def test_the_same_product_twice_is_one_line_at_the_price_of_both(shop: Shop) -> None:
    apples = shop.product("PL-0001")  # 45.00, from 50 boxes on 42.00
    answer = shop.buy({"product_id": apples, "quantity": 30}, {"product_id": apples, "quantity": 20})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    lines = [line for order in answer.get_json()["orders"] for line in order["lines"]]
    assert [(x["product_id"], x["quantity"], x["unit_price_fen"]) for x in lines] == [(apples, 50, 4200)]
    assert answer.get_json()["goods_fen"] == 210_000


def test_a_reference_is_used_once_by_a_buyer_and_names_the_earlier_purchase(shop: Shop) -> None:
    line = {"product_id": shop.product("PL-0001"), "quantity": 1}
    first = shop.buy(line, reference="CG-1")
    again = shop.buy(line, reference="CG-1")
    assert (first.status_code, again.status_code) == (201, 409), again.get_data(as_text=True)
    told = again.get_json()
    assert told["type"].endswith("reference-used")
    assert (told["purchase_id"], told["number"]) == (first.get_json()["id"], first.get_json()["number"])
    # Another number and another buyer are free.
    assert shop.buy(line, reference="CG-2").status_code == 201
    assert shop.buy(line, reference="CG-1", user="canteen2.buyer").status_code == 201


def test_a_purchase_has_at_most_five_hundred_lines(shop: Shop) -> None:
    line = {"product_id": shop.product("PL-0001"), "quantity": 1}
    assert shop.buy(*[line] * 500).status_code == 201
    assert pointers(shop.buy(*[line] * 501)) == ["#/lines"]
    assert pointers(shop.buy()) == ["#/lines"]


def test_nobody_approves_what_he_submitted_himself(shop: Shop, context: Flask) -> None:
    bought = shop.buy({"product_id": shop.product("PL-0001"), "quantity": 1}).get_json()
    school = shop.organisation("ORG-AG-SCH-01")
    submitter = shop.one("select id from app_user where username = %s", "canteen.buyer")
    colleague = shop.one("select id from app_user where username = %s", "canteen.manager")
    assert isinstance(submitter, UUID)
    assert isinstance(colleague, UUID)
    manager = Actor(
        submitter, "canteen.buyer", school, "agency", KONGTONG, Role.MANAGER, ROLE_PERMISSIONS[Role.MANAGER],
        Door.API,
    )  # fmt: skip
    with pytest.raises(OwnPurchase) as caught:
        approve_purchase(manager, UUID(bought["id"]))
    assert caught.value.slug == "own-purchase"
    assert shop.one("select state from purchase where id = %s", bought["id"]) == "awaiting_approval"
    approve_purchase(replace(manager, user_id=colleague), UUID(bought["id"]))
    assert shop.one("select state from purchase where id = %s", bought["id"]) == "approved"


def test_an_agency_does_not_buy_for_another(shop: Shop) -> None:
    line = {"product_id": shop.product("PL-0001"), "quantity": 1}
    outsourced = str(shop.organisation("ORG-AG-SCH-03"))
    assert pointers(shop.buy(line, for_agency_id=outsourced)) == ["#/for_agency_id"]
    assert shop.buy(line, for_agency_id=outsourced, user="contractor.buyer").status_code == 201
    own = str(shop.organisation("ORG-AG-SCH-01"))
    assert pointers(shop.buy(line, for_agency_id=own, user="contractor.buyer")) == ["#/for_agency_id"]


def test_what_a_shared_canteen_buys_fills_the_reserve_of_its_representative(
    shop: Shop, context: Flask
) -> None:
    name = f"shared{uuid7().hex[-8:]}"
    accounts.add_user(
        system(), username=name, name="泾滨小学食堂采购员", password=PASSWORD,
        organisation_id=shop.organisation("ORG-AG-SCH-02"), role=Role.BUYER.value,
    )  # fmt: skip
    answer = shop.buy({"product_id": shop.product("PL-0001"), "quantity": 1}, user=name)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    row = shop.owner.execute(
        "select buyer_id, quota_agency_id from purchase where id = %s", (answer.get_json()["id"],)
    ).fetchone()
    assert row == (shop.organisation("ORG-AG-SCH-02"), shop.organisation("ORG-AG-SCH-01"))
