"""The market regulator by page: pass rates, lots, holds with reasons, samples with their reports."""

from __future__ import annotations

import io
import re
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from marketplace.actors import anonymous, system
from marketplace.clock import today
from marketplace.database import db
from marketplace.desks import regulating_views as views
from marketplace.desks.regulating_views import RateBy
from marketplace.errors import Forbidden
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import ORIGIN, SignIn, Trader, Visitor
from tests.documents import files

DAY = today().isoformat()


@pytest.fixture(scope="module")
def regulator(app: Flask) -> Visitor:
    return Visitor(app, "market.regulator")


@pytest.fixture(scope="module")
def lots(app: Flask, sign_in: SignIn) -> list[dict[str, Any]]:
    """Lots on sale, each of another product, so that no sample of one holds another."""
    listed = Trader(app, sign_in).call("GET", "/lots?state=released&limit=100", "market.regulator")["items"]
    return list({row["product"]["id"]: row for row in listed}.values())


def sample(**changes: Any) -> dict[str, Any]:
    return {
        "sampled_on": DAY, "campaign": "试验任务", "sample_number": "", "passed": "true", "document_id": "",
        "items-0-name": "毒死蜱", "items-0-value": "0.01", "items-0-limit": "0.02", "items-0-unit": "mg/kg",
        "items-3-name": "铅", "items-3-value": "未检出", "items-3-limit": "", "items-3-unit": "",
    } | changes  # fmt: skip


def test_the_desk_opens_on_the_pass_rate_and_lots_off_sale(regulator: Visitor) -> None:
    text = regulator.get("/regulate")
    assert "目标98.00%" in text
    assert "抽检合格率" in text
    assert 'role="img" aria-label="抽检合格率' in text
    assert regulator.client.get("/desk").headers["Location"] == "/regulate"


def test_pass_rates_add_up_by_every_key(context: Flask, owner: psycopg.Connection) -> None:
    wanted = owner.execute(
        "select count(*), count(*) filter (where passed) from inspection where sampled_on >= %s",
        [f"{today().year}-01-01"],
    ).fetchone()
    assert wanted is not None
    for by in RateBy:
        found = views.pass_rates(db.session(), system(), year=today().year, by=by)
        total = found["total"]
        assert (total["samples"], total["passed"]) == wanted
        assert sum(row["samples"] for row in found["rows"]) == wanted[0]
    with pytest.raises(Forbidden):
        views.pass_rates(db.session(), anonymous(), year=today().year, by=RateBy.COUNTY)


@pytest.mark.parametrize("by", ["county", "category", "seller", "month"])
def test_samples_are_listed_beside_their_rates(regulator: Visitor, by: str) -> None:
    text = regulator.get(f"/regulate/inspections?by={by}&year={today().year}")
    assert "合格率" in text
    assert "口径：合格率＝合格样品÷全部样品" in text
    failed = regulator.get("/regulate/inspections?passed=false").split("样品表", 1)
    assert len(failed) == 1 or "chip--done" not in failed[1]


def test_lots_are_found_by_code_product_and_seller(regulator: Visitor, lots: list[dict[str, Any]]) -> None:
    lot = lots[0]
    for wish in (lot["trace_code"][:6].lower(), f"{lot['trace_code'][:5]}-{lot['trace_code'][5:10]}",
                 lot["product"]["name"], lot["seller"]["name"][:4]):  # fmt: skip
        assert f"/regulate/lots/{lot['id']}" in regulator.get(f"/regulate/lots?q={wish}&state=released")
    assert "没有找到批次" in regulator.get("/regulate/lots?q=%25")
    rows = sheet_rows(regulator.client.get("/regulate/lots?format=xlsx").data)
    assert rows[0] == ["批次"]


