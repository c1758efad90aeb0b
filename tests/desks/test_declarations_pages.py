"""Declarations by page: filed under the rule of the year, returned, filed again, approved; each act once."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.clock import today
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import SignIn, Trader, Visitor

YEAR = today().year


@pytest.fixture(scope="module")
def agency(app: Flask, sign_in: SignIn) -> str:
    return str(Trader(app, sign_in).call("GET", "/me", "canteen.manager")["organisation"]["id"])


@pytest.fixture(scope="module")
def manager(app: Flask) -> Visitor:
    return Visitor(app, "canteen.manager")


@pytest.fixture(scope="module")
def finance(app: Flask) -> Visitor:
    return Visitor(app, "finance.reviewer")


def fields(agency: str, **changes: Any) -> dict[str, Any]:
    return {
        "agency_id": agency, "year": str(YEAR), "canteen": "own", "base_fen": "30,000.00", "share_bp": "12.5",
        "represented_by": "", "contractor_id": "", "contact": "王老师", "remark": "",
    } | changes  # fmt: skip


def version_of(text: str) -> str:
    found = re.search(r'name="_version" value="(\d+)"', text)
    assert found is not None
    return found[1]


def test_the_form_tells_the_rule_of_the_year_and_its_sources(manager: Visitor) -> None:
    text = manager.get("/declarations/new")
    assert "预留比例不低于10.00%，鼓励到15.00%" in text
    assert "财库〔2021〕19号" in text
    assert 'value="10.00"' in text


def test_the_reserve_is_reckoned_without_a_script_and_with_one(manager: Visitor, agency: str) -> None:
    typed = f"agency_id={agency}&year={YEAR}&canteen=own&base_fen=30%2C000.01&share_bp=12.5"
    text = manager.get(f"/declarations/new?{typed}")
    assert "预留份额3,750.01元" in text
    answer = manager.client.get(f"/declarations/reckon?{typed}").get_json()
    assert answer == {"good": True, "text": "预留份额3,750.01元"}
    low = manager.client.get(f"/declarations/reckon?agency_id={agency}&base_fen=1&share_bp=9.99").get_json()
    assert low == {"good": False, "text": "预留比例不得低于10%"}
    assert (
        manager.client.get(f"/declarations/reckon?agency_id={agency}&base_fen=x").get_json()["good"] is False
    )


def test_a_refused_form_keeps_what_was_typed_and_files_nothing(
    manager: Visitor, agency: str, owner: psycopg.Connection
) -> None:
    before = owner.execute("select count(*) from declaration_version").fetchone()
    text = manager.post("/declarations/new", 422, **fields(agency, share_bp="9", remark="别丢了")).get_data(
        as_text=True
    )
    assert "预留比例不得低于10%" in text
    assert "别丢了" in text
    assert 'value="30,000.00"' in text
    assert owner.execute("select count(*) from declaration_version").fetchone() == before


def test_filed_returned_filed_again_and_approved(
    manager: Visitor, finance: Visitor, agency: str, owner: psycopg.Connection
) -> None:
    once = "a" * 32
    filed = manager.post("/declarations/new", **fields(agency, _once=once))
    again = manager.post("/declarations/new", **fields(agency, _once=once))
    page = filed.headers["Location"]
    assert again.headers["Location"] == page
    assert owner.execute("select count(*) from declaration_version").fetchone() == (1,)
    text = manager.get(page)
    assert "3,750.00" in text
    question = manager.get(f"{page}/submit")
    manager.post(f"{page}/submit", _once="b" * 32, _version=version_of(question))

    seen = finance.get("/declarations?state=submitted")
    assert page in seen
    refused = finance.post(f"{page}/return", 422, _once="c" * 32, reason=" ").get_data(as_text=True)
    assert "退回给单位" in refused
    finance.post(f"{page}/return", _once="d" * 32, reason="基数请按决算填")
    assert "基数请按决算填" in manager.get(page)

    manager.post("/declarations/new", **fields(agency, _once="e" * 32, base_fen="40000"))
    both = manager.get(page)
    assert 'class="changed"' in both
    assert "30,000.00" in both
    stale = version_of(manager.get(f"{page}/submit"))
    manager.post(f"{page}/submit", _once="f" * 32, _version=stale)
    late = finance.post(f"{page}/approve", 412, _once="1" * 32, _version=stale).get_data(as_text=True)
    assert "审核通过这一版" in late
    question = finance.get(f"{page}/approve")
    finance.post(f"{page}/approve", _once="2" * 32, _version=version_of(question))
    assert "份额按这一版算" in finance.get(page)
    assert owner.execute("select state, approved_version, current_version from declaration").fetchone() == (
        "approved",
        2,
        2,
    )


def test_hidden_fields_of_another_kind_of_canteen_count_as_empty(
    app: Flask, owner: psycopg.Connection, sign_in: SignIn
) -> None:
    hospital = Trader(app, sign_in).call("GET", "/me", "canteen2.manager")["organisation"]["id"]
    visitor = Visitor(app, "canteen2.manager")
    page = visitor.post("/declarations/new", **fields(hospital, canteen="none")).headers["Location"]
    row = owner.execute(
        "select canteen, base_fen, share_bp, reserve_fen from declaration_version where declaration_id = %s",
        [page.rsplit("/", 1)[1]],
    ).fetchone()
    assert row == ("none", 0, 0, 0)


def test_a_submitted_one_is_withdrawn_by_its_agency(app: Flask) -> None:
    visitor = Visitor(app, "canteen2.manager")
    text = visitor.get("/declarations")
    found = re.search(r'href="(/declarations/[0-9a-f-]{36})"', text)
    assert found is not None
    visitor.post(f"{found[1]}/submit", _once="3" * 32)
    assert "正在审核，现在不能改" in visitor.get("/declarations/new")
    assert "撤回后可以改了再提交" in visitor.get(f"{found[1]}/withdraw")
    visitor.post(f"{found[1]}/withdraw", _once="4" * 32)
    assert "已撤回" in visitor.get(found[1])


def test_what_was_done_in_another_tab_is_told_with_how_things_stand(
    app: Flask, sign_in: SignIn, finance: Visitor
) -> None:
    trader, hospital = Trader(app, sign_in), "canteen2.manager"
    agency = trader.call("GET", "/me", hospital)["organisation"]["id"]
    content = {"agency_id": agency, "year": 2025, "canteen": "own", "base_fen": 10_000_000, "share_bp": 2000}
    filed = trader.call("POST", "/declarations", hospital, content, 201)
    trader.call("POST", f"/declarations/{filed['id']}/submit", hospital)
    path = f"/declarations/{filed['id']}"
    finance.post(f"{path}/approve")

    again = finance.post(f"{path}/approve", 409).get_data(as_text=True)
    assert "没有办成，什么都没有改动</h2>" in again
    assert "可能已经有人办过；这一页是最新的情况" in again
    returned = finance.post(f"{path}/return", 409, reason="基数请按决算填").get_data(as_text=True)
    assert "没有办成，什么都没有改动；填好的都还在" in returned
    assert ">基数请按决算填</textarea>" in returned


def test_other_agencies_and_offices_without_the_right_stay_outside(
    app: Flask, manager: Visitor, finance: Visitor, agency: str
) -> None:
    page = re.search(r'href="(/declarations/[0-9a-f-]{36})"', manager.get("/declarations"))
    assert page is not None
    other = Visitor(app, "canteen2.manager")
    for path in (page[1], f"{page[1]}/submit", f"/declarations/new?agency_id={agency}"):
        other.get(path, 404)
    other.post("/declarations/new", 404, **fields(agency, _once="5" * 32))
    finance.get("/declarations/new", 403)
    manager.get(f"{page[1]}/approve", 403)
    Visitor(app, "coop.seller").get("/declarations", 403)


def test_the_list_sorts_and_comes_as_a_spreadsheet(finance: Visitor) -> None:
    assert 'aria-sort="descending"' in finance.get("/declarations?sort=-reserve_fen")
    rows = sheet_rows(finance.client.get(f"/declarations?year={YEAR}&format=xlsx").data)
    assert rows[0][0] == f"{YEAR}年份额填报"
    assert rows[1][0].startswith("口径")
    assert any(row[0] == "平凉市泾滨中学" and row[1] == "已审核" for row in rows)
