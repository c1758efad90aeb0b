"""Organisations, payers, users and payees through the services, with the facts they leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from marketplace.accounts import bank_accounts, queries, service
from marketplace.accounts.models import BankAccount, Organisation, OrganisationHistory, PayerProfile, User
from marketplace.accounts.sign_in import BadCredentials
from marketplace.clock import now
from marketplace.database import db
from marketplace.errors import Conflict, Forbidden, NotFound, PreconditionFailed, RuleViolation, WrongState
from tests.accounts import making
from tests.accounts.making import COUNTY, PASSWORD, SYSTEM, actor

SCHOOL_CODE = "12620802MA70A0C19C"
ACCOUNT = {"bank_name": "示范银行", "bank_branch_number": "402833090001"}


@pytest.fixture(scope="module")
def base(empty_app: Flask) -> Iterator[Flask]:
    with empty_app.app_context():
        making.regions()
        yield empty_app


def facts(kind: str) -> list[dict]:
    with db.engine.connect() as connection:
        texts = connection.execute(
            sa.text("select body from fact where kind = :kind order by number"), {"kind": kind}
        ).scalars()
        return [json.loads(text) for text in texts]


def count(table) -> int:
    with db.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_an_organisation_starts_with_its_history_and_a_fact(base):
    result = service.add_organisation(
        SYSTEM,
        code="AG-1",
        name="平凉市泾滨中学",
        kind="agency",
        subkind="school",
        region_code=COUNTY,
        credit_code=SCHOOL_CODE,
        counts_in_city=True,
        canteen_mode="own",
        valid_from=date(2020, 1, 1),
    ).result

    assert result["version"] == 1
    history = db.session.scalars(
        sa.select(OrganisationHistory).where(OrganisationHistory.organisation_id == result["id"])
    ).all()
    assert [(h.name, h.valid_from) for h in history] == [("平凉市泾滨中学", date(2020, 1, 1))]
    assert facts("organisation.added")[-1]["data"] == {
        "code": "AG-1",
        "name": "平凉市泾滨中学",
        "kind": "agency",
        "subkind": "school",
        "credit_code": SCHOOL_CODE,
        "region": COUNTY,
        "parent": None,
        "canteen_mode": "own",
        "canteen_partner": None,
        "counts_in_city": True,
    }


def test_a_second_organisation_of_the_same_code_is_refused_and_changes_nothing(base):
    making.organisation("TWICE")
    before = count(Organisation), len(facts("organisation.added"))

    with pytest.raises(Conflict) as refused:
        making.organisation("TWICE")

    assert refused.value.code == "already-there"
    assert (count(Organisation), len(facts("organisation.added"))) == before


def test_a_bad_credit_code_is_refused_with_its_pointer(base):
    before = count(Organisation)

    with pytest.raises(RuleViolation) as refused:
        making.organisation("BAD", credit_code=SCHOOL_CODE[:17] + "D")

    assert refused.value.data["errors"][0]["pointer"] == "#/credit_code"
    assert count(Organisation) == before


def test_an_unknown_region_is_refused(base):
    with pytest.raises(RuleViolation) as refused:
        making.organisation("NOWHERE", region_code="999999")

    assert refused.value.code == "unknown-reference"


def test_a_renamed_office_keeps_its_old_name_in_the_history(base):
    office = making.organisation("OFF-POV", "office", name="平凉市扶贫办", valid_from=date(2019, 1, 1))

    result = service.edit_organisation(
        SYSTEM, office, changes={"name": "平凉市乡村振兴局"}, valid_from=date(2021, 5, 1), expected_version=1
    ).result

    assert (result["name"], result["version"]) == ("平凉市乡村振兴局", 2)
    names = db.session.execute(
        sa.select(OrganisationHistory.name, OrganisationHistory.valid_from)
        .where(OrganisationHistory.organisation_id == office)
        .order_by(OrganisationHistory.valid_from)
    ).all()
    assert [tuple(n) for n in names] == [
        ("平凉市扶贫办", date(2019, 1, 1)),
        ("平凉市乡村振兴局", date(2021, 5, 1)),
    ]


def test_an_edit_of_an_older_version_is_refused(base):
    organisation = making.organisation("STALE")

    with pytest.raises(PreconditionFailed):
        service.edit_organisation(SYSTEM, organisation, changes={"name": "新名"}, expected_version=7)

    assert queries.organisation_row(db.session(), organisation).name == "单位STALE"


def test_a_unit_cannot_stand_below_its_own_subordinate(base):
    top = making.organisation("TOP", "agency")
    middle = making.organisation("MIDDLE", "agency", parent_id=top)
    low = making.organisation("LOW", "agency", parent_id=middle)

    for parent in (top, low):
        with pytest.raises(RuleViolation) as refused:
            service.edit_organisation(SYSTEM, top, changes={"parent_id": parent})
        assert refused.value.code == "parent-cycle"
    assert queries.subordinate_ids(db.session(), top) == {middle, low}
    assert queries.subordinate_ids(db.session(), low) == frozenset()


def test_the_default_payer_of_a_purpose_is_found_and_a_strangers_is_not(base):
    school, other = making.organisation("PAY-1", "agency"), making.organisation("PAY-2", "agency")
    fields = {
        "legal_name": "学校",
        "credit_code": SCHOOL_CODE,
        "invoice_title": "学校",
        "tax_number": SCHOOL_CODE,
        "bank_account": "6299880000799819",
        **ACCOUNT,
    }
    for code, default in (("PP-A", False), ("PP-B", True)):
        service.add_payer_profile(
            SYSTEM, code=code, organisation_id=school, purpose="canteen", is_default=default, **fields
        )
    session = db.session()

    default = queries.payer_profile(session, school, "canteen")
    assert default.code == "PP-B"
    assert queries.payer_profile(session, school, "union") is None
    assert queries.payer_profile(session, other, "canteen", default.id) is None
    with pytest.raises(RuleViolation):
        service.add_payer_profile(
            SYSTEM, code="PP-C", organisation_id=school, purpose="union", **{**fields, "tax_number": "1"}
        )
    assert count(PayerProfile) == 2


def test_a_canteen_has_one_name_in_its_organisation(base):
    school = making.organisation("CAN", "agency")
    made = service.add_canteen(SYSTEM, organisation_id=school, name="一食堂").result

    with pytest.raises(Conflict):
        service.add_canteen(SYSTEM, organisation_id=school, name="一食堂")

    assert queries.canteen(db.session(), school).id == made["id"]
    assert queries.canteen(db.session(), making.organisation("NO-CAN", "agency")) is None


@pytest.mark.parametrize(
    ("kind", "role"),
    [("seller", "poverty_office"), ("agency", "seller"), ("office", "buyer"), ("lab", "manager")],
)
def test_a_role_that_an_organisation_cannot_have_is_refused(base, kind, role):
    organisation = making.organisation(f"ROLE-{kind}-{role}", kind)
    before = count(User)

    with pytest.raises(RuleViolation) as refused:
        making.user("some.body", organisation, role)

    assert refused.value.code == "role-mismatch"
    assert count(User) == before


def test_the_fact_of_a_user_names_no_person(base):
    making.user("quiet.person", making.organisation("QUIET"))

    fact = facts("user.added")[-1]
    assert fact["data"].keys() == {"username", "role", "organisation", "auth_version"}
    assert "用户quiet.person" not in json.dumps(fact, ensure_ascii=False)


@pytest.fixture
def sellers(base) -> tuple:
    """A seller with two people, new for each test."""
    number = count(Organisation)
    organisation = making.organisation(f"SELL-{number}")
    people = [making.user(f"seller{n}.{number}", organisation) for n in (1, 2)]
    return organisation, *(actor(person, organisation) for person in people)


def propose(who, number: str, password: str = PASSWORD):
    return bank_accounts.propose_bank_account(
        who,
        account_name="合作社",
        account_number=number,
        current_password=password,
        address="198.51.100.7",
        **ACCOUNT,
    ).result


def paid_to(organisation, at=None) -> str:
    with db.session() as session:
        return queries.active_bank_account(session, organisation, at or now()).account_number


def test_the_first_account_counts_at_once(sellers):
    organisation, one, _ = sellers

    assert propose(one, "11111111")["state"] == "active"

    assert paid_to(organisation) == "11111111"


def test_a_changed_account_counts_a_day_after_a_colleague_approved_it(sellers):
    organisation, one, two = sellers
    propose(one, "11111111")
    changed = propose(one, "22222222")
    assert changed["state"] == "pending"

    assert bank_accounts.approve_bank_account(two, changed["id"]).result["state"] == "waiting"

    assert paid_to(organisation, now() + timedelta(hours=23)) == "11111111"
    assert paid_to(organisation, now() + timedelta(hours=25)) == "22222222"
    with time_machine.travel(now() + timedelta(hours=25), tick=True), db.session() as session:
        assert propose(two, "33333333")["state"] == "pending"
        states = [row["state"] for row in queries.list_bank_accounts(one, session, now())]
    assert states == ["pending", "active", "replaced"]


def test_nobody_approves_his_own_account(sellers):
    organisation, one, _ = sellers
    propose(one, "11111111")
    changed = propose(one, "22222222")

    with pytest.raises(WrongState) as refused:
        bank_accounts.approve_bank_account(one, changed["id"])

    assert refused.value.code == "same-person"
    assert paid_to(organisation, now() + timedelta(days=9)) == "11111111"


def test_a_waiting_account_is_stopped_by_a_new_proposal(sellers):
    organisation, one, two = sellers
    propose(one, "11111111")
    bank_accounts.approve_bank_account(two, propose(one, "66666666")["id"])

    propose(two, "11111111")

    assert paid_to(organisation, now() + timedelta(days=9)) == "11111111"


def test_an_account_is_named_only_with_the_password(sellers):
    _, one, _ = sellers
    before = count(BankAccount)

    with pytest.raises(BadCredentials):
        propose(one, "11111111", "not-the-password")

    assert count(BankAccount) == before


def test_another_sellers_proposal_is_as_good_as_absent(sellers, base):
    _, one, _ = sellers
    propose(one, "11111111")
    changed = propose(one, "22222222")
    stranger_at = making.organisation(f"STRANGER-{count(Organisation)}")
    stranger = actor(making.user(f"stranger.{count(User)}", stranger_at), stranger_at)

    with pytest.raises(NotFound):
        bank_accounts.approve_bank_account(stranger, changed["id"])


def test_the_number_of_an_account_is_in_no_fact(sellers):
    _, one, _ = sellers
    propose(one, "77777777")

    with db.engine.connect() as connection:
        found = connection.execute(sa.text("select count(*) from fact where body like '%77777777%'"))
        assert found.scalar_one() == 0


def test_a_buyer_names_no_bank_account(base):
    from marketplace.actors import Role

    buyer = actor(
        making.user("only.buyer", making.organisation("BUY", "agency"), "buyer"), COUNTY, Role.BUYER
    )

    with pytest.raises(Forbidden):
        propose(buyer, "11111111")
