"""The buyer's desk as a person uses it, by form: basket, submission, orders, acceptance, the ledger."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from psycopg import sql
from werkzeug.test import TestResponse

from marketplace import upkeep
from marketplace.clock import today
from marketplace.database import db
from marketplace.desks.grounds import price_grounds
from marketplace.orders.models import OrderLine, Purchase
from tests.conftest import PASSWORD
from tests.statements import sent_statements
from tests.story import Story, Teller

ORIGIN = {"Origin": "http://localhost"}


class Person:
    """A signed-in browser without scripts."""

    def __init__(self, app: Flask, username: str) -> None:
        self.client: FlaskClient = app.test_client()
        answer = self.client.post(
            "/sign-in", data={"username": username, "password": PASSWORD}, headers=ORIGIN
        )
        assert answer.status_code == 303

    def see(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return answer.get_data(as_text=True)

    def send(self, path: str, data: dict[str, Any]) -> TestResponse:
        return self.client.post(path, data=data, headers=ORIGIN)

    def key(self, path: str) -> str:
        found = re.search(r'name="_once" value="([0-9a-f]{32})"', self.see(path))
        assert found is not None
        return found[1]


@pytest.fixture(scope="module")
def teller(app: Flask, sign_in: Callable[[str], dict[str, str]]) -> Teller:
    return Teller(app, sign_in)


@pytest.fixture
def buyer(app: Flask) -> Person:
    return Person(app, "canteen.buyer")


@pytest.fixture
def manager(app: Flask) -> Person:
    return Person(app, "canteen.manager")


@pytest.fixture(autouse=True)
def _empty_baskets(owner: psycopg.Connection) -> Iterator[None]:
    yield
    owner.execute("delete from basket_draft")


def product(teller: Teller, place: int = 0) -> dict[str, Any]:
    return teller.products()[place]


def filled(goods: dict[str, Any], quantity: object, **changes: Any) -> dict[str, Any]:
    """The basket's form with one line."""
    return {
        "purpose": "canteen",
        "deliver_on": (today() + timedelta(days=3)).isoformat(),
        "deliver_to-name": "王芳",
        "deliver_to-phone": "13800000000",
        "deliver_to-address": "崆峒区柳湖路1号",
        "lines-0-product_id": goods["id"],
        "lines-0-quantity": str(quantity),
        "lines-0-unit": "pack",
        **changes,
    }


def in_a_week() -> str:
    return (today() + timedelta(days=7)).isoformat()


def count(owner: psycopg.Connection, rows: LiteralString, *values: object) -> int:
    row = owner.execute(sql.SQL("select count(*) from ") + sql.SQL(rows), values).fetchone()
    assert row is not None
    return int(row[0])


def texts(answer: TestResponse) -> set[str]:
    """All texts of a spreadsheet."""
    with zipfile.ZipFile(io.BytesIO(answer.data)) as book:
        content = book.read("xl/sharedStrings.xml").decode()
    return set(re.findall(r"<t[^>]*>([^<]*)</t>", content))


def basket(owner: psycopg.Connection) -> list[dict[str, Any]]:
    row = owner.execute("select content from basket_draft where name = ''").fetchone()
    return [] if row is None else list(row[0]["lines"])


def test_an_empty_basket_says_what_to_do(buyer: Person) -> None:
    assert "采购单是空的" in buyer.see("/buy/basket")


def test_packs_are_put_in_once_though_the_form_was_sent_twice(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller)
    form = {"product_id": goods["id"], "quantity": goods["min_order_quantity"], "_once": "a" * 32}
    assert buyer.send("/buy/basket/add", form).status_code == 303
    assert buyer.send("/buy/basket/add", form).status_code == 303
    assert [line["quantity"] for line in basket(owner)] == [goods["min_order_quantity"]]
    assert goods["name"] in buyer.see("/buy/basket")


