"""A shop's sales and counts in the portal: a file is looked over and reported, versions are read, a count is typed in."""

from __future__ import annotations

import html
import io
import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from openpyxl import load_workbook

from marketplace.clock import today
from tests.channels.stocked import Stocked, stocked
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import ORIGIN, Visitor

DAY = today() - timedelta(days=20)


@pytest.fixture(scope="module")
def lots(app: Flask) -> list[Stocked]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        return stocked(app, owner)


@pytest.fixture(scope="module")
def partner(app: Flask, lots: list[Stocked]) -> Visitor:
    return Visitor(app, "tianjin.partner")


def uploaded(visitor: Visitor, text: str | bytes, status: int = 200) -> str:
    content = text if isinstance(text, bytes) else text.encode()
    data = {"file": (io.BytesIO(content), "sales.csv")}
    answer = visitor.client.post("/portal/sales/new", data=data, headers=ORIGIN)
    assert answer.status_code == status, answer.get_data(as_text=True)
    return answer.get_data(as_text=True)


def filled_form(visitor: Visitor, *row: object) -> bytes:
    """The empty workbook that the portal offers, filled in with one row."""
    book = load_workbook(io.BytesIO(visitor.client.get("/portal/sales/form.xlsx").data))
    book.active.append(row)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def hidden(text: str) -> dict[str, str]:
    """Hidden fields of the form that confirms."""
    form = text[text.index('action="/portal/sales/confirm"') :]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form)
    return {name.replace("-", "__"): html.unescape(value) for name, value in found}


def reports(owner: psycopg.Connection) -> list[tuple[int, bool]]:
    rows = owner.execute(
        "select version, red from sales_report where business_day = %s order by version", [DAY]
    )
    return [(version, red) for version, red in rows]


