"""对账: which rows of a channel's daily file a fact gives, and the file that they make. Pure; amounts in fen.

A row stands in the file of the day on which it was recorded, whatever day it is about: a day that is over never changes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from marketplace.channels.states import BorneBy
from marketplace.clock import SHANGHAI

ENDINGS = frozenset(
    {
        "purchase.cancelled", "purchase.rejected", "purchase.expired", "order.cancelled", "order.lapsed",
        "order.reduced",
    }
)  # fmt: skip
_MONEY = {
    "payment.confirmed": ("payment", 1),
    "payment.upheld": ("payment", 1),
    "payment.captured": ("payment", 1),
    "payment.refunded": ("refund", -1),
}
_STATEMENTS = {
    "statement.issued": "statement",
    "statement.answered": "statement_change",
    "statement.settled": "settlement",
}
_CONSIGNMENTS = frozenset({"consignment.sent", "consignment.taken_over", "consignment.cancelled"})
# Files of the days before were handed out without packs that nobody owes, and stay as they were.
NOT_OWED_SINCE = date(2026, 11, 25)
_KINDS_OF_FACT = frozenset(
    {
        "purchase.submitted",
        "order.shipped",
        "order.accepted",
        "order.allowance_agreed",
        *ENDINGS,
        *_MONEY,
        *_STATEMENTS,
    }
)


def kinds_of_fact(day: date) -> frozenset[str]:
    """The facts that have rows in the file of a day."""
    return _KINDS_OF_FACT | _CONSIGNMENTS if day >= NOT_OWED_SINCE else _KINDS_OF_FACT


def bearers_in_file(day: date) -> frozenset[BorneBy]:
    """Whose spoilt and missing packs have rows in the file of a day."""
    return frozenset(BorneBy) if day >= NOT_OWED_SINCE else frozenset({BorneBy.CHANNEL})


@dataclass(frozen=True, slots=True)
class Entry:
    """What a fact says of one line, or of one order, before names are put to the ids."""

    kind: str
    line: str = ""
    order: str = ""
    lot: str = ""
    trace_code: str = ""
    reference: str = ""
    seller: str = ""
    quantity: int | None = None
    # None: the packs at the price of their line.
    amount_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the file, its columns in their order. Times are Shanghai's; packs that go back are negative."""

    time: datetime
    kind: str
    partner_order_no: str
    order_number: str
    reference: str
    seller_id: str
    product_id: str
    trace_code: str
    business_day: str
    quantity: int | None
    unit_price_fen: int | None
    amount_fen: int
    event_id: str


def entries_of(kind: str, data: Mapping[str, Any]) -> list[Entry]:
    """The rows of one fact; none for a kind that moves neither goods nor money."""
    if kind == "purchase.submitted":
        return [
            Entry("order", line["line"], quantity=line["quantity"], amount_fen=line["goods_fen"])
            for order in data["orders"]
            for line in order["lines"]
        ]
    if kind in ENDINGS:
        return [
            Entry("cancelled", line["line"], quantity=-line["quantity"], amount_fen=-line["goods_fen"])
            for line in data["lines"]
            if line["quantity"]
        ]
    if kind == "order.shipped":
        return [
            Entry("shipped", line["line"], trace_code=line["trace_code"], quantity=line["quantity"])
            for line in data["lines"]
        ]
    if kind == "order.accepted":
        return [entry for line in data["lines"] for entry in _taken(line)]
    if kind == "order.allowance_agreed":
        return [
            Entry("allowance", line["line"], lot=line["lot"], amount_fen=line["accepted_fen"])
            for line in data["lines"]
        ]
    if kind in _CONSIGNMENTS:
        return list(_consigned(kind.removeprefix("consignment."), data))
    if kind in _MONEY:
        name, sign = _MONEY[kind]
        parts = data["orders"] or [{"order": "", "amount_fen": data["amount_fen"]}]
        return [
            Entry(name, order=p["order"], reference=data["number"], amount_fen=sign * p["amount_fen"])
            for p in parts
        ]
    if kind in _STATEMENTS and (kind != "statement.answered" or data["amount_fen"]):
        return [Entry(_STATEMENTS[kind], reference=data["number"], amount_fen=data["amount_fen"])]
    return []


def _taken(line: Mapping[str, Any]) -> Iterable[Entry]:
    if line["accepted"]:
        yield Entry(
            "accepted",
            line["line"],
            lot=line["lot"],
            quantity=line["accepted"],
            amount_fen=line["accepted_fen"],
        )
    if line["refused"]:
        yield Entry("refused", line["line"], lot=line["lot"], quantity=line["refused"])


def _consigned(act: str, data: Mapping[str, Any]) -> Iterable[Entry]:
    """Packs that go to a shop and back. Nobody owes them: they stay the seller's until they are sold.

    Sent packs are those taken over, returned, cancelled, or still on their way.
    """
    for line in data["lines"]:
        accepted = line["accepted"] if act == "taken_over" else 0
        packs = {
            "consigned": line["quantity"] if act == "sent" else 0,
            "consignment_taken_over": accepted,
            "consignment_returned": accepted - line["quantity"] if act == "taken_over" else 0,
            "consignment_cancelled": -line["quantity"] if act == "cancelled" else 0,
        }
        for name, quantity in packs.items():
            if quantity:
                yield Entry(
                    name, lot=line["lot"], trace_code=line["trace_code"], reference=data["number"],
                    seller=data["seller"], quantity=quantity, amount_fen=0,
                )  # fmt: skip


COLUMNS = ("row", *(field.name for field in fields(Row)))


def file_of(rows: Sequence[Row]) -> bytes:
    """CSV (RFC 4180, UTF-8): a head, the rows, and a last line `total` with the sum of all amounts."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for n, row in enumerate(rows, start=1):
        writer.writerow([n, *(_cell(getattr(row, name)) for name in COLUMNS[1:])])
    last: dict[str, object] = {"row": "total", "amount_fen": sum(row.amount_fen for row in rows)}
    writer.writerow([last.get(name, "") for name in COLUMNS])
    return text.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(SHANGHAI).isoformat(timespec="seconds")
    return "" if value is None else value


def summary_of(rows: Sequence[Row], content: bytes) -> dict[str, Any]:
    """How many rows, what they add up to, by kind and in all, and the SHA-256 of the file."""
    kinds: dict[str, dict[str, Any]] = {}
    for row in rows:
        sums = kinds.setdefault(row.kind, {"kind": row.kind, "rows": 0, "quantity": 0, "amount_fen": 0})
        sums["rows"] += 1
        sums["quantity"] += row.quantity or 0
        sums["amount_fen"] += row.amount_fen
    return {
        "rows": len(rows),
        "total_fen": sum(row.amount_fen for row in rows),
        "sha256": sha256(content).hexdigest(),
        "kinds": [kinds[name] for name in sorted(kinds)],
    }
