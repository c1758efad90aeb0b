"""A small blueprint of echo routes on an application with an empty database."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import flask
import pytest
import sqlalchemy as sa
from flask import Flask, Response, request
from flask.testing import FlaskClient
from flask_smorest import Blueprint
from marshmallow import fields, validate
from sqlalchemy.exc import TimeoutError as PoolTimeout

from marketplace import embedded, errors
from marketplace.actors import Actor, Door, Permission, Role
from marketplace.database import db
from marketplace.unit_of_work import Answer, Replayed
from marketplace.web.edge import current_actor, public, requires
from marketplace.web.parsing import accepts_files
from marketplace.web.schemas import InSchema, PageArgs, fen, quantity, text
from marketplace.web.security import cookieless
from tests.conftest import RUN, Server, dispose, environment, make_app

CANARY = "canary-7f3a9c-13812345678"


class LineIn(InSchema):
    quantity = quantity()
    price_fen = fen()


class EchoIn(InSchema):
    name = text(50)
    lines = fields.List(fields.Nested(LineIn), load_default=list, validate=validate.Length(0, 500))


class OptionalIn(InSchema):
    note = text(50, required=False)


class EchoFilter(PageArgs):
    q = fields.String()
    tags = fields.List(fields.String())


KINDS: dict[str, Callable[[], Exception]] = {
    "absent": errors.NotFound,
    "forbidden": errors.Forbidden,
    "nobody": errors.Unauthenticated,
    "conflict": lambda: errors.Conflict("库存不足", slug="insufficient-stock", shortages=[{"asked": 5}]),
    "stale": errors.PreconditionFailed,
    "throttled": lambda: errors.Throttled(retry_after=7),
    "busy": lambda: errors.Unavailable(retry_after=3),
    "upstream": errors.UpstreamFailure,
    "pool": PoolTimeout,
    "boom": lambda: RuntimeError(CANARY),
    "replayed": lambda: Replayed(Answer(201, b'{"id":"1"}', (("ETag", '"1"'),))),
}


def echo_blueprint() -> Blueprint:
    blp = Blueprint("echo", __name__, url_prefix="/api/v1/echo", description="echo")

    @blp.route("", methods=["POST"])
    @public
    @blp.arguments(EchoIn)
    def echo(fields: dict[str, Any]) -> Response:
        return flask.jsonify(fields)

    @blp.route("", methods=["GET"])
    @public
    @blp.arguments(EchoFilter, location="query")
    def listed(args: dict[str, Any]) -> Response:
        return flask.jsonify(args)

    @blp.route("/optional", methods=["POST"])
    @public
    @blp.arguments(OptionalIn)
    def optional(fields: dict[str, Any]) -> Response:
        return flask.jsonify(fields)

    @blp.route("/act", methods=["POST"])
    @public
    def act() -> Response:
        return flask.jsonify({"done": True})

    @blp.route("/guarded", methods=["POST"])
    @requires(Permission.ORDER_SHIP)
    @blp.arguments(EchoIn)
    def guarded(fields: dict[str, Any]) -> Response:
        return flask.jsonify(fields)

    @blp.route("/files", methods=["POST"])
    @public
    @accepts_files
    def files() -> Response:
        return flask.jsonify({"names": sorted(f.filename or "" for f in request.files.values())})

    @blp.route("/who", methods=["GET"])
    @public
    def who() -> Response:
        actor = current_actor()
        return flask.jsonify({"user": actor.user_id, "address": request.remote_addr})

    @blp.route("/text/<text>", methods=["GET"])
    @public
    def with_text(text: str) -> Response:
        found = db.session.execute(sa.text("select :t"), {"t": text}).scalar_one()
        return flask.jsonify({"text": found})

    @blp.route("/raise/<kind>", methods=["GET", "POST"])
    @public
    def raising(kind: str) -> Response:
        db.session.execute(sa.text("select 1"))
        raise KINDS[kind]()

    @blp.route("/lose-connection", methods=["GET"])
    @public
    def lose_connection() -> Response:
        db.session.execute(sa.text("select pg_terminate_backend(pg_backend_pid())"))
        return flask.jsonify({})

    return blp


def echo_pages() -> flask.Blueprint:
    pages = flask.Blueprint("echo_pages", __name__)

    @pages.route("/echo-page", methods=["GET", "POST"])
    @public
    def page() -> str:
        return "seen"

    @pages.route("/echo-page/raise/<kind>", methods=["GET"])
    @public
    def raising_page(kind: str) -> str:
        raise KINDS[kind]()

    @pages.route("/echo-hook", methods=["POST"])
    @public
    @cookieless
    def hook() -> str:
        return "heard"

    return pages


@contextmanager
def echoing(server: Server, template: str, state: Path, **settings: str) -> Iterator[Flask]:
    """An application with the echo routes on a database of its own, with settings changed."""
    name = f"test_{RUN}_{secrets.token_hex(5)}"
    embedded.create_database(server.owner_url, name, template=template)
    app = make_app(environment(server, name, state) | settings)
    app.config["TEST_DATABASE"] = name
    app.extensions["flask-smorest"]["apis"][""]["ext_obj"].register_blueprint(echo_blueprint())
    app.register_blueprint(echo_pages())
    try:
        yield app
    finally:
        dispose(app)
        embedded.drop_database(server.owner_url, name)


MakeApp = Callable[..., AbstractContextManager[Flask]]


@pytest.fixture
def make_echo(server: Server, empty_template: str, tmp_path: Path) -> MakeApp:
    def make(**settings: str) -> AbstractContextManager[Flask]:
        return echoing(server, empty_template, tmp_path, **settings)

    return make


@pytest.fixture(scope="module")
def echo_app(server: Server, empty_template: str, state_folder: Path) -> Iterator[Flask]:
    with echoing(server, empty_template, state_folder) as app:
        yield app


@pytest.fixture
def echo(echo_app: Flask) -> FlaskClient:
    return echo_app.test_client()


def somebody(door: Door = Door.API) -> Actor:
    from marketplace.values import uuid7

    return Actor(
        uuid7(),
        "somebody",
        uuid7(),
        "seller",
        "620821",
        Role.SELLER,
        frozenset({Permission.ORDER_SHIP}),
        door,
    )
