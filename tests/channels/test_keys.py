"""Keys of partners: shown once, of use at their own door alone, limited each for itself, ended at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pyotp
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from marketplace.accounts import second_factor
from marketplace.accounts.sign_in import BadCredentials, OtpRequired
from marketplace.channels import holders, keys
from marketplace.channels.codes import key_digest, make_key, parse_key
from marketplace.channels.states import KeyMode, Scope
from marketplace.clock import now
from marketplace.errors import NotFound, RuleViolation, WrongState
from tests.channels.partner import Program, channel_actor, new_key
from tests.conftest import PASSWORD, Server, cloned_app, dispose, make_app

ORDERS = [Scope.ORDERS]


def make(username: str = "tianjin.partner", app: Flask | None = None, **changes: object) -> dict[str, object]:
    assert app is not None
    given = {
        "name": "收银系统", "mode": KeyMode.LIVE, "scopes": ORDERS, "days": 30, "current_password": PASSWORD,
        "address": "192.0.2.1",
    } | changes  # fmt: skip
    return dict(keys.create_key(channel_actor(username), app.config["SETTINGS"], **given).result)  # type: ignore[arg-type]


def test_a_key_has_a_form_that_can_be_read_back() -> None:
    made = make_key("live")

    assert parse_key(made.text) == made
    assert made.text.startswith(f"pl_live_{made.key_id}_")
    assert len(made.text) == len("pl_live_") + 12 + 1 + 64
    assert repr(made) == f"KeyText(live, {made.key_id})"
    assert parse_key(made.text.upper()) is None
    assert parse_key(f"pl_other_{made.key_id}_{'0' * 64}") is None


def test_another_pepper_gives_another_digest() -> None:
    text = make_key("test").text

    assert key_digest("a" * 32, text) == key_digest("a" * 32, text)
    assert key_digest("a" * 32, text) != key_digest("b" * 32, text)


def test_the_secret_is_in_no_table_and_in_no_fact(fresh_app: Flask, tmp_path: Path) -> None:
    made = new_key(fresh_app)
    secret = str(made["key"]).rpartition("_")[2]

    with psycopg.connect(fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as owner:
        for table, column in (("fact", "body"), ("partner_key", "row_to_json(partner_key)::text")):
            found = owner.execute(f"select count(*) from {table} where {column} like %s", [f"%{secret}%"])  # noqa: S608
            assert found.fetchone() == (0,)
        assert owner.execute("select count(*) from idempotency_key").fetchone() == (0,)


def test_a_key_opens_the_partners_door_and_no_other(
    app: Flask, sign_in: Callable[[str], dict[str, str]]
) -> None:
    program = Program(app)

    assert program.get("/self")["channel"]["name"] == "天津武清泾静优选商贸有限公司"
    answer = program.client.get("/api/v1/orders", headers=program.headers)
    assert (answer.status_code, answer.get_json()["type"].rpartition("/")[2]) == (401, "bad-token")
    answer = program.client.get("/partner/v1/self", headers=sign_in("tianjin.partner"))
    assert (answer.status_code, answer.get_json()["type"].rpartition("/")[2]) == (401, "bad-key")
    assert program.client.get("/partner/v1/self").status_code == 401


def test_a_test_key_does_not_open_the_live_door(app: Flask) -> None:
    made = new_key(app, "tianjin2.partner", mode=KeyMode.TEST)

    answer = app.test_client().get("/partner/v1/self", headers={"Authorization": f"Bearer {made['key']}"})

    assert answer.status_code == 401


def test_a_key_may_do_what_its_scopes_say(fresh_app: Flask) -> None:
    program = Program(fresh_app, key=str(new_key(fresh_app, scopes=(Scope.ORDERS,))["key"]))

    assert program.get("/catalogue", 403)["permission"] == "channel:catalogue"
    assert program.get("/self")["agreements"] != []


def test_a_revoked_key_is_refused_by_the_next_request(fresh_app: Flask) -> None:
    made = new_key(fresh_app)
    program = Program(fresh_app, key=str(made["key"]))
    program.get("/self")
    with fresh_app.app_context():
        keys.revoke_key(channel_actor("tianjin.partner"), made["id"])
        program.get("/self", 401)
        with pytest.raises(WrongState):
            keys.revoke_key(channel_actor("tianjin.partner"), made["id"])


def test_a_key_ends_on_its_day(fresh_app: Flask) -> None:
    text = str(new_key(fresh_app)["key"])
    with fresh_app.app_context():
        pepper = fresh_app.config["SETTINGS"].key_pepper
        assert (
            holders.key_holder(text, pepper=pepper, mode=KeyMode.LIVE, at=now() + timedelta(days=29))
            is not None
        )
        assert (
            holders.key_holder(text, pepper=pepper, mode=KeyMode.LIVE, at=now() + timedelta(days=31)) is None
        )
        assert holders.key_holder(text, pepper=f"{pepper}x", mode=KeyMode.LIVE, at=now()) is None


def test_a_key_ends_with_the_account_of_its_maker(fresh_app: Flask) -> None:
    program = Program(fresh_app)
    with psycopg.connect(
        fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True
    ) as owner:
        owner.execute("update app_user set disabled_at = now() where username = 'tianjin.partner'")

    program.get("/self", 401)


def signed_in(client: FlaskClient, **more: str) -> dict[str, str]:
    """Headers of the channel's person, by a token as a program gets it."""
    given = {"username": "tianjin.partner", "password": PASSWORD} | more
    answer = client.post("/api/v1/tokens", json=given)
    return {"Authorization": f"Bearer {answer.get_json()['token']}"}


