"""Every route of the API x every demo role, generated from the URL map: who never may gets 403 and changes nothing.

A role that has the permission gets 404 for an absent object, never 403; nobody ever gets a 5xx. A new route is in
this matrix by itself, since it can't be registered without declaring its access.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.actors import ROLE_PERMISSIONS, Role

USERS = {
    "canteen.buyer": Role.BUYER,
    "canteen.manager": Role.MANAGER,
    "contractor.buyer": Role.CONTRACTOR_BUYER,
    "coop.seller": Role.SELLER,
    "county.office": Role.POVERTY_OFFICE,
    "finance.reviewer": Role.FINANCE_REVIEWER,
    "settlement.clerk": Role.SETTLEMENT_CLERK,
    "market.regulator": Role.MARKET_REGULATOR,
    "tianjin.partner": Role.CHANNEL_PARTNER,
    "platform.admin": Role.PLATFORM_ADMIN,
}
# These end the session of the one who asks; they are tested in tests/accounts.
SIGNING_OUT = {"accounts.sign_out", "accounts.sign_out_everywhere", "accounts.delete_token"}


def cells(app: Flask) -> list[tuple[str, str, str, Any]]:
    """(endpoint, method, path with absent ids, declared access) of every route under /api/v1."""
    found = []
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/"):
            continue
        path = rule.rule
        for name, converter in rule._converters.items():
            kind = type(converter).__name__
            value = {
                "UUIDConverter": str(uuid.uuid4()),
                "IntegerConverter": "999999999",
            }.get(kind, "absent")
            for form in (f"<uuid:{name}>", f"<int:{name}>", f"<{name}>", f"<string:{name}>"):
                path = path.replace(form, value)
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if hasattr(view, "view_class"):
                access = getattr(getattr(view.view_class, method.lower()), "declared_access", None)
            else:
                access = getattr(view, "declared_access", None)
            found.append((rule.endpoint, method, path, access))
    return found


def ask(client: FlaskClient, method: str, path: str, headers: dict[str, str]) -> Any:
    body = {} if method in ("POST", "PATCH", "PUT") else None
    return client.open(path, method=method, json=body, headers=headers)


def row_counts(owner: psycopg.Connection) -> dict[str, int]:
    tables = [
        row[0]
        for row in owner.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        if row[0] not in ("throttle", "access_token", "app_user_login", "procrastinate_events")
    ]
    return {t: owner.execute(f'select count(*) from "{t}"').fetchone()[0] for t in tables}  # noqa: S608


def test_every_route_declares_its_access(app: Flask) -> None:
    assert [c[:3] for c in cells(app) if c[3] is None] == []
    assert len(cells(app)) > 60


def test_a_stranger_gets_401_on_every_route_that_is_not_public(app: Flask, client: FlaskClient) -> None:
    wrong = []
    for endpoint, method, path, access in cells(app):
        if access == "public":
            continue
        answer = ask(client, method, path, {})
        if answer.status_code != 401:
            wrong.append((endpoint, method, answer.status_code))

    assert wrong == []


@pytest.mark.parametrize("username", USERS)
def test_a_role_gets_403_where_it_never_may_and_never_elsewhere(
    app: Flask,
    client: FlaskClient,
    sign_in: Callable[[str], dict[str, str]],
    owner: psycopg.Connection,
    username: str,
) -> None:
    headers = sign_in(username)
    permissions = ROLE_PERMISSIONS[USERS[username]]
    before = row_counts(owner)
    wrong = []
    for endpoint, method, path, access in cells(app):
        if (
            access == "public"
            or endpoint in SIGNING_OUT
            or (method, path) == ("DELETE", "/api/v1/tokens/current")
        ):
            continue
        allowed = any(p in permissions for p in access)
        if (
            allowed
            and method != "GET"
            and "absent" not in path
            and path.count("-") < 4
            and "999999999" not in path
        ):
            continue  # Would act on one's own data: those have tests of their own.
        answer = ask(client, method, path, headers)
        if (answer.status_code == 403) is allowed or answer.status_code >= 500:
            wrong.append((endpoint, method, path, allowed, answer.status_code))

    assert wrong == []
    assert row_counts(owner) == before
