"""Own sessions and tokens, initial passwords, and what administrators look up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from marketplace.accounts import directory, queries, second_factor, security, service, sign_in, users
from marketplace.accounts.models import AccessToken, User, WebSession
from marketplace.actors import Actor, Door, Permission, Role
from marketplace.clock import now
from marketplace.database import db
from marketplace.errors import Forbidden, NotFound, RuleViolation, WrongState
from tests.accounts import making
from tests.accounts.making import PASSWORD, SYSTEM, actor

HOME = "198.51.100.7"


@pytest.fixture(scope="module")
def people(empty_app: Flask) -> Iterator[dict[str, UUID]]:
    with empty_app.app_context():
        making.regions()
        seller, office = making.organisation("COOP", name="果香合作社"), making.organisation("PLAT", "office")
        unit = making.organisation("UNIT", "agency", parent_id=making.organisation("DEPT", "agency"))
        yield {
            "seller": seller,
            "unit": unit,
            "s1": making.user("seller1", seller),
            "s2": making.user("seller2", seller),
            "admin": making.user("admin.one", office, "platform_admin"),
            "admin2": making.user("admin.two", office, "platform_admin"),
            "office": office,
        }


@pytest.fixture(autouse=True)
def no_tries(people: dict[str, UUID]) -> Iterator[None]:
    yield
    with db.engine.begin() as connection:
        connection.execute(sa.text("delete from throttle"))


@pytest.fixture
def settings(empty_app: Flask) -> Any:
    return empty_app.config["SETTINGS"]


def admin(people: dict[str, UUID], name: str = "admin") -> Actor:
    return actor(people[name], people["office"], Role.PLATFORM_ADMIN, "office")


def own(people: dict[str, UUID], name: str = "s1") -> Actor:
    return actor(people[name], people["seller"])


def test_a_user_sees_his_open_sessions_and_ends_one(people: dict[str, UUID], settings: Any) -> None:
    here = sign_in.create_session(settings, username="seller1", password=PASSWORD, address=HOME)
    there = sign_in.create_session(settings, username="seller1", password=PASSWORD, address=HOME)
    sign_in.create_session(settings, username="seller2", password=PASSWORD, address=HOME)

    def shown() -> list[dict[str, Any]]:
        return directory.own_sessions(db.session(), own(people), now(), sign_in.SESSION_IDLE, here.secret)

    rows = shown()
    assert sorted(row["current"] for row in rows) == [False, True]
    other = next(row["id"] for row in rows if not row["current"])
    with pytest.raises(NotFound):
        sign_in.end_own(own(people, "s2"), WebSession, other)
    assert len(shown()) == 2
    sign_in.end_own(own(people), WebSession, other)
    assert [row["current"] for row in shown()] == [True]
    assert queries.session_holder(security.digest(there.secret), at=now(), strict=False) is None
    with pytest.raises(NotFound):
        sign_in.end_own(own(people), WebSession, other)
    with time_machine.travel(now() + timedelta(minutes=31)):
        assert shown() == []


def test_a_user_sees_and_revokes_his_tokens(people: dict[str, UUID], settings: Any) -> None:
    issued = sign_in.create_token(settings, username="seller2", password=PASSWORD, address=HOME)
    (row,) = directory.own_tokens(db.session(), own(people, "s2"), now())
    assert row["expires_at"] == issued.expires_at
    sign_in.end_own(own(people, "s2"), AccessToken, row["id"])
    assert directory.own_tokens(db.session(), own(people, "s2"), now()) == []


def test_an_initial_password_only_lets_choose_another(people: dict[str, UUID], settings: Any) -> None:
    password = security.new_password()
    added = service.add_user(
        SYSTEM, username="newcomer", name="新人", password=password, organisation_id=people["seller"], role="seller",
        initial=True,
    ).result  # fmt: skip

    def signed(secret: str) -> Actor:
        issued = sign_in.create_token(settings, username="newcomer", password=secret, address=HOME)
        holder = queries.token_holder(security.digest(issued.secret), at=now(), door=Door.API, strict=False)
        assert holder is not None
        return holder.actor

    me = signed(password)
    assert me.permissions == {Permission.ACCOUNT_OWN}
    assert directory.own_account(db.session(), me)["password_initial"] is True
    users.change_password(me, current_password=password, new_password="a password of mine", address=HOME)
    assert Permission.LOT_EDIT in signed("a password of mine").permissions

    with pytest.raises(WrongState):
        users.renew_password(admin(people), people["admin"], password=password)
    with pytest.raises(RuleViolation):
        users.renew_password(admin(people), added["id"], password="short")
    with pytest.raises(Forbidden):
        users.renew_password(own(people), added["id"], password=password)
    assert Permission.LOT_EDIT in signed("a password of mine").permissions
    users.renew_password(admin(people), added["id"], password=password)
    with pytest.raises(sign_in.BadCredentials):
        signed("a password of mine")
    assert signed(password).permissions == {Permission.ACCOUNT_OWN}


def test_the_own_account_says_how_far_the_second_factor_is(people: dict[str, UUID], settings: Any) -> None:
    me = own(people)
    assert directory.own_account(db.session(), me)["second_factor"] == "none"
    second_factor.enrol_totp(me, settings, current_password=PASSWORD, address=HOME)
    account = directory.own_account(db.session(), me)
    assert (account["second_factor"], account["recovery_codes"]) == ("begun", 0)
    assert account["organisation"] == "果香合作社"


def test_users_and_organisations_are_found_by_parts_of_their_names(people: dict[str, UUID]) -> None:
    def names(**wish: Any) -> list[str]:
        return [u["username"] for u in directory.find_users(admin(people), db.session(), **wish)["items"]]

    assert names(q="ELLER2") == ["seller2"]
    assert names(q="果香", sort="-username")[:2] == ["seller2", "seller1"]
    assert names(q="%") == []
    assert names(role="platform_admin", sort="username") == ["admin.one", "admin.two"]
    assert names(organisation_id=people["unit"]) == []
    found = directory.find_organisations(admin(people), db.session(), q="guoxiang")["items"]
    assert [(o["code"], o["region"]) for o in found] == [("COOP", "崆峒区")]
    assert found[0]["users"] >= 2
    with pytest.raises(Forbidden):
        directory.find_users(own(people), db.session())


def test_an_organisation_is_shown_with_its_superior_and_units(people: dict[str, UUID]) -> None:
    view = directory.organisation_page(admin(people), db.session(), "UNIT", now())
    assert view["parent"] == {"code": "DEPT", "name": "单位DEPT"}
    assert [h["name"] for h in view["history"]] == ["单位UNIT"]
    above = directory.organisation_page(admin(people), db.session(), "DEPT", now())
    assert above["below"] == [{"code": "UNIT", "name": "单位UNIT"}]
    with pytest.raises(NotFound):
        directory.organisation_page(admin(people), db.session(), "NONE", now())


def test_a_reset_that_waits_names_who_asked(people: dict[str, UUID], settings: Any) -> None:
    second_factor.enrol_totp(own(people), settings, current_password=PASSWORD, address=HOME)
    second_factor.reset_second_factor(admin(people), people["s1"])
    view = directory.user_page(admin(people), db.session(), people["s1"], now(), second_factor.RESET_WITHIN)
    assert view["reset"]["name"] == "用户admin.one"
    second_factor.reset_second_factor(admin(people, "admin2"), people["s1"])
    view = directory.user_page(admin(people), db.session(), people["s1"], now(), second_factor.RESET_WITHIN)
    assert (view["reset"], view["second_factor_begun"]) == (None, False)
    assert db.session().get_one(User, people["s1"], populate_existing=True).totp_secret is None
