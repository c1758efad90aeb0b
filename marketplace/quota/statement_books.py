"""Statements of consignment as their sealed facts tell them. Pure: `verify` compares the tables with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from marketplace.journal.canonical import canonical

Text = dict[str, Any]
HEAD = ("number", "channel", "seller", "agreement", "period", "from_day", "to_day", "due_on")
LINE = (
    "position", "kind", "day", "source", "product", "lot", "quantity", "unit_price_fen", "amount_fen",
)  # fmt: skip


def digest_of(lines: Sequence[Text]) -> str:
    """SHA-256, in hex, of all lines of a statement in their order, as facts tell them."""
    return sha256(canonical(list(lines)).encode()).hexdigest()


@dataclass(slots=True)
class StatementSums:
    head: tuple[Any, ...]
    channel: str
    seller: str
    state: str
    total_fen: int
    sha256: str
    lines: list[Text]
    # Of the transfer: the day on which it was made, and the bank's slip.
    paid_on: str | None = None
    document: str | None = None
    open: set[str] = field(default_factory=set)


@dataclass
class StatementBooks:
    """`take` raises ValueError or KeyError for a fact that contradicts itself or those before it."""

    statements: dict[str, StatementSums] = field(default_factory=dict)
    # line -> (statement, position, kind, day, source, product, lot, quantity, unit_price_fen, amount_fen)
    lines: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    # dispute -> (statement, line, raised by, state)
    disputes: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)

    def take(self, text: Text) -> None:
        subject, data, event = text["subject"]["id"], text["data"], text["kind"].removeprefix("statement.")
        if event == "issued":
            sums = StatementSums(
                tuple(data[name] for name in HEAD), data["channel"], data["seller"], "issued", 0, "", []
            )
            self.statements[subject] = sums
            self._add(subject, sums, data, data["amount_fen"])
            return
        sums = self.statements[subject]
        if event == "disputed":
            sums.open.add(data["dispute"])
            self.disputes[data["dispute"]] = (subject, data["line"], data["by"], "open")
            sums.state = "disputed"
        elif event == "dispute_withdrawn":
            self._end(sums, data["dispute"], "withdrawn")
        elif event == "answered":
            self._end(sums, data["dispute"], data["outcome"])
            self._add(subject, sums, data, data["total_fen"])
        elif event == "agreed":
            sums.state = "agreed" if data["both"] else sums.state
        elif event == "settled":
            sums.state = "settled"
            sums.paid_on = data["paid_on"] if sums.total_fen else None
        elif event == "declared":
            sums.paid_on, sums.document = data["paid_on"], data.get("document")
        elif event == "transfer_returned":
            sums.paid_on = sums.document = None
        if (
            event in ("agreed", "declared", "transfer_returned", "settled")
            and data["amount_fen"] != sums.total_fen
        ):
            raise ValueError(f"{data['amount_fen']} fen are not the {sums.total_fen} of its lines")

    def _end(self, sums: StatementSums, dispute: str, outcome: str) -> None:
        sums.open.remove(dispute)
        self.disputes[dispute] = (*self.disputes[dispute][:3], outcome)
        sums.state = "disputed" if sums.open else "issued"

    def _add(self, subject: str, sums: StatementSums, data: Text, total_fen: int) -> None:
        added = 0
        for line in data["lines"]:
            if line["amount_fen"] != line["quantity"] * line["unit_price_fen"]:
                raise ValueError(f"line {line['line']} does not add up")
            added += line["amount_fen"]
            sums.lines.append(line)
            self.lines[line["line"]] = (subject, *(line[name] for name in LINE))
        sums.total_fen += added
        sums.sha256 = digest_of(sums.lines)
        if (added, sums.total_fen, sums.sha256) != (data["amount_fen"], total_fen, data["sha256"]):
            raise ValueError("its lines do not give its amount and digest")
