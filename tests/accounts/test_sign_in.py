"""Tries, second factor, tokens and sessions, on real tables."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from marketplace.accounts import queries, second_factor, security, sign_in, users
from marketplace.accounts.models import AccessToken, User
from marketplace.actors import Door, Permission, Role
from marketplace.clock import now
from marketplace.database import db
from marketplace.errors import Forbidden, Throttled, WrongState
from tests.accounts import making
from tests.accounts.making import PASSWORD, actor

HOME = "198.51.100.7"


@pytest.fixture(scope="module")
def people(empty_app: Flask) -> Iterator[dict]:
    with empty_app.app_context():
        making.regions()
        seller, office = making.organisation("COOP"), making.organisation("PLAT", "office")
        ids = {"seller": seller, "office": office}
        for number in range(1, 9):
            ids[f"s{number}"] = making.user(f"seller{number}", seller)
        ids["admin1"] = making.user("admin.one", office, "platform_admin")
        ids["admin2"] = making.user("admin.two", office, "platform_admin")
        yield ids


@pytest.fixture(autouse=True)
def no_tries(people: dict) -> Iterator[None]:
    yield
    with db.engine.begin() as connection:
        connection.execute(sa.text("delete from throttle"))


@pytest.fixture
def settings(empty_app: Flask):
    return empty_app.config["SETTINGS"]


def sign(settings, username: str, password: str = PASSWORD, otp: str | None = None, address: str = HOME):
    return sign_in.create_token(settings, username=username, password=password, otp=otp, address=address)


def holder(secret: str, *, strict: bool = False, at=None):
    return queries.token_holder(security.digest(secret), at=at or now(), door=Door.API, strict=strict)


def refuse(settings, username: str, password: str, error=sign_in.BadCredentials, **more) -> None:
    with pytest.raises(error):
        sign(settings, username, password, **more)


def rows(table) -> int:
    with db.engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_a_token_names_its_holder_for_twelve_hours(settings, people):
    issued = sign(settings, "seller1")

    found = holder(issued.secret)
    assert found.actor.user_id == people["s1"]
    assert found.actor.organisation_id == people["seller"]
    assert found.actor.role is Role.SELLER
    assert holder(issued.secret, at=issued.expires_at) is None
    assert holder(issued.secret, at=issued.expires_at - timedelta(seconds=1)) is not None


def test_unknown_user_wrong_password_and_disabled_user_get_the_same_answer(settings, people):
    admin = actor(people["admin1"], people["office"], Role.PLATFORM_ADMIN, "office")
    users.disable_user(admin, people["s8"])
    before = rows(AccessToken)

    answers = []
    for name, password in [("nobody.here", PASSWORD), ("seller1", "wrong-password"), ("seller8", PASSWORD)]:
        with pytest.raises(sign_in.BadCredentials) as refused:
            sign(settings, name, password)
        answers.append((refused.value.code, refused.value.detail, refused.value.data))

    assert answers == [("bad-credentials", None, {})] * 3
    assert rows(AccessToken) == before


def test_an_unknown_user_takes_as_long_as_a_known_one(settings, people):
    spent: dict[str, list[float]] = {"seller1": [], "nobody.here": []}
    for turn in range(8):
        for name, times in spent.items():
            begun = time.process_time()
            refuse(settings, name, "wrong-password", address=f"198.51.100.{turn}")
            times.append(time.process_time() - begun)

    known, unknown = (statistics.median(times) for times in spent.values())
    assert 0.5 < known / unknown < 2


def test_the_eleventh_try_at_an_account_is_not_judged_even_with_the_right_password(settings, people):
    for turn in range(10):
        refuse(settings, "seller1", "wrong-password", address=f"198.51.100.{turn}")

    for turn in range(20):
        with pytest.raises(Throttled) as refused:
            sign(settings, "seller1", address=f"203.0.113.{turn}")
        assert refused.value.retry_after == 900
    assert sign(settings, "seller2", address="203.0.113.200")


def test_an_address_is_throttled_over_all_accounts(settings, people):
    for turn in range(10):
        refuse(settings, f"nobody{turn}", "wrong-password")

    refuse(settings, "seller1", PASSWORD, Throttled)
    assert sign(settings, "seller1", address="203.0.113.9")


def test_tries_at_the_same_moment_are_all_counted(empty_app, settings, people):
    def attempt(turn: int) -> str:
        with empty_app.app_context():
            try:
                sign(settings, "seller3", "wrong-password", address=f"198.51.100.{turn}")
            except sign_in.BadCredentials:
                return "judged"
            except Throttled:
                return "throttled"
            return "in"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, range(24)))

    assert sorted(answers) == ["judged"] * 10 + ["throttled"] * 14


def test_the_account_opens_again_after_a_quarter_of_an_hour(settings, people):
    for _ in range(10):
        refuse(settings, "seller1", "wrong-password")
    refuse(settings, "seller1", PASSWORD, Throttled)

    with time_machine.travel(now() + timedelta(minutes=16), tick=True):
        assert sign(settings, "seller1")


def test_signing_in_clears_the_tries_of_the_account(settings, people):
    for _ in range(9):
        refuse(settings, "seller1", "wrong-password", address="203.0.113.1")
    sign(settings, "seller1", address="203.0.113.2")

    for _ in range(10):
        refuse(settings, "seller1", "wrong-password", address="203.0.113.3")


@pytest.fixture
def enrolled(settings, people) -> Iterator[tuple[str, list[str]]]:
    """seller4 with a second factor: its secret and the recovery codes."""
    me = actor(people["s4"], people["seller"])
    begun = second_factor.enrol_totp(me, settings, current_password=PASSWORD, address=HOME)
    secret = begun.result["secret"]
    with time_machine.travel(now() - timedelta(minutes=5), tick=True):
        code = pyotp.TOTP(secret).at(now())
        codes = second_factor.confirm_totp(me, settings, otp=code).result["recovery_codes"]
    yield secret, codes
    with db.engine.begin() as connection:
        connection.execute(
            sa.text("update app_user set totp_secret = null, totp_enabled_at = null where id = :id"),
            {"id": people["s4"]},
        )
        connection.execute(sa.text("update app_user_login set totp_last_step = 0"))


def test_the_password_alone_is_not_enough_with_a_second_factor(settings, enrolled):
    before = rows(AccessToken)

    refuse(settings, "seller4", PASSWORD, sign_in.OtpRequired)
    refuse(settings, "seller4", PASSWORD, otp="000000")

    assert rows(AccessToken) == before


def test_whether_a_second_factor_is_set_stays_hidden_behind_the_password(settings, enrolled):
    refuse(settings, "seller4", "wrong-password", sign_in.BadCredentials)


def test_a_code_works_once(settings, enrolled):
    code = pyotp.TOTP(enrolled[0]).now()

    assert sign(settings, "seller4", otp=code)
    refuse(settings, "seller4", PASSWORD, otp=code)


def test_a_code_that_arrives_eight_times_at_once_works_once(empty_app, settings, enrolled):
    code = pyotp.TOTP(enrolled[0]).now()

    def attempt(turn: int) -> bool:
        with empty_app.app_context():
            try:
                sign(settings, "seller4", otp=code, address=f"198.51.100.{turn}")
            except sign_in.BadCredentials:
                return False
            return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_a_recovery_code_works_once_and_leaves_a_fact(settings, people, enrolled):
    code = enrolled[1][0]

    assert sign(settings, "seller4", otp=code.upper())
    refuse(settings, "seller4", PASSWORD, otp=code)

    with db.engine.connect() as connection:
        facts = connection.execute(
            sa.text("select count(*) from fact where kind = 'user.recovery_code_used' and subject_id = :id"),
            {"id": people["s4"]},
        ).scalar_one()
    assert facts == 1


def test_setting_up_the_second_factor_ends_earlier_tokens(settings, people):
    token = sign(settings, "seller5")
    me = actor(people["s5"], people["seller"])
    secret = second_factor.enrol_totp(me, settings, current_password=PASSWORD, address=HOME).result["secret"]
    assert holder(token.secret) is not None

    codes = second_factor.confirm_totp(me, settings, otp=pyotp.TOTP(secret).now()).result["recovery_codes"]

    assert holder(token.secret) is None
    assert len(set(codes)) == 10


def test_an_office_without_second_factor_may_only_set_it_up_in_production(settings, people):
    token = sign(settings, "admin.one")

    assert holder(token.secret, strict=True).actor.permissions == {Permission.ACCOUNT_OWN}
    assert Permission.USER_MANAGE in holder(token.secret).actor.permissions


def test_a_second_factor_is_reset_by_two_administrators_only(settings, people, enrolled):
    first = actor(people["admin1"], people["office"], Role.PLATFORM_ADMIN, "office")
    second = replace(first, user_id=people["admin2"])

    assert second_factor.reset_second_factor(first, people["s4"]).result["state"] == "waiting"
    assert second_factor.reset_second_factor(first, people["s4"]).result["state"] == "waiting"
    refuse(settings, "seller4", PASSWORD, sign_in.OtpRequired)
    assert second_factor.reset_second_factor(second, people["s4"]).result["state"] == "done"

    assert sign(settings, "seller4")
    refuse(settings, "seller4", PASSWORD + "x", otp=enrolled[1][1])


def test_a_reset_that_was_asked_a_day_ago_has_to_be_asked_again(settings, people, enrolled):
    first = actor(people["admin1"], people["office"], Role.PLATFORM_ADMIN, "office")
    second = replace(first, user_id=people["admin2"])
    second_factor.reset_second_factor(first, people["s4"])

    with time_machine.travel(now() + timedelta(hours=25), tick=True):
        assert second_factor.reset_second_factor(second, people["s4"]).result["state"] == "waiting"


def test_a_seller_may_not_reset_or_disable_anybody(people):
    me = actor(people["s1"], people["seller"])

    with pytest.raises(Forbidden):
        second_factor.reset_second_factor(me, people["s2"])
    with pytest.raises(Forbidden):
        users.disable_user(me, people["s2"])


def test_password_role_disabling_and_signing_out_everywhere_end_every_token(settings, people):
    admin = actor(people["admin1"], people["office"], Role.PLATFORM_ADMIN, "office")
    me = actor(people["s6"], people["seller"])
    new = "another-long-one"
    acts = [
        lambda: users.change_password(me, current_password=PASSWORD, new_password=new, address=HOME),
        lambda: users.sign_out_everywhere(me),
        lambda: users.set_role(admin, people["s6"], role="seller"),
        lambda: users.disable_user(admin, people["s6"]),
    ]
    for number, act in enumerate(acts):
        password = PASSWORD if number == 0 else new
        tokens = [sign(settings, "seller6", password), sign(settings, "seller6", password)]
        session = sign_in.create_session(settings, username="seller6", password=password, address=HOME)
        act()
        assert [holder(t.secret) for t in tokens] == [None, None]
        assert queries.session_holder(security.digest(session.secret), at=now(), strict=False) is None


def test_a_revoked_token_ends_alone(settings, people):
    one, other = sign(settings, "seller1"), sign(settings, "seller1")

    sign_in.revoke(AccessToken, one.secret)

    assert holder(one.secret) is None
    assert holder(other.secret) is not None


def test_a_wrong_present_password_changes_nothing(settings, people):
    me = actor(people["s7"], people["seller"])

    with pytest.raises(sign_in.BadCredentials):
        users.change_password(me, current_password="not-the-one", new_password="a-new-password", address=HOME)

    assert sign(settings, "seller7")


def test_an_administrator_cannot_disable_himself(people):
    admin = actor(people["admin1"], people["office"], Role.PLATFORM_ADMIN, "office")

    with pytest.raises(WrongState):
        users.disable_user(admin, people["admin1"])


def test_an_old_hash_is_renewed_at_sign_in(settings, people):
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    with db.engine.begin() as connection:
        connection.execute(sa.update(User).where(User.id == people["s7"]).values(password_hash=weak))

    token = sign(settings, "seller7")

    with db.engine.connect() as connection:
        stored = connection.execute(sa.select(User.password_hash).where(User.id == people["s7"])).scalar_one()
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert holder(token.secret) is not None


def test_the_tables_hold_no_secret_that_works(settings, people, enrolled):
    secret, codes = enrolled
    token = sign(settings, "seller1").secret
    session = sign_in.create_session(settings, username="seller1", password=PASSWORD, address=HOME).secret

    with db.engine.connect() as connection:
        tables = connection.execute(
            sa.text("select tablename from pg_tables where schemaname = 'public'")
        ).scalars()
        dump = "\n".join(
            str(row)
            for table in list(tables)
            for row in connection.execute(
                sa.select(sa.text("t::text")).select_from(sa.table(table).alias("t"))
            ).scalars()
        )

    for canary in (PASSWORD, secret, token, session, *codes, *(c.replace("-", "") for c in codes)):
        assert canary not in dump
        assert canary.encode().hex() not in dump