def test_a_lot_is_held_with_a_reason_and_freed_again(
    regulator: Visitor, lots: list[dict[str, Any]], owner: psycopg.Connection
) -> None:
    path = f"/regulate/lots/{lots[0]['id']}"
    empty = regulator.post(f"{path}/hold", 422, _once="a" * 32, reason="").get_data(as_text=True)
    assert "停售这一批" in empty
    for _ in range(2):
        assert (
            regulator.post(f"{path}/hold", _once="b" * 32, reason="核对检疫证明").headers["Location"] == path
        )
    text = regulator.get(path)
    assert "核对检疫证明" in text
    state = "select state, (select count(*) from lot_hold h where h.lot_id = l.id) from lot l where id = %s"
    assert owner.execute(state, [UUID(lots[0]["id"])]).fetchone() == ("held", 1)
    twice = regulator.post(f"{path}/hold", 409, _once="c" * 32, reason="再停").get_data(as_text=True)
    assert "这一批已经停售" in twice
    regulator.post(f"{path}/unhold", _once="d" * 32, reason="")
    assert owner.execute(state, [UUID(lots[0]["id"])]).fetchone() == ("released", 1)


def test_a_failed_sample_takes_the_lot_off_sale_and_keeps_its_report(
    regulator: Visitor, lots: list[dict[str, Any]], owner: psycopg.Connection
) -> None:
    path = f"/regulate/lots/{lots[1]['id']}"
    typed = sample(passed="false", **{"items-0-value": "0.05"})
    report = (io.BytesIO(files.png()), "报告.png")
    answer = regulator.client.post(f"{path}/inspect", data={**typed, "file": report}, headers=ORIGIN)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    row = owner.execute(
        "select passed, jsonb_array_length(items), document_id is not null from inspection where lot_id = %s"
        " and campaign = '试验任务'",
        [UUID(lots[1]["id"])],
    ).fetchone()
    assert row == (False, 2, True)
    text = regulator.get(path)
    assert "暂停销售" in text
    assert "抽检不合格" in text


def test_a_refused_sample_keeps_its_rows_and_its_file(
    regulator: Visitor, lots: list[dict[str, Any]], owner: psycopg.Connection
) -> None:
    path = f"/regulate/lots/{lots[2]['id']}/inspect"
    before = owner.execute("select count(*) from inspection").fetchone()
    typed = sample(**{"items-0-value": "0.09"})
    report = (io.BytesIO(files.png()), "报告.png")
    answer = regulator.client.post(path, data={**typed, "file": report}, headers=ORIGIN)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "毒死蜱超过限量，不能写合格" in text
    assert 'value="0.09"' in text
    assert 'name="items-3-name" value="铅"' in text
    kept = re.search(r'name="document_id" value="([0-9a-f-]{36})"', text)
    assert kept is not None
    assert owner.execute("select count(*) from inspection").fetchone() == before
    missing = regulator.client.post(path, data=sample(passed=""), headers=ORIGIN)
    assert missing.status_code == 422


def test_a_campaign_sample_of_no_lot_counts_for_its_county(
    regulator: Visitor, owner: psycopg.Connection
) -> None:
    regulator.get("/regulate/inspections/new")
    data = sample(county_code="620826", product_name="韭菜", campaign="韭菜专项", sample_number="JC-1")
    answer = regulator.client.post("/regulate/inspections/new", data=data, headers=ORIGIN)
    assert answer.headers["Location"] == "/regulate/inspections"
    again = regulator.client.post("/regulate/inspections/new", data=data, headers=ORIGIN)
    assert again.status_code == 409
    rows = owner.execute("select count(*) from inspection where campaign = '韭菜专项'").fetchone()
    assert rows == (1,)
    assert "没挂批次的任务抽检" in regulator.get("/regulate/inspections?by=seller")


def test_others_stay_outside_and_the_poverty_office_reads_the_rates(
    app: Flask, lots: list[dict[str, Any]]
) -> None:
    for user in ("coop.seller", "canteen.manager", "finance.reviewer"):
        for path in (
            "/regulate",
            "/regulate/lots",
            "/regulate/inspections",
            f"/regulate/lots/{lots[0]['id']}/hold",
        ):
            Visitor(app, user).get(path, 403)
    office = Visitor(app, "county.office")
    assert "合格率" in office.get("/regulate/inspections")
    office.get("/regulate/inspections/new", 403)
    regulator = Visitor(app, "market.regulator")
    regulator.get("/regulate/lots/01a20c91-0000-7000-8000-000000000000", 404)