def test_a_weight_in_jin_becomes_whole_packs_and_says_the_difference(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = next(p for p in teller.products() if p["pack"]["net_g"] == 10_000 and p["order_multiple"] == 1)
    unit = goods["pack"]["unit"]
    buyer.send("/buy/basket/add", {"product_id": goods["id"], "quantity": "1,250", "unit": "jin"})
    assert [line["quantity"] for line in basket(owner)] == [63]
    assert f"1,250斤是62.5{unit}。按整件取63{unit}（1260斤，多10斤）" in buyer.see("/buy/basket")
    # 62 packs lack 10 of 1,250 斤, which is less than a twentieth: they are offered.
    assert f"改取62{unit}（少10斤）" in buyer.see("/buy/basket")
    buyer.send("/buy/basket", {**filled(goods, "1,250", **{"lines-0-unit": "jin"}), "_take": "0:62"})
    assert [(line["quantity"], line["unit"]) for line in basket(owner)] == [(62, "pack")]


def test_a_quantity_that_is_none_is_told_at_its_field_and_kept(buyer: Person, teller: Teller) -> None:
    answer = buyer.send("/buy/basket", filled(product(teller), "一百"))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "请填数量，如60或62.5" in page
    assert 'href="#f-lines-0-quantity"' in page
    assert 'value="一百"' in page
    assert "有1处要改" in page
    assert 'value="王芳"' in page


@pytest.mark.parametrize("seen", ["0001-01-01", "12 元", "９９", "1" * 16])
def test_a_seen_price_that_is_none_buys_nothing(
    buyer: Person, teller: Teller, owner: psycopg.Connection, seen: str
) -> None:
    goods = product(teller)
    before = count(owner, "purchase")
    form = {**filled(goods, goods["min_order_quantity"], _once="d" * 32), "lines-0-seen_fen": seen}
    answer = buyer.send("/buy/basket/submit", form)
    assert answer.status_code == 422
    assert count(owner, "purchase") == before


def test_a_basket_is_submitted_once_and_emptied(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller)
    buyer.send("/buy/basket/add", {"product_id": goods["id"], "quantity": goods["min_order_quantity"]})
    before = count(owner, "purchase")
    form = filled(goods, goods["min_order_quantity"], _once=buyer.key("/buy/basket"))
    first = buyer.send("/buy/basket/submit", form)
    second = buyer.send("/buy/basket/submit", form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.location == second.location
    assert re.fullmatch(r"/purchases/[0-9a-f-]{36}", first.location)
    assert count(owner, "purchase") == before + 1
    assert basket(owner) == []
    page = buyer.see(first.location)
    assert "等管理员审批" in page
    assert "撤回" in page


def test_a_shortage_is_told_at_its_line_with_what_is_left_as_one_button(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller)
    free, multiple = goods["available_quantity"], goods["order_multiple"]
    asked = (free // multiple + 5) * multiple
    buyer.send("/buy/basket/add", {"product_id": goods["id"], "quantity": asked})
    before = count(owner, "purchase")
    answer = buyer.send("/buy/basket/submit", filled(goods, asked, _once="b" * 32))
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert f"只剩{free:,}{goods['pack']['unit']}" in page
    take = free - free % multiple
    assert f'name="_take" value="0:{take}"' in page
    assert 'value="王芳"' in page
    assert count(owner, "purchase") == before
    buyer.send("/buy/basket", {**filled(goods, asked), "_take": f"0:{take}"})
    assert [line["quantity"] for line in basket(owner)] == [take]


def test_a_price_that_changed_since_it_was_seen_is_not_ordered(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller, 1)
    buyer.send("/buy/basket/add", {"product_id": goods["id"], "quantity": goods["min_order_quantity"]})
    mark = re.search(r'name="_mark" value="([0-9a-f]+)"', buyer.see("/buy/basket"))
    assert mark is not None
    owner.execute("update price_tier set price_fen = price_fen + 100 where product_id = %s", (goods["id"],))
    before = count(owner, "purchase")
    try:
        form = filled(goods, goods["min_order_quantity"], _once="c" * 32, _mark=mark[1])
        answer = buyer.send("/buy/basket/submit", form)
        page = answer.get_data(as_text=True)
    finally:
        owner.execute(
            "update price_tier set price_fen = price_fen - 100 where product_id = %s", (goods["id"],)
        )
    assert answer.status_code == 422
    assert "价格刚刚变了" in page
    assert count(owner, "purchase") == before


def test_a_line_is_split_over_two_days_and_removed(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller)
    buyer.send("/buy/basket", {**filled(goods, 10), "_split": "0"})
    assert [line["quantity"] for line in basket(owner)] == [5, 5]
    buyer.send("/buy/basket", {**filled(goods, 10), "_remove": "0"})
    assert basket(owner) == []


def test_a_template_is_saved_loaded_and_deleted_by_its_own_unit_alone(
    app: Flask, buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller)
    # What comes on two days is one line of the list: days belong to one purchase only.
    second = {"lines-1-product_id": goods["id"], "lines-1-quantity": "8", "lines-1-deliver_on": in_a_week()}
    form = {**filled(goods, 12), **second, "template_name": "每周三", "_act": "save"}
    answer = buyer.send("/buy/templates", form)
    assert answer.status_code == 303
    row = owner.execute("select id, content from basket_draft where name = '每周三'").fetchone()
    assert row is not None
    assert "13800000000" not in str(row[1])
    assert [line["quantity"] for line in row[1]["lines"]] == [20]
    assert "每周三" in buyer.see("/buy/templates")
    stranger = Person(app, "canteen2.buyer")
    assert "每周三" not in stranger.see("/buy/templates")
    given = {"template_id": str(row[0]), "_act": "load"}
    assert stranger.send("/buy/templates", given).status_code == 404
    assert stranger.send("/buy/templates", {**given, "_act": "delete"}).status_code == 404
    owner.execute("delete from basket_draft where name = ''")
    assert buyer.send("/buy/templates", given).status_code == 303
    assert [line["quantity"] for line in basket(owner)] == [20]
    assert buyer.send("/buy/templates", {**given, "_act": "delete"}).status_code == 303
    assert count(owner, "basket_draft where name <> ''") == 0


def test_a_basket_is_spread_over_days_and_put_together_again(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller)
    first, second, third = ((today() + timedelta(days)).isoformat() for days in (3, 5, 8))
    seen = {"lines-0-seen_fen": goods["price_fen"]}
    form = {**filled(goods, 80), **seen, "deliver_on": first, "_spread": "1"}
    buyer.send("/buy/basket", {**form, "day_2": third, "day_3": second})
    assert [(line["quantity"], line["deliver_on"]) for line in basket(owner)] == [
        (27, None),
        (27, second),
        (26, third),
    ]
    page = buyer.see("/buy/basket")
    assert f'name="day_2" type="date" value="{second}"' in page
    assert "各次送货" in page
    buyer.send("/buy/basket", form)
    assert [(line["quantity"], line["deliver_on"]) for line in basket(owner)] == [(80, None)]
    page = buyer.see("/buy/basket")
    assert "各次送货" not in page
    assert "价格已变" not in page  # the dearer step of a smaller quantity is no change


def test_a_day_that_is_past_spreads_nothing(buyer: Person, teller: Teller, owner: psycopg.Connection) -> None:
    form = {**filled(product(teller), 80), "day_2": (today() - timedelta(1)).isoformat(), "_spread": "1"}
    answer = buyer.send("/buy/basket", form)
    assert answer.status_code == 422
    assert "送货日期已经过去" in answer.get_data(as_text=True)
    assert basket(owner) == []


def test_a_purchase_in_parts_says_its_days_on_every_page_and_paper(
    buyer: Person, manager: Person, teller: Teller
) -> None:
    goods = product(teller)
    first, second = (today() + timedelta(days) for days in (3, 6))
    asked = max(10, goods["min_order_quantity"])
    buyer.send("/buy/basket", {**filled(goods, asked), "deliver_on": first, "day_2": second, "_spread": "1"})
    page = buyer.see("/buy/basket")
    sent = {
        name: value
        for name, value in re.findall(
            r'<input[^>]* name="((?:lines|deliver)[^"]+)"[^>]* value="([^"]*)"', page
        )
        if value
    }
    answer = buyer.send("/buy/basket/submit", {**sent, "purpose": "canteen", "_once": "d" * 32})
    assert answer.status_code == 303, answer.get_data(as_text=True)
    days = f"{first.month}月{first.day}日、{second.month}月{second.day}日"
    purchase = answer.headers["Location"]
    assert days in buyer.see(purchase)
    manager.send(f"{purchase}/approve", {"_once": "e" * 32})
    order = re.search(r'href="(/orders/[0-9a-f-]{36})"', buyer.see(purchase))
    assert order is not None
    page = buyer.see(order[1])
    assert page.count(days) == 2  # beside the goods, and in the text for a chat


def test_a_basket_is_reckoned_by_the_people_at_table(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller)
    net_g, multiple = goods["pack"]["net_g"], goods["order_multiple"]
    form = {**filled(goods, 1), "heads": "600", "lines-0-grams": "150", "_lay": "1"}
    refused = buyer.send("/buy/basket", form)
    assert refused.status_code == 422
    assert "请填吃几天" in refused.get_data(as_text=True)
    assert 'value="150"' in refused.get_data(as_text=True)
    buyer.send("/buy/basket", {**form, "fed_days": "5"})
    wanted = -(-600 * 150 * 5 // (net_g * multiple)) * multiple
    assert [(line["quantity"], line["grams"]) for line in basket(owner)] == [(wanted, 150)]
    sent = {**filled(goods, wanted), "heads": "600", "fed_days": "5", "_once": "f" * 32}
    answer = buyer.send("/buy/basket/submit", sent)
    assert answer.status_code == 303, answer.get_data(as_text=True)


def test_a_basket_is_fitted_to_a_budget(buyer: Person, teller: Teller, owner: psycopg.Connection) -> None:
    goods = product(teller)
    form = {**filled(goods, goods["min_order_quantity"]), "_fit": "1"}
    for budget, said in (("", "请填这一单的预算"), ("0.01", "超过预算")):
        refused = buyer.send("/buy/basket", {**form, "budget_fen": budget})
        assert refused.status_code == 422
        assert said in refused.get_data(as_text=True)
    assert f'value="{goods["min_order_quantity"]}"' in refused.get_data(as_text=True)
    wanted = goods["min_order_quantity"] + goods["order_multiple"]
    price = max(s["price_fen"] for s in goods["price_ladder"] if s["min_quantity"] <= wanted)
    budget = f"{price * wanted / 100:.2f}"
    assert buyer.send("/buy/basket", {**form, "budget_fen": budget}).status_code == 303
    assert [line["quantity"] for line in basket(owner)] == [wanted]
    page = buyer.see("/buy/basket")
    assert "比预算少0.00%，在百分之五以内" in page
    sent = {**filled(goods, wanted), "budget_fen": budget, "_once": "e" * 32}
    assert buyer.send("/buy/basket/submit", sent).status_code == 303


def test_the_page_of_a_product_reckons_packs_for_the_people_at_table(buyer: Person, teller: Teller) -> None:
    goods = product(teller)
    net_g, multiple = goods["pack"]["net_g"], goods["order_multiple"]
    wanted = -(-600 * 150 * 5 // (net_g * multiple)) * multiple
    page = buyer.see(f"/products/{goods['id']}?heads=600&grams=150&fed_days=5")
    assert "600人×150克×5天，要450公斤" in page
    assert f'name="quantity" inputmode="decimal" autocomplete="off" value="{wanted}"' in page
    for nonsense in ("heads=0&grams=1&fed_days=1", "heads=600&grams=x&fed_days=1", "heads=9999999&grams=1"):
        assert "三项都要填整数" in buyer.see(f"/products/{goods['id']}?{nonsense}")


def test_a_template_without_a_name_asks_for_one_and_keeps_the_basket(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    answer = buyer.send("/buy/templates", {**filled(product(teller), 20), "_act": "save"})
    assert answer.status_code == 422
    assert "给常用单起个名字" in answer.get_data(as_text=True)
    assert [line["quantity"] for line in basket(owner)] == [20]


def test_a_basket_that_nobody_touched_is_forgotten_and_a_list_stays(
    app: Flask, buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    goods = product(teller)
    buyer.send("/buy/templates", {**filled(goods, 20), "template_name": "每周三", "_act": "save"})
    owner.execute("update basket_draft set saved_at = now() - interval '89 days'")
    with app.app_context():
        upkeep.forget()
    assert count(owner, "basket_draft") == 2
    owner.execute("update basket_draft set saved_at = now() - interval '91 days'")
    with app.app_context():
        upkeep.forget()
    assert owner.execute("select name from basket_draft").fetchall() == [("每周三",)]


def test_an_order_is_bought_again(
    app: Flask, buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    story = teller.play("approved")
    path = f"/orders/{story.order_id}/again"
    assert "再买一次" in buyer.see(path)
    assert buyer.send(path, {}).status_code == 303
    wanted = [line["quantity"] for line in story.purchase["orders"][0]["lines"]]
    assert [line["quantity"] for line in basket(owner)] == wanted
    assert Person(app, "canteen2.buyer").client.get(path).status_code == 404


def test_the_desk_lists_what_waits_for_the_buyer(buyer: Person, teller: Teller) -> None:
    story = teller.play("shipped")
    page = buyer.see("/buy")
    assert "开始验收" in page
    assert f"/orders/{story.order_id}/accept" in page
    assert "扫码验收" in page
    assert story.order["number"] in buyer.see("/orders?tab=mine")
    assert story.order["number"] not in buyer.see("/orders?tab=theirs")


def test_the_desk_shows_how_far_the_year_has_come(buyer: Person, manager: Person, teller: Teller) -> None:
    undeclared = buyer.see("/buy")
    assert "年预留份额</h2>" not in undeclared
    assert "请本单位负责人在“份额填报”里填报" in undeclared
    agency = teller.ask("GET", "/me", "canteen.manager")["organisation"]["id"]
    declared = teller.ask(
        "POST",
        "/declarations",
        "canteen.manager",
        {
            "agency_id": agency, "year": today().year, "canteen": "own", "base_fen": 100_000_000, "share_bp": 1500,
            "contact": "办公室",
        },
    )  # fmt: skip
    teller.ask("POST", f"/declarations/{declared['id']}/submit", "canteen.manager")
    teller.ask("POST", f"/declarations/{declared['id']}/approve", "finance.reviewer")
    for page in (buyer.see("/buy"), manager.see("/manage")):
        assert f"{today().year}年预留份额</h2>" in page
        assert "应完成15.00万元" in page
        assert "今年还没有审核通过的预留份额" not in page


def test_the_orders_are_a_sheet(buyer: Person, teller: Teller) -> None:
    story = teller.play("approved")
    answer = buyer.client.get("/orders?format=xlsx")
    assert story.purchase["orders"][0]["number"] in texts(answer)


@pytest.mark.parametrize(
    "username", ["canteen.buyer", "canteen.manager", "coop.seller", "county.office", "finance.reviewer"]
)
def test_every_side_reads_the_order_and_only_the_parties_its_persons(
    app: Flask, teller: Teller, username: str
) -> None:
    story = teller.play("accepted")
    page = Person(app, username).see(f"/orders/{story.order_id}")
    assert story.order["number"] in page
    party = username in ("canteen.buyer", "canteen.manager", "coop.seller")
    assert ("13800000000" in page) is party
    assert ("马师傅" in page) is party
    message = re.search(r'data-copy="([^"]*)"', page)
    assert message is not None
    assert "13800000000" not in message[1]
    assert "王芳" not in message[1]
    assert story.order_id in message[1]


def test_an_order_of_others_is_absent(app: Flask, teller: Teller) -> None:
    story = teller.play("accepted")
    for username in ("canteen2.buyer", "coop2.seller"):
        person = Person(app, username)
        for path in (f"/orders/{story.order_id}", f"/orders/{story.order_id}/cancel"):
            assert person.client.get(path).status_code == 404
    stranger = Person(app, "canteen2.buyer")
    for path in ("accept", "evaluate", "again"):
        assert stranger.client.get(f"/orders/{story.order_id}/{path}").status_code == 404
    assert stranger.client.get(f"/purchases/{story.purchase['id']}").status_code == 404


def test_a_seller_has_no_basket(app: Flask) -> None:
    seller = Person(app, "coop.seller")
    for path in ("/buy", "/buy/basket", "/buy/templates", "/buy/ledger", "/scan", "/purchases"):
        assert seller.client.get(path).status_code == 403


def test_a_confirmed_order_is_cancelled_when_both_sides_agree(
    app: Flask, buyer: Person, teller: Teller
) -> None:
    story = teller.play("confirmed")
    path = f"/orders/{story.order_id}/cancel"
    assert "提出后要对方同意" in buyer.see(path)
    answer = buyer.send(path, {"reason": "", "_once": buyer.key(path)})
    assert answer.status_code == 422
    answer = buyer.send(path, {"reason": "停电停课", "_once": buyer.key(path)})
    assert answer.status_code == 303
    assert "等对方同意取消" in buyer.see(f"/orders/{story.order_id}")
    seller = Person(app, "coop.seller")
    asked = seller.see(path)
    assert "对方提出取消这个订单" in asked
    assert "停电停课" in asked
    assert seller.send(path, {"reason": "同意", "_once": seller.key(path)}).status_code == 303
    assert "已取消" in buyer.see(f"/orders/{story.order_id}")


def photo(colour: str) -> tuple[io.BytesIO, str]:
    content = io.BytesIO()
    Image.new("RGB", (60, 40), colour).save(content, "JPEG")
    content.seek(0)
    return content, f"{colour}.jpg"


def lots_of(story: Story) -> list[dict[str, Any]]:
    return [row for shipment in story.order["shipments"] for row in shipment["lines"]]


def accept_form(story: Story, refused: int, **changes: Any) -> dict[str, Any]:
    form: dict[str, Any] = {"inspectors-0": "李师傅", "inspectors-1": "王老师"}
    for place, lot in enumerate(lots_of(story)):
        back = refused if place == 0 else 0
        form |= {
            f"lines-{place}-line_id": lot["line_id"],
            f"lines-{place}-trace_code": lot["trace_code"],
            f"lines-{place}-accepted_quantity": lot["quantity"] - back,
            f"lines-{place}-refused_quantity": back,
        }
    return {**form, **changes}


def test_goods_are_taken_over_with_photos_and_one_refused_pack(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    story = teller.play("shipped")
    path = f"/orders/{story.order_id}/accept"
    form = accept_form(story, 1, _once=buyer.key(path), **{"lines-0-reason": "磕碰、压伤"})
    answer = buyer.send(path, {**form, "photos": [photo("red"), photo("blue")]})
    assert answer.status_code == 303
    assert answer.location == f"/orders/{story.order_id}"
    row = owner.execute(
        "select a.inspectors, d.content_type, d.filename from acceptance a join document d on d.id = a.document_id"
        " where a.order_id = %s",
        (story.order_id,),
    ).fetchone()
    assert row == (["李师傅", "王老师"], "application/pdf", "验收照片.pdf")
    page = buyer.see(f"/orders/{story.order_id}")
    assert "磕碰、压伤" in page
    assert "没有等验收的货" in buyer.see(path)


def test_an_acceptance_sent_twice_is_one(buyer: Person, teller: Teller, owner: psycopg.Connection) -> None:
    story = teller.play("shipped")
    path = f"/orders/{story.order_id}/accept"
    form = accept_form(story, 0, _once=buyer.key(path))
    first, second = buyer.send(path, form), buyer.send(path, form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert count(owner, "acceptance where order_id = %s", story.order_id) == 1


def test_a_wrong_acceptance_keeps_what_was_typed_and_the_photo(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    story = teller.play("shipped")
    path = f"/orders/{story.order_id}/accept"
    lot = lots_of(story)[0]
    form = accept_form(story, 0, _once=buyer.key(path))
    form["lines-0-refused_quantity"] = 3
    answer = buyer.send(path, {**form, "photos": photo("red")})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "拒收改成0" in page
    assert "拒收或降价要写明原因" in page
    kept = re.search(r'name="document_id" value="([0-9a-f-]{36})"', page)
    assert kept is not None
    assert count(owner, "acceptance where order_id = %s", story.order_id) == 0
    form["lines-0-refused_quantity"] = 0
    assert buyer.send(path, {**form, "document_id": kept[1]}).status_code == 303
    row = owner.execute(
        "select document_id::text from acceptance where order_id = %s", (story.order_id,)
    ).fetchone()
    assert row == (kept[1],)
    assert lot["quantity"] > 0


def test_a_school_names_two_inspectors(buyer: Person, teller: Teller) -> None:
    story = teller.play("shipped")
    path = f"/orders/{story.order_id}/accept"
    form = {**accept_form(story, 0, _once=buyer.key(path)), "inspectors-1": ""}
    answer = buyer.send(path, form)
    assert answer.status_code == 422
    assert "本单位验收要有2名验收人" in answer.get_data(as_text=True)


def test_a_lot_that_is_not_ticked_waits_for_the_next_time(
    buyer: Person, teller: Teller, owner: psycopg.Connection
) -> None:
    story = teller.play("shipped")
    path = f"/orders/{story.order_id}/accept"
    form = accept_form(story, 0, _once=buyer.key(path))
    del form["lines-0-line_id"]
    answer = buyer.send(path, form)
    if len(lots_of(story)) == 1:
        assert answer.status_code == 422
        assert count(owner, "acceptance where order_id = %s", story.order_id) == 0
    else:
        assert answer.status_code == 303


def test_more_than_six_photos_are_refused(buyer: Person, teller: Teller) -> None:
    story = teller.play("shipped")
    path = f"/orders/{story.order_id}/accept"
    form = accept_form(story, 0, _once=buyer.key(path), photos=[photo("red") for _ in range(7)])
    answer = buyer.send(path, form)
    assert answer.status_code == 422
    assert "一次最多6张照片" in answer.get_data(as_text=True)


def test_a_code_leads_to_its_acceptance_and_later_to_its_story(buyer: Person, teller: Teller) -> None:
    story = teller.play("shipped")
    code = lots_of(story)[0]["trace_code"]
    found = buyer.send("/scan", {"code": "-".join(re.findall(".{5}", code)).lower()})
    assert found.status_code == 303
    assert "/accept#lot-" in found.location
    told = buyer.client.post("/scan", data={"code": code}, headers={**ORIGIN, "Accept": "application/json"})
    assert told.get_json()["trace_code"] == code
    answer = buyer.send("/scan", {"code": "ABC"})
    assert answer.status_code == 422
    assert "追溯码是20位字母和数字" in answer.get_data(as_text=True)


def test_a_paid_order_is_evaluated_by_form(buyer: Person, teller: Teller) -> None:
    story = teller.play("paid")
    path = f"/orders/{story.order_id}/evaluate"
    answer = buyer.send(path, {"score": "4", "comment": "新鲜", "_once": buyer.key(path)})
    assert answer.status_code == 303
    page = buyer.see(f"/orders/{story.order_id}")
    assert "<b>4</b>/5" in page
    assert "新鲜" in page
    assert "现在不用评价" in buyer.see(path)


def test_the_ledger_of_a_month_holds_every_lot_that_was_taken_over(
    app: Flask, buyer: Person, teller: Teller
) -> None:
    story = teller.play("accepted")
    month = f"{today():%Y-%m}"
    page = buyer.see(f"/buy/ledger?month={month}")
    assert story.order["number"] in page
    assert 'aria-sort="descending"' in buyer.see(f"/buy/ledger?month={month}&sort=-refused")
    answer = buyer.client.get(f"/buy/ledger?month={month}&format=xlsx&sort=seller")
    assert story.order["number"] in texts(answer)
    assert story.order["number"] not in Person(app, "canteen2.buyer").see("/buy/ledger")
    assert "这个月还没有验收" in buyer.see("/buy/ledger?month=2025-01")


def test_a_manager_approves_by_form_and_sees_the_prices_of_the_last_time(
    manager: Person, teller: Teller
) -> None:
    teller.play("approved")
    story = teller.play("submitted")
    number = story.purchase["number"]
    assert number in manager.see("/manage")
    for order in ("", "?sort=-hold", "?sort=amount"):
        assert number in manager.see(f"/manage/approvals{order}")
    sheet = texts(manager.client.get("/manage/approvals?format=xlsx"))
    assert sheet >= {number, "库存留到", "金额为货款，含税，不含运费"}
    assert manager.client.get("/manage/approvals?after=x").status_code == 422
    path = f"/purchases/{story.purchase['id']}/approve"
    page = manager.see(path)
    for words in ("没变", "一年里买过", "上次", "今年份额还差"):
        assert words in page, words
    form = {"_once": manager.key(path)}
    first, second = manager.send(path, form), manager.send(path, form)
    assert (first.status_code, second.status_code) == (303, 303)
    assert number not in manager.see("/manage/approvals")
    assert "现在不用审批" in manager.see(path)


def test_a_price_is_compared_with_the_units_own_and_with_the_market_from_three_orders_on(
    app: Flask, manager: Person, teller: Teller
) -> None:
    """Another unit's approved orders make the market; one that was cancelled is none; this purchase is not its own."""
    product = teller.products()[-1]
    line = {"product_id": product["id"], "quantity": product["min_order_quantity"]}

    def others_buy() -> str:
        body = {
            "purpose": "canteen",
            "deliver_on": (today() + timedelta(days=3)).isoformat(),
            "deliver_to": {"name": "李", "phone": "13800000000", "address": "崆峒区"},
            "lines": [line],
        }
        bought = teller.ask("POST", "/purchases", "canteen2.buyer", body)
        teller.ask("POST", f"/purchases/{bought['id']}/approve", "canteen2.manager")
        return str(bought["id"])

    def known(story: Story) -> dict[str, Any]:
        with app.app_context():
            purchase = db.session.get_one(Purchase, UUID(story.purchase["id"]))
            view = {
                "id": purchase.id,
                "buyer": {"id": purchase.buyer_id},
                "orders": [
                    {
                        "lines": db.session.scalars(
                            sa.select(OrderLine).filter_by(purchase_id=purchase.id)
                        ).all()
                    }
                ],
            }
            with sent_statements(db.engine) as asked:
                (found,) = price_grounds(db.session(), view).values()
            assert len(asked) == 2
            return found

    first = others_buy()
    teller.ask("POST", f"/purchases/{first}/cancel", "canteen2.buyer", {"reason": "不要了"})
    others_buy()
    others_buy()
    story = teller.play("submitted", lines=[line])
    assert known(story) == {"own": None, "market": None}
    others_buy()
    found = known(story)
    assert found["own"] is None
    assert (found["market"]["trades"], found["market"]["change_bp"]) == (3, 0)
    page = manager.see(f"/purchases/{story.purchase['id']}/approve")
    assert "本单位第一次买" in page
    assert "近90天3笔的中间价" in page

    teller._approve(story)
    again = known(
        teller.play("submitted", lines=[{**line, "quantity": line["quantity"] + product["order_multiple"]}])
    )
    assert (again["own"]["times"], again["own"]["packs"]) == (1, line["quantity"])
    assert again["market"]["trades"] == 4


def test_a_manager_sends_a_purchase_back_with_a_reason(
    buyer: Person, manager: Person, teller: Teller
) -> None:
    story = teller.play("submitted")
    path = f"/purchases/{story.purchase['id']}/reject"
    answer = manager.send(path, {"reason": "  ", "_once": manager.key(path)})
    assert answer.status_code == 422
    answer = manager.send(path, {"reason": "数量减到40箱", "_once": manager.key(path)})
    assert answer.status_code == 303
    page = buyer.see(f"/purchases/{story.purchase['id']}")
    assert "管理员退回" in page
    assert "数量减到40箱" in page


def test_another_units_manager_decides_nothing(app: Flask, teller: Teller) -> None:
    story = teller.play("submitted")
    stranger = Person(app, "canteen2.manager")
    for act in ("approve", "reject"):
        path = f"/purchases/{story.purchase['id']}/{act}"
        assert stranger.client.get(path).status_code == 404
        assert stranger.send(path, {"reason": "不要"}).status_code == 404


def test_a_purchase_is_withdrawn_by_form(buyer: Person, teller: Teller) -> None:
    story = teller.play("submitted")
    path = f"/purchases/{story.purchase['id']}/cancel"
    answer = buyer.send(path, {"reason": "下错单", "_once": buyer.key(path)})
    assert answer.status_code == 303
    assert "已撤回，库存已放回" in buyer.see(f"/purchases/{story.purchase['id']}")
    assert "不能整张撤回了" in buyer.see(path)


@pytest.mark.parametrize(
    ("path", "most"), [("/buy", 25), ("/orders", 20), ("/purchases", 12), ("/buy/ledger", 10)]
)
def test_a_page_asks_the_database_the_same_number_of_times_however_many_rows(
    app: Flask, buyer: Person, teller: Teller, path: str, most: int
) -> None:
    def statements() -> int:
        with app.app_context():
            engine = db.engine
        with sent_statements(engine) as asked:
            buyer.see(path)
        return len(asked)

    buyer.see(path)
    before = statements()
    teller.play("accepted")
    teller.play("shipped")
    assert statements() == before
    assert before <= most
