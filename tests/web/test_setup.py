from __future__ import annotations

import re
import threading
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug import routing

from marketplace.database import db
from marketplace.web.addresses import Rule
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


def test_a_rule_learns_to_build_its_address_when_it_is_asked_and_builds_what_werkzeug_does(
    empty_app: Flask,
) -> None:
    app = make_app(empty_app.config["TEST_ENVIRONMENT"])
    ours = [rule for rule in app.url_map.iter_rules() if isinstance(rule, Rule)]
    assert len(ours) > 300
    learnt = [rule.rule for rule in ours if "build" not in rule._build.__func__.__qualname__.split(".")]
    assert len(learnt) < 10

    values = {"uuid": UUID(int=7), "int": 7, "default": "甲 乙/丙", "path": "a/b", "string": "甲"}
    for rule in ours:
        plain = routing.Map([routing.Rule(rule.rule, endpoint=rule.endpoint)]).bind("h")
        kinds = {name: type(it).__name__ for name, it in rule._converters.items()}
        given: dict[str, Any] = {
            name: values[
                kind.removesuffix("Converter").replace("Integer", "int").replace("Unicode", "default").lower()
            ]
            for name, kind in kinds.items()
        }
        for more in ({}, {"q": "苹果 5"}):
            for _ in range(2):
                built = rule.build({**given, **more}, append_unknown=True)
                assert built is not None
                assert built[1] == plain.build(rule.endpoint, {**given, **more}), rule.rule


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
