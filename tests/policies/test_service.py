"""Dated rules: which row holds, and that setting never rewrites."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
import sqlalchemy as sa
from flask import Flask

from marketplace.actors import ROLE_PERMISSIONS, Role
from marketplace.database import db
from marketplace.errors import Conflict, Forbidden, NotFound, RuleViolation
from marketplace.policies import queries, service
from marketplace.policies.models import CountyEligibility, Policy
from tests.accounts import making
from tests.accounts.making import COUNTY, SYSTEM, actor
from tests.accounts.test_service import facts

SOURCE = "财库〔2021〕19号"


@pytest.fixture(scope="module")
def base(empty_app: Flask) -> Iterator[Flask]:
    with empty_app.app_context():
        making.regions()
        yield empty_app


@pytest.fixture(autouse=True)
def no_policies(base) -> Iterator[None]:
    yield
    import psycopg

    with psycopg.connect(base.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as owner:
        owner.execute("delete from policy")
        owner.execute("delete from county_eligibility")
    db.session.rollback()


def put(key: str, value: object, start: str, end: str | None = None, scope: str = "", source: str = SOURCE):
    return service.set_policy(
        SYSTEM,
        key=key,
        value=value,
        valid_from=date.fromisoformat(start),
        valid_to=None if end is None else date.fromisoformat(end),
        scope=scope,
        title="规则",
        source=source,
    ).result


def value(key: str, day: str, scope: str = "") -> object:
    with db.session() as session:
        return queries.policy_value(session, key, date.fromisoformat(day), scope)


def test_a_rule_holds_on_its_first_and_last_day_and_not_outside(base):
    put("hold_hours", 48, "2021-01-01", "2021-12-31")

    assert value("hold_hours", "2021-01-01") == 48
    assert value("hold_hours", "2021-12-31") == 48
    for day in ("2020-12-31", "2022-01-01"):
        with pytest.raises(NotFound) as refused:
            value("hold_hours", day)
        assert refused.value.code == "no-policy"


def test_the_highest_revision_holds_and_the_first_stays_readable(base):
    put("hold_hours", 48, "2021-01-01")
    assert put("hold_hours", 72, "2021-01-01")["revision"] == 2

    assert value("hold_hours", "2021-06-01") == 72
    with db.session() as session:
        stored = session.execute(sa.select(Policy.revision, Policy.value).order_by(Policy.revision)).all()
    assert [tuple(row) for row in stored] == [(1, 48), (2, 72)]


def test_a_revision_that_ends_earlier_does_not_let_the_first_one_live_on(base):
    put("hold_hours", 48, "2021-01-01", "2021-12-31")
    put("hold_hours", 72, "2021-01-01", "2021-06-30")

    assert value("hold_hours", "2021-06-30") == 72
    with pytest.raises(NotFound):
        value("hold_hours", "2021-07-01")


def test_a_later_beginning_goes_before_an_open_earlier_one_and_back_after_its_end(base):
    put("hold_hours", 48, "2021-01-01")
    put("hold_hours", 24, "2022-01-20", "2022-02-10")

    assert [value("hold_hours", d) for d in ("2022-01-19", "2022-01-20", "2022-02-10", "2022-02-11")] == [
        48,
        24,
        24,
        48,
    ]


def test_the_nearest_region_goes_before_everywhere(base):
    put("hold_hours", 72, "2023-01-01")
    put("hold_hours", 48, "2021-01-01", scope="620800")
    put("hold_hours", 24, "2020-01-01", scope=COUNTY)

    assert value("hold_hours", "2024-01-01", COUNTY) == 24
    assert value("hold_hours", "2024-01-01", "620823") == 48
    assert value("hold_hours", "2024-01-01", "120103") == 72
    assert value("hold_hours", "2024-01-01") == 72


def test_the_version_names_each_key_with_beginning_and_revision(base):
    put("counted_states", ["accepted"], "2019-01-01")
    put("counted_states", ["accepted", "paid"], "2021-05-01")
    put("invoice_before_payment", False, "2019-01-01")
    put("invoice_before_payment", True, "2019-01-01")

    with db.session() as session:
        version = queries.policy_version(
            session, ["invoice_before_payment", "counted_states"], date(2022, 1, 1)
        )
    assert version == "invoice_before_payment@2019-01-01.2,counted_states@2021-05-01.1"


def test_the_same_rule_again_is_already_there(base):
    put("hold_hours", 48, "2021-01-01")

    with pytest.raises(Conflict) as refused:
        put("hold_hours", 48, "2021-01-01")

    assert refused.value.code == "already-there"
    with db.session() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Policy)) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        (("hold_hours", "72", "2021-01-01"), "policy-shape"),
        (("hold_hour", 72, "2021-01-01"), "unknown-policy"),
        (("hold_hours", 72, "2021-01-02", "2021-01-01"), "invalid"),
        (("hold_hours", 72, "2021-01-01", None, "999999"), "unknown-reference"),
    ],
)
def test_a_bad_rule_is_refused_and_not_kept(base, fields, code):
    before = len(facts("policy.set"))

    with pytest.raises(RuleViolation) as refused:
        put(*fields)

    assert refused.value.code == code
    assert len(facts("policy.set")) == before


def test_the_fact_of_a_rule_holds_all_of_it(base):
    put("reserve_share_bp", {"minimum": 1000}, "2021-01-01")

    assert facts("policy.set")[-1]["data"] == {
        "key": "reserve_share_bp",
        "value": {"minimum": 1000},
        "valid_from": "2021-01-01",
        "valid_to": None,
        "scope": "",
        "revision": 1,
        "source": SOURCE,
    }


def test_only_the_poverty_office_sets_rules(base):
    office = making.organisation("OFF", "office")
    reviewer = actor(office, office, Role.FINANCE_REVIEWER, "office")
    assert "policy:manage" not in ROLE_PERMISSIONS[Role.FINANCE_REVIEWER]

    with pytest.raises(Forbidden):
        service.set_policy(
            reviewer, key="hold_hours", value=1, valid_from=date(2021, 1, 1), title="x", source="x"
        )


def test_counties_are_eligible_from_their_first_to_their_last_year(base):
    service.set_eligibility(SYSTEM, county_code=COUNTY, from_year=2019, source=SOURCE)
    service.set_eligibility(SYSTEM, county_code="620823", from_year=2021, to_year=2022, source=SOURCE)

    with db.session() as session:
        years = {year: queries.eligible_counties(session, year) for year in (2018, 2019, 2021, 2022, 2023)}
        regions = queries.list_regions(session, 2023)
    assert years == {
        2018: frozenset(),
        2019: {COUNTY},
        2021: {COUNTY, "620823"},
        2022: {COUNTY, "620823"},
        2023: {COUNTY},
    }
    assert [(r["code"], r["eligible_years"]) for r in regions] == [
        ("620823", [2021, 2022]),
        (COUNTY, [2019, 2020, 2021, 2022, 2023]),
    ]


def test_an_end_can_be_set_later_and_overlaps_are_refused(base):
    service.set_eligibility(SYSTEM, county_code=COUNTY, from_year=2019, source=SOURCE)
    with pytest.raises(RuleViolation) as refused:
        service.set_eligibility(SYSTEM, county_code=COUNTY, from_year=2021, source=SOURCE)
    assert refused.value.code == "years-overlap"

    service.set_eligibility(SYSTEM, county_code=COUNTY, from_year=2019, to_year=2025, source=SOURCE)
    with pytest.raises(Conflict):
        service.set_eligibility(SYSTEM, county_code=COUNTY, from_year=2019, to_year=2025, source=SOURCE)

    with db.session() as session:
        assert session.scalar(sa.select(CountyEligibility.to_year)) == 2025
