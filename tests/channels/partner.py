"""A partner's program in tests: a key of its channel, and calls with it."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from marketplace.accounts.models import Organisation, User
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role
from marketplace.channels import keys
from marketplace.channels.states import KeyMode, Scope
from marketplace.clock import today
from marketplace.database import db
from tests.conftest import PASSWORD

ADDRESS = {"name": "周经理", "phone": "13900000000", "address": "天津市武清区示范路1号"}


def channel_actor(username: str) -> Actor:
    """The person of a channel, as the web door knows it."""
    user, channel = db.session.execute(
        select(User, Organisation)
        .join(Organisation, Organisation.id == User.organisation_id)
        .where(User.username == username)
    ).one()
    return Actor(
        user.id, username, channel.id, "channel", channel.region_code, Role.CHANNEL_PARTNER,
        ROLE_PERMISSIONS[Role.CHANNEL_PARTNER], Door.WEB,
    )  # fmt: skip


def new_key(
    app: Flask,
    username: str = "tianjin.partner",
    *,
    scopes: tuple[Scope, ...] = tuple(Scope),
    mode: KeyMode = KeyMode.LIVE,
    name: str = "收银系统",
) -> dict[str, Any]:
    """A key as its maker is shown it."""
    with app.app_context():
        made = keys.create_key(
            channel_actor(username), app.config["SETTINGS"], name=name, mode=mode, scopes=scopes, days=30,
            current_password=PASSWORD, address="192.0.2.1",
        )  # fmt: skip
        return dict(made.result)


class Program:
    """Calls of a partner's program."""

    def __init__(self, app: Flask, username: str = "tianjin.partner", key: str | None = None) -> None:
        self.client: FlaskClient = app.test_client()
        self.key = key or str(new_key(app, username)["key"])

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def get(self, path: str, status: int = 200, **query: object) -> Any:
        answer = self.client.get(f"/partner/v1{path}", query_string=query, headers=self.headers)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()

    def send(self, path: str, body: object, headers: dict[str, str] | None = None) -> TestResponse:
        return self.client.post(f"/partner/v1{path}", json=body, headers=self.headers | (headers or {}))

    def post(self, path: str, body: object, status: int = 200) -> Any:
        answer = self.send(path, body)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()

    def slip(self, content: bytes, name: str = "回单.pdf") -> Any:
        """The bank's slip of a transfer, handed in."""
        answer = self.client.post(
            "/partner/v1/slips", data={"file": (io.BytesIO(content), name)}, headers=self.headers
        )
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return answer.get_json()

    def items(self) -> list[dict[str, Any]]:
        """What the channel carries and could order now, most stock first."""
        found = [i for i in self.get("/catalogue", limit=100)["items"] if i["available_quantity"] > 50]
        return sorted(found, key=lambda i: (-i["available_quantity"], i["sku"]))


def order_body(
    number: str, items: list[dict[str, Any]], *, packs: int = 1, day: date | None = None
) -> dict[str, Any]:
    """An order of the smallest quantity of each item, times `packs`."""
    return {
        "partner_order_no": number,
        "deliver_on": (day or today() + timedelta(days=5)).isoformat(),
        "deliver_to": dict(ADDRESS),
        "lines": [
            {"partner_sku": i["partner_sku"], "quantity": i["min_order_quantity"] * packs} for i in items
        ],
    }
