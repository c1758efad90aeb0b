from __future__ import annotations

from pathlib import Path

import psycopg
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from marketplace import embedded
from tests.conftest import Server
from tests.timing import least_seconds
from tests.web.conftest import MakeApp


def test_a_worker_that_can_work_is_ready(echo: FlaskClient) -> None:
    assert echo.get("/livez").data == b"ok\n"
    answer = echo.get("/readyz")
    assert (answer.status_code, answer.get_json()) == (200, {"ready": True, "reason": None})


def test_without_the_database_it_lives_but_is_not_ready(make_echo: MakeApp, server: Server) -> None:
    with make_echo() as app:
        client = app.test_client()

        def look() -> TestResponse:
            """What was found just before counts no more."""
            app.extensions["marketplace.readiness"]._checked_at = float("-inf")
            return client.get("/readyz")

        assert look().status_code == 200
        embedded.drop_database(server.owner_url, app.config["TEST_DATABASE"])
        answer = look()
        assert (answer.status_code, answer.get_json()["reason"]) == (503, "database")
        assert answer.headers["Retry-After"] == "2"
        assert client.get("/livez").status_code == 200
        assert least_seconds(lambda: client.get("/livez")) < 0.05
        assert least_seconds(look, 3) < 2


def test_with_other_tables_than_the_code_knows_it_is_not_ready(make_echo: MakeApp, server: Server) -> None:
    with make_echo() as app:
        url = embedded.with_database(server.owner_url, app.config["TEST_DATABASE"])
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("update alembic_version set version_num = '0001'")
        answer = app.test_client().get("/readyz")
        assert (answer.status_code, answer.get_json()["reason"]) == (503, "migrations")


def test_a_worker_told_to_stop_is_not_ready(make_echo: MakeApp) -> None:
    with make_echo() as app:
        app.extensions["marketplace.readiness"].draining = True
        answer = app.test_client().get("/readyz")
        assert (answer.status_code, answer.get_json()["reason"]) == (503, "draining")


def test_a_state_folder_that_is_gone_is_a_reason(make_echo: MakeApp, tmp_path: Path) -> None:
    with make_echo() as app:
        app.extensions["marketplace.readiness"].state_folder = tmp_path / "gone"
        assert app.test_client().get("/readyz").get_json()["reason"] == "state-folder"


def test_metrics_are_for_this_machine_only(echo_app: Flask, echo: FlaskClient) -> None:
    echo.get("/api/v1/echo")
    answer = echo.get("/metrics")
    assert answer.status_code == 200
    text = answer.get_data(as_text=True)
    assert 'route="/api/v1/echo",status="200"' in text
    assert "marketplace_request_seconds_bucket" in text
    assert "marketplace_pool_checked_out" in text
    assert "journal_oldest_unsealed_seconds 0.0" in text
    away = echo.get("/metrics", environ_overrides={"REMOTE_ADDR": "192.0.2.1"})
    assert away.status_code == 404
    assert echo.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404
