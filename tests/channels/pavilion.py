"""A channel's trade in every standing: orders, goods on consignment, a shop's sales and count, statements, a webhook."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import psycopg
from flask import Flask

from tests.channels.consigned import LAST_DAY
from tests.channels.partner import Program, order_body
from tests.channels.sending import Sender
from tests.channels.sent import sent_order

SELLER, OFFICE, CHANNEL = "coop.seller", "county.office", "ORG-CH-WQ"


def furnish(app: Flask) -> None:
    """Of the first channel and the demo cooperative; afterwards each page of either side has something to show."""
    program, sender = Program(app), Sender(app, SELLER, CHANNEL)
    _orders(app, program)
    codes = _goods(app, program, sender)
    months = [LAST_DAY]
    while len(months) < 3:
        months.insert(0, months[0].replace(day=1) - timedelta(days=1))
    for day in months:
        _sold(program, day, codes[0], 2)
    _sold(program, LAST_DAY, codes[0], 3, corrects=1)
    _counted(program, LAST_DAY, codes)
    _statements(program, sender, *(day.isoformat()[:7] for day in months))
    program.post("/webhooks", {"url": "https://partner.example/hooks", "kinds": ["order.*"]}, 201)


def _orders(app: Flask, program: Program) -> None:
    """One that is shipped, and one that the channel wants to cancel after its cut-off."""
    sent_order(app, program, "PV-1")
    item = next(i for i in program.items() if i["sku"] == "PL-0001")
    program.post("/orders", order_body("PV-2", [item]), 201)
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        owner.execute("update partner_order set cut_off_at = now() where partner_order_no = %s", ["PV-2"])
    program.post("/orders/PV-2/cancel", {"reason": "门店装修"})


def take_back(app: Flask, consignment_id: str) -> None:
    """Let goods have come half a year ago: a shop reports no sales of days before."""
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        owner.execute(
            "update consignment set sent_at = sent_at - interval '180 days', ended_at = ended_at - interval '180 days'"
            " where id = %s",
            [consignment_id],
        )


def _goods(app: Flask, program: Program, sender: Sender) -> list[str]:
    """Two lots in the shop for half a year, and a pack on its way there. Returns the trace codes."""
    sent = sender.send(20, 5)
    program.post(f"/consignments/{sent['id']}/take-over", {})
    take_back(app, sent["id"])
    sender.send(1)
    return [line["trace_code"] for line in sent["lines"]]


def _sold(program: Program, day: date, code: str, packs: int, **more: Any) -> None:
    line = {"trace_code": code, "quantity": packs}
    program.post("/sales-reports", {"business_day": day.isoformat(), "lines": [line], **more}, 201)


def _counted(program: Program, day: date, codes: list[str]) -> None:
    """Of the first lot a pack is spoilt at the seller's cost, of the second one is lost at the shop's."""
    held = {row["trace_code"]: row["quantity"] for row in program.get("/shop-stock")["items"]}
    told = (("spoilage", "rotten", "seller"), ("loss", "stolen", "channel"))
    lines = [
        {
            "trace_code": code,
            "counted": held[code] - 1,
            "differences": [{"kind": kind, "quantity": 1, "cause": cause, "borne_by": bearer}],
        }
        for code, (kind, cause, bearer) in zip(codes, told, strict=True)
    ]
    program.post("/stock-counts", {"counted_on": day.isoformat(), "lines": lines}, 201)


def _statements(program: Program, sender: Sender, paid: str, issued: str, disputed: str) -> None:
    """One whose transfer waits for the seller, one on which nobody acted, and one with a disputed line."""
    ask = sender.teller.ask
    seller_id = ask("GET", "/me", SELLER)["organisation"]["id"]
    made = {
        period: ask(
            "POST",
            "/statements",
            OFFICE,
            {"channel_code": CHANNEL, "seller_id": seller_id, "period": period},
        )
        for period in (paid, issued, disputed)
    }
    line = made[disputed]["lines"][0]["id"]
    wish = {"line_id": line, "quantity": 1, "reason": "只收到一件"}
    program.post(f"/statements/{made[disputed]['id']}/disputes", wish)
    path = f"/statements/{made[paid]['id']}"
    program.post(f"{path}/agree", None)
    ask("POST", f"{path}/agree", SELLER)
    transfer = {"paid_on": LAST_DAY.isoformat(), "bank_reference": "TJ0001"}
    program.post(f"{path}/transfer", transfer)
