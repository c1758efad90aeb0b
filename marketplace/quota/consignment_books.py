"""Consignments as their sealed facts tell them. Pure: `verify` compares the tables with it.

Each fact has to move exactly the stock that its lines speak of, between the seller's place and the shop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Text = dict[str, Any]
HEAD = ("number", "channel", "seller", "agreement", "shop")


@dataclass(slots=True)
class LineSums:
    """`head`: consignment, position, product, lot, lot and place of the stock row, trace code."""

    head: tuple[Any, ...]
    lot: str
    place: str
    quantity: int
    accepted: int = 0


@dataclass(slots=True)
class ConsignmentSums:
    head: tuple[Any, ...]
    shop: str
    state: str
    lines: list[str]


@dataclass
class ConsignmentBooks:
    """`take` raises ValueError or KeyError for a fact that contradicts itself or those before it."""

    consignments: dict[str, ConsignmentSums] = field(default_factory=dict)
    lines: dict[str, LineSums] = field(default_factory=dict)

    def take(self, text: Text) -> None:
        subject, data, event = text["subject"]["id"], text["data"], text["kind"].removeprefix("consignment.")
        wanted: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        if event == "sent":
            for line in data["lines"]:
                lot, place = line["lot"], line["place"]
                head = (subject, line["position"], line["product"], lot, lot, place, line["trace_code"])
                self.lines[line["line"]] = LineSums(head, lot, place, line["quantity"])
                wanted[lot, place][1] += line["quantity"]
            self.consignments[subject] = ConsignmentSums(
                tuple(data[name] for name in HEAD),
                data["shop"],
                event,
                [each["line"] for each in data["lines"]],
            )
        else:
            sums = self.consignments[subject]
            if sums.state != "sent" or [each["line"] for each in data["lines"]] != sums.lines:
                raise ValueError(f"it ends a consignment that is {sums.state}, or other lines than its own")
            for line in data["lines"]:
                known = self.lines[line["line"]]
                accepted = line["accepted"] if event == "taken_over" else 0
                if line["quantity"] != known.quantity or not 0 <= accepted <= known.quantity:
                    raise ValueError(f"line {line['line']} speaks of other packs than were sent")
                known.accepted = accepted
                home, shop = wanted[known.lot, known.place], wanted[known.lot, sums.shop]
                home[0] -= accepted
                home[1] -= known.quantity
                shop[0] += accepted
            sums.state = event
        _moved(data["moves"], wanted)


def _moved(moves: Iterable[Text], wanted: Mapping[tuple[str, str], list[int]]) -> None:
    found: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for move in moves:
        row = found[move["lot"], move["place"]]
        row[0] += move["on_hand"]
        row[1] += move["reserved"]
    if {k: v for k, v in found.items() if any(v)} != {k: v for k, v in wanted.items() if any(v)}:
        raise ValueError("its moves do not move the packs of its lines")
