"""The seller's orders by page: what waits, confirm, pick, ship in parts and by other lots, settle what was refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.clock import today
from marketplace.database import db
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import DELIVER_TO, SignIn, Trader, Visitor
from tests.statements import sent_statements


@pytest.fixture(scope="module")
def trader(app: Flask, sign_in: SignIn) -> Trader:
    return Trader(app, sign_in)


@pytest.fixture(scope="module")
def seller(app: Flask) -> Visitor:
    return Visitor(app, "coop.seller")


@pytest.fixture(scope="module")
def other(app: Flask) -> Visitor:
    return Visitor(app, "coop2.seller")


def apples(trader: Trader) -> dict[str, Any]:
    """A product of the seller with several lots."""
    me = trader.call("GET", "/me", "coop.seller")["organisation"]["id"]
    goods = trader.call("GET", f"/products?seller={me}&available=true", "canteen.buyer")["items"]
    details = [trader.call("GET", f"/products/{p['id']}", "canteen.buyer") for p in goods]
    return next(p for p in details if len(p["lots"]) > 1 and p["min_order_quantity"] == 1)


def placed(trader: Trader, quantity: int = 10, days: int = 2) -> dict[str, Any]:
    body = {
        "purpose": "canteen", "deliver_on": (today() + timedelta(days)).isoformat(), "deliver_to": DELIVER_TO,
        "lines": [{"product_id": apples(trader)["id"], "quantity": quantity}],
    }  # fmt: skip
    purchase = trader.call("POST", "/purchases", "canteen.buyer", body, 201)
    trader.call("POST", f"/purchases/{purchase['id']}/approve", "canteen.manager")
    return dict(purchase["orders"][0])


def confirmed(trader: Trader, quantity: int = 10, days: int = 2) -> dict[str, Any]:
    order = placed(trader, quantity, days)
    return dict(trader.call("POST", f"/orders/{order['id']}/confirm", "coop.seller"))


def taken(trader: Trader, quantity: int = 10, *, refused: int = 0, allowance_fen: int = 0) -> dict[str, Any]:
    """A shipped order that the buyer took over with so many packs refused, or a reduction asked for."""
    order = confirmed(trader, quantity)
    line = order["lines"][0]
    wish = {"lines": [{"line_id": line["id"], "quantity": quantity}], "carrier": "自送"}
    sent = trader.call("POST", f"/orders/{order['id']}/ship", "coop.seller", wish)["shipments"][0]["lines"][0]
    body = {
        "inspectors": ["李师傅", "王老师"],
        "lines": [
            {
                "line_id": line["id"], "trace_code": sent["trace_code"], "accepted_quantity": quantity - refused,
                "refused_quantity": refused, "allowance_fen": allowance_fen, "reason": "有压伤",
            }
        ],
    }  # fmt: skip
    return dict(trader.call("POST", f"/orders/{order['id']}/accept", "canteen.buyer", body))


def shipping_form(page: str) -> dict[str, str]:
    """The fields of the page's form, as a browser would send them untouched."""
    form = page[page.index('<form class="stack"') :]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name is not None:
            found[name[1]] = value[1] if value is not None else ""
    return found


def test_the_desk_opens_with_five_numbers(trader: Trader, seller: Visitor) -> None:
    placed(trader)
    confirmed(trader, 7, 0)
    page = seller.get("/sell")
    assert re.findall(r"<dt[^>]*>(待确认|待发货|待开票|别人欠我)<", page) == [
        "待确认",
        "待发货",
        "待开票",
        "别人欠我",
    ]
    assert "今天要送到1单，7件" in page
    assert "能供，确认" in page


def test_the_desk_asks_the_same_number_of_questions_whatever_waits(
    app: Flask, trader: Trader, seller: Visitor
) -> None:
    def statements() -> int:
        with app.app_context():
            engine = db.engine
        with sent_statements(engine) as asked:
            seller.get("/sell")
        return len(asked)

    placed(trader)
    before = statements()
    for _ in range(3):
        placed(trader, 3)
        confirmed(trader, 2)
    assert statements() == before


def menu_numbers(page: str) -> dict[str, str]:
    """What the seller's menu says: number and what it counts, by the entry's name."""
    menu = page[page.index('<nav class="side') :].partition("</nav>")[0]
    found = re.findall(
        r"<span>([^<]+)</span>(?:<span class=\"n\">(\d+)</span><span class=\"vh\">([^<]+)</span>)?", menu
    )
    return {name: number + counts for name, number, counts in found}


