from __future__ import annotations

import pytest
from flask import Flask, Response, session
from flask.testing import FlaskClient

from marketplace.journal.checkpoints import make_key
from marketplace.web.security import add_headers
from tests.web.conftest import MakeApp

ASKED = [
    ("GET", "/echo-page", 200),
    ("GET", "/api/v1/echo", 200),
    ("GET", "/nothing-here", 404),
    ("GET", "/api/v1/nothing", 404),
    ("DELETE", "/api/v1/echo", 405),
    ("GET", "/api/v1/echo/raise/boom", 500),
    ("GET", "/echo-page/raise/boom", 500),
    ("GET", "/echo-page/raise/nobody", 303),
    ("POST", "/echo-page", 403),
    ("POST", "/api/v1/echo", 400),
    ("GET", "/livez", 200),
    ("OPTIONS", "/api/v1/echo", 200),
    ("HEAD", "/problems", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), ASKED)
def test_every_answer_has_the_security_headers(
    echo: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = echo.open(path, method=method)
    assert answer.status_code == status
    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Permissions-Policy"].startswith("camera=(self)")
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in answer.headers
    assert {"Cookie", "Authorization", "Accept-Language"} <= set(answer.vary)


def test_a_body_that_is_too_large_has_the_headers_too(echo: FlaskClient) -> None:
    answer = echo.post("/api/v1/echo", data="x" * 1_100_000, content_type="application/json")
    assert answer.status_code == 413
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_only_good_public_answers_may_be_kept(echo: FlaskClient) -> None:
    assert echo.get("/api/v1/echo").headers["Cache-Control"] == "no-cache"
    assert echo.get("/api/v1/nothing").headers["Cache-Control"] == "no-store"
    assert echo.post("/api/v1/echo/act").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://localhost:8000"}, 200),
        ({"Origin": "https://localhost"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[bad"}, 403),
        ({"Origin": "http://evil.example", "Referer": "http://localhost/x"}, 403),
        ({"Referer": "http://localhost/form?x=1"}, 200),
        ({"Referer": "http://evil.example/http://localhost/"}, 403),
    ],
)
def test_an_unsafe_request_must_come_from_our_own_page(
    echo: FlaskClient, headers: dict[str, str], status: int
) -> None:
    answer = echo.post("/echo-page", data={"a": "b"}, headers=headers)
    assert answer.status_code == status
    if status == 403:
        text = answer.get_data(as_text=True)
        assert "<code>foreign-origin</code>" in text
        # A program that sent a form learns by which header it was known, and where programs go.
        assert "Sec-Fetch-Site" in text or "Origin" in text
        assert "POST /api/v1/tokens" in text


def test_reading_needs_no_origin_and_a_webhook_none_either(echo: FlaskClient) -> None:
    assert echo.get("/echo-page", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    assert echo.post("/echo-hook", headers={"Origin": "http://bank.example"}).data == b"heard"


def test_the_api_reads_no_cookie(echo: FlaskClient) -> None:
    echo.set_cookie("marketplace", "anything")
    assert echo.get("/api/v1/echo/who").get_json()["user"] is None
    assert echo.post("/api/v1/echo/act", headers={"Origin": "http://evil.example"}).status_code == 200


def test_production_asks_for_https_and_proxies_are_trusted_by_number(make_echo: MakeApp) -> None:
    secret = "0123456789abcdef0123456789abcdef"
    production = {
        "MARKETPLACE_ENV": "production",
        "SECRET_KEY": secret,
        "FIELD_KEY": secret,
        "KEY_PEPPER": secret,
        "TRACE_KEYS": secret,
        "PUBLIC_BASE_URL": "https://market.example",
        "CHECKPOINT_KEY": make_key("market.example")[0],
        "TRUSTED_PROXIES": "1",
    }
    with make_echo(**production) as app:
        client = app.test_client()
        answer = client.get(
            "/api/v1/echo/who",
            headers={"X-Forwarded-For": "10.9.9.9, 203.0.113.7", "X-Forwarded-Proto": "https"},
        )
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert answer.get_json()["address"] == "203.0.113.7"
        assert client.post("/echo-page", headers={"Origin": "https://market.example"}).status_code == 200


def test_without_trusted_proxies_a_forwarded_address_is_not_believed(echo: FlaskClient) -> None:
    answer = echo.get("/api/v1/echo/who", headers={"X-Forwarded-For": "203.0.113.7"})
    assert answer.get_json()["address"] == "127.0.0.1"


def test_a_header_that_a_view_sets_itself_is_sent_once_and_as_it_was_set(echo_app: Flask) -> None:
    given = Response("x", headers={"content-security-policy": "sandbox", "Vary": "Accept-Encoding"})
    with echo_app.test_request_context("/api/v1/echo"):
        answer = add_headers(given)

    assert answer.headers.getlist("Content-Security-Policy") == ["sandbox"]
    assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
    assert {"Accept-Encoding", "Cookie", "Authorization", "Accept-Language"} == set(answer.vary)


def test_the_api_neither_reads_nor_writes_a_session(echo_app: Flask) -> None:
    with echo_app.test_request_context("/api/v1/echo"), pytest.raises(RuntimeError):
        session["kept"] = 1
    with echo_app.test_request_context("/echo-page"):
        session["kept"] = 1
