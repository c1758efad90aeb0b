"""Two whole tenants, and a contractor beside them, made over HTTP on the seeded database.

Each tenant can make every kind of object in the state that an act needs. Whatever a person types carries the
tenant's canary, so that a leak into another tenant's answer shows itself.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import psycopg
import pyotp
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from marketplace.journal.checkpoints import make_key
from marketplace.journal.sealing import make_checkpoint, seal_pending
from marketplace.trace import scans
from tests.conftest import PASSWORD
from tests.documents.files import PDF
from tests.faults.gateway_double import KEY, SECRET, running_double
from tests.matrix.tenant import Json, Tenant

SIGNER, _ = make_key("matrix.example")


class World:
    """The application, its users' tokens, and the tenants."""

    def __init__(self, app: Flask, owner: psycopg.Connection) -> None:
        self.app = app
        self.owner = owner
        self.numbers = itertools.count(1)
        self._tokens: dict[str, str] = {}
        self._browsers: dict[str | None, FlaskClient] = {}
        self._admin = "platform.admin"
        self._connect_gateway()
        school, outsourced = self.organisation("ORG-AG-SCH-01"), self.organisation("ORG-AG-SCH-03")
        seller_a, seller_b = self.organisation("ORG-COOP-01"), self.organisation("ORG-COOP-02")
        self.add_user("coop.second", seller_a, "seller")
        self.add_user("coop2.second", seller_b, "seller")
        self.add_user("outsourced.manager", outsourced, "manager")
        self.add_user("education.manager", self.organisation("ORG-AG-EDU"), "manager")
        self.add_user("admin.second", self.organisation("ORG-OFF-PLAT"), "platform_admin")
        jingning = self.organisation("ORG-OFF-REC-620826")
        for name, role in (
            ("jingning.office", "poverty_office"), ("jingning.finance", "finance_reviewer"),
            ("jingning.clerk", "settlement_clerk"), ("jingning.regulator", "market_regulator"),
        ):  # fmt: skip
            self.add_user(name, jingning, role)
        self.a = Tenant(
            self, "A", "canteen.buyer", "canteen.manager", "coop.seller", "coop.second", school, seller_a
        )
        self.b = Tenant(
            self, "B", "canteen2.buyer", "canteen2.manager", "coop2.seller", "coop2.second",
            self.organisation("ORG-AG-HOS-01"), seller_b,
        )  # fmt: skip
        self.c = Tenant(
            self, "C", "contractor.buyer", "outsourced.manager", "coop.seller", "coop.second", outsourced, seller_a
        )  # fmt: skip
        self.c.for_agency = outsourced
        self.tenants = (self.a, self.b, self.c)

    def _connect_gateway(self) -> None:
        """A gateway that takes every payment, for as long as this world lives."""
        self._gateway = ExitStack()
        self.gateway = double = self._gateway.enter_context(running_double())
        self.app.config["SETTINGS"] = replace(
            self.app.config["SETTINGS"],
            payment_api_base=double.base,
            payment_api_key=KEY,
            payment_means=("pm_card_visa", "alipay"),
            payment_webhook_secrets=(SECRET,),
        )

    def one(self, statement: str, *values: Any) -> Any:
        row = self.owner.execute(statement, values).fetchone()
        assert row is not None, statement
        return row[0]

    def organisation(self, code: str) -> str:
        return str(self.one("select id from organisation where code = %s", code))

    def number(self) -> int:
        return next(self.numbers)

    def token(self, user: str) -> str:
        if user not in self._tokens:
            answer = self.call(None, "POST", "/tokens", {"username": user, "password": PASSWORD})
            assert answer.status_code == 201, answer.get_data(as_text=True)
            self._tokens[user] = answer.get_json()["token"]
        return self._tokens[user]

    def forget_token(self, user: str) -> None:
        self._tokens.pop(user, None)

    def call(
        self,
        user: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        form: Json | None = None,
        query: Json | None = None,
        key: str | None = None,
    ) -> TestResponse:
        """One request to the API as `user`, None for a stranger. `form`: multipart, files as (name, bytes)."""
        headers = {} if user is None else {"Authorization": f"Bearer {self.token(user)}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        given: dict[str, Any] = {}
        if form is not None:
            given["data"] = {
                name: (io.BytesIO(value[1]), value[0]) if isinstance(value, tuple) else value
                for name, value in form.items()
            }
            given["content_type"] = "multipart/form-data"
        elif body is not None:
            given["json"] = body
        return self.app.test_client().open(
            f"/api/v1{path}", method=method, headers=headers, query_string=query, **given
        )

    def browse(self, user: str | None, method: str, path: str, form: Json | None = None) -> TestResponse:
        """One request for a page, as a browser of `user` sends it; None for a stranger."""
        if user not in self._browsers:
            self._browsers[user] = self.app.test_client()
            if user is not None:
                answer = self.browse(user, "POST", "/sign-in", {"username": user, "password": PASSWORD})
                assert answer.status_code == 303, answer.get_data(as_text=True)
        headers = {"Sec-Fetch-Site": "same-origin"}
        return self._browsers[user].open(path, method=method, data=form, headers=headers)

    def get(self, user: str | None, path: str, **query: Any) -> Any:
        answer = self.call(user, "GET", path, query=query)
        assert answer.status_code == 200, f"{path}: {answer.get_data(as_text=True)}"
        return answer.get_json()

    def post(self, user: str | None, path: str, body: Any = None) -> Any:
        answer = self.call(user, "POST", path, body)
        assert answer.status_code in (200, 201, 202), f"{path}: {answer.get_data(as_text=True)}"
        return answer.get_json()

    def add_user(self, username: str, organisation: str, role: str) -> str:
        body = {"username": username, "name": "某某", "password": PASSWORD, "organisation_id": organisation,
                "role": role}  # fmt: skip
        return str(self.post(self._admin, "/users", body)["id"])

    def fresh_user(self, role: str = "seller", code: str = "ORG-COOP-03") -> tuple[str, str]:
        """(name, id) of a user whom an act may disable, move or sign out."""
        name = f"fresh{self.number()}"
        return name, self.add_user(name, self.organisation(code), role)

    def second_factor(self, user: str) -> str:
        """Start a second factor; the code that confirms it."""
        secret = self.post(user, "/me/second-factor", {"current_password": PASSWORD})["secret"]
        return pyotp.TOTP(secret).now()

    def seal(self) -> None:
        with self.app.app_context():
            seal_pending()
            make_checkpoint(SIGNER)

    def first_fact(self, user: str) -> int:
        """The place of a sealed fact that `user` may read and that is his tenant's own; 1 when there is none."""
        items = self.get(user, "/events", limit=1)["items"]
        return int(items[0]["seq"]) if items else 1

    def file(self, words: str) -> tuple[str, bytes]:
        """A small PDF (name, bytes) that no other one equals."""
        return f"{words}.pdf", PDF.replace(b"1 0 obj", b"%" + words.encode() + b"\n1 0 obj")

    def photo(self, user: str) -> str:
        """A picture that no other one equals, stored by `user`; its id."""
        target = io.BytesIO()
        number = self.number()
        Image.new("RGB", (300, 300), (number % 256, number // 256 % 256, 7)).save(target, "PNG")
        form = {"kind": "photo", "file": ("photo.png", target.getvalue())}
        answer = self.call(user, "POST", "/documents", form=form)
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return str(answer.get_json()["id"])

    def upload(self, user: str, kind: str, words: str) -> str:
        answer = self.call(user, "POST", "/documents", form={"kind": kind, "file": self.file(words)})
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return str(answer.get_json()["id"])

    @contextmanager
    def sessions_kept(self, ends: bool) -> Iterator[None]:
        """Whatever an act does to its user's account, password and tokens is taken back after it."""
        if not ends:
            yield
            return
        users = self.owner.execute(
            "select id, password_hash, auth_version, totp_secret, totp_enabled_at, version from app_user"
        ).fetchall()
        yield
        with self.owner.transaction():
            for user_id, *values in users:
                self.owner.execute(
                    "update app_user set password_hash = %s, auth_version = %s, totp_secret = %s,"
                    " totp_enabled_at = %s, version = %s where id = %s",
                    (*values, user_id),
                )
            self.owner.execute("update access_token set revoked_at = null")

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        return {name: count for name, (count, _) in self.fingerprint().items()}

    def fingerprint(self) -> dict[str, tuple[int, int]]:
        """Rows of each table and the newest transaction that wrote one of them: any write changes it.

        Readings that were counted so far are written first, not by the counter's timer in the middle of a comparison.
        """
        scans.flush()
        rows = self.owner.execute(self._fingerprint_statement).fetchall()
        return {name: (count, newest) for name, count, newest in rows}

    @cached_property
    def _fingerprint_statement(self) -> str:
        tables = self.owner.execute(
            "select tablename from pg_tables where schemaname = 'public' order by tablename"
        ).fetchall()
        return " union all ".join(
            f"select '{name}', count(*), coalesce(max(xmin::text::bigint), 0) from \"{name}\""  # noqa: S608
            for (name,) in tables
        )

    @property
    def fact_kinds(self) -> dict[str, int]:
        return dict(self.owner.execute("select kind, count(*) from fact group by kind").fetchall())


def slug(answer: TestResponse) -> str:
    """The problem's slug; empty when the answer is none."""
    if answer.mimetype != "application/problem+json":
        return ""
    return str(json.loads(answer.get_data())["type"]).rpartition("/")[2]
