"""The dashboard of reserves by page: every figure leads to its rows, down to a plot, within the reader's scope."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.clock import today
from marketplace.database import db
from marketplace.journal.sealing import seal_pending
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import SignIn, Trader, Visitor
from tests.statements import sent_statements

YEAR = today().year


@pytest.fixture(scope="module")
def trader(app: Flask, sign_in: SignIn) -> Trader:
    return Trader(app, sign_in)


@pytest.fixture(scope="module")
def order(app: Flask, trader: Trader) -> dict[str, Any]:
    """An accepted order of an agency whose reserve is approved; sealed."""
    agency = trader.call("GET", "/me", "canteen.manager")["organisation"]["id"]
    body = {"agency_id": agency, "year": YEAR, "canteen": "own", "base_fen": 1_000_000, "share_bp": 1_000}
    filed = trader.call("POST", "/declarations", "canteen.manager", body, 201)
    trader.call("POST", f"/declarations/{filed['id']}/submit", "canteen.manager")
    trader.call("POST", f"/declarations/{filed['id']}/approve", "finance.reviewer")
    order = trader.accepted_order()
    with app.app_context():
        seal_pending()
    return order


@pytest.fixture(scope="module")
def office(app: Flask, order: dict[str, Any]) -> Visitor:
    return Visitor(app, "county.office")


def links(text: str, beginning: str) -> list[str]:
    return [
        found.replace("&amp;", "&")
        for found in re.findall(r'href="([^"]+)"', text)
        if found.startswith(beginning)
    ]


@pytest.mark.parametrize(
    "by", ["agency", "department", "origin_county", "buyer_county", "category", "purpose", "month"]
)
def test_the_dashboard_groups_by_every_key(office: Visitor, by: str) -> None:
    text = office.get(f"/quota?by={by}")
    assert f"{YEAR}年预留份额" in text
    assert 'aria-label="2026年累计计入' in text or f'aria-label="{YEAR}年累计计入' in text
    assert "口径：计入要已验收、已付款、已评价" in text
    assert "style=" not in text.split("<main", 1)[1]


def test_the_totals_show_the_reserve_the_trade_and_who_is_missing(
    office: Visitor, order: dict[str, Any]
) -> None:
    text = office.get(f"/quota?year={YEAR}")
    assert '0.10</a><span class="u">万元' in text
    strip = text.split('class="figures panel"', 1)[1].split("</dl>", 1)[0]
    assert "1/8家已审核" in strip
    assert strip.count("<dt>") == 6


def test_the_rows_of_a_figure_carry_order_lot_plot_and_place_in_the_journal(
    office: Visitor, order: dict[str, Any]
) -> None:
    text = office.get(f"/quota/entries?year={YEAR}&kind=accepted")
    assert order["number"] in text
    assert f"/orders/{order['id']}" in text
    lots = links(text, "/quota/lots/")
    assert lots
    assert links(text, "/journal/")
    private = office.get(lots[0])
    assert "地块" in private
    assert "农户编号" in private


def test_from_the_total_to_a_plot_it_is_two_clicks(office: Visitor, order: dict[str, Any]) -> None:
    total = links(office.get("/quota").split('class="figures panel"', 1)[1], "/quota/entries")[0]
    lot = links(office.get(total), "/quota/lots/")[0]
    assert "号" in office.get(lot).split("地块表", 1)[1]


def test_a_part_is_kept_in_every_link_below_it(office: Visitor) -> None:
    text = office.get(f"/quota?year={YEAR}&by=department&buyer_county=620802").split("<main", 1)[1]
    inside = links(text, "/quota/entries")
    assert inside
    assert all("buyer_county=620802" in link for link in inside)
    assert "崆峒区" in text.split("crumbs", 1)[1].split("</ol>", 1)[0]


def test_a_day_before_the_first_checkpoint_shows_nothing_counted(office: Visitor) -> None:
    text = office.get(f"/quota?year={YEAR}&as_of=2019-01-01")
    assert "只算那时已经封存、签过名的0条记录" in text
    assert "这一年还没有数字" in text or "0.00" in text


def test_entries_are_refused_a_word_that_is_no_stage(office: Visitor) -> None:
    assert office.client.get("/quota/entries?kind=stolen").status_code == 422
    assert office.client.get("/quota?as_of=yesterday").status_code == 422


def test_figures_and_rows_come_as_spreadsheets_with_their_basis(
    office: Visitor, order: dict[str, Any]
) -> None:
    figures = sheet_rows(office.client.get(f"/quota?year={YEAR}&by=agency&format=xlsx").data)
    assert figures[0][0] == f"{YEAR}年预留份额执行情况（按预算单位）"
    assert any("计入口径" in row[0] for row in figures)
    part = sheet_rows(office.client.get("/quota?by=agency&buyer_county=620802&format=xlsx").data)
    assert any("只含采购单位所在县：崆峒区" in row[0] for row in part)
    rows = sheet_rows(office.client.get(f"/quota/entries?year={YEAR}&format=xlsx").data)
    head = next(row for row in rows if row[0] == "日期")
    assert head[-1] == "日志序号"
    assert [row[head.index("订单")] for row in rows[rows.index(head) + 1 :]].count(order["number"]) >= 2


def test_missing_and_laggards_are_told_apart(office: Visitor) -> None:
    text = office.get(f"/quota/missing?year={YEAR}")
    assert "没有填" in text
    behind = office.get(f"/quota/missing?year={YEAR}&list=behind")
    assert "平凉市泾滨中学" in behind
    assert "未付款" in behind
    for which, title in (("missing", "未填报单位"), ("behind", "落后单位")):
        rows = sheet_rows(office.client.get(f"/quota/missing?year={YEAR}&list={which}&format=xlsx").data)
        assert rows[0][0] == f"{YEAR}年{title}"


def test_a_manager_sees_his_own_agency_and_no_button_of_the_office(
    app: Flask, office: Visitor, order: dict[str, Any]
) -> None:
    manager = Visitor(app, "canteen.manager")
    text = manager.get(f"/quota?year={YEAR}&by=agency")
    assert "平凉市泾滨中学" in text
    assert "泾滨医院" not in text
    assert "月度关账" not in text
    rows = manager.get(f"/quota/entries?year={YEAR}")
    assert order["number"] in rows
    assert links(rows, "/quota/lots/") == []
    other = Visitor(app, "canteen2.manager").get(f"/quota/entries?year={YEAR}")
    assert order["number"] not in other
    assert "没有这样的行" in other


def test_who_reads_no_figures_is_kept_out(app: Flask) -> None:
    for user in ("coop.seller", "canteen.buyer", "market.regulator"):
        for path in ("/quota", "/quota/entries", "/quota/missing"):
            Visitor(app, user).get(path, 403)
    assert Visitor(app).client.get("/quota").status_code in (302, 303, 401)


def test_a_month_is_closed_once_by_a_form_that_says_what_it_means(
    office: Visitor, owner: psycopg.Connection
) -> None:
    path = "/quota/periods/2026-09/close"
    text = office.get(path)
    assert "关账不能撤回" in text
    key = re.search(r'name="_once" value="([0-9a-f]{32})"', text)
    assert key is not None
    for _ in range(2):
        assert office.post(path, _once=key[1]).headers["Location"] == "/quota?year=2026"
    closed = owner.execute("select count(*) from period_close where period = '2026-09'").fetchone()
    facts = owner.execute("select count(*) from fact where kind = 'period.closed'").fetchone()
    assert (closed, facts) == ((1,), (1,))
    again = office.post(path, 409, _once="0" * 32).get_data(as_text=True)
    assert "这个月已经关账" in again


@pytest.mark.parametrize(("period", "status"), [("2026-13", 404), ("september", 404), ("2099-01", 422)])
def test_a_month_that_is_none_or_not_over_is_not_closed(
    office: Visitor, owner: psycopg.Connection, period: str, status: int
) -> None:
    before = owner.execute("select count(*) from period_close").fetchone()
    office.post(f"/quota/periods/{period}/close", status, _once="1" * 32)
    assert owner.execute("select count(*) from period_close").fetchone() == before


def test_the_dashboard_asks_the_same_number_of_questions_whatever_the_rows(
    app: Flask, office: Visitor, trader: Trader
) -> None:
    def asked(path: str) -> int:
        with app.app_context():
            engine = db.engine
        with sent_statements(engine) as seen:
            office.get(path)
        return len(seen)

    paths = ("/quota?by=agency", "/quota/entries", "/quota/missing?list=behind")
    before = [asked(path) for path in paths]
    trader.accepted_order("canteen2")
    assert [asked(path) for path in paths] == before


@pytest.mark.parametrize(
    "path",
    [
        "/quota?agency=%00", "/quota?after=%FF", "/quota?month=%F0%9F%8D%8E&by=month", "/quota?year=99999",
        "/quota?category=%27%3B--", "/quota/entries?after=zzz", "/quota/entries?purpose=%00",
        "/quota/missing?year=x", "/declarations?after=a", "/journal?before=-1", "/journal?subject_id=x",
        "/journal?list=checkpoints&old=99999999999999999999&new=1", "/office/products?after=%00",
        "/regulate/inspections?county=%00%00%00%00%00%00", "/regulate/inspections?after=x",
        "/quota?sort=%00&buyer_county=" + "9" * 100,
    ],
)  # fmt: skip
def test_an_address_that_nobody_made_is_refused_or_shows_nothing(office: Visitor, path: str) -> None:
    assert office.client.get(path).status_code in (200, 404, 422)
    separator = "&" if "?" in path else "?"
    assert office.client.get(f"{path}{separator}format=xlsx").status_code in (200, 404, 422)
