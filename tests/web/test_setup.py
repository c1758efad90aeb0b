from __future__ import annotations

import re
import threading

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.database import db
from marketplace.web.edge import public
from marketplace.web.setup import UndeclaredRoute, check_declared
from tests.conftest import make_app


def test_a_route_that_says_nothing_of_access_stops_the_start() -> None:
    app = Flask("x", static_folder=None)
    app.add_url_rule("/declared", "declared", public(lambda: "x"))
    check_declared(app)
    app.add_url_rule("/forgotten", "forgotten", lambda: "x")
    app.add_url_rule("/lost/<int:n>", "lost", lambda n: "x")
    with pytest.raises(UndeclaredRoute, match=r"/forgotten \(forgotten\), /lost/<int:n> \(lost\)$"):
        check_declared(app)


def test_every_route_of_the_application_is_declared(empty_app: Flask) -> None:
    check_declared(empty_app)


def test_a_start_leaves_no_thread_and_no_connection_to_the_workers_that_fork_from_it(
    empty_app: Flask,
) -> None:
    before = set(threading.enumerate())
    app = make_app({**empty_app.config["TEST_ENVIRONMENT"], "READ_CACHE_SECONDS": "2"})
    assert set(threading.enumerate()) == before
    with app.app_context():
        assert [engine.pool.checkedin() for engine in db.engines.values()] == [0, 0]  # type: ignore[attr-defined]


def test_the_document_describes_every_api_route(empty_app: Flask) -> None:
    answer = empty_app.test_client().get("/api/openapi.json")
    assert answer.mimetype == "application/json"
    spec = answer.get_json()
    assert spec["openapi"] == "3.1.0"
    described = {
        (path, method.upper())
        for path, item in spec["paths"].items()
        for method in item
        if method != "parameters"
    }
    routed = {
        (re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule), method)
        for rule in empty_app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routed
    assert described == routed


def test_the_page_of_the_api_asks_nothing_of_others(empty_app: Flask) -> None:
    client: FlaskClient = empty_app.test_client()
    page = client.get("/api/docs").get_data(as_text=True)
    assert "/api/v1/tokens" in page
    assert "<script" not in page
    assert "style=" not in page
    assert "<style" not in page
    assert re.findall(r'(?:src|href)="(?!/|#)', page) == []
