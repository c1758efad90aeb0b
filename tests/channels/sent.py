"""A channel's order that has left its seller: confirmed and shipped whole, with the proofs of its lots."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tests.channels.partner import Program, order_body
from tests.story import Teller, bearer


def sent_order(
    app: Flask, program: Program, number: str, seller: str = "coop.seller", packs: int = 1
) -> dict[str, Any]:
    """The order of `number`, new, as the channel's program reads it after its shipment."""
    item = next(i for i in program.items() if i["sku"] == "PL-0001")
    program.post("/orders", order_body(number, [item], packs=packs), 201)
    own = program.get(f"/orders/{number}")["orders"][0]["number"]
    teller = Teller(app, bearer(app))
    listed = teller.ask("GET", "/orders?limit=100", seller)["items"]
    order_id = next(o["id"] for o in listed if o["number"] == own)
    order = teller.ask("POST", f"/orders/{order_id}/confirm", seller)
    lines = [{"line_id": line["id"], "quantity": line["quantity"]} for line in order["lines"]]
    teller.ask("POST", f"/orders/{order_id}/ship", seller, {"lines": lines, "carrier": "合作社自送"})
    return dict(program.get(f"/orders/{number}"))
