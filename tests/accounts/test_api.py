"""Signing in over HTTP, bearer tokens and browser sessions."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from marketplace.clock import now
from marketplace.database import db
from marketplace.web.authentication import login_session, logout_session
from marketplace.web.edge import current_actor, public
from tests.accounts import making
from tests.accounts.making import PASSWORD

COOKIE = "marketplace"


@pytest.fixture(scope="module")
def site(empty_app: Flask) -> Flask:
    """The application with a seller's and an administrator's people, and three pages that sign in and out."""

    @public
    def enter(username: str) -> dict:
        return {"user": str(login_session(username, PASSWORD).user_id)}

    @public
    def leave() -> dict:
        logout_session()
        return {}

    @public
    def whoami() -> dict:
        actor = current_actor()
        return {"username": actor.username, "door": actor.door.value}

    empty_app.add_url_rule("/enter/<username>", "enter", enter)
    empty_app.add_url_rule("/leave", "leave", leave)
    empty_app.add_url_rule("/whoami", "whoami", whoami)
    with empty_app.app_context():
        making.regions()
        coop, platform = making.organisation("COOP"), making.organisation("PLAT", "office")
        empty_app.config["COOP"] = coop
        for name in ("one", "two", "three", "four", "five", "six"):
            making.user(f"seller.{name}", coop)
        making.user("platform.admin", platform, "platform_admin")
        db.session.remove()
    return empty_app


@pytest.fixture
def http(site: Flask) -> Iterator[FlaskClient]:
    yield site.test_client()
    with site.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text("delete from throttle"))


def bearer(http: FlaskClient, username: str, password: str = PASSWORD, **more: str) -> dict[str, str]:
    answer = http.post("/api/v1/tokens", json={"username": username, "password": password, **more})
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return {"Authorization": f"Bearer {answer.get_json()['token']}"}


def slug(answer) -> str:
    assert answer.mimetype == "application/problem+json", answer.get_data(as_text=True)
    return answer.get_json()["type"].rsplit("/", 1)[-1]


def test_a_token_opens_my_own_page(http):
    answer = http.post("/api/v1/tokens", json={"username": "seller.one", "password": PASSWORD})

    assert answer.status_code == 201
    assert set(answer.get_json()) == {"token", "expires_at"}
    assert answer.headers["Cache-Control"] == "no-store"
    me = http.get("/api/v1/me", headers={"Authorization": f"Bearer {answer.get_json()['token']}"}).get_json()
    assert me["user"]["username"] == "seller.one"
    assert me["organisation"]["kind"] == "seller"
    assert me["role"] == "seller"
    assert "lot:edit" in me["permissions"]


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        ({"username": "seller.one", "password": "wrong-password"}, 401, "bad-credentials"),
        ({"username": "nobody.here", "password": PASSWORD}, 401, "bad-credentials"),
        ({"username": "seller.one"}, 422, "invalid"),
        ({"username": "seller.one", "password": PASSWORD, "more": 1}, 422, "invalid"),
        ({"username": ["seller.one"], "password": PASSWORD}, 422, "invalid"),
    ],
)
def test_a_refused_sign_in_says_no_more_than_it_must(http, body, status, name):
    answer = http.post("/api/v1/tokens", json=body)

    assert (answer.status_code, slug(answer)) == (status, name)
    assert PASSWORD not in answer.get_data(as_text=True)


def test_a_forged_forwarded_address_does_not_help(http):
    for turn in range(10):
        answer = http.post(
            "/api/v1/tokens",
            json={"username": f"nobody{turn}", "password": "wrong-password"},
            headers={"X-Forwarded-For": f"203.0.113.{turn}", "X-Real-IP": f"203.0.113.{turn}"},
        )
        assert answer.status_code == 401

    for turn in range(20):
        answer = http.post(
            "/api/v1/tokens",
            json={"username": "seller.one", "password": PASSWORD},
            headers={"X-Forwarded-For": f"203.0.113.{100 + turn}", "Forwarded": f"for=203.0.113.{turn}"},
        )
        assert (answer.status_code, slug(answer)) == (429, "too-many-requests")
        assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "header", ["Bearer x", "Bearer", "Basic abc", "bearer x", "Bearer a b", "Bearer " + "x" * 600, ""]
)
def test_a_bad_token_is_refused_and_no_token_is_nobody(http, header):
    answer = http.get("/api/v1/me", headers={"Authorization": header})

    assert (answer.status_code, slug(answer)) == (401, "bad-token")
    assert slug(http.get("/api/v1/me")) == "unauthenticated"


def test_an_ended_token_is_dead_and_others_live(http):
    one, other = bearer(http, "seller.one"), bearer(http, "seller.one")

    assert http.delete("/api/v1/tokens/current", headers=one).status_code == 204

    assert slug(http.get("/api/v1/me", headers=one)) == "bad-token"
    assert http.get("/api/v1/me", headers=other).status_code == 200


def test_a_token_ends_after_twelve_hours(http):
    headers = bearer(http, "seller.one")

    with time_machine.travel(now() + timedelta(hours=12, seconds=1), tick=True):
        assert slug(http.get("/api/v1/me", headers=headers)) == "bad-token"


def test_answers_for_a_person_stay_out_of_shared_caches(http):
    answer = http.get("/api/v1/me", headers=bearer(http, "seller.one"))

    assert answer.headers["Cache-Control"] in ("private, no-cache", "no-store", "private, no-store")
    assert "Authorization" in answer.headers["Vary"]


def test_a_cookie_opens_nothing_under_the_api(http):
    http.get("/enter/seller.one")

    assert http.get("/whoami").get_json() == {"username": "seller.one", "door": "web"}
    assert slug(http.get("/api/v1/me")) == "unauthenticated"


def test_a_token_opens_nothing_outside_the_api(http):
    headers = bearer(http, "seller.one")

    assert http.get("/whoami", headers=headers).get_json()["username"] is None


def test_the_session_id_changes_at_sign_in_and_the_old_one_is_dead(http, site):
    http.get("/enter/seller.one")
    old = http.get_cookie(COOKIE).value
    http.get("/enter/seller.two")

    assert http.get_cookie(COOKIE).value != old
    assert http.get("/whoami").get_json()["username"] == "seller.two"
    thief = site.test_client()
    thief.set_cookie(COOKIE, old)
    assert thief.get("/whoami").get_json()["username"] is None


def test_a_cookie_set_before_signing_in_is_useless_after(http, site):
    planted = site.test_client()
    planted.set_cookie(COOKIE, "planted")
    http.set_cookie(COOKIE, "planted")
    http.get("/enter/seller.one")

    assert planted.get("/whoami").get_json()["username"] is None


def test_a_captured_cookie_is_dead_after_leaving(http, site):
    http.get("/enter/seller.one")
    thief = site.test_client()
    thief.set_cookie(COOKIE, http.get_cookie(COOKIE).value)
    assert thief.get("/whoami").get_json()["username"] == "seller.one"

    http.get("/leave")

    assert thief.get("/whoami").get_json()["username"] is None


def test_a_session_ends_after_thirty_idle_minutes_and_lives_on_when_used(http):
    http.get("/enter/seller.one")
    start = now()
    for minutes in (25, 50, 75):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=True):
            assert http.get("/whoami").get_json()["username"] == "seller.one"

    with time_machine.travel(start + timedelta(minutes=106), tick=True):
        assert http.get("/whoami").get_json()["username"] is None


def test_a_session_ends_after_twelve_hours_however_busy(http):
    http.get("/enter/seller.one")
    start = now()
    for step in range(1, 29):
        with time_machine.travel(start + timedelta(minutes=25 * step), tick=True):
            assert http.get("/whoami").get_json()["username"] == "seller.one"

    with time_machine.travel(start + timedelta(hours=12, seconds=5), tick=True):
        assert http.get("/whoami").get_json()["username"] is None


def test_the_session_cookie_is_closed_to_scripts_and_other_sites(http):
    cookie = http.get("/enter/seller.one").headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie


def test_pages_for_a_person_are_kept_nowhere(http):
    http.get("/enter/seller.one")
    answer = http.get("/whoami")

    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


def test_a_new_password_ends_every_token_and_session(http):
    headers = bearer(http, "seller.three")
    http.get("/enter/seller.three")
    fields = {"current_password": PASSWORD, "new_password": "a-brand-new-one"}

    assert http.post("/api/v1/me/password", json=fields, headers=headers).status_code == 200

    assert slug(http.get("/api/v1/me", headers=headers)) == "bad-token"
    assert http.get("/whoami").get_json()["username"] is None
    assert bearer(http, "seller.three", "a-brand-new-one")


def test_a_weak_new_password_is_refused_with_its_pointer(http):
    headers = bearer(http, "seller.one")

    answer = http.post(
        "/api/v1/me/password", json={"current_password": PASSWORD, "new_password": "short"}, headers=headers
    )

    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "#/new_password"
    assert http.get("/api/v1/me", headers=headers).status_code == 200


def test_a_second_factor_is_set_up_and_asked_for(http):
    headers = bearer(http, "seller.four")
    begun = http.post("/api/v1/me/second-factor", json={"current_password": PASSWORD}, headers=headers)
    assert begun.status_code == 201
    secret = begun.get_json()["secret"]
    assert begun.get_json()["uri"].startswith("otpauth://totp/")
    with time_machine.travel(now() - timedelta(minutes=2), tick=True):
        code = pyotp.TOTP(secret).at(now())
        done = http.post("/api/v1/me/second-factor/confirm", json={"otp": code}, headers=headers)
    assert done.status_code == 200, done.get_data(as_text=True)
    assert len(done.get_json()["recovery_codes"]) == 10

    refused = http.post("/api/v1/tokens", json={"username": "seller.four", "password": PASSWORD})
    assert (refused.status_code, slug(refused)) == (401, "otp-required")
    assert bearer(http, "seller.four", otp=pyotp.TOTP(secret).now())
    assert bearer(http, "seller.four", otp=done.get_json()["recovery_codes"][3])


def test_signing_out_everywhere_is_replayable_only_by_nobody(http):
    headers = bearer(http, "seller.one")

    assert http.post("/api/v1/me/sign-out-everywhere", headers=headers).status_code == 200

    assert slug(http.get("/api/v1/me", headers=headers)) == "bad-token"


def test_an_administrator_adds_lists_and_disables_users(http, site):
    admin = bearer(http, "platform.admin")
    fields = {
        "username": "new.person",
        "name": "新用户",
        "password": "a-long-password",
        "organisation_id": str(site.config["COOP"]),
        "role": "seller",
    }
    made = http.post("/api/v1/users", json=fields, headers=admin)
    assert made.status_code == 201, made.get_data(as_text=True)
    assert "password" not in made.get_data(as_text=True)
    theirs = bearer(http, "new.person", "a-long-password")

    again = http.post("/api/v1/users", json=fields, headers=admin)
    assert (again.status_code, slug(again)) == (409, "already-there")
    listed = http.get("/api/v1/users?limit=100", headers=admin).get_json()["items"]
    assert [u["username"] for u in listed if u["id"] == made.get_json()["id"]] == ["new.person"]
    ended = http.post(f"/api/v1/users/{made.get_json()['id']}/disable", headers=admin)
    assert ended.status_code == 200
    assert slug(http.get("/api/v1/me", headers=theirs)) == "bad-token"
    assert (
        http.get("/api/v1/organisations?kind=seller", headers=admin).get_json()["items"][0]["code"] == "COOP"
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/users"),
        ("POST", "/api/v1/users"),
        ("GET", "/api/v1/organisations"),
        ("POST", "/api/v1/users/00000000-0000-7000-8000-000000000000/disable"),
        ("POST", "/api/v1/users/00000000-0000-7000-8000-000000000000/reset-second-factor"),
        ("POST", "/api/v1/policies"),
    ],
)
def test_a_seller_administers_nothing(http, method, path):
    headers = bearer(http, "seller.one")

    answer = http.open(path, method=method, headers=headers, json={} if method == "POST" else None)

    assert (answer.status_code, slug(answer)) == (403, "forbidden")


def test_bank_accounts_are_named_by_one_and_approved_by_another(http):
    fields = {
        "account_name": "合作社",
        "bank_name": "示范银行",
        "bank_branch_number": "402833090001",
        "account_number": "6299880000007919",
        "current_password": PASSWORD,
    }
    one, two = bearer(http, "seller.five"), bearer(http, "seller.six")
    first = http.post("/api/v1/bank-accounts", json=fields, headers=one)
    assert (first.status_code, first.get_json()["state"]) == (201, "active")
    changed = http.post(
        "/api/v1/bank-accounts", json={**fields, "account_number": "6299880000015838"}, headers=one
    )
    account = changed.get_json()["id"]

    refused = http.post(f"/api/v1/bank-accounts/{account}/approve", headers=one)
    assert (refused.status_code, slug(refused)) == (409, "same-person")
    approved = http.post(f"/api/v1/bank-accounts/{account}/approve", headers=two)
    assert approved.get_json()["state"] == "waiting"
    states = [row["state"] for row in http.get("/api/v1/bank-accounts", headers=two).get_json()["items"]]
    assert states == ["waiting", "active"]


def test_a_password_leaves_no_fast_hash_with_an_idempotency_key(http, site):
    headers = {**bearer(http, "seller.six"), "Idempotency-Key": "with-a-password"}
    http.post("/api/v1/me/second-factor", json={"current_password": PASSWORD}, headers=headers)

    with site.app_context(), db.engine.connect() as connection:
        kept = connection.execute(
            sa.text("select count(*) from idempotency_key where key = 'with-a-password'")
        ).scalar_one()
    assert kept == 0


def test_no_secret_is_logged(http, caplog):
    with caplog.at_level(logging.DEBUG):
        headers = bearer(http, "seller.one")
        http.post("/api/v1/tokens", json={"username": "seller.one", "password": "canary-wrong-1"})
        http.get("/api/v1/me", headers=headers)

    token = headers["Authorization"].removeprefix("Bearer ")
    for canary in (PASSWORD, "canary-wrong-1", token):
        assert canary not in caplog.text
    assert not re.search(r"\$argon2", caplog.text)