def test_a_file_is_looked_over_then_reported_and_corrected_by_another_one(
    partner: Visitor, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    lot, held = lots[0], lots[0].held(owner)
    table = f"日期,追溯码,件数\n{DAY.isoformat()},{lot.trace_code},3\n"

    shown = uploaded(partner, table)
    assert "第一次上报" in shown
    assert reports(owner) == []
    done = partner.post("/portal/sales/confirm", 303, **hidden(shown))
    assert done.headers["Location"] == "/portal/sales"
    assert "都报过了" in uploaded(partner, table)
    assert "都报过了" in uploaded(partner, filled_form(partner, DAY, lot.trace_code, 3))
    partner.post("/portal/sales/confirm", 303, **hidden(shown))
    assert (reports(owner), lot.held(owner)) == ([(1, False)], held - 3)

    other = uploaded(partner, table.replace(",3\n", ",2\n"))
    assert "更正第1版" in other
    fields = hidden(other)
    assert fields["corrects__0__version"] == "1"
    partner.post("/portal/sales/confirm", 303, **fields)
    assert (reports(owner), lot.held(owner)) == ([(1, False), (2, True), (3, False)], held - 2)
    listed = partner.get(f"/portal/sales?from_day={DAY}&to_day={DAY}")
    assert [word in listed for word in ("首报", "冲红", "更正")] == [True] * 3
    keys = re.findall(r'href="(/portal/sales/[0-9a-f-]{36})"', listed)
    assert len(keys) == 3
    assert "更正的是第1版" in partner.get(keys[1])
    for path in (f"/portal/sales?from_day={DAY}&format=xlsx", f"{keys[0]}?format=xlsx"):
        assert partner.client.get(path).get_data()[:2] == b"PK"


def test_a_stale_correction_and_a_wrong_file_report_nothing(
    partner: Visitor, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    before = owner.execute("select count(*) from sales_report").fetchone()
    day = (DAY + timedelta(days=1)).isoformat()

    wrong = uploaded(partner, f"{day},{lots[0].trace_code},1\n{day},NOSUCH,1\n{day},{lots[1].trace_code},x\n")
    assert "门店没有过这一批" in wrong
    assert "件数要是1以上的整数" in wrong
    assert "portal/sales/confirm" not in wrong
    partner.post("/portal/sales/new", 422)
    assert partner.client.get("/portal/sales/form.csv").get_data(as_text=True) == "\ufeff日期,追溯码,件数\r\n"
    content = f"{day},{lots[0].trace_code},1"
    stale: dict[str, Any] = {"corrects__0__day": day, "corrects__0__version": "4"}
    refused = partner.post("/portal/sales/confirm", 422, content=content, **stale)

    assert "这一天还没有上报过" in refused.get_data(as_text=True)
    assert owner.execute("select count(*) from sales_report").fetchone() == before


def test_a_count_is_typed_in_and_a_refused_one_keeps_what_was_typed(
    partner: Visitor, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    form = partner.get("/portal/counts/new")
    places = re.findall(r'name="lines-(\d+)-trace_code" value="(\w+)"', form)
    once = re.search(r'name="_once" value="(\w+)"', form)
    assert once is not None
    number = next(n for n, code in places if code == lots[1].trace_code)
    held, at = lots[1].held(owner), f"lines__{number}"
    # Of the other lots nothing was counted: their boxes are not ticked.
    fields: dict[str, Any] = {"_once": once[1], "counted_on": today().isoformat()}
    for n, code in places:
        fields |= {f"lines__{n}__trace_code": code, f"lines__{n}__counted": "77"}
        for m, kind in enumerate(("spoilage", "loss", "found")):
            fields[f"lines__{n}__differences__{m}__kind"] = kind
    fields |= {f"{at}__chosen": "on", f"{at}__counted": str(held - 3)}
    fields |= {f"{at}__differences__0__quantity": "2", f"{at}__differences__0__cause": "rotten",
               f"{at}__differences__0__borne_by": "seller"}  # fmt: skip

    partner.client.post("/portal/counts/new", data={"counted_on": "x"}, headers=ORIGIN)
    none = {**fields, f"{at}__chosen": ""}
    assert "请至少勾选一批" in partner.post("/portal/counts/new", 422, **none).get_data(as_text=True)
    refused = partner.post("/portal/counts/new", 422, **fields).get_data(as_text=True)
    assert f"账上{held}件，点到{held - 3}件，说明的差异合计-2件，三个数对不上" in refused
    assert f'id="e-lines-{number}-counted"' in refused
    assert lots[1].held(owner) == held

    fields |= {f"{at}__differences__1__quantity": "1", f"{at}__differences__1__cause": "stolen",
               f"{at}__differences__1__borne_by": "channel"}  # fmt: skip
    first = partner.post("/portal/counts/new", 303, **fields)
    again = partner.post("/portal/counts/new", 303, **fields)
    assert first.headers["Location"] == again.headers["Location"]
    assert lots[1].held(owner) == held - 3
    told = partner.get(first.headers["Location"])
    assert "供应商承担" in told
    assert "失窃" in told
    assert first.headers["Location"] in partner.get("/portal/counts")
    listed = sheet_rows(partner.client.get("/portal/counts?format=xlsx").data)
    assert [row[2] for row in listed[4:]] == ["1"]
    for sort in ("counted_on", "-place", "reported_at"):
        assert first.headers["Location"] in partner.get(f"/portal/counts?sort={sort}")
    sheet = partner.client.get(f"{first.headers['Location']}?format=xlsx")
    assert sheet.get_data()[:2] == b"PK"


def test_another_channel_sees_nothing_of_it_and_others_may_not_come(
    app: Flask, partner: Visitor, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    other, seller = Visitor(app, "tianjin2.partner"), Visitor(app, "coop.seller")
    report = owner.execute("select id from sales_report limit 1").fetchone()
    count = owner.execute("select id from stock_count limit 1").fetchone()
    assert report is not None
    assert count is not None

    for path in (f"/portal/sales/{report[0]}", f"/portal/counts/{count[0]}"):
        partner.get(path)
        other.get(path, 404)
        seller.get(path, 403)
    assert "还没有上报过销售" in other.get("/portal/sales")
    assert "门店里没有代销的货" in other.get("/portal/counts/new")


def test_a_seller_follows_the_figure_to_the_lines_that_shops_sold_of_his_goods(
    app: Flask, partner: Visitor, owner: psycopg.Connection
) -> None:
    mine = stocked(app, owner, seller="coop.seller", packs=6)[0]
    day = DAY + timedelta(days=3)
    table = f"{day},{mine.trace_code},4\n"
    partner.post("/portal/sales/confirm", 303, **hidden(uploaded(partner, table)))
    partner.post("/portal/sales/confirm", 303, **hidden(uploaded(partner, table.replace(",4", ",1"))))
    seller, other = Visitor(app, "coop.seller"), Visitor(app, "coop2.seller")

    listed = seller.get(f"/sell/channels?year={day.year}")
    path = re.search(r'href="(/sell/channels/[0-9a-f-]{36}/sold\?year=\d+)"', listed)
    assert path is not None
    lines = seller.get(path[1])

    assert lines.count(mine.trace_code) >= 3
    assert [word in lines for word in ("冲红", "更正")] == [True, True]
    assert seller.client.get(f"{path[1]}&format=xlsx").get_data()[:2] == b"PK"
    assert mine.trace_code not in other.client.get(path[1]).get_data(as_text=True)
    partner.get(path[1], 403)