def test_the_menu_of_every_page_counts_what_waits(trader: Trader, seller: Visitor, other: Visitor) -> None:
    def numbers() -> list[int]:
        found = menu_numbers(seller.get("/orders"))
        assert found == menu_numbers(seller.get("/sell")) == menu_numbers(seller.get("/sell/lots"))
        assert found["批次"] == ""
        told = [found["待办"], found["订单"], found["票款"]]
        words = ("单待确认", "单待发货", "单待开票")
        return [int(text.removesuffix(word) or 0) for text, word in zip(told, words, strict=True)]

    before = numbers()
    placed(trader)
    confirmed(trader, 2)
    taken(trader, 2)
    assert numbers() == [number + 1 for number in before]
    assert set(menu_numbers(other.get("/sell")).values()) == {""}


def test_an_order_is_confirmed_from_the_desk_once(
    trader: Trader, seller: Visitor, owner: psycopg.Connection
) -> None:
    order = placed(trader)
    page = seller.get(f"/orders/{order['id']}/confirm")
    assert "系统配的批次" in page
    assert DELIVER_TO["address"] in page
    key = {"_once": "0a" * 16}
    first = seller.post(f"/orders/{order['id']}/confirm", **key)
    again = seller.post(f"/orders/{order['id']}/confirm", **key)
    assert first.location == again.location
    facts = owner.execute(
        "select count(*) from fact where kind = 'order.confirmed' and subject_id = %s", (order["id"],)
    ).fetchone()
    assert facts == (1,)


def test_another_sellers_order_is_absent(trader: Trader, other: Visitor, owner: psycopg.Connection) -> None:
    order = placed(trader)
    before = owner.execute("select count(*) from fact").fetchone()
    for act in ("confirm", "ship", "returns", "agree-allowance"):
        other.get(f"/orders/{order['id']}/{act}", 404)
        other.post(f"/orders/{order['id']}/{act}", 404, carrier="x")
    assert owner.execute("select count(*) from fact").fetchone() == before


def test_a_buyer_can_not_ship(app: Flask, trader: Trader) -> None:
    order = confirmed(trader)
    Visitor(app, "canteen.buyer").get(f"/orders/{order['id']}/ship", 403)


def test_the_planned_lots_leave_as_they_are_filled_in(trader: Trader, seller: Visitor) -> None:
    order = confirmed(trader, 12)
    fields = shipping_form(seller.get(f"/orders/{order['id']}/ship"))
    quantities = {name: value for name, value in fields.items() if name.endswith("-quantity")}
    assert sum(int(value or 0) for value in quantities.values()) == 12
    seller.post(f"/orders/{order['id']}/ship", **fields)
    after = trader.call("GET", f"/orders/{order['id']}", "coop.seller")
    assert after["fulfilment"] == "shipped"
    assert after["lines"][0]["shipped_quantity"] == 12
    assert [row["substitution"] for row in after["shipments"][0]["lines"]] == [False]


def test_a_part_leaves_and_another_lot_goes_instead(trader: Trader, seller: Visitor) -> None:
    order = confirmed(trader, 12)
    fields = shipping_form(seller.get(f"/orders/{order['id']}/ship"))
    names = [name for name in fields if name.endswith("-quantity")]
    planned = [name for name in names if fields[name]]
    others = [name for name in names if not fields[name]]
    assert len(planned) == 1
    assert others
    fields |= {planned[0]: "3", others[0]: "4", "vehicle": "甘L12345"}
    seller.post(f"/orders/{order['id']}/ship", **fields)
    after = trader.call("GET", f"/orders/{order['id']}", "coop.seller")
    assert after["fulfilment"] == "part_shipped"
    sent = {row["substitution"]: row["quantity"] for row in after["shipments"][0]["lines"]}
    assert sent == {False: 3, True: 4}
    page = seller.get(f"/orders/{order['id']}/ship")
    assert '还要发5<span lang="zh-Hans">箱</span>' in page
    assert 'value="甘L12345"' in page


