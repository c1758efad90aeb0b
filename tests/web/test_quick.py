"""The short way of the most asked reads: the same answers, and Flask's whenever something has to be decided."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import Client, TestResponse

from marketplace.database import db
from marketplace.unit_of_work import Answer
from marketplace.web.limits import hashed_address
from marketplace.web.quick import QuickReads

ID = "18f4d1e7-aaaa"
# Anything that sends a request to Flask without changing what it asks.
BY_FLASK = {"Range": "pages=1"}
OWN = ("RateLimit-Remaining", "RateLimit-Reset")


class WentOn(Exception):
    """The request was passed to Flask."""


def _to_flask(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise WentOn


@pytest.fixture(scope="module")
def paths(app: Flask) -> dict[str, str]:
    with app.app_context():
        session = db.session()
        product, lot = session.execute(
            sa.text("select p.id, l.trace_code from product p join lot l on l.product_id = p.id"
                    " where p.state = 'recognised' and l.state = 'released' order by p.id, l.id limit 1")
        ).one()  # fmt: skip
    return {"product": f"/api/v1/products/{product}", "trace": f"/api/v1/trace/{lot}"}


@pytest.fixture
def quick(app: Flask) -> Client:
    """Answers the short way alone; a permit is at hand."""
    Client(app.wsgi_app).get("/api/v1/products", headers=BY_FLASK)
    layer = QuickReads(app)
    layer._general = _to_flask
    return Client(layer, use_cookies=False)


def _asked(client: Client, path: str, **headers: str) -> TestResponse:
    return client.get(path, headers={"X-Request-Id": ID, **headers})


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/products",
        "/api/v1/products?limit=5&sort=-price&county=620826",
        "/api/v1/products?limit=3&q=%E8%8B%B9%E6%9E%9C",
        "/api/v1/products?q=ping+guo&available=true&eligible=true",
        "/api/v1/products?deliver_on=2099-01-01",
        "product",
        "product?deliver_on=2099-01-01",
        "trace",
    ],
)
def test_both_ways_give_the_same_answer(
    app: Flask, quick: Client, paths: dict[str, str], capsys: pytest.CaptureFixture[str], path: str
) -> None:
    name, _, query = path.partition("?")
    path = f"{paths[name]}?{query}" if name in paths and query else paths.get(name, path)
    capsys.readouterr()
    by_flask = _asked(Client(app.wsgi_app), path, **BY_FLASK)
    line_of_flask = json.loads(capsys.readouterr().err.splitlines()[-1])
    short = _asked(quick, path)
    line = json.loads(capsys.readouterr().err.splitlines()[-1])

    assert short.status == by_flask.status == "200 OK"
    told, known = json.loads(short.data), json.loads(by_flask.data)
    if name == "trace":  # each reading counts
        assert told.pop("scans") == known.pop("scans") + 1
        assert list(told) == list(known)
    else:
        assert short.data == by_flask.data
    assert told == known
    mine = [(k, v) for k, v in short.headers.items() if k not in OWN]
    theirs = [(k, v) for k, v in by_flask.headers.items() if k not in OWN]
    assert mine == [(k, str(len(short.data)) if k == "Content-Length" else v) for k, v in theirs]
    assert int(short.headers["RateLimit-Remaining"]) == int(by_flask.headers["RateLimit-Remaining"]) - 1
    for own in ("ms", "timestamp"):
        del line[own], line_of_flask[own]
    assert list(line.items()) == list(line_of_flask.items())


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/v1/products?limit=0", {}),
        ("/api/v1/products?limit=5&limit=5", {}),
        ("/api/v1/products?unknown=1", {}),
        ("/api/v1/products?q=%00", {}),
        ("/api/v1/products?q=%ff", {}),
        ("/api/v1/products", {"Cookie": "language=en"}),
        ("/api/v1/products", {"Authorization": "Bearer x"}),
        ("/api/v1/products", {"If-None-Match": '"1"'}),
        ("/api/v1/products", {"Host": "a b"}),
        ("/api/v1/products/00000000-0000-7000-8000-000000000000", {}),
        ("/api/v1/products/00000000-0000-7000-8000-00000000000A", {}),
        ("/api/v1/products/x", {}),
        ("/api/v1/products?after=x", {}),
        ("/api/v1/products?deliver_on=2020-01-01", {}),
        ("/api/v1/trace/1K7QM", {}),
        ("/api/v1/trace/1K7QM?x=1", {}),
        ("/api/v1/categories", {}),
        ("/", {}),
    ],
)
def test_what_has_to_be_decided_goes_on_to_flask(quick: Client, path: str, headers: dict[str, str]) -> None:
    with pytest.raises(WentOn):
        _asked(quick, path, **headers)


def test_nothing_but_a_get_is_answered_the_short_way(quick: Client) -> None:
    for method in ("HEAD", "POST", "OPTIONS"):
        with pytest.raises(WentOn):
            quick.open("/api/v1/products", method=method)


def test_without_a_permit_at_hand_flask_asks_for_one(app: Flask, quick: Client) -> None:
    with pytest.raises(WentOn):
        quick.get("/api/v1/products", environ_overrides={"REMOTE_ADDR": "198.51.100.77"})


def test_an_address_that_is_barred_is_refused_by_flask(app: Flask, quick: Client) -> None:
    barred = app.extensions["marketplace.barred"]
    barred[hashed_address("203.0.113.5")] = 0.0
    try:
        assert quick.get("/api/v1/products").status_code == 200
        with pytest.raises(WentOn):
            quick.get("/api/v1/products", environ_overrides={"REMOTE_ADDR": "203.0.113.5"})
    finally:
        barred.clear()


def test_a_read_that_breaks_is_logged_and_repeated_by_flask(
    app: Flask, quick: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*given: object, **parts: object) -> Answer:
        raise ZeroDivisionError

    layer = quick.application
    layer._ways = [replace(way, read=broken) for way in layer._ways]
    with pytest.raises(WentOn):
        quick.get("/api/v1/products")

    assert "quick_read_failed" in capsys.readouterr().err


def test_a_refused_read_uses_one_permit(app: Flask, quick: Client) -> None:
    client = Client(app.wsgi_app)
    before = client.get("/api/v1/products", headers=BY_FLASK).headers["RateLimit-Remaining"]
    refused = client.get("/api/v1/trace/0000000000000000000A")

    assert refused.status_code == 404
    assert int(refused.headers["RateLimit-Remaining"]) == int(before) - 1
