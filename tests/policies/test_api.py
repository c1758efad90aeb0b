"""The counties and the rules over HTTP."""

from __future__ import annotations

from datetime import date

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.clock import today
from marketplace.database import db
from marketplace.policies import service
from tests.accounts import making
from tests.accounts.making import COUNTY, SYSTEM
from tests.accounts.test_api import bearer, slug


@pytest.fixture(scope="module")
def site(empty_app: Flask) -> Flask:
    with empty_app.app_context():
        making.regions()
        from marketplace.accounts.service import add_region

        add_region(
            SYSTEM, code="620826", name="静宁县", level="county", parent_code="620800",
            tianjin_district_code=making.DISTRICT,
        )  # fmt: skip
        office = making.organisation("OFF", "office")
        making.user("county.office", office, "poverty_office")
        making.user("finance.reviewer", office, "finance_reviewer")
        service.set_eligibility(SYSTEM, county_code="620826", from_year=2019, source="公开名单")
        for start, hours in ((2019, 48), (2024, 72)):
            service.set_policy(
                SYSTEM,
                key="hold_hours",
                value=hours,
                valid_from=date(start, 1, 1),
                title="占用",
                source="公文",
            )
        db.session.remove()
    return empty_app


@pytest.fixture
def http(site: Flask) -> FlaskClient:
    return site.test_client()


def test_anybody_reads_the_counties_with_years_and_partner_districts(http):
    items = {row["code"]: row for row in http.get("/api/v1/regions").get_json()["items"]}

    assert items["620826"] == {
        "code": "620826",
        "name": "静宁县",
        "eligible_years": list(range(2019, today().year + 1)),
        "tianjin_district": {"code": "120103", "name": "河西区"},
    }
    assert items[COUNTY]["eligible_years"] == []
    assert items[COUNTY]["tianjin_district"] is None
    assert set(items) == {COUNTY, "620823", "620826"}


def test_anybody_reads_the_rules_with_their_sources_page_by_page(http):
    first = http.get("/api/v1/policies?key=hold_hours&limit=1").get_json()
    second = http.get(f"/api/v1/policies?key=hold_hours&limit=1&after={first['next']}").get_json()

    seen = [(row["value"], row["valid_from"], row["source"]) for row in first["items"] + second["items"]]
    assert seen == [(72, "2024-01-01", "公文"), (48, "2019-01-01", "公文")]
    assert second["next"] is None


def test_the_poverty_office_sets_a_rule_once_however_often_it_asks(http):
    headers = {**bearer(http, "county.office"), "Idempotency-Key": "rule-1"}
    rule = {
        "key": "confirm_hours",
        "value": 36,
        "valid_from": "2026-12-01",
        "title": "确认时限",
        "source": "通知",
    }

    answers = [http.post("/api/v1/policies", json=rule, headers=headers) for _ in range(2)]

    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].data == answers[1].data
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert answers[0].get_json()["revision"] == 1
    assert len(http.get("/api/v1/policies?key=confirm_hours").get_json()["items"]) == 1


def test_a_rule_of_the_wrong_shape_is_refused(http):
    headers = bearer(http, "county.office")
    rule = {"key": "hold_hours", "value": "72", "valid_from": "2026-12-01", "title": "x", "source": "x"}

    answer = http.post("/api/v1/policies", json=rule, headers=headers)

    assert (answer.status_code, slug(answer)) == (422, "policy-shape")


def test_another_office_and_nobody_set_no_rule(http):
    rule = {"key": "hold_hours", "value": 1, "valid_from": "2026-12-01", "title": "x", "source": "x"}

    answer = http.post("/api/v1/policies", json=rule, headers=bearer(http, "finance.reviewer"))
    assert (answer.status_code, slug(answer)) == (403, "forbidden")
    assert http.post("/api/v1/policies", json=rule).status_code == 401
    assert http.get("/api/v1/policies?key=hold_hours").get_json()["items"][0]["value"] == 72


def test_the_poverty_office_sets_the_end_of_a_countys_eligibility(http):
    fields = {"county_code": "620823", "from_year": 2020, "to_year": 2021, "source": "通知"}

    answer = http.post("/api/v1/eligibilities", json=fields, headers=bearer(http, "county.office"))

    assert answer.status_code == 201
    items = {row["code"]: row for row in http.get("/api/v1/regions").get_json()["items"]}
    assert items["620823"]["eligible_years"] == [2020, 2021]