def test_a_key_is_made_listed_and_ended_without_a_browser(fresh_app: Flask) -> None:
    client = fresh_app.test_client()
    person = signed_in(client)
    wish = {"name": "收银系统", "mode": "live", "scopes": ["catalogue"], "current_password": PASSWORD}
    refused = client.post("/api/v1/partner-keys", json=wish | {"current_password": "x"}, headers=person)
    assert (refused.status_code, refused.get_json()["type"].rpartition("/")[2]) == (401, "bad-credentials")
    assert client.post("/api/v1/partner-keys", json=wish | {"scopes": []}, headers=person).status_code == 422

    answer = client.post("/api/v1/partner-keys", json=wish, headers=person)

    made = answer.get_json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    program = Program(fresh_app, key=made["key"])
    program.get("/catalogue")
    listed = client.get("/api/v1/partner-keys", headers=person)
    assert [row["key_id"] for row in listed.get_json()["items"]] == [made["key_id"]]
    assert made["key"].rpartition("_")[2] not in listed.get_data(as_text=True)
    ended = client.post(f"/api/v1/partner-keys/{made['id']}/revoke", headers=person)
    assert (ended.status_code, ended.get_json()["revoked_at"] is None) == (200, False)
    program.get("/catalogue", 401)


def test_the_route_of_keys_asks_for_the_second_factor(fresh_app: Flask) -> None:
    client, settings = fresh_app.test_client(), fresh_app.config["SETTINGS"]
    with fresh_app.app_context():
        actor = channel_actor("tianjin.partner")
        enrolled = second_factor.enrol_totp(actor, settings, current_password=PASSWORD, address="192.0.2.1")
        code = pyotp.TOTP(enrolled.result["secret"])
        with time_machine.travel(now() - timedelta(minutes=2)):
            second_factor.confirm_totp(actor, settings, otp=code.now())
    with time_machine.travel(now() - timedelta(minutes=1)):
        person = signed_in(client, otp=code.now())
    wish = {"name": "收银系统", "scopes": ["catalogue"], "current_password": PASSWORD}

    without = client.post("/api/v1/partner-keys", json=wish, headers=person)
    with_code = client.post("/api/v1/partner-keys", json=wish | {"otp": code.now()}, headers=person)

    assert (without.status_code, without.get_json()["type"].rpartition("/")[2]) == (401, "otp-required")
    assert (with_code.status_code, with_code.get_json()["mode"]) == (201, "test")


