"""The inbox of signed events: our reading of a signature beside the publisher's own, and what is kept of an event."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
import stripe
from flask import Flask
from flask.testing import FlaskClient

from marketplace.payments import inbox
from marketplace.payments.models import GatewayEvent
from tests.faults.gateway_double import SECRET, signed
from tests.payments.factory import rows

OLD = "whsec_the_secret_before_this_one"
EVENT = {
    "id": "evt_signature",
    "object": "event",
    "type": "payment_intent.succeeded",
    "data": {
        "object": {
            "id": "pi_1", "object": "payment_intent", "status": "succeeded", "amount": 5, "amount_received": 5,
            "currency": "cny", "metadata": {"attempt": "x", "name": "王某某"}, "receipt_email": "somebody@example.com",
            "last_payment_error": {"code": "c", "message": "王某某的卡"},
        }
    },
}  # fmt: skip


@pytest.fixture
def hooked(empty_app: Flask) -> Iterator[FlaskClient]:
    before = empty_app.config["SETTINGS"]
    empty_app.config["SETTINGS"] = replace(before, payment_webhook_secrets=(SECRET, OLD))
    yield empty_app.test_client()
    empty_app.config["SETTINGS"] = before


@pytest.fixture(autouse=True)
def inside(empty_app: Flask) -> Iterator[None]:
    with empty_app.app_context():
        yield


def ours(body: bytes, header: str, secrets: tuple[str, ...], at: float) -> bool:
    try:
        inbox.check_signature(body, header, secrets, at)
    except inbox.BadSignature:
        return False
    return True


def theirs(body: bytes, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body.decode(), header, secret, tolerance=300)
    except stripe.SignatureVerificationError:
        return False
    return True


def headers() -> list[tuple[str, bytes, str]]:
    now = int(time.time())
    body, good = signed(EVENT)
    digest = good.split("v1=")[1]
    return [
        ("good", body, good),
        ("another body", body + b" ", good),
        ("another secret", body, signed(EVENT, OLD)[1]),
        ("too old", body, signed(EVENT, at=now - 302)[1]),
        ("just in time", body, signed(EVENT, at=now - 290)[1]),
        ("another time than signed", body, f"t={now - 1},v1={signed(EVENT, at=now)[1].split('v1=')[1]}"),
        ("a second signature is the good one", body, f"t={now},v1={'0' * 64},v1={digest}"),
        ("another scheme only", body, f"t={now},v0={digest}"),
        ("both schemes", body, f"t={now},v0={'0' * 64},v1={digest}"),
        ("no time", body, f"v1={digest}"),
        ("no signature", body, f"t={now}"),
        ("a time that is none", body, f"t=now,v1={digest}"),
        ("nothing", body, ""),
        ("noise", body, "=,=,,t"),
        ("capital letters", body, f"t={now},v1={digest.upper()}"),
    ]


@pytest.mark.parametrize(("what", "body", "header"), [pytest.param(*h, id=h[0]) for h in headers()])
def test_our_reading_of_a_signature_is_the_publishers(what: str, body: bytes, header: str):
    assert ours(body, header, (SECRET,), time.time()) is theirs(body, header, SECRET)


def test_both_secrets_are_good_during_a_change_and_a_third_is_not():
    for secret, good in ((SECRET, True), (OLD, True), ("whsec_something_else", False)):
        body, header = signed(EVENT, secret)
        assert ours(body, header, (SECRET, OLD), time.time()) is good


def test_a_time_far_ahead_is_refused_too():
    body, header = signed(EVENT, at=int(time.time()) + 400)
    assert not ours(body, header, (SECRET,), time.time())


def test_an_event_is_kept_once_without_what_names_a_person(hooked: FlaskClient):
    body, header = signed(EVENT)
    for _ in range(3):
        answer = hooked.post("/webhooks/payments", data=body, headers={"Stripe-Signature": header})
        assert (answer.status_code, answer.data) == (204, b"")
    kept = rows(sa.select(GatewayEvent.body).where(GatewayEvent.event_id == "evt_signature"))
    assert len(kept) == 1
    text = json.dumps(kept[0][0], ensure_ascii=False)
    assert "王" not in text
    assert "example.com" not in text
    assert kept[0][0]["metadata"] == {"attempt": "x"}


def test_a_wrong_signature_or_body_is_refused_and_nothing_is_kept(hooked: FlaskClient):
    before = rows(sa.select(sa.func.count()).select_from(GatewayEvent))
    body, header = signed({**EVENT, "id": "evt_refused"})
    for data, signature in (
        (body + b" ", header),
        (body, ""),
        signed([]),  # type: ignore[arg-type]
        signed({"id": 5, "type": "x", "data": {"object": {}}}),
        signed({"id": "x", "type": "x", "data": {"object": []}}),
        signed({"id": "x" * 300, "type": "x", "data": {"object": {}}}),
    ):
        answer = hooked.post("/webhooks/payments", data=data, headers={"Stripe-Signature": signature})
        assert answer.status_code == 422
    assert rows(sa.select(sa.func.count()).select_from(GatewayEvent)) == before


def test_where_no_gateway_is_set_there_is_no_inbox(empty_app: Flask):
    body, header = signed(EVENT)
    answer = empty_app.test_client().post(
        "/webhooks/payments", data=body, headers={"Stripe-Signature": header}
    )
    assert answer.status_code == 404
