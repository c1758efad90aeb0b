"""The routes: shapes, statuses, ETags, replays, and that a stranger learns nothing from validation."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from flask import Flask, g, request
from flask.testing import FlaskClient
from flask_smorest import Api

from marketplace.database import db
from marketplace.documents.models import DocumentKind
from marketplace.errors import MarketplaceError
from marketplace.payments import api
from marketplace.unit_of_work import Replayed
from marketplace.web.edge import answer_response
from tests.payments.factory import World, counts, line_paid

AMOUNT = 45_000


@pytest.fixture
def client(empty_app: Flask, world: World) -> Iterator[FlaskClient]:
    """The blueprint alone, with the actor named by a header: signing in is another package's matter."""
    app = Flask("edge")
    app.testing = True
    app.config.update(
        SQLALCHEMY_DATABASE_URI=empty_app.config["SQLALCHEMY_DATABASE_URI"],
        SQLALCHEMY_ENGINE_OPTIONS=empty_app.config["SQLALCHEMY_ENGINE_OPTIONS"],
        API_TITLE="edge",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
    )
    db.init_app(app)
    Api(app).register_blueprint(api.blp)

    @app.before_request
    def act_as() -> None:
        name = request.headers.get("X-Actor")
        if name is not None:
            g.actor = world.actor(name)

    @app.errorhandler(MarketplaceError)
    def refuse(error: MarketplaceError) -> Any:
        return {"slug": error.code}, 400

    @app.errorhandler(Replayed)
    def replay(replayed: Replayed) -> Any:
        return answer_response(replayed.answer, replayed=True)

    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


def post(client, path, body=None, *, actor, **headers):
    named = {"X-Actor": actor, **{k.replace("_", "-"): v for k, v in headers.items()}}
    return client.post(f"/api/v1{path}", json=body if body is not None else {}, headers=named)


def get(client, path, actor):
    return client.get(f"/api/v1{path}", headers={"X-Actor": actor})


def test_a_purchase_is_invoiced_checked_paid_and_confirmed(client, world):
    order = world.order()
    answer = post(
        client,
        "/invoices",
        {
            "number": "99992000000000000001",
            "kind": "digital_ordinary",
            "issued_on": "2026-11-23",
            "amount_fen": AMOUNT,
            "tax_free": True,
            "orders": [{"order_id": str(order.id), "amount_fen": AMOUNT}],
            "document_id": str(world.document("seller")),
        },
        actor="seller",
    )
    assert answer.status_code == 201, answer.get_data(as_text=True)
    invoice = answer.get_json()
    assert (invoice["state"], invoice["orders"][0]["amount_fen"]) == ("issued", AMOUNT)

    checked = post(client, f"/invoices/{invoice['id']}/check", actor="buyer", If_Match='"1"')
    assert checked.get_json()["state"] == "checked"
    assert checked.headers["ETag"] == '"2"'
    assert get(client, f"/invoices/{invoice['id']}", "seller").get_json() == checked.get_json()

    opened = post(
        client, "/payments", {"method": "transfer", "orders": [{"order_id": str(order.id)}]}, actor="buyer"
    )
    assert opened.status_code == 201
    payment = opened.get_json()
    assert payment["payee"] == {"name": "合作社账户", "bank": "静宁农商银行", "account": "6228480000001"}
    assert (payment["amount_fen"], payment["due_on"], payment["state"]) == (AMOUNT, "2026-12-20", "open")

    declared = post(
        client,
        f"/payments/{payment['id']}/slips",
        {
            "amount_fen": AMOUNT,
            "paid_on": "2026-11-24",
            "bank_reference": "API0001",
            "payer_name": "国库支付中心",
        },
        actor="buyer",
    )
    assert (declared.status_code, declared.get_json()["state"]) == (201, "declared")
    assert declared.get_json()["missing"] == ["document"]
    slip_id = declared.get_json()["slips"][0]["id"]
    document = str(world.document("buyer", DocumentKind.SLIP))
    path = f"/payments/{payment['id']}/slips/{slip_id}/document"
    assert post(client, path, {"document_id": document}, actor="buyer").get_json()["missing"] == []

    paid = post(client, f"/payments/{payment['id']}/confirm", actor="seller")
    assert paid.get_json()["state"] == "paid"
    assert line_paid(order.id) == [AMOUNT]
    page = get(client, f"/payments?order_id={order.id}&state=paid", "manager").get_json()
    assert [(item["number"], item["missing"]) for item in page["items"]] == [(payment["number"], [])]
    assert page["next"] is None
    assert get(client, "/invoices?limit=1", "office").get_json()["items"][0]["id"] == invoice["id"]