def test_two_keys_of_a_mode_are_enough(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        first = make(app=fresh_app)
        make(app=fresh_app, name="新系统")
        with pytest.raises(keys.EnoughKeys):
            make(app=fresh_app)
        make(app=fresh_app, mode=KeyMode.TEST)
        make("tianjin2.partner", app=fresh_app)
        keys.revoke_key(channel_actor("tianjin.partner"), first["id"])  # type: ignore[arg-type]
        make(app=fresh_app)
        listed = keys.list_keys(keys_session(), channel_actor("tianjin.partner"))
    assert len(listed) == 4
    assert all("digest" not in row and "key" not in row for row in listed)


def keys_session() -> object:
    from marketplace.database import db

    return db.session()


def test_a_wrong_password_makes_no_key(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        with pytest.raises(BadCredentials):
            make(app=fresh_app, current_password="not-the-password")
        with pytest.raises(RuleViolation):
            make(app=fresh_app, scopes=[])
        with pytest.raises(RuleViolation):
            make(app=fresh_app, days=400)
        assert keys.list_keys(keys_session(), channel_actor("tianjin.partner")) == []


def set_up_second_factor(app: Flask, username: str = "tianjin.partner") -> pyotp.TOTP:
    """For the demo account; codes of the present are still unused."""
    actor, settings = channel_actor(username), app.config["SETTINGS"]
    begun = second_factor.enrol_totp(actor, settings, current_password=PASSWORD, address="192.0.2.1")
    code = pyotp.TOTP(begun.result["secret"])
    with time_machine.travel(now() - timedelta(minutes=2)):
        second_factor.confirm_totp(actor, settings, otp=code.now())
    return code


def test_a_second_factor_is_asked_where_one_is_set_up(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        code = set_up_second_factor(fresh_app)
        with pytest.raises(OtpRequired):
            make(app=fresh_app)
        made = make(app=fresh_app, otp=code.now())
    assert str(made["key"]).startswith("pl_live_")


def test_in_production_a_live_key_needs_a_second_factor(fresh_app: Flask) -> None:
    fresh_app.config["SETTINGS"] = replace(fresh_app.config["SETTINGS"], environment="production")
    with fresh_app.app_context():
        with pytest.raises(RuleViolation) as refused:
            make(app=fresh_app)
        assert [error["pointer"] for error in refused.value.data["errors"]] == ["#/mode"]
        assert str(make(app=fresh_app, mode=KeyMode.TEST)["key"]).startswith("pl_test_")
        code = set_up_second_factor(fresh_app)
        assert str(make(app=fresh_app, otp=code.now())["key"]).startswith("pl_live_")


def test_another_channel_cannot_end_a_key(fresh_app: Flask) -> None:
    made = new_key(fresh_app)
    with fresh_app.app_context():
        with pytest.raises(NotFound):
            keys.revoke_key(channel_actor("tianjin2.partner"), made["id"])
        assert keys.list_keys(keys_session(), channel_actor("tianjin2.partner")) == []
    Program(fresh_app, key=str(made["key"])).get("/self")


def test_the_last_use_of_a_key_is_kept(fresh_app: Flask) -> None:
    program = Program(fresh_app)
    before = now()
    program.get("/self")
    with fresh_app.app_context():
        (row,) = keys.list_keys(keys_session(), channel_actor("tianjin.partner"))
    assert row["used_at"] is not None
    assert before <= row["used_at"] <= now()


def test_a_key_that_floods_leaves_the_others_their_own(
    server: Server, seeded_template: str, state_folder: Path
) -> None:
    with cloned_app(server, seeded_template, state_folder) as made:
        limited = make_app(made.config["TEST_ENVIRONMENT"] | {"RATE_PER_MINUTE": "1", "RATE_BURST": "5"})
        flooding = Program(limited, key=str(new_key(limited)["key"]))
        other = Program(limited, key=str(new_key(limited, name="另一个")["key"]))
        answers = [flooding.client.get("/partner/v1/self", headers=flooding.headers) for _ in range(8)]
        assert [a.status_code for a in answers].count(200) == 5
        refused = answers[-1]
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert refused.headers["RateLimit-Remaining"] == "0"
        answer = other.client.get("/partner/v1/self", headers=other.headers)
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Limit"] == "5"
        dispose(limited)


def test_of_fifty_keys_at_once_one_floods_and_the_others_are_served(
    server: Server, seeded_template: str, state_folder: Path
) -> None:
    with cloned_app(server, seeded_template, state_folder) as made:
        limited = make_app(made.config["TEST_ENVIRONMENT"] | {"RATE_PER_MINUTE": "1", "RATE_BURST": "4"})
        pepper = limited.config["SETTINGS"].key_pepper
        texts = [make_key("live") for _ in range(50)]
        with psycopg.connect(made.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
            for key in texts:
                owner.execute(
                    "insert into partner_key (id, key_id, channel_id, name, mode, digest, scopes, created_by, created_at,"
                    " expires_at) select gen_random_uuid(), %s, organisation_id, 'x', 'live', %s, '{catalogue}', id,"
                    " now(), now() + interval '1 day' from app_user where username = 'tianjin.partner'",
                    [key.key_id, key_digest(pepper, key.text)],
                )

        def ask(text: str) -> tuple[str, int]:
            answer = limited.test_client().get(
                "/partner/v1/self", headers={"Authorization": f"Bearer {text}"}
            )
            return text, answer.status_code

        flood = [texts[0].text] * 60
        asked = [text for pair in zip(flood, [k.text for k in texts[1:]] * 2, strict=False) for text in pair]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, asked))
        dispose(limited)
    assert {status for text, status in answers if text != texts[0].text} == {200}
    flooding = [status for text, status in answers if text == texts[0].text]
    assert flooding.count(200) <= 5
    assert set(flooding) == {200, 429}
