"""Trade on the seeded database through the API, up to an accepted order: what pages of money stand on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask

from marketplace.clock import today
from tests.conftest import PASSWORD

ORIGIN = {"Origin": "http://localhost"}
DELIVER_TO = {"name": "王老师", "phone": "13800000000", "address": "平凉市崆峒区泾滨中学食堂"}
_references = itertools.count(1)

SignIn = Callable[[str], dict[str, str]]


class Trader:
    """Acts through the API as demo accounts."""

    def __init__(self, app: Flask, sign_in: SignIn) -> None:
        self.app = app
        self.sign_in = sign_in

    def call(self, method: str, path: str, user: str, body: Any = None, status: int = 200) -> Any:
        answer = self.app.test_client().open(
            f"/api/v1{path}", method=method, json=body, headers=self.sign_in(user)
        )
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.get_data(as_text=True)}"
        return answer.get_json()

    def accepted_order(self, buyer: str = "canteen", seller: str = "coop.seller") -> dict[str, Any]:
        """An order of one product that the buyer took in whole; answers the order as the buyer sees it."""
        me = self.call("GET", "/me", seller)["organisation"]["id"]
        product = self.call("GET", f"/products?seller={me}&available=true&eligible=true", f"{buyer}.buyer")[
            "items"
        ][0]
        body = {
            "purpose": "canteen",
            "deliver_on": (today() + timedelta(days=3)).isoformat(),
            "deliver_to": DELIVER_TO,
            "lines": [{"product_id": product["id"], "quantity": product["min_order_quantity"]}],
            "reference": f"BZ-{next(_references):04d}",
        }
        purchase = self.call("POST", "/purchases", f"{buyer}.buyer", body, 201)
        if purchase["state"] == "awaiting_approval":
            self.call("POST", f"/purchases/{purchase['id']}/approve", f"{buyer}.manager")
        order_id = purchase["orders"][0]["id"]
        order = self.call("POST", f"/orders/{order_id}/confirm", seller)
        line = order["lines"][0]
        order = self.call(
            "POST",
            f"/orders/{order_id}/ship",
            seller,
            {"lines": [{"line_id": line["id"], "quantity": line["quantity"]}], "carrier": "合作社自送"},
        )
        taken = [
            {
                "line_id": row["line_id"],
                "trace_code": row["trace_code"],
                "accepted_quantity": row["quantity"],
                "refused_quantity": 0,
            }
            for shipment in order["shipments"]
            for row in shipment["lines"]
        ]
        return dict(
            self.call(
                "POST",
                f"/orders/{order_id}/accept",
                f"{buyer}.buyer",
                {"lines": taken, "inspectors": ["李师傅", "王老师"]},
            )
        )


class Visitor:
    """A browser without scripts: signed in with a session, posts from our own pages."""

    def __init__(self, app: Flask, username: str | None = None) -> None:
        self.client = app.test_client()
        if username is not None:
            answer = self.client.post(
                "/sign-in", data={"username": username, "password": PASSWORD}, headers=ORIGIN
            )
            assert answer.status_code == 303, answer.get_data(as_text=True)

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.get_data(as_text=True)}"
        return answer.get_data(as_text=True)

    def post(self, path: str, status: int = 303, /, **fields: Any) -> Any:
        """The answer; names of fields may carry `__` for `-`."""
        data = {name.replace("__", "-"): value for name, value in fields.items()}
        answer = self.client.post(path, data=data, headers=ORIGIN)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.get_data(as_text=True)}"
        return answer
