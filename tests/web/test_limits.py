from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from marketplace.database import db
from marketplace.errors import Throttled
from marketplace.web.limits import Limiter
from tests.web.conftest import MakeApp


def spent(limiter: Limiter, key: str, tries: int) -> int:
    done = 0
    for _ in range(tries):
        try:
            limiter.spend(key)
        except Throttled:
            continue
        done += 1
    return done


def test_a_burst_is_granted_exactly_and_then_refused_with_the_wait(echo_app: Flask) -> None:
    with echo_app.app_context():
        limiter = Limiter(per_minute=1, burst=25)
        assert spent(limiter, "burst", 40) == 25
        with pytest.raises(Throttled) as refusal:
            limiter.spend("burst")
        assert 1 <= refusal.value.retry_after <= 60
        assert limiter.spend("another") == 24


def test_workers_share_one_count(echo_app: Flask) -> None:
    with echo_app.app_context():
        workers = [Limiter(per_minute=1, burst=25) for _ in range(3)]
        assert sum(spent(worker, "shared", 40) for worker in workers) == 25


def test_threads_of_a_worker_grant_no_more_than_the_burst(echo_app: Flask) -> None:
    limiter = Limiter(per_minute=1, burst=50)

    def run(_: int) -> int:
        with echo_app.app_context():
            return spent(limiter, "threads", 20)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(run, range(8))) == 50


def test_permits_come_back_with_time(echo_app: Flask) -> None:
    with echo_app.app_context():
        limiter = Limiter(per_minute=60_000, burst=5)
        assert spent(limiter, "refill", 5) == 5
        db.session.execute(sa.text("select pg_sleep(0.05)"))
        assert spent(limiter, "refill", 5) == 5


def test_a_principal_above_the_limit_is_answered_429(make_echo: MakeApp) -> None:
    with make_echo(RATE_PER_MINUTE="1", RATE_BURST="5") as app:
        client = app.test_client()
        answers = [client.get("/api/v1/echo") for _ in range(7)]
        assert [a.status_code for a in answers] == [200] * 5 + [429] * 2
        assert [a.headers["RateLimit-Remaining"] for a in answers] == ["4", "3", "2", "1", "0", "0", "0"]
        refused = answers[-1]
        assert refused.get_json()["type"].endswith("/problems/too-many-requests")
        assert refused.headers["RateLimit-Limit"] == "5"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 200
        other = client.get("/api/v1/echo", environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
        assert other.status_code == 200


def test_an_address_that_keeps_sending_bad_tokens_is_refused_before_the_look_up(make_echo: MakeApp) -> None:
    with make_echo(RATE_PER_MINUTE="1", RATE_BURST="5") as app:
        client = app.test_client()
        headers = {"Authorization": "Bearer not-a-token"}
        statuses = [client.get("/api/v1/echo", headers=headers).status_code for _ in range(9)]
        assert statuses == [401] * 6 + [429] * 3


def test_counters_hold_no_address(make_echo: MakeApp) -> None:
    with make_echo() as app:
        app.test_client().get("/api/v1/echo", environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
        with app.app_context():
            keys = db.session.execute(sa.text("select key from throttle")).scalars().all()
        assert keys
        assert all(key.startswith("rate:address:") and "192.0.2.9" not in key for key in keys)
