"""Declarations from draft to approval, who may do what, and what stands in the journal about it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
import time_machine

from marketplace.actors import Permission, Role, system
from marketplace.database import db
from marketplace.errors import Forbidden, NotFound, PreconditionFailed, RuleViolation, WrongState
from marketplace.policies.models import Policy
from marketplace.quota import queries, service
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from tests.quota.world import City


def file(city: City, agency: str = "school", actor=None, **fields):
    typed = {"year": 2026, "canteen": "own", "base_fen": 1_000_000, "share_bp": 1000, **fields}
    return service.file_declaration(
        actor or city.manager(agency), agency_id=city.agencies[agency], **typed
    ).result


def facts_of(declaration) -> list[tuple[str, dict]]:
    rows = db.session().execute(
        sa.text("select kind, body from fact where subject_id = :id order by number"),
        {"id": declaration["id"]},
    )
    return [(row.kind, json.loads(row.body)["data"]) for row in rows]


def test_a_declaration_goes_from_draft_over_review_to_approval(fresh_city: City):
    city, manager = fresh_city, fresh_city.manager("school")
    draft = file(city, base_fen=1_000_001, contact="王老师 0933-1", remark="备注")
    assert (draft["state"], draft["number"], draft["approved_number"]) == ("draft", 1, None)
    assert (draft["reserve_fen"], draft["share_bp"], draft["version"]) == (100_001, 1000, 1)
    assert draft["policy_version"] == (
        "reserve_share_bp@2021-01-01.1,reserve_base@2021-01-01.1,reserve_non_decreasing@2019-01-01.1"
    )
    assert service.submit_declaration(manager, draft["id"]).result["state"] == "submitted"
    returned = service.return_declaration(city.finance, draft["id"], reason="基数不对").result
    assert (returned["state"], returned["state_reason"]) == ("returned", "基数不对")
    again = file(city, base_fen=2_000_000)
    assert (again["state"], again["number"], again["state_reason"]) == ("draft", 2, None)
    assert [v["number"] for v in again["versions"]] == [2, 1]
    service.submit_declaration(manager, draft["id"])
    service.withdraw_declaration(manager, draft["id"])
    service.submit_declaration(manager, draft["id"])
    approved = service.approve_declaration(city.finance, draft["id"]).result
    assert (approved["state"], approved["approved_number"], approved["reserve_fen"]) == (
        "approved",
        2,
        200_000,
    )
    redeclared = file(city, base_fen=3_000_000)
    assert (redeclared["state"], redeclared["number"], redeclared["approved_number"]) == ("draft", 3, 2)
    told = facts_of(draft)
    assert [kind.removeprefix("declaration.") for kind, _ in told] == [
        "filed", "submitted", "returned", "filed", "submitted", "withdrawn", "submitted", "approved", "filed",
    ]  # fmt: skip
    assert told[0][1] == {
        "agency": str(city.agencies["school"]),
        "year": 2026,
        "number": 1,
        "canteen": "own",
        "base_fen": 1_000_001,
        "share_bp": 1000,
        "reserve_fen": 100_001,
        "represented_by": None,
        "contractor": None,
        "policy_version": draft["policy_version"],
    }
    assert told[2][1]["reason_given"] is True
    assert "王老师" not in json.dumps(told, ensure_ascii=False)


def test_what_is_wrong_with_a_filing_is_told_at_once_and_nothing_is_kept(city: City):
    with pytest.raises(RuleViolation) as refused:
        file(
            city,
            "hospital",
            canteen="outsourced",
            share_bp=900,
            base_fen=0,
            contractor_id=city.agencies["edu"],
        )
    assert [e["pointer"] for e in refused.value.data["errors"]] == [
        "#/base_fen",
        "#/share_bp",
        "#/contractor_id",
    ]
    with pytest.raises(RuleViolation) as itself:
        file(city, "hospital", canteen="shared", base_fen=0, represented_by=city.agencies["hospital"])
    assert [e["pointer"] for e in itself.value.data["errors"]] == ["#/represented_by"]
    assert queries.list_declarations(
        db.session(), city.finance, agency_id=city.agencies["hospital"]
    ) == {"items": [], "next": None}  # fmt: skip


def test_shared_and_missing_canteens_reserve_nothing_and_say_why(city: City):
    shared = file(city, "primary", canteen="shared", base_fen=0, represented_by=city.agencies["school"])
    assert (shared["reserve_fen"], shared["share_bp"], shared["remark"]) == (
        0,
        0,
        "共用食堂，由单位school填报",
    )
    assert shared["represented_by"] == {"id": city.agencies["school"], "name": "单位school"}
    none = file(city, "edu", canteen="none", base_fen=0)
    assert (none["reserve_fen"], none["remark"]) == (0, "无食堂")


def test_an_outsourced_canteen_is_declared_by_its_agency(city: City):
    filed = file(city, "vocational", canteen="outsourced", share_bp=1500, contractor_id=city.contractor)
    assert (filed["reserve_fen"], filed["contractor"]["id"]) == (150_000, city.contractor)


def test_a_late_declaration_is_taken_and_marked(fresh_city: City):
    with time_machine.travel(datetime(2026, 3, 24, 15, 59, tzinfo=UTC), tick=False):
        assert file(fresh_city)["late"] is False
    with time_machine.travel(datetime(2026, 3, 24, 16, 0, tzinfo=UTC), tick=False):
        late = file(fresh_city)
    assert (late["late"], late["deadline"]) == (True, date(2026, 3, 24))


def test_last_years_reserve_is_the_floor_where_the_policy_says_so(fresh_city: City):
    city = fresh_city
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.session.add(
            Policy(key="reserve_non_decreasing", value=True, valid_from=date(2026, 1, 1), title="-", source="test",
                   recorded_at=tx.started_at)
        )  # fmt: skip
        tx.record("policy.set", "policy", uuid7(), key="reserve_non_decreasing")
    before = file(city, year=2025, base_fen=3_000_000)
    service.submit_declaration(city.manager("school"), before["id"])
    assert file(city)["reserve_fen"] == 100_000
    service.approve_declaration(city.finance, before["id"])
    assert file(city)["reserve_fen"] == 300_000


def test_a_year_without_rules_is_not_there(city: City):
    with pytest.raises(NotFound) as refused:
        file(city, year=2020)
    assert refused.value.code == "no-policy"


def test_a_department_files_for_its_units_and_strangers_find_nothing(fresh_city: City):
    city = fresh_city
    filed = file(city, "school", city.manager("edu", "school"))
    stranger = city.manager("hospital")
    for act in (
        lambda: file(city, "school", stranger),
        lambda: service.submit_declaration(stranger, filed["id"]),
        lambda: queries.declaration_view(db.session(), stranger, filed["id"]),
        lambda: service.submit_declaration(city.manager("school"), uuid7()),
    ):
        with pytest.raises(NotFound):
            act()
    assert queries.list_declarations(db.session(), stranger)["items"] == []
    assert [d["id"] for d in queries.list_declarations(db.session(), city.manager("school"))["items"]] == [
        filed["id"]
    ]
    assert queries.declaration_view(db.session(), city.finance, filed["id"])["state"] == "draft"


def test_roles_do_only_what_is_theirs(fresh_city: City):
    city = fresh_city
    filed = file(city)
    service.submit_declaration(city.manager("school"), filed["id"])
    for act in (
        lambda: service.approve_declaration(city.manager("school"), filed["id"]),
        lambda: service.approve_declaration(city.poverty_office, filed["id"]),
        lambda: file(city, actor=city.finance),
        lambda: file(city, actor=city.actor(Role.BUYER, city.agencies["school"])),
        lambda: service.withdraw_declaration(city.finance, filed["id"]),
    ):
        with pytest.raises(Forbidden):
            act()
    assert queries.declaration_view(db.session(), city.finance, filed["id"])["state"] == "submitted"


def test_nobody_reviews_the_declaration_of_his_own_organisation_or_his_own_filing(fresh_city: City):
    city = fresh_city
    filed = file(city)
    service.submit_declaration(city.manager("school"), filed["id"])
    own = city.actor(Role.FINANCE_REVIEWER, city.agencies["school"])
    for act in (
        lambda: service.approve_declaration(own, filed["id"]),
        lambda: service.return_declaration(own, filed["id"], reason="x"),
    ):
        with pytest.raises(Forbidden) as refused:
            act()
        assert refused.value.code == "own-declaration"
    assert queries.declaration_view(db.session(), city.finance, filed["id"])["state"] == "submitted"


def test_acts_out_of_turn_are_refused_and_change_nothing(fresh_city: City):
    city, manager = fresh_city, fresh_city.manager("school")
    filed = file(city)
    with pytest.raises(WrongState):
        service.approve_declaration(city.finance, filed["id"])
    service.submit_declaration(manager, filed["id"])
    with pytest.raises(WrongState) as refused:
        file(city, base_fen=5_000_000)
    assert refused.value.data == {"state": "submitted", "event": "edit"}
    with pytest.raises(PreconditionFailed):
        service.withdraw_declaration(manager, filed["id"], expected=1)
    view = queries.declaration_view(db.session(), manager, filed["id"])
    assert (view["state"], view["number"], view["version"], len(view["versions"])) == ("submitted", 1, 2, 1)
    assert [kind for kind, _ in facts_of(filed)] == ["declaration.filed", "declaration.submitted"]


def test_members_of_a_shared_canteen_are_never_missing(fresh_city: City):
    city = fresh_city
    filed = file(city)
    missing = queries.missing_declarations(db.session(), city.poverty_office, year=2026)
    assert {row["id"]: row["state"] for row in missing} == {
        city.agencies["edu"]: None,
        city.agencies["hospital"]: None,
        city.agencies["school"]: "draft",
        city.agencies["vocational"]: None,
    }
    service.submit_declaration(city.manager("school"), filed["id"])
    service.approve_declaration(city.finance, filed["id"])
    missing = queries.missing_declarations(db.session(), city.manager("school"), year=2026)
    assert missing == []


def test_declarations_are_listed_page_by_page(fresh_city: City):
    city = fresh_city
    for year in (2024, 2025, 2026):
        file(city, year=year)
    first = queries.list_declarations(db.session(), city.finance, limit=2)
    rest = queries.list_declarations(db.session(), city.finance, limit=2, after=first["next"])
    assert [d["year"] for d in first["items"] + rest["items"]] == [2026, 2025, 2024]
    assert rest["next"] is None
    drafts = queries.list_declarations(
        db.session(), city.finance, year=2025, state=first["items"][0]["state"]
    )
    assert [d["year"] for d in drafts["items"]] == [2025]
