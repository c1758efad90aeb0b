"""The main story by the API's test client, as far as a test wants it: one order of the demo canteen and cooperative."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from reportlab.pdfgen.canvas import Canvas

from marketplace.clock import today
from tests.conftest import PASSWORD

STEPS = (
    "submitted",
    "approved",
    "confirmed",
    "shipped",
    "accepted",
    "invoiced",
    "checked",
    "declared",
    "paid",
)


@dataclass
class Story:
    """Ids and answers of what happened so far."""

    purchase: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)
    invoice: dict[str, Any] = field(default_factory=dict)
    payment: dict[str, Any] = field(default_factory=dict)

    @property
    def order_id(self) -> str:
        return str(self.purchase["orders"][0]["id"])


def bearer(app: Flask) -> Callable[[str], dict[str, str]]:
    """Headers of a demo account, signed in once."""
    tokens: dict[str, dict[str, str]] = {}

    def headers(user: str) -> dict[str, str]:
        if user not in tokens:
            answer = app.test_client().post("/api/v1/tokens", json={"username": user, "password": PASSWORD})
            tokens[user] = {"Authorization": f"Bearer {answer.get_json()['token']}"}
        return tokens[user]

    return headers


class Teller:
    """Plays steps as the demo accounts; every call must succeed."""

    def __init__(self, app: Flask, sign_in: Callable[[str], dict[str, str]]) -> None:
        self.client: FlaskClient = app.test_client()
        self.sign_in = sign_in

    def ask(self, method: str, path: str, user: str, body: Any = None, **kwargs: Any) -> dict[str, Any]:
        answer = self.client.open(
            f"/api/v1{path}", method=method, json=body, headers=self.sign_in(user), **kwargs
        )
        assert answer.status_code < 300, f"{path}: {answer.status_code} {answer.get_data(as_text=True)}"
        return dict(answer.get_json())

    def file(self, user: str, kind: str, title: str = "file") -> str:
        answer = self.client.post(
            "/api/v1/documents",
            data={"kind": kind, "file": (io.BytesIO(one_page(title)), f"{title}.pdf")},
            headers=self.sign_in(user),
        )
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return str(answer.get_json()["id"])

    def products(self, seller: str = "coop.seller") -> list[dict[str, Any]]:
        own = self.ask("GET", "/me", seller)["organisation"]["id"]
        listed = self.ask("GET", f"/products?seller={own}&available=true&eligible=true&limit=100", seller)
        return list(listed["items"])

    def play(self, until: str = "accepted", *, refused: int = 1, **purchase: Any) -> Story:
        """Walk the steps up to and with `until`; `refused` packs of the first lot are refused at the gate."""
        story = Story()
        product = self.products()[0]
        quantity = product["min_order_quantity"] + product["order_multiple"]
        body = {
            "purpose": "canteen",
            "deliver_on": (today() + timedelta(days=3)).isoformat(),
            "deliver_to": {"name": "王芳", "phone": "13800000000", "address": "崆峒区柳湖路1号"},
            "lines": [{"product_id": product["id"], "quantity": quantity}],
            **purchase,
        }
        story.purchase = self.ask("POST", "/purchases", "canteen.buyer", body)
        steps: dict[str, Callable[[Story], None]] = {
            "approved": self._approve,
            "confirmed": self._confirm,
            "shipped": self._ship,
            "accepted": lambda s: self._accept(s, refused),
            "invoiced": self._invoice,
            "checked": self._check,
            "declared": self._declare,
            "paid": self._pay,
        }
        for step in STEPS[1 : STEPS.index(until) + 1]:
            steps[step](story)
        return story

    def _approve(self, story: Story) -> None:
        self.ask("POST", f"/purchases/{story.purchase['id']}/approve", "canteen.manager")

    def _confirm(self, story: Story) -> None:
        story.order = self.ask("POST", f"/orders/{story.order_id}/confirm", "coop.seller")

    def _ship(self, story: Story) -> None:
        lines = [{"line_id": line["id"], "quantity": line["quantity"]} for line in story.order["lines"]]
        story.order = self.ask(
            "POST",
            f"/orders/{story.order_id}/ship",
            "coop.seller",
            {"lines": lines, "carrier": "合作社自送", "vehicle": "甘L·D3062", "driver": "马师傅"},
        )

    def _accept(self, story: Story, refused: int) -> None:
        lines = []
        for row in (row for shipment in story.order["shipments"] for row in shipment["lines"]):
            back = refused if not lines else 0
            line = {"line_id": row["line_id"], "trace_code": row["trace_code"]}
            line["accepted_quantity"] = row["quantity"] - back
            if back:
                line |= {"refused_quantity": back, "reason": "一箱压坏"}
            lines.append(line)
        story.order = self.ask(
            "POST",
            f"/orders/{story.order_id}/accept",
            "canteen.buyer",
            {"lines": lines, "inspectors": ["李师傅", "王老师"]},
        )

    def _invoice(self, story: Story) -> None:
        amount = story.order["accepted_fen"]
        story.invoice = self.ask(
            "POST",
            "/invoices",
            "coop.seller",
            {"number": f"26{secrets.randbelow(10**18):018d}", "kind": "digital_ordinary",
             "issued_on": today().isoformat(), "amount_fen": amount, "tax_free": True,
             "orders": [{"order_id": story.order_id, "amount_fen": amount}],
             "document_id": self.file("coop.seller", "invoice", "invoice")},
        )  # fmt: skip

    def _check(self, story: Story) -> None:
        self.ask("POST", f"/invoices/{story.invoice['id']}/check", "canteen.buyer")

    def _declare(self, story: Story) -> None:
        opened = self.ask(
            "POST",
            "/payments",
            "canteen.buyer",
            {"method": "transfer", "orders": [{"order_id": story.order_id}]},
        )
        story.payment = self.ask(
            "POST",
            f"/payments/{opened['id']}/slips",
            "canteen.buyer",
            {"amount_fen": opened["amount_fen"], "paid_on": today().isoformat(),
             "bank_reference": f"HLX{secrets.token_hex(6)}", "payer_name": "平凉市泾滨中学",
             "document_id": self.file("canteen.buyer", "slip", "slip")},
        )  # fmt: skip

    def _pay(self, story: Story) -> None:
        story.payment = self.ask("POST", f"/payments/{story.payment['id']}/confirm", "coop.seller")


def one_page(title: str) -> bytes:
    """A small real PDF."""
    out = io.BytesIO()
    canvas = Canvas(out)
    canvas.drawString(100, 700, title)
    canvas.showPage()
    canvas.save()
    return out.getvalue()
