"""The budget year turns at midnight in Shanghai, which is 31 December 16:00 UTC, for every act that comes over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from reportlab.pdfgen.canvas import Canvas

from tests.conftest import PASSWORD

# The last second of 2026 in Shanghai, and the first of 2027.
OLD_YEAR = datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC)
NEW_YEAR = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
DELIVER_TO = {"name": "王老师", "phone": "13800000000", "address": "平凉市崆峒区"}

TOKENS: dict[tuple[str, datetime], str] = {}
Post = Callable[..., dict[str, Any]]


@pytest.fixture
def post(app: Flask) -> Post:
    """`post(at, user, path, body)`: one request at one moment, by a user who is signed in then."""
    client = app.test_client()

    def send(at: datetime, user: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        with time_machine.travel(at, tick=False):
            headers = signed_in(client, user)
            answer = client.post(f"/api/v1{path}", json=body, headers=headers, **more)
            assert answer.status_code in (200, 201), answer.get_data(as_text=True)
            return dict(answer.get_json())

    return send


def signed_in(client: FlaskClient, user: str) -> dict[str, str]:
    """Headers with a token of this user and moment."""
    key = user, datetime.now(UTC)
    if key not in TOKENS:
        answer = client.post("/api/v1/tokens", json={"username": user, "password": PASSWORD})
        assert answer.status_code == 201, answer.get_data(as_text=True)
        TOKENS[key] = answer.get_json()["token"]
    return {"Authorization": f"Bearer {TOKENS[key]}"}


def get(app: Flask, at: datetime, user: str, path: str) -> Any:
    with time_machine.travel(at, tick=False):
        client = app.test_client()
        answer = client.get(f"/api/v1{path}", headers=signed_in(client, user))
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return answer.get_json()


def buy(app: Flask, post: Post, at: datetime) -> dict[str, Any]:
    """An approved purchase of one order of the demo cooperative, from submission on at one moment."""
    seller = get(app, at, "coop.seller", "/me")["organisation"]["id"]
    listed = get(app, at, "canteen.buyer", f"/products?seller={seller}&available=true&eligible=true")["items"]
    day = (at + timedelta(hours=8)).date()
    purchase = post(
        at,
        "canteen.buyer",
        "/purchases",
        {"purpose": "canteen", "deliver_on": day.isoformat(), "deliver_to": DELIVER_TO,
         "lines": [{"product_id": listed[0]["id"], "quantity": listed[0]["min_order_quantity"]}]},
    )  # fmt: skip
    return post(at, "canteen.manager", f"/purchases/{purchase['id']}/approve")


def entries(owner: psycopg.Connection, order: str) -> list[tuple[str, int, str, str]]:
    """Kind, year, month and business day of every row that the reserve ledger has of an order."""
    return owner.execute(
        "select kind, year, period, occurred_on::text from reserve_entry where order_id = %s order by id",
        (order,),
    ).fetchall()


def paper(kind: str) -> dict[str, Any]:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 720, kind)
    canvas.save()
    buffer.seek(0)
    return {"file": (buffer, f"{kind}.pdf", "application/pdf"), "kind": kind}


def upload(app: Flask, at: datetime, user: str, kind: str) -> str:
    with time_machine.travel(at, tick=False):
        client = app.test_client()
        answer = client.post(
            "/api/v1/documents",
            data=paper(kind),
            headers=signed_in(client, user),
            content_type="multipart/form-data",
        )
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return str(answer.get_json()["id"])


def test_a_purchase_is_numbered_and_ordered_in_the_year_of_shanghai(
    app: Flask, post: Post, owner: psycopg.Connection
) -> None:
    for at, year, month, day in (
        (OLD_YEAR, 2026, "2026-12", "2026-12-31"),
        (NEW_YEAR, 2027, "2027-01", "2027-01-01"),
    ):
        purchase = buy(app, post, at)
        order = purchase["orders"][0]["id"]
        post(at, "coop.seller", f"/orders/{order}/confirm")
        assert purchase["number"].startswith(f"CG-{year}-")
        assert entries(owner, order) == [("ordered", year, month, day)]


def test_what_is_accepted_paid_and_evaluated_in_the_new_year_counts_in_it(
    app: Flask, post: Post, owner: psycopg.Connection
) -> None:
    """Ordered in the last second of 2026, everything else in the first of 2027: carried over."""
    before = {
        year: get(app, NEW_YEAR, "county.office", f"/quota/summary?year={year}&by=agency")["total"]
        for year in (2026, 2027)
    }
    purchase = buy(app, post, OLD_YEAR)
    order = purchase["orders"][0]["id"]
    line = post(OLD_YEAR, "coop.seller", f"/orders/{order}/confirm")["lines"][0]
    sent = post(
        NEW_YEAR,
        "coop.seller",
        f"/orders/{order}/ship",
        {"lines": [{"line_id": line["id"], "quantity": line["quantity"]}], "carrier": "合作社自送"},
    )["shipments"]
    assert sent[0]["number"].startswith("FH-2027-")
    accepted = post(
        NEW_YEAR,
        "canteen.buyer",
        f"/orders/{order}/accept",
        {"inspectors": ["李师傅", "王老师"],
         "lines": [{"line_id": line["id"], "trace_code": row["trace_code"], "accepted_quantity": row["quantity"]}
                   for shipment in sent for row in shipment["lines"]]},
    )  # fmt: skip
    fen = accepted["accepted_fen"]
    invoice = post(
        NEW_YEAR,
        "coop.seller",
        "/invoices",
        {"number": "26627000000020270101", "kind": "digital_ordinary", "issued_on": "2027-01-01", "amount_fen": fen,
         "tax_free": True, "orders": [{"order_id": order, "amount_fen": fen}],
         "document_id": upload(app, NEW_YEAR, "coop.seller", "invoice")},
    )  # fmt: skip
    post(NEW_YEAR, "canteen.buyer", f"/invoices/{invoice['id']}/check")
    payment = post(
        NEW_YEAR, "canteen.buyer", "/payments", {"method": "transfer", "orders": [{"order_id": order}]}
    )
    assert payment["number"].startswith("FK-2027-")
    post(
        NEW_YEAR,
        "canteen.buyer",
        f"/payments/{payment['id']}/slips",
        {"amount_fen": fen, "paid_on": "2027-01-01", "bank_reference": "HLX20270101", "payer_name": "国库"},
    )
    post(NEW_YEAR, "coop.seller", f"/payments/{payment['id']}/confirm")
    post(NEW_YEAR, "canteen.buyer", f"/orders/{order}/evaluate", {"score": 5})

    new = [(kind, 2027, "2027-01", "2027-01-01") for kind in ("accepted", "paid", "evaluated", "counted")]
    assert entries(owner, order) == [("ordered", 2026, "2026-12", "2026-12-31"), *new]
    after = {
        year: get(app, NEW_YEAR, "county.office", f"/quota/summary?year={year}&by=agency")["total"]
        for year in (2026, 2027)
    }
    grown = {
        year: {stage: after[year][f"{stage}_fen"] - before[year][f"{stage}_fen"] for stage in
               ("ordered", "accepted", "paid", "evaluated", "counted")}
        for year in after
    }  # fmt: skip
    assert grown[2026] == {"ordered": fen, "accepted": 0, "paid": 0, "evaluated": 0, "counted": 0}
    assert grown[2027] == {"ordered": 0, "accepted": fen, "paid": fen, "evaluated": fen, "counted": fen}


def test_a_declaration_is_late_from_midnight_in_shanghai_on(app: Flask, post: Post) -> None:
    """The last day is 24 March: 15:59:59 UTC is on it, a second later is not."""
    agency = get(app, NEW_YEAR, "canteen.manager", "/me")["organisation"]["id"]
    late = []
    for year, at in (
        (2027, datetime(2027, 3, 24, 15, 59, 59, tzinfo=UTC)),
        (2028, datetime(2028, 3, 24, 16, 0, tzinfo=UTC)),
    ):
        body = {"agency_id": agency, "year": year, "canteen": "own", "base_fen": 100, "share_bp": 1_500}
        declaration = post(at, "canteen.manager", "/declarations", body)
        assert declaration["year"] == year
        late.append(declaration["late"])
    assert late == [False, True]
