"""The whole main story over HTTP against gunicorn with two workers: from a lot to a counted yuan, and its proof."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from reportlab.pdfgen.canvas import Canvas

from marketplace.clock import today
from tests.serving import Site, running_site

DELIVER_TO = {"name": "王老师", "phone": "13800000000", "address": "平凉市崆峒区泾滨中学食堂"}


@pytest.fixture(scope="module")
def site(app: Flask) -> Any:
    with running_site(app.config["TEST_ENVIRONMENT"]) as site:
        yield site


def pdf(title: str) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 720, title)
    canvas.save()
    return buffer.getvalue()


def upload(site: Site, user: str, kind: str) -> str:
    answer = site.call(
        "POST",
        "/documents",
        user,
        files={"file": ("paper.pdf", pdf(kind), "application/pdf")},
        data={"kind": kind},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def own_product(site: Site) -> dict[str, Any]:
    seller = site.get("/me", "coop.seller")["organisation"]["id"]
    products = site.get(f"/products?seller={seller}&available=true&eligible=true")["items"]
    return dict(products[0])


def test_a_canteen_buys_apples_and_the_office_proves_every_yuan(site: Site, app: Flask) -> None:
    product = own_product(site)
    detail = site.get(f"/products/{product['id']}")
    assert detail["lots"], "a recognised product of the demo cooperative has lots on sale"
    quantity = product["min_order_quantity"] + product["order_multiple"]

    # The agency's yearly declaration is filed by the manager and approved by the finance office.
    agency = site.get("/me", "canteen.manager")["organisation"]["id"]
    declaration = site.post(
        "/declarations",
        "canteen.manager",
        {"agency_id": agency, "year": today().year, "canteen": "own", "base_fen": 100_000_000, "share_bp": 1500,
         "contact": "办公室", "remark": "学校食堂"},
        201,
    )  # fmt: skip
    site.post(f"/declarations/{declaration['id']}/submit", "canteen.manager")
    approved = site.post(f"/declarations/{declaration['id']}/approve", "finance.reviewer")
    assert approved["state"] == "approved"

    # The buyer submits; the stock is held; the manager approves.
    body = {
        "purpose": "canteen",
        "deliver_on": (today() + timedelta(days=3)).isoformat(),
        "deliver_to": DELIVER_TO,
        "lines": [{"product_id": product["id"], "quantity": quantity}],
        "reference": "BZ-0001",
    }
    first = site.call(
        "POST", "/purchases", "canteen.buyer", json=body, headers={"Idempotency-Key": "story-1"}
    )
    assert first.status_code == 201, first.text
    purchase = first.json()
    assert purchase["state"] == "awaiting_approval"
    assert (
        site.get(f"/products/{product['id']}")["available_quantity"]
        == detail["available_quantity"] - quantity
    )
    order_id = purchase["orders"][0]["id"]
    assert site.call("GET", f"/orders/{order_id}", "coop.seller").status_code == 404
    site.post(f"/purchases/{purchase['id']}/approve", "canteen.manager")

    # A replay is byte-identical although the purchase has moved on.
    again = site.call(
        "POST", "/purchases", "canteen.buyer", json=body, headers={"Idempotency-Key": "story-1"}
    )
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"

    # The seller confirms and ships in two parts; the buyer accepts, and refuses one pack.
    order = site.post(f"/orders/{order_id}/confirm", "coop.seller")
    line = order["lines"][0]
    site.post(
        f"/orders/{order_id}/ship",
        "coop.seller",
        {"lines": [{"line_id": line["id"], "quantity": quantity - 1}], "carrier": "合作社自送"},
    )
    order = site.post(
        f"/orders/{order_id}/ship",
        "coop.seller",
        {"lines": [{"line_id": line["id"], "quantity": 1}], "carrier": "合作社自送"},
    )
    assert order["fulfilment"] == "shipped"
    sent: dict[str, int] = {}
    for shipment in order["shipments"]:
        for row in shipment["lines"]:
            sent[row["trace_code"]] = sent.get(row["trace_code"], 0) + row["quantity"]
    refused_code = next(iter(sent))
    order = site.post(
        f"/orders/{order_id}/accept",
        "canteen.buyer",
        {
            "lines": [
                {"line_id": line["id"], "trace_code": code, "accepted_quantity": q - (code == refused_code),
                 "refused_quantity": int(code == refused_code), "reason": "一箱压坏"}
                for code, q in sent.items()
            ],
            "inspectors": ["李师傅", "王老师"],
        },
    )  # fmt: skip
    assert order["fulfilment"] == "accepted"
    accepted_fen = (quantity - 1) * line["unit_price_fen"]
    assert order["accepted_fen"] == accepted_fen
    site.post(
        f"/orders/{order_id}/returns",
        "coop.seller",
        {
            "lines": [
                {"line_id": line["id"], "trace_code": refused_code, "quantity": 1, "disposition": "loss"}
            ]
        },
    )

    # Invoice, check, payment, slip, 到账, evaluation.
    invoice = site.post(
        "/invoices",
        "coop.seller",
        {"number": "26627000000012345678", "kind": "digital_ordinary", "issued_on": today().isoformat(),
         "amount_fen": accepted_fen, "tax_free": True,
         "orders": [{"order_id": order_id, "amount_fen": accepted_fen}],
         "document_id": upload(site, "coop.seller", "invoice")},
        201,
    )  # fmt: skip
    site.post(f"/invoices/{invoice['id']}/check", "canteen.buyer")
    payment = site.post(
        "/payments", "canteen.buyer", {"method": "transfer", "orders": [{"order_id": order_id}]}, 201
    )
    assert payment["amount_fen"] == accepted_fen
    declared = site.post(
        f"/payments/{payment['id']}/slips",
        "canteen.buyer",
        {"amount_fen": accepted_fen, "paid_on": today().isoformat(), "bank_reference": "HLX20260001",
         "payer_name": "平凉市泾滨中学", "document_id": upload(site, "canteen.buyer", "slip")},
        201,
    )  # fmt: skip
    assert declared["state"] == "declared"
    paid = site.post(f"/payments/{payment['id']}/confirm", "coop.seller")
    assert paid["state"] == "paid"
    before = site.get(f"/quota/summary?year={today().year}&by=agency", "county.office")["total"][
        "counted_fen"
    ]
    order = site.post(f"/orders/{order_id}/evaluate", "canteen.buyer", {"score": 5, "comment": "新鲜"})
    assert order["state"] == "completed"

    # The poverty office reads the figure, its rows down to the plot, and the file.
    summary = site.get(f"/quota/summary?year={today().year}&by=agency", "county.office")
    row = next(item for item in summary["items"] if item["key"] == agency)
    assert before == 0
    assert row["counted_fen"] == accepted_fen
    assert row["reserve_fen"] == 15_000_000
    entries = site.get(
        f"/quota/entries?year={today().year}&by=agency&key={agency}&kind=counted", "county.office"
    )["items"]
    assert sum(entry["amount_fen"] for entry in entries) == accepted_fen
    assert set(entries[0]["trace_codes"]) <= set(sent)
    book = site.call("GET", f"/quota/summary.xlsx?year={today().year}&by=origin_county", "county.office")
    assert book.status_code == 200
    assert book.content[:2] == b"PK"

    # Anybody reads the lot's story; a forged code is as absent as an unknown one.
    story = site.get(f"/trace/{refused_code}")
    assert story["county"]["name"]
    assert site.call("GET", "/trace/10000000000000000000").status_code == 404

    # And everything agrees with what the facts say.
    checked = app.test_cli_runner().invoke(args=["verify"])
    assert checked.exit_code == 0, checked.output