def test_too_many_packs_are_refused_at_their_line_and_kept(trader: Trader, seller: Visitor) -> None:
    order = confirmed(trader, 12)
    fields = shipping_form(seller.get(f"/orders/{order['id']}/ship"))
    planned = next(name for name in fields if name.endswith("-quantity") and fields[name])
    page = seller.post(f"/orders/{order['id']}/ship", 422, **(fields | {planned: "13"})).get_data(
        as_text=True
    )
    assert 'href="#f-lines-0-quantity"' in page
    assert "最多还可发12箱" in page
    assert 'value="13"' in page
    assert trader.call("GET", f"/orders/{order['id']}", "coop.seller")["fulfilment"] == "confirmed"


def test_a_refused_substitution_stays_open_to_the_eye(trader: Trader, seller: Visitor) -> None:
    order = confirmed(trader, 12)
    page = seller.get(f"/orders/{order['id']}/ship")
    assert "<details open>" not in page
    fields = shipping_form(page)
    other = [name for name in fields if name.endswith("-quantity") and not fields[name]][-1]
    page = seller.post(f"/orders/{order['id']}/ship", 422, **(fields | {other: "1"})).get_data(as_text=True)
    assert "最多还可发12箱，现在是13箱" in page
    assert "<details open>" in page


def test_nothing_typed_ships_nothing(trader: Trader, seller: Visitor) -> None:
    order = confirmed(trader, 12)
    fields = shipping_form(seller.get(f"/orders/{order['id']}/ship"))
    empty = {name: "" if name.endswith("-quantity") else value for name, value in fields.items()}
    seller.post(f"/orders/{order['id']}/ship", 422, **empty)
    assert trader.call("GET", f"/orders/{order['id']}", "coop.seller")["shipments"] == []


def test_the_pick_list_names_lot_place_buyer_and_packs(trader: Trader, seller: Visitor) -> None:
    day = today() + timedelta(days=41)
    confirmed(trader, 23, 41)
    page = seller.get(f"/sell/pick?day={day.isoformat()}")
    assert "产地库" in page
    assert "平凉市泾滨中学" in page
    assert ">23</b>" in page
    assert DELIVER_TO["phone"] not in page
    seller.get("/sell/pick?day=someday", 422)
    sheet = sheet_rows(seller.client.get(f"/sell/pick?day={day.isoformat()}&format=xlsx").data)
    assert any(row[-2:] == ["23", "箱"] for row in sheet)


def test_refused_packs_are_restocked_or_lost(trader: Trader, seller: Visitor) -> None:
    order = taken(trader, 10, refused=5)
    assert "登记退货" in seller.get("/sell")
    fields = shipping_form(seller.get(f"/orders/{order['id']}/returns"))
    assert fields["lines-0-disposition"] == "restock"
    assert fields["lines-0-quantity"] == "5"
    fields |= {"lines-0-quantity": "3", "lines-1-quantity": "2"}
    seller.post(f"/orders/{order['id']}/returns", **fields)
    row = trader.call("GET", f"/orders/{order['id']}", "coop.seller")["shipments"][0]["lines"][0]
    assert (row["restocked"], row["lost"]) == (3, 2)
    assert "没有等登记的退货" in seller.get(f"/orders/{order['id']}/returns")


def test_more_than_was_refused_is_told_at_its_own_field(trader: Trader, seller: Visitor) -> None:
    order = taken(trader, 10, refused=5)
    fields = shipping_form(seller.get(f"/orders/{order['id']}/returns"))
    # The first row is left empty: what is wrong with the second must not be told at the first.
    fields |= {"lines-0-quantity": "", "lines-1-quantity": "6"}
    page = seller.post(f"/orders/{order['id']}/returns", 422, **fields).get_data(as_text=True)
    assert 'href="#f-lines-1-quantity"' in page
    assert 'href="#f-lines-0-quantity"' not in page


def test_a_reduction_is_agreed_to_and_lowers_what_is_owed(trader: Trader, seller: Visitor) -> None:
    order = taken(trader, 10, allowance_fen=5000)
    page = seller.get(f"/orders/{order['id']}/agree-allowance")
    assert "50.00元" in page
    assert "有压伤" in page
    seller.post(f"/orders/{order['id']}/agree-allowance")
    after = trader.call("GET", f"/orders/{order['id']}", "coop.seller")
    assert after["accepted_fen"] == order["accepted_fen"] - 5000
    seller.post(f"/orders/{order['id']}/agree-allowance", 409)
