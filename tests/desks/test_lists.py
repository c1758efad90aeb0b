"""What lists do beyond showing: found by what was typed, turned around, narrowed, taken away."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.journal.sealing import Sealer
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import ORIGIN, SignIn, Trader, Visitor
from tests.story import Teller


@pytest.fixture(scope="module")
def trader(app: Flask, sign_in: SignIn) -> Trader:
    return Trader(app, sign_in)


@pytest.fixture(scope="module")
def teller(app: Flask, sign_in: SignIn) -> Teller:
    return Teller(app, sign_in)


def sheet(visitor: Visitor, address: str) -> list[list[str]]:
    answer = visitor.client.get(address)
    assert answer.status_code == 200, f"{address}: {answer.status_code}"
    return sheet_rows(answer.data)


def below_heads(rows: list[list[str]]) -> list[list[str]]:
    heads = next(n for n, row in enumerate(rows) if len(row) > 1)
    return rows[heads + 1 :]


def test_a_purchase_that_waits_is_found_by_its_number_goods_and_seller(app: Flask, teller: Teller) -> None:
    purchase = teller.play("submitted").purchase
    manager, buyer = Visitor(app, "canteen.manager"), Visitor(app, "canteen.buyer")
    line = purchase["orders"][0]["lines"][0]
    for typed in (purchase["number"], line["product_name"], purchase["orders"][0]["seller"]["name"][2:8]):
        assert purchase["number"] in manager.get(f"/manage/approvals?q={typed}")
        assert purchase["number"] in buyer.get(f"/purchases?q={typed}")
    for address in (
        "/manage/approvals?q=100%25",
        "/purchases?q=_",
        "/orders?q=none",
        "/orders?tab=done&q=none",
    ):
        visitor = manager if address.startswith("/manage") else buyer
        assert "没有找到" in visitor.get(address)
    assert below_heads(sheet(manager, "/manage/approvals?q=none&format=xlsx")) == []


def test_an_order_is_found_by_its_number_and_its_lines_are_a_workbook(app: Flask, trader: Trader) -> None:
    order = trader.accepted_order()
    buyer = Visitor(app, "canteen.buyer")
    assert order["number"] in buyer.get(f"/orders?q={order['number'][3:]}")
    (line,) = order["lines"]
    for address in (f"/orders/{order['id']}", f"/purchases/{order['purchase_id']}"):
        (row,) = below_heads(sheet(buyer, f"{address}?format=xlsx"))
        assert row[0] == order["number"]
        assert row[2] == line["product_name"]
        assert [float(row[4]), float(row[12])] == [line["quantity"], line["accepted_quantity"]]
        assert round(float(row[8]) * 100) == line["goods_fen"]
    assert Visitor(app, "canteen2.buyer").get(f"/orders/{order['id']}?format=xlsx", 404)


def test_the_regulator_takes_away_what_is_off_sale_and_the_pass_rates(app: Flask, trader: Trader) -> None:
    regulator = Visitor(app, "market.regulator")
    lot = trader.call("GET", "/lots?state=released&limit=1", "market.regulator")["items"][0]
    regulator.post(f"/regulate/lots/{lot['id']}/hold", reason="先封存再查")
    held = below_heads(sheet(regulator, "/regulate?list=held&format=xlsx"))
    (row,) = [row for row in held if row[0] == lot["trace_code"]]
    assert row[2] == lot["seller"]["name"]
    assert "监管" in row[4]
    assert f"{lot['trace_code'][:5]}" in regulator.get("/regulate?sort=-since")
    for by in ("county", "month"):
        *rates, total = below_heads(sheet(regulator, f"/regulate/inspections?by={by}&list=rates&format=xlsx"))
        assert total[0] == "合计"
        assert sum(float(rate[1]) for rate in rates) == float(total[1]) > 0
    regulator.post(f"/regulate/lots/{lot['id']}/unhold", reason="")


def test_plots_and_movements_of_a_lot_are_workbooks_that_add_up(app: Flask, trader: Trader) -> None:
    order = trader.accepted_order()
    code = order["shipments"][0]["lines"][0]["trace_code"]
    listed = trader.call("GET", "/lots?limit=100", "coop.seller")["items"]
    lot = trader.call(
        "GET", f"/lots/{next(row['id'] for row in listed if row['trace_code'] == code)}", "coop.seller"
    )
    seller, office = Visitor(app, "coop.seller"), Visitor(app, "county.office")
    moved = below_heads(sheet(seller, f"/sell/lots/{lot['id']}?list=moves&format=xlsx"))
    assert sum(float(row[3]) for row in moved) == lot["on_hand"]
    assert order["number"] in {row[5] for row in moved}
    plots = below_heads(sheet(seller, f"/sell/lots/{lot['id']}?format=xlsx"))
    assert sorted(row[0] for row in plots) == sorted(origin["plot"] for origin in lot["origins"])
    assert below_heads(sheet(office, f"/quota/lots/{lot['id']}?format=xlsx")) == plots
    regulator = Visitor(app, "market.regulator")
    assert [row[:6] for row in plots] == below_heads(
        sheet(regulator, f"/regulate/lots/{lot['id']}?format=xlsx")
    )
    assert Visitor(app, "coop2.seller").get(f"/sell/lots/{lot['id']}?format=xlsx", 404)


def test_people_of_one_organisation_and_bank_accounts_are_workbooks(
    app: Flask, owner: psycopg.Connection
) -> None:
    admin = Visitor(app, "platform.admin")
    code, name = owner.execute(
        "select o.code, o.name from organisation o join app_user u on u.organisation_id = o.id"
        " where u.username = 'coop.seller'"
    ).fetchone() or ("", "")
    people = below_heads(sheet(admin, f"/admin/organisations/{code}?format=xlsx"))
    assert "coop.seller" in {row[0] for row in people}
    assert {row[2] for row in people} == {name}
    seller = Visitor(app, "coop.seller")
    accounts = below_heads(sheet(seller, "/sell/bank-accounts?format=xlsx"))
    assert accounts
    assert all(row[3].isdigit() for row in accounts)


def test_the_journal_is_read_from_its_beginning_too(app: Flask) -> None:
    with app.app_context():
        Sealer().seal_pending()
    office = Visitor(app, "county.office")
    seen: list[int] = []
    address: str | None = "/journal?sort=seq&kind=lot.released"
    while address is not None and len(seen) < 1000:
        text = office.get(address)
        seen += [int(seq) for seq in re.findall(r'class="num"[^>]*><a href="/journal/(\d+)"', text)]
        following = re.search(r'href="(/journal\?[^"]*)" rel="next"', text)
        address = following[1].replace("&amp;", "&") if following else None
    assert seen == sorted(set(seen))
    assert len(seen) > 50
    newest = re.search(r'class="num"[^>]*><a href="/journal/(\d+)"', office.get("/journal?kind=lot.released"))
    assert newest is not None
    assert int(newest[1]) == seen[-1]
    assert "before" not in re.findall(r'<th[^>]*><a href="([^"]*)"', office.get("/journal?before=50"))[0]


def test_rules_are_narrowed_to_those_in_force_and_to_what_was_typed(app: Flask) -> None:
    visitor = Visitor(app)
    whole = below_heads(sheet(visitor, "/policies?format=xlsx"))
    now = below_heads(sheet(visitor, "/policies?tab=now&format=xlsx"))
    assert 0 < len(now) <= len(whole)
    assert all(row in whole for row in now)
    typed = below_heads(sheet(visitor, f"/policies?q={whole[0][0]}&format=xlsx"))
    assert {row[0] for row in typed} >= {whole[0][0]}
    assert len(typed) < len(whole)
    assert "没有找到" in visitor.get("/policies?q=none")
    counties = below_heads(sheet(visitor, "/policies?list=counties&format=xlsx"))
    assert any(row[1].startswith("20") for row in counties)


def test_a_product_offers_its_lots_and_the_sellers_are_found_by_name(app: Flask, trader: Trader) -> None:
    visitor = Visitor(app)
    listed: list[dict[str, Any]] = trader.call("GET", "/products?available=true", "canteen.buyer")["items"]
    product = trader.call("GET", f"/products/{listed[0]['id']}", "canteen.buyer")
    lots = below_heads(sheet(visitor, f"/products/{product['id']}?sort=-quantity&format=xlsx"))
    assert [float(row[5]) for row in lots] == sorted(
        (lot["quantity"] for lot in product["lots"]), reverse=True
    )
    name = product["seller"]["name"]
    assert name in visitor.get(f"/sellers?q={name[:6]}")
    assert "没有找到" in visitor.get("/sellers?q=none")


def test_keys_of_a_channel_are_listed_without_their_secrets(app: Flask) -> None:
    partner = Visitor(app, "tianjin.partner")
    made = partner.client.post(
        "/portal/keys",
        data={"name": "门店收银", "scopes": "catalogue", "mode": "test", "days": "30",
              "current_password": "pingliang-demo-2026"},
        headers=ORIGIN,
    )  # fmt: skip
    assert made.status_code == 200, made.get_data(as_text=True)
    shown = re.search(r'data-copy="([^"]+)"', made.get_data(as_text=True))
    assert shown is not None
    rows = below_heads(sheet(partner, "/portal/keys?tab=now&format=xlsx"))
    assert "门店收银" in {row[0] for row in rows}
    assert shown[1] not in str(rows)
