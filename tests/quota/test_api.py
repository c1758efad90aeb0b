"""The routes of declarations and figures over HTTP: shapes, codes, idempotency, scopes."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.accounts import security
from marketplace.accounts.models import AccessToken, User
from marketplace.actors import Permission, Role, system
from marketplace.journal.sealing import Notary, Sealer
from marketplace.unit_of_work import housekeeping, transaction
from marketplace.values import uuid7
from tests.quota.test_figures import SIGNER
from tests.quota.test_report import cells
from tests.quota.world import JINGNING, KONGTONG, City, Want

API = "/api/v1"


@pytest.fixture
def client(city_app: tuple[Flask, City]) -> FlaskClient:
    return city_app[0].test_client()


@pytest.fixture(scope="module")
def sign_in(city_app: tuple[Flask, City]) -> Callable[..., dict[str, str]]:
    """`sign_in(Role.MANAGER, "school")` -> headers of a user of that role and agency."""
    app, city = city_app
    known: dict[tuple[Role, str], dict[str, str]] = {}

    def headers(role: Role, agency: str = "edu") -> dict[str, str]:
        if (role, agency) not in known:
            now, secret, user = datetime.now(UTC), security.new_secret(), uuid7()
            with app.app_context():
                with transaction(system(), Permission.SYSTEM) as tx:
                    tx.session.add(
                        User(id=user, username=f"{role.value}.{agency}", name="测试", password_hash="-",
                             organisation_id=city.agencies[agency], role=role, created_at=now)
                    )  # fmt: skip
                    tx.record("user.added", "user", user)
                with housekeeping(["access_token"]) as session:
                    session.add(
                        AccessToken(digest=security.digest(secret), id=uuid7(), user_id=user, auth_version=1,
                                    created_at=now, expires_at=now + timedelta(hours=1))
                    )  # fmt: skip
            known[role, agency] = {"Authorization": f"Bearer {secret}"}
        return dict(known[role, agency])

    return headers


def body(city: City, agency: str, **fields) -> dict:
    return {"agency_id": str(city.agencies[agency]), "year": 2026, "canteen": "own", "base_fen": 1_000_000,
            "share_bp": 1000, **fields}  # fmt: skip


def test_a_declaration_is_filed_reviewed_and_shown(client: FlaskClient, city: City, sign_in):
    manager, finance = sign_in(Role.MANAGER, "school"), sign_in(Role.FINANCE_REVIEWER)
    key = {"Idempotency-Key": "d-1"}
    first = client.post(f"{API}/declarations", json=body(city, "school"), headers=manager | key)
    again = client.post(f"{API}/declarations", json=body(city, "school"), headers=manager | key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    filed = first.get_json()
    assert (filed["number"], filed["state"], filed["reserve_fen"]) == (1, "draft", 100_000)
    where = f"{API}/declarations/{filed['id']}"
    assert client.post(f"{where}/approve", headers=finance).get_json()["type"].endswith("wrong-state")
    stale = client.post(f"{where}/submit", headers=manager | {"If-Match": '"7"'})
    assert stale.status_code == 412
    assert client.post(f"{where}/submit", headers=manager | {"If-Match": '"1"'}).status_code == 200
    returned = client.post(f"{where}/return", json={"reason": "基数偏低"}, headers=finance).get_json()
    assert (returned["state"], returned["state_reason"]) == ("returned", "基数偏低")
    client.post(f"{API}/declarations", json=body(city, "school", base_fen=2_000_000), headers=manager)
    client.post(f"{where}/submit", headers=manager)
    client.post(f"{where}/withdraw", headers=manager)
    client.post(f"{where}/submit", headers=manager)
    approved = client.post(f"{where}/approve", headers=finance)
    assert approved.status_code == 200
    shown = client.get(where, headers=manager)
    assert shown.headers["ETag"] == approved.headers["ETag"]
    assert (shown.get_json()["approved_number"], [v["number"] for v in shown.get_json()["versions"]]) == (
        2,
        [2, 1],
    )
    listed = client.get(f"{API}/declarations?year=2026&state=approved", headers=finance).get_json()
    assert [d["id"] for d in listed["items"]] == [filed["id"]]


def test_a_wrong_filing_names_its_fields(client: FlaskClient, city: City, sign_in):
    manager = sign_in(Role.MANAGER, "school")
    for wrong, pointers in (
        ({"share_bp": 10_001}, ["#/share_bp"]),
        ({"canteen": "other"}, ["#/canteen"]),
        ({"year": 2026.5}, ["#/year"]),
        ({"extra": 1}, ["#/extra"]),
        ({"base_fen": 0, "share_bp": 1}, ["#/base_fen", "#/share_bp"]),
    ):
        answer = client.post(f"{API}/declarations", json=body(city, "school", **wrong), headers=manager)
        assert answer.status_code == 422
        assert answer.mimetype == "application/problem+json"
        assert [e["pointer"] for e in answer.get_json()["errors"]] == pointers


def test_other_agencies_are_absent_and_other_roles_forbidden(client: FlaskClient, city: City, sign_in):
    stranger, buyer = sign_in(Role.MANAGER, "hospital"), sign_in(Role.BUYER, "school")
    filed = client.post(
        f"{API}/declarations", json=body(city, "vocational", canteen="outsourced",
                                         contractor_id=str(city.contractor)),
        headers=sign_in(Role.MANAGER, "edu"),
    ).get_json()  # fmt: skip
    where = f"{API}/declarations/{filed['id']}"
    assert client.get(where, headers=stranger).status_code == 404
    assert client.post(f"{where}/submit", headers=stranger).status_code == 404
    answer = client.post(f"{API}/declarations", json=body(city, "vocational"), headers=stranger)
    assert answer.status_code == 404
    pace = f"{API}/quota/pace?year=2026&agency_id="
    assert client.get(f"{pace}{city.agencies['school']}", headers=stranger).status_code == 404
    for path in (
        "declarations",
        "quota/summary?year=2026",
        "quota/entries?year=2026",
        f"declarations/{uuid7()}",
    ):
        assert client.get(f"{API}/{path}", headers=buyer).status_code == 403
        assert client.get(f"{API}/{path}").status_code == 401
    assert client.post(f"{API}/quota/periods/2026-09/close", headers=stranger).status_code == 403
    assert client.get(where, headers=sign_in(Role.POVERTY_OFFICE)).get_json()["state"] == "draft"


def test_figures_their_rows_their_file_and_their_past(client: FlaskClient, city: City, sign_in):
    office = sign_in(Role.POVERTY_OFFICE)
    bought = city.trade("hospital", Want(10), Want(2, KONGTONG))
    Sealer().seal_pending()
    Notary(SIGNER).make_checkpoint()
    then = datetime.now(UTC).isoformat()
    city.trade("hospital", Want(1))
    live = client.get(f"{API}/quota/summary?year=2026&by=origin_county", headers=office).get_json()
    assert {r["key"]: (r["name"], r["counted_fen"]) for r in live["items"]} == {
        JINGNING: ("静宁县", 11_000), KONGTONG: ("崆峒区", 2_000),
    }  # fmt: skip
    assert "reserve_fen" not in live["items"][0]
    assert live["total"]["counted_fen"] == 13_000
    assert set(live["as_of"]) == {"time", "tree_size"}
    past = client.get(
        f"{API}/quota/summary?year=2026&by=agency&as_of={quote(then)}", headers=office
    ).get_json()  # fmt: skip
    row = next(r for r in past["items"] if r["key"] == str(city.agencies["hospital"]))
    assert (row["counted_fen"], row["completion_bp"], row["rank"]) == (12_000, None, None)
    assert past["basis"]["sealed_only"] is True
    entries = client.get(
        f"{API}/quota/entries?year=2026&by=origin_county&key={KONGTONG}&kind=counted", headers=office
    ).get_json()  # fmt: skip
    (entry,) = entries["items"]
    assert (entry["amount_fen"], entry["order_number"], entry["line_id"]) == (
        2_000, bought.number, str(bought.lines[1]),
    )  # fmt: skip
    assert entry["fact_seq"] > 0
    assert entry["plots"][0]["township"] == "崆峒区城关镇"
    file = client.get(f"{API}/quota/summary.xlsx?year=2026&by=origin_county", headers=office)
    assert file.mimetype == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert zipfile.is_zipfile(BytesIO(file.data))
    assert cells(file.data)[-1][-1] == 130
    own = client.get(
        f"{API}/quota/pace?year=2026&agency_id={city.agencies['hospital']}",
        headers=sign_in(Role.MANAGER, "hospital"),
    ).get_json()
    assert (own["counted_fen"], own["reserve_fen"], own["completion_bp"]) == (13_000, 0, None)
    missing = client.get(f"{API}/declarations/missing?year=2026", headers=office).get_json()
    assert missing["total"] == len(missing["items"])


@pytest.mark.parametrize(
    "query",
    ["", "year=2026&by=village", "year=x", "year=2026&as_of=yesterday", "year=2026&other=1", "year=99999"],
)
def test_a_wrong_question_is_refused(client: FlaskClient, sign_in, query: str):
    office = sign_in(Role.POVERTY_OFFICE)
    assert client.get(f"{API}/quota/summary?{query}", headers=office).status_code == 422


def test_a_month_is_closed_over_http(client: FlaskClient, city: City, sign_in):
    office = sign_in(Role.POVERTY_OFFICE)
    assert client.post(f"{API}/quota/periods/2020-02/close", headers=office).get_json()["period"] == "2020-02"
    again = client.post(f"{API}/quota/periods/2020-02/close", headers=office)
    assert (again.status_code, again.get_json()["type"].rsplit("/", 1)[-1]) == (409, "already-closed")
    assert client.post(f"{API}/quota/periods/2199-01/close", headers=office).status_code == 422
