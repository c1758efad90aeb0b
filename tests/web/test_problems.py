from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.database import db
from marketplace.errors import PreconditionFailed, WrongState
from marketplace.web.problem_texts import SLUGS
from marketplace.web.problems import status_of
from tests.web.conftest import CANARY

BASE = "http://localhost:8000/problems/"


@pytest.mark.parametrize(
    ("kind", "status", "slug", "headers"),
    [
        ("absent", 404, "not-found", {}),
        ("forbidden", 403, "forbidden", {}),
        ("nobody", 401, "unauthenticated", {"WWW-Authenticate": "Bearer"}),
        ("conflict", 409, "insufficient-stock", {}),
        ("stale", 412, "precondition-failed", {}),
        ("throttled", 429, "too-many-requests", {"Retry-After": "7"}),
        ("busy", 503, "unavailable", {"Retry-After": "3"}),
        ("upstream", 502, "upstream-failure", {}),
        ("pool", 503, "unavailable", {"Retry-After": "2"}),
        ("boom", 500, "internal-error", {}),
    ],
)
def test_each_kind_has_its_status_for_programs_and_people(
    echo: FlaskClient, kind: str, status: int, slug: str, headers: dict[str, str]
) -> None:
    answer = echo.get(f"/api/v1/echo/raise/{kind}")
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    problem = answer.get_json()
    assert problem["type"] == BASE + slug
    assert problem["status"] == status
    assert problem["title"]
    for name, value in headers.items():
        assert answer.headers[name] == value
    page = echo.get(f"/echo-page/raise/{kind}")
    if kind == "nobody":
        assert page.status_code == 303
        assert page.headers["Location"] == "/sign-in?next=/echo-page/raise/nobody"
        return
    assert page.status_code == status
    assert page.mimetype == "text/html"
    assert f"<code>{slug}</code>" in page.get_data(as_text=True)


def test_data_of_the_case_stands_beside_the_standard_members(echo: FlaskClient) -> None:
    assert echo.get("/api/v1/echo/raise/conflict").get_json() == {
        "type": BASE + "insufficient-stock",
        "title": "与现在的状态冲突",
        "status": 409,
        "detail": "库存不足",
        "shortages": [{"asked": 5}],
    }


def test_a_subclass_has_the_status_of_its_nearest_kind() -> None:
    assert status_of(WrongState()) == 409
    assert status_of(PreconditionFailed()) == 412


def test_a_replay_sends_the_stored_bytes(echo: FlaskClient) -> None:
    answer = echo.post("/api/v1/echo/raise/replayed")
    assert answer.status_code == 201
    assert answer.data == b'{"id":"1"}'
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert answer.headers["ETag"] == '"1"'


def test_errors_of_http_itself_have_the_same_form(echo: FlaskClient) -> None:
    absent = echo.get("/api/v1/nothing-here")
    assert (absent.status_code, absent.get_json()["type"]) == (404, BASE + "not-found")
    wrong = echo.delete("/api/v1/echo")
    assert (wrong.status_code, wrong.get_json()["type"]) == (405, BASE + "method-not-allowed")
    assert {m.strip() for m in wrong.headers["Allow"].split(",")} == {"GET", "HEAD", "OPTIONS", "POST"}
    partner = echo.get("/partner/v1/nothing")
    assert partner.content_type == "application/problem+json"
    page = echo.get("/nothing-here")
    assert (page.status_code, page.mimetype) == (404, "text/html")
    assert "找不到这一项" in page.get_data(as_text=True)


def test_a_defect_is_answered_without_its_text_and_logged_once(
    echo: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = echo.get("/api/v1/echo/raise/boom", headers={"X-Request-Id": "abcdef-12345"})
    assert answer.status_code == 500
    assert answer.get_json()["request_id"] == "abcdef-12345"
    assert "canary" not in answer.get_data(as_text=True)
    lines = [line for line in capsys.readouterr().err.splitlines() if "unexpected_error" in line]
    assert len(lines) == 1
    assert '"error": "RuntimeError"' in lines[0]
    assert "abcdef-12345" in lines[0]
    assert CANARY not in lines[0]


def test_a_lost_connection_is_answered_503_and_the_next_request_works(echo: FlaskClient) -> None:
    lost = echo.get("/api/v1/echo/lose-connection")
    assert lost.status_code == 503
    assert lost.headers["Retry-After"] == "2"
    assert echo.get("/api/v1/echo/text/a").get_json() == {"text": "a"}


def test_requests_that_raise_give_their_connections_back(echo_app: Flask, echo: FlaskClient) -> None:
    for n in range(60):
        echo.get(f"/api/v1/echo/raise/{('boom', 'conflict', 'pool')[n % 3]}")
    with echo_app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert echo.get("/api/v1/echo/text/a").status_code == 200


def test_every_slug_has_a_page_and_others_have_none(echo: FlaskClient) -> None:
    index = echo.get("/problems").get_data(as_text=True)
    for slug, text in SLUGS.items():
        page = echo.get(f"/problems/{slug}")
        assert page.status_code == 200
        assert text.next_step in page.get_data(as_text=True)
        assert f"<code>{slug}</code>" in index
    assert echo.get("/problems/no-such-problem").status_code == 404


def test_every_slug_in_the_code_is_explained() -> None:
    named: set[str] = set()
    for path in Path("marketplace").rglob("*.py"):
        named |= set(re.findall(r"\bslug(?:: [^=\n]+)?\s?=\s?\"([a-z0-9-]+)\"", path.read_text("utf-8")))
    assert named - {"error"} - set(SLUGS) == set()


def test_the_sign_in_page_is_where_strangers_are_sent(echo_app: Flask, echo: FlaskClient) -> None:
    echo_app.config["SIGN_IN_ENDPOINT"] = "echo_pages.page"
    answer = echo.get("/echo-page/raise/nobody?a=1")
    del echo_app.config["SIGN_IN_ENDPOINT"]
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/echo-page?next=/echo-page/raise/nobody?a%3D1"
