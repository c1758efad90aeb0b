"""Webhooks of a channel: signed, in order, tried for days, stopped when nobody takes them; nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest
import time_machine
from flask import Flask

from marketplace.channels import signing, webhooks
from marketplace.channels.relay import Relay
from marketplace.database import db
from marketplace.notices.following import follow
from tests.channels.partner import Program, channel_actor, new_key, order_body
from tests.channels.receiver import Got, Receiver, allow_local, bring, hand_out_all, happen, receiving
from tests.test_architecture import ROOT

SUBJECT = UUID("0192f0c4-0000-7000-8000-00000000000a")


@pytest.fixture
def local(app: Flask) -> Iterator[Flask]:
    """Receivers on this machine are allowed, and none is left from one test to the next."""
    settings = app.config["SETTINGS"]
    allow_local(app)
    with app.app_context():
        hand_out_all()
        yield app
        for username in ("tianjin.partner", "tianjin2.partner"):
            actor = channel_actor(username)
            for row in webhooks.list_endpoints(db.session(), actor)["items"]:
                if row["disabled_at"] is None:
                    webhooks.disable(actor, row["id"])
        app.config["SETTINGS"] = settings


def program_of(app: Flask, username: str = "tianjin.partner") -> Program:
    """With one key for all tests: a channel has two."""
    known: dict[str, str] = app.config.setdefault("TEST_PARTNER_KEYS", {})
    if username not in known:
        known[username] = str(new_key(app, username)["key"])
    return Program(app, key=known[username])


def own(username: str = "tianjin.partner") -> UUID:
    channel = channel_actor(username).organisation_id
    assert channel is not None
    return channel


def named(program: Program, receiver: Receiver, *kinds: str) -> dict[str, Any]:
    return dict(program.post("/webhooks", {"url": receiver.url, "kinds": list(kinds)}, 201))


def log_of(program: Program, made: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = program.get(f"/webhooks/{made['id']}/deliveries")["items"]
    return found


def test_an_event_comes_signed_once_with_the_id_of_the_feed(local: Flask) -> None:
    program = program_of(local)
    with receiving() as receiver:
        happen(own(), SUBJECT, 0)
        hand_out_all()
        made = named(program, receiver)
        for n in range(1, 6):
            happen(own(), SUBJECT, n)
        happen(own("tianjin2.partner"), SUBJECT, 77)
        bring(local)
        bring(local)

    assert receiver.numbers() == [1, 2, 3, 4, 5]
    for got in receiver.got:
        at = int(time.time())
        assert signing.verify(got.headers, got.body, [made["secret"]], at=at) == got.event["id"]
        assert got.event["data"] == {"n": got.event["data"]["n"]}
        assert got.headers["Content-Type"] == "application/json; charset=utf-8"
    after = receiver.got[0].event["seq"] - 1
    assert [g.event for g in receiver.got] == program.get("/events", after=after)["items"]
    assert [(d["state"], d["attempts"], d["last_try"]["status"]) for d in log_of(program, made)] == [
        ("delivered", 1, 204)
    ] * 5


def test_a_secret_is_shown_once_and_stands_nowhere_in_the_clear(local: Flask) -> None:
    program = program_of(local)
    with receiving() as receiver:
        made = named(program, receiver)
    assert signing.is_secret(made["secret"])
    assert "secret" not in program.get("/webhooks")["items"][0]
    with psycopg.connect(local.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as owner:
        for statement in (
            "select count(*) from fact where body like %s",
            "select count(*) from webhook_endpoint where encode(secret, 'escape') like %s",
        ):
            assert owner.execute(statement, [f"%{made['secret']}%"]).fetchone() == (0,)
        assert owner.execute(
            "select count(*) from idempotency_key where convert_from(body, 'utf8') like '%whsec_%'"
        ).fetchone() == (0,)


def test_both_secrets_sign_for_a_day_after_a_change(local: Flask) -> None:
    program = program_of(local)
    with receiving() as receiver:
        made = named(program, receiver)
        renewed = program.post(f"/webhooks/{made['id']}/secret", None)
        happen(own(), SUBJECT, 1)
        bring(local)
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=25)):
            happen(own(), SUBJECT, 2)
            bring(local)
    assert renewed["secret"] != made["secret"]
    both, one = receiver.got
    now = int(time.time())
    assert signing.verify(both.headers, both.body, [made["secret"]], at=now)
    assert signing.verify(both.headers, both.body, [renewed["secret"]], at=now)
    later = now + 25 * 3600
    assert signing.verify(one.headers, one.body, [renewed["secret"]], at=later)
    with pytest.raises(signing.BadSignature):
        signing.verify(one.headers, one.body, [made["secret"]], at=later)


def test_an_address_takes_the_kinds_that_it_named(local: Flask) -> None:
    program = program_of(local)
    with receiving() as prices, receiving() as lots:
        named(program, prices, "channel.priced")
        named(program, lots, "lot.*")
        happen(own(), SUBJECT, 1)
        happen(own(), uuid4(), 2, kind="lot.released", subject_type="lot")
        bring(local)
    assert (prices.numbers(), lots.numbers()) == ([1], [2])


def test_a_refusal_is_final_and_the_next_event_goes_out(local: Flask) -> None:
    program = program_of(local)
    with receiving(lambda got: 422 if got.event["data"]["n"] == 1 else 204) as receiver:
        made = named(program, receiver)
        happen(own(), SUBJECT, 1)
        happen(own(), SUBJECT, 2)
        bring(local)
    assert receiver.numbers() == [1, 2]
    assert [(d["state"], d["last_try"]["status"]) for d in log_of(program, made)] == [
        ("delivered", 204), ("failed", 422),
    ]  # fmt: skip


def test_a_receiver_that_fails_for_a_day_gets_everything_in_order_when_it_is_back(local: Flask) -> None:
    program = program_of(local)
    broken = [True]
    other = uuid4()
    with receiving(lambda got: 500 if broken[0] else 204) as receiver:
        made = named(program, receiver)
        with time_machine.travel(datetime.now(UTC), tick=True) as clock:
            for n in range(1, 4):
                happen(own(), SUBJECT, n)
            happen(own(), other, 10)
            for _ in range(30):
                bring(local)
                clock.shift(timedelta(minutes=50))
            # Nobody went past the first of its subject.
            assert set(receiver.numbers()) == {1, 10}
            assert 8 <= receiver.numbers(SUBJECT).count(1) <= 20
            assert (
                receiver.got[0].event["id"] == receiver.got[-1].event["id"]
                or len({g.event["id"] for g in receiver.got}) == 2
            )
            broken[0] = False
            receiver.got.clear()
            for _ in range(8):
                bring(local)
                clock.shift(timedelta(minutes=50))
            program.get("/webhooks")
    assert receiver.numbers(SUBJECT) == [1, 2, 3]
    assert receiver.numbers(other) == [10]
    assert {d["state"] for d in log_of(program, made)} == {"delivered"}
    assert program.get("/webhooks")["items"][0]["disabled_at"] is None


def test_nothing_of_an_order_overtakes_what_happened_to_it_before(local: Flask) -> None:
    """Purchase, orders of its sellers and change requests are subjects of their own, and one order to the channel."""
    program = program_of(local)
    broken = [True]

    def answer(got: Got) -> int:
        return 500 if broken[0] and got.event["kind"] == "purchase.submitted" else 204

    with receiving(answer) as receiver, time_machine.travel(datetime.now(UTC), tick=True) as clock:
        made = named(program, receiver)
        items = program.items()[:2]
        program.post("/orders", order_body("W-1", items), 201)
        program.post("/orders", order_body("W-2", items), 201)
        program.post("/orders/W-1/cancel", {"reason": "活动取消"})
        clock.shift(timedelta(days=4, hours=20))
        line = program.get("/orders/W-2")["orders"][0]["lines"][0]
        lines = [{"line_id": line["id"], "quantity": line["quantity"]}]
        asked = program.post("/orders/W-2/reduce", {"lines": lines, "reason": "少要"})
        bring(local)
        held_up = [got.event["kind"] for got in receiver.got]
        broken[0] = False
        receiver.got.clear()
        for _ in range(4):
            clock.shift(timedelta(minutes=50))
            bring(local)
    assert asked["outcome"] == "asked"
    assert held_up == ["purchase.submitted"] * 2
    of_order: dict[str, list[int]] = {"W-1": [], "W-2": []}
    for got in receiver.got:
        of_order[got.event["partner_order_no"]].append(got.event["seq"])
    assert all(len(places) > 1 and places == sorted(places) for places in of_order.values())
    kinds = {got.event["kind"] for got in receiver.got}
    assert {"order.cancelled", "change_request.asked"} <= kinds
    assert {d["state"] for d in log_of(program, made)} == {"delivered"}


def test_an_event_is_given_up_after_three_days_and_can_be_sent_again(local: Flask) -> None:
    program = program_of(local)
    broken = [True]
    with receiving(lambda got: 503 if broken[0] else 204) as receiver:
        made = named(program, receiver)
        happen(own(), SUBJECT, 1)
        with time_machine.travel(datetime.now(UTC), tick=True) as clock:
            for _ in range(40):
                bring(local)
                clock.shift(timedelta(hours=4))
        (delivery,) = log_of(program, made)
        assert (delivery["state"], delivery["last_try"]["status"]) == ("failed", 503)
        assert 15 <= delivery["attempts"] <= 30
        broken[0] = False
        path = f"/webhooks/{made['id']}/deliveries/{delivery['id']}/redeliver"
        assert program.post(path, None, 202)["state"] == "pending"
        assert program.post(path, None, 409)["type"].endswith("/wrong-state")
        bring(local)
    assert len({g.event["id"] for g in receiver.got}) == 1
    assert log_of(program, made)[0]["state"] == "delivered"


def test_an_address_that_takes_nothing_is_stopped_with_a_notice_and_taken_up_again(local: Flask) -> None:
    program = program_of(local)
    status = [404]
    with receiving(lambda got: status[0]) as receiver:
        made = named(program, receiver)
        for n in range(10):
            happen(own(), uuid4(), n)
        relay = Relay(local.config["SETTINGS"])
        bring(local, relay)
        relay.tick()
        happen(own(), SUBJECT, 50)
        bring(local, relay)
        stopped = program.get("/webhooks")["items"][0]
        assert (stopped["disabled_reason"], len(receiver.got)) == ("failing", 10)
        program.post(f"/webhooks/{made['id']}/ping", None, 409)
        while follow():
            pass
        with psycopg.connect(local.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as owner:
            told = owner.execute(
                "select organisation_id from notice where topic = 'webhook_disabled'"
            ).fetchall()
        assert told == [(own(),)]

        status[0] = 204
        program.post(f"/webhooks/{made['id']}/enable", None)
        program.post(f"/webhooks/{made['id']}/enable", None, 409)
        happen(own(), SUBJECT, 51)
        bring(local, relay)
        relay.tick()
        relay.close()
    # What happened while it was stopped stands in the feed.
    assert receiver.numbers(SUBJECT) == [51]
    assert program.get("/webhooks")["items"][0]["disabled_at"] is None


def test_a_ping_says_how_it_went(local: Flask) -> None:
    program = program_of(local)
    with receiving() as receiver:
        made = named(program, receiver, "order.*")
        program.post(f"/webhooks/{made['id']}/ping", None, 202)
        bring(local)
    (got,) = receiver.got
    assert got.event["kind"] == "test.ping"
    assert signing.verify(got.headers, got.body, [made["secret"]], at=int(time.time()))
    assert log_of(program, made)[0]["state"] == "delivered"


def test_an_address_inside_is_refused_and_another_channels_is_absent(app: Flask) -> None:
    program = program_of(app)
    with app.app_context():
        for url in (
            "http://partner.example/",
            "https://10.0.0.1/",
            "https://localhost/",
            "https://partner.example:25/",
            "nonsense",
        ):
            answer = program.post("/webhooks", {"url": url}, 422)
            assert [e["pointer"] for e in answer["errors"]] == ["#/url"]
        made = program.post("/webhooks", {"url": "https://partner.example/hook"}, 201)
        other = program_of(app, "tianjin2.partner")
        absent = str(uuid4())
        for name in (made["id"], absent):
            for act in ("ping", "secret", "disable", "enable"):
                other.post(f"/webhooks/{name}/{act}", None, 404)
            other.get(f"/webhooks/{name}/deliveries", 404)
            other.post(f"/webhooks/{name}/deliveries/{absent}/redeliver", None, 404)
        assert made["id"] not in [row["id"] for row in other.get("/webhooks")["items"]]


def test_a_channel_has_five_addresses(local: Flask) -> None:
    program = program_of(local, "tianjin2.partner")
    made = [program.post("/webhooks", {"url": f"https://partner.example/{n}"}, 201) for n in range(5)]

    refused = program.post("/webhooks", {"url": "https://partner.example/6"}, 409)

    assert refused["type"].endswith("/enough-webhooks")
    program.post(f"/webhooks/{made[0]['id']}/disable", None)
    program.post("/webhooks", {"url": "https://partner.example/6"}, 201)
    assert program.post(f"/webhooks/{made[0]['id']}/enable", None, 409)["type"].endswith("/enough-webhooks")


def test_a_receiver_that_hangs_holds_up_nobody_else(local: Flask) -> None:
    first, second = program_of(local), Program(local, "tianjin2.partner")
    released = threading.Event()

    def late(got: Got) -> int:
        assert released.wait(60)
        return 204

    with receiving(late) as slow, receiving() as quick:
        named(first, slow)
        named(second, quick)
        happen(own(), SUBJECT, 1)
        for n in range(5):
            happen(own("tianjin2.partner"), uuid4(), n)
        hand_out_all()
        relay = Relay(local.config["SETTINGS"])
        began = time.monotonic()
        relay.tick()
        while not (slow.got and len(quick.got) == 5) and time.monotonic() - began < 60:
            time.sleep(0.01)
        came, hung = len(quick.got), len(slow.got)
        released.set()
        relay.wait()
        relay.close()
    assert (came, hung) == (5, 1)


def test_the_receiver_of_these_tests_has_not_received_what_breaks_off() -> None:
    with receiving() as receiver:
        where = urlsplit(receiver.url)
        for sent in (b"{", b"{}"):
            with socket.create_connection((where.hostname, where.port)) as line:
                line.sendall(b"POST /hook HTTP/1.1\r\nContent-Length: 2\r\n\r\n" + sent)
                line.shutdown(socket.SHUT_WR)
                line.recv(1000)
        assert [got.body for got in receiver.got] == [b"{}"]


@pytest.mark.parametrize("seed", [1])
def test_a_relay_killed_at_random_points_loses_nothing_and_keeps_the_order(local: Flask, seed: int) -> None:
    chance = random.Random(seed)
    program = program_of(local)
    subjects = [uuid4() for _ in range(6)]
    answered: list[str] = []

    def slowly(got: Got) -> int:
        time.sleep(0.01)
        answered.append(got.event["id"])
        return 204

    def came() -> int:
        return len(set(answered))

    with receiving(slowly) as receiver:
        named(program, receiver)
        for n in range(72):
            happen(own(), subjects[n % 6], n)
        hand_out_all()
        environment = {**os.environ, **local.config["TEST_ENVIRONMENT"]}
        kills = 0
        until = time.monotonic() + 200
        with subprocess.Popen(
            [sys.executable, "-m", "tests.channels.relay_process"], cwd=ROOT, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as starter:  # fmt: skip
            assert starter.stdin is not None
            assert starter.stdout is not None
            while came() < 72 and time.monotonic() < until:
                starter.stdin.write("another\n")
                relay = int(starter.stdout.readline())
                # By what came, not by the clock: on a slow machine too each one gets somewhere.
                goal = min(72, came() + chance.randrange(16))
                while came() < goal and time.monotonic() < until:
                    time.sleep(0.002)
                time.sleep(chance.uniform(0, 0.03))
                os.kill(relay, signal.SIGKILL)
                kills += 1
        time.sleep(0.6)
        bring(local)

    assert kills >= 3
    for subject in subjects:
        numbers = receiver.numbers(subject)
        first_seen = list(dict.fromkeys(numbers))
        assert first_seen == sorted(first_seen)
        assert len(first_seen) == 12
        # A repeat is of the event that was under way when the relay was killed, never of an earlier one.
        assert numbers == sorted(numbers)
    assert len(receiver.got) - 72 <= kills
    assert {d["state"] for d in log_all(program)} == {"delivered"}


def log_all(program: Program) -> list[dict[str, Any]]:
    endpoint = program.get("/webhooks")["items"][0]
    found: list[dict[str, Any]] = []
    after = None
    while True:
        query = {"limit": 100} if after is None else {"limit": 100, "after": after}
        page = program.get(f"/webhooks/{endpoint['id']}/deliveries", **query)
        found += page["items"]
        after = page["next"]
        if after is None:
            return found
