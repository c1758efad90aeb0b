"""Goods on consignment in tests: a seller of the demo data sends lots to the shop of a channel."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tests.story import Teller, bearer

SHOP = "武清泾静优选体验店"


class Sender:
    """The seller's desk: what it can send, and what it sent."""

    def __init__(self, app: Flask, seller: str = "coop.seller", channel: str = "ORG-CH-WQ") -> None:
        self.teller = Teller(app, bearer(app))
        self.seller, self.channel = seller, channel

    def lots(self, sku: str = "PL-0001") -> list[dict[str, Any]]:
        """The lots of a product that are on sale, those with the most free packs first."""
        own = self.teller.products(self.seller)
        product = next(p["id"] for p in own if p["sku"] == sku)
        listed = self.teller.ask("GET", f"/lots?product_id={product}&state=released&limit=100", self.seller)
        return sorted(listed["items"], key=lambda row: (row["reserved"] - row["on_hand"], row["id"]))

    def lot(self, trace_code: str) -> dict[str, Any]:
        found = self.teller.ask("GET", "/lots?limit=100", self.seller)["items"]
        return next(dict(row) for row in found if row["trace_code"] == trace_code)

    def body(self, *packs: int) -> dict[str, Any]:
        """So many packs of each of the first lots."""
        lots = self.lots()[: len(packs)]
        return {
            "channel_code": self.channel,
            "lines": [
                {"trace_code": lot["trace_code"], "quantity": n} for lot, n in zip(lots, packs, strict=True)
            ],
        }

    def send(self, *packs: int) -> dict[str, Any]:
        return self.teller.ask("POST", "/consignments", self.seller, self.body(*packs))
