"""Parts of a year's figures, the rows behind them, who is behind, and what a declaration must keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
import time_machine

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.errors import Forbidden, NotFound
from marketplace.quota import explain, figures, queries, service
from marketplace.quota.grouping import By
from marketplace.quota.ledger import EntryKind
from tests.quota.test_figures import approve, row_of
from tests.quota.world import HUATING, JINGNING, KONGTONG, City, Want

LATE = datetime(2026, 11, 24, 4, tzinfo=UTC)


@pytest.fixture
def traded(fresh_city: City) -> City:
    """school: 20.00 of Jingning and 5.00 of Kongtong counted, 7.00 of Huating never; hospital: 30.00 ordered."""
    approve(fresh_city, "school", base_fen=100_000)
    approve(fresh_city, "hospital", base_fen=50_000)
    fresh_city.trade("school", Want(2), Want(5, KONGTONG, price_fen=100))
    fresh_city.trade("school", Want(7, HUATING, "010103", price_fen=100), purpose="union")
    fresh_city.confirm(fresh_city.buy("hospital", Want(3)))
    return fresh_city


def summary(city: City, **wishes) -> dict:
    return figures.summary(db.session(), city.poverty_office, **{"year": 2026, **wishes})


def test_a_part_by_buyer_keeps_its_reserve_and_a_part_by_origin_has_none(traded: City) -> None:
    school = str(traded.agencies["school"])
    part = summary(traded, by=By.AGENCY, within={By.AGENCY: school})
    assert [row["key"] for row in part["items"]] == [school]
    assert part["total"]["reserve_fen"] == 10_000
    assert part["total"]["counted_fen"] == 2_500
    assert part["total"]["completion_bp"] == 2_500
    part = summary(traded, by=By.AGENCY, within={By.ORIGIN_COUNTY: JINGNING})
    assert "reserve_fen" not in part["total"]
    assert part["total"]["ordered_fen"] == 5_000
    assert part["total"]["counted_fen"] == 2_000


def test_a_department_is_found_in_its_county_with_its_units(traded: City) -> None:
    edu = str(traded.agencies["edu"])
    part = summary(traded, by=By.DEPARTMENT, within={By.BUYER_COUNTY: KONGTONG})
    assert row_of(part, edu)["agencies"] == 3
    part = summary(traded, by=By.AGENCY, within={By.BUYER_COUNTY: KONGTONG, By.DEPARTMENT: edu})
    assert {row["name"] for row in part["items"]} == {
        row["name"]
        for row in summary(traded)["items"]
        if row["key"] in _keys(traded, "edu", "school", "primary")
    }


def _keys(city: City, *names: str) -> set[str]:
    return {str(city.agencies[name]) for name in names}


def test_rows_are_sorted_by_any_figure_and_those_without_it_come_last(traded: City) -> None:
    school, hospital = str(traded.agencies["school"]), str(traded.agencies["hospital"])
    up = [row["key"] for row in summary(traded, sort="completion_bp")["items"]]
    down = [row["key"] for row in summary(traded, sort="-completion_bp")["items"]]
    assert up[:2] == [hospital, school]
    assert down[:2] == [school, hospital]
    assert summary(traded, sort="-ordered_fen")["items"][0]["key"] == school
    assert summary(traded, sort="drop table")["items"] == summary(traded)["items"]


def test_the_rows_of_a_part_add_up_to_its_figure(traded: City) -> None:
    wishes = {"year": 2026, "kind": EntryKind.COUNTED, "within": {By.ORIGIN_COUNTY: JINGNING}}
    rows = explain.entries(db.session(), traded.poverty_office, sort="-occurred_on", **wishes)["items"]
    assert [row["amount_fen"] for row in rows] == [2_000]
    assert rows[0]["agency"] == {"id": traded.agencies["school"], "name": rows[0]["agency"]["name"]}
    assert rows[0]["line"] == {"name": "静宁苹果", "spec": "80#", "unit": "箱", "quantity": 2}
    assert rows[0]["lots"][0]["trace_code"] == rows[0]["trace_codes"][0]
    total = explain.entries_total(db.session(), traded.poverty_office, **wishes)
    assert total == {"rows": 1, "amount_fen": 2_000}


def test_entries_are_sorted_by_amount_both_ways(traded: City) -> None:
    for sort, wanted in (("amount_fen", [500, 2_000]), ("-amount_fen", [2_000, 500])):
        rows = explain.entries(
            db.session(), traded.poverty_office, year=2026, kind=EntryKind.COUNTED, sort=sort
        )["items"]
        assert [row["amount_fen"] for row in rows] == wanted


def test_a_manager_counts_only_rows_of_his_own_agency(traded: City) -> None:
    total = explain.entries_total(db.session(), traded.manager("hospital"), year=2026)
    assert total == {"rows": 1, "amount_fen": 3_000}


@time_machine.travel(LATE, tick=False)
def test_laggards_are_told_with_the_reason_of_every_uncounted_yuan(traded: City) -> None:
    behind = explain.laggards(db.session(), traded.poverty_office, year=2026)
    assert [UUID(row["key"]) for row in behind["items"]] == [
        traded.agencies["hospital"],
        traded.agencies["school"],
    ]
    hospital, school = behind["items"]
    assert behind["elapsed_bp"] == 8_986
    assert hospital["pace_bp"] == -8_986
    assert hospital["uncounted"] == {"not_accepted": 3_000}
    assert school["pace_bp"] == 2_500 - 8_986
    assert school["uncounted"] == {"not_eligible": 700}
    assert behind["behind"] == 2


def test_the_rules_of_a_filing_name_their_sources_and_last_years_reserve(fresh_city: City) -> None:
    approve(fresh_city, "school", base_fen=200_000, year=2025)
    found = queries.filing_rules(
        db.session(), fresh_city.manager("school"), fresh_city.agencies["school"], 2026
    )
    assert (found["minimum_bp"], found["encouraged_bp"], found["non_decreasing"]) == (1_000, 1_500, False)
    assert found["base"] == {"canteen": True, "union": False}
    assert found["deadline"].isoformat() == "2026-03-24"
    assert found["prior_reserve_fen"] == 20_000
    assert [row["key"] for row in found["sources"]] == [*queries.FILING_KEYS, queries.DEADLINE_KEY]


def test_the_rules_of_anothers_filing_are_not_found(fresh_city: City) -> None:
    for agency in (fresh_city.agencies["hospital"], fresh_city.contractor):
        with pytest.raises(NotFound):
            queries.filing_rules(db.session(), fresh_city.manager("school"), agency, 2026)


def test_who_files_sees_his_own_units_and_an_office_files_for_nobody(fresh_city: City) -> None:
    listed = queries.agencies_to_declare(db.session(), fresh_city.manager("edu", "school", "primary"))
    assert {row["id"] for row in listed} == {
        fresh_city.agencies[name] for name in ("edu", "school", "primary")
    }
    with pytest.raises(Forbidden):
        queries.agencies_to_declare(db.session(), fresh_city.finance)


def test_declarations_are_counted_by_state_and_sorted_by_reserve(traded: City) -> None:
    manager = traded.manager("vocational")
    service.file_declaration(
        manager, agency_id=traded.agencies["vocational"], year=2026, canteen="none", base_fen=0, share_bp=0
    )
    assert queries.count_declarations(db.session(), traded.finance, 2026) == {"approved": 2, "draft": 1}
    assert queries.count_declarations(db.session(), manager, 2026) == {"draft": 1}
    for sort, wanted in (("reserve_fen", [0, 5_000, 10_000]), ("-reserve_fen", [10_000, 5_000, 0])):
        listed = queries.list_declarations(db.session(), traded.finance, year=2026, sort=sort)["items"]
        assert [row["reserve_fen"] for row in listed] == wanted


@time_machine.travel(LATE, tick=False)
def test_closed_months_of_a_year_are_told(fresh_city: City) -> None:
    closer = replace(fresh_city.poverty_office, permissions=frozenset({Permission.PERIOD_CLOSE}))
    service.close_period(closer, "2026-10")
    assert list(queries.period_closes(db.session(), 2026)) == ["2026-10"]
    assert queries.period_closes(db.session(), 2025) == {}


def test_several_groupings_read_at_once_are_the_same_as_one_by_one(traded: City) -> None:
    for within in ({}, {By.BUYER_COUNTY: KONGTONG}, {By.ORIGIN_COUNTY: JINGNING}):
        together = figures.summaries(
            db.session(), traded.poverty_office, year=2026, bys=list(By), within=within, sort="-counted_fen"
        )
        assert list(together) == list(By)
        for by in By:
            alone = summary(traded, by=by, within=within, sort="-counted_fen" if by is By.AGENCY else None)
            for name in ("items", "total", "next"):
                assert together[by][name] == alone[name], (by, name)
            assert together[by]["basis"]["by"] == by.value