def test_a_repeated_request_gets_the_same_bytes_and_one_payment(client, world):
    body = {"orders": [{"order_id": str(world.order().id)}]}
    first = post(client, "/payments", body, actor="buyer", Idempotency_Key="pay-1")
    before = counts()
    second = post(client, "/payments", body, actor="buyer", Idempotency_Key="pay-1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.data == first.data
    assert counts() == before


def test_disputes_go_to_the_office_over_http(client, world):
    answers = []
    for decision, body in (("uphold", {}), ("refuse", {"reason": "凭证无效"})):
        order = world.order()
        opened = post(
            client, "/payments", {"orders": [{"order_id": str(order.id)}]}, actor="buyer"
        ).get_json()
        path = f"/payments/{opened['id']}"
        slip = {
            "amount_fen": AMOUNT,
            "paid_on": date(2026, 11, 24).isoformat(),
            "bank_reference": f"API-{decision}",
            "payer_name": "国库支付中心",
        }
        assert post(client, f"{path}/slips", slip, actor="buyer").status_code == 201
        assert post(client, f"{path}/dispute", {"reason": "没有到账"}, actor="seller").status_code == 200
        answers.append(post(client, f"{path}/{decision}", body, actor="office").get_json()["state"])
    assert answers == ["paid", "refused"]


def test_cancelling_and_returning_over_http(client, world):
    order = world.order()
    opened = post(client, "/payments", {"orders": [{"order_id": str(order.id)}]}, actor="buyer").get_json()
    cancelled = post(client, f"/payments/{opened['id']}/cancel", actor="buyer")
    assert cancelled.get_json()["state"] == "cancelled"
    stale = post(client, f"/payments/{opened['id']}/cancel", actor="buyer", If_Match='"1"')
    assert stale.get_json() == {"slug": "precondition-failed"}


@pytest.mark.parametrize(
    ("path", "actor"),
    [
        ("/invoices", "buyer"),
        ("/payments", "seller"),
        ("/payments/00000000-0000-7000-8000-000000000000/slips", "seller"),
        ("/payments/00000000-0000-7000-8000-000000000000/confirm", "buyer"),
        ("/payments/00000000-0000-7000-8000-000000000000/uphold", "seller"),
    ],
)
def test_a_role_is_refused_before_its_body_is_read(client, world, path, actor):
    assert post(client, path, {"nonsense": 1}, actor=actor).get_json() == {"slug": "forbidden"}


@pytest.mark.parametrize(
    "change",
    [
        {"amount_fen": 1.0},
        {"amount_fen": "45000"},
        {"amount_fen": 0},
        {"paid_on": "24/11/2026"},
        {"bank_reference": "   "},
        {"more": 1},
    ],
)
def test_a_malformed_slip_is_refused_by_its_shape(client, world, change):
    opened = post(
        client, "/payments", {"orders": [{"order_id": str(world.order().id)}]}, actor="buyer"
    ).get_json()
    before = counts()
    body = {
        "amount_fen": AMOUNT,
        "paid_on": "2026-11-24",
        "bank_reference": "API-SHAPE",
        "payer_name": "国库支付中心",
        **change,
    }
    assert post(client, f"/payments/{opened['id']}/slips", body, actor="buyer").status_code == 422
    assert counts() == before
