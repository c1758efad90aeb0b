"""Sales reports and counts of shops as their sealed facts tell them. Pure: `verify` compares the tables with it.

A report has one fact for each seller of whose goods it speaks; together they are its lines and its total.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Text = dict[str, Any]
# (report, position) -> (seller, product, lot, lot and place of the stock row, ...)
Lines = dict[tuple[str, int], tuple[Any, ...]]


_COUNTED = (
    "expected", "counted", "spoilage", "loss", "borne_by", "cause", "unit_price_fen", "amount_fen",
)  # fmt: skip


@dataclass(slots=True)
class SalesSums:
    """`head`: channel, place, business day, version, red, corrected version's id."""

    head: tuple[Any, ...]
    total_fen: int = 0


@dataclass
class ShopBooks:
    """`take_*` raise ValueError or KeyError for a fact that contradicts itself or those before it."""

    sales: dict[str, SalesSums] = field(default_factory=dict)
    sales_lines: Lines = field(default_factory=dict)
    # count -> (channel, place, day, version)
    counts: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    count_lines: Lines = field(default_factory=dict)

    def take_sales(self, text: Text) -> None:
        report, data = text["subject"]["id"], text["data"]
        red = text["kind"] == "sales.reversed"
        head = (
            data["channel"], data["place"], data["business_day"], data["version"], red, data["corrects"],
        )  # fmt: skip
        sums = self.sales.setdefault(report, SalesSums(head))
        if sums.head != head:
            raise ValueError("its facts tell of different reports")
        owed, gone = 0, Counter[str]()
        for line in data["lines"]:
            if line["amount_fen"] != line["quantity"] * line["unit_price_fen"]:
                raise ValueError(f"line {line['position']} does not add up")
            told = (data["seller"], line["product"], line["lot"], line["lot"], data["place"])
            numbers = (line["quantity"], line["unit_price_fen"], line["amount_fen"], line["retail_fen"])
            if red:
                self._mirrors(data["corrects"], line["position"], told, numbers)
            _add(self.sales_lines, (report, line["position"]), (*told, *numbers))
            owed += line["amount_fen"]
            gone[line["lot"]] += line["quantity"]
        if owed != data["amount_fen"]:
            raise ValueError("its lines do not give its amount")
        _moved(data, gone)
        sums.total_fen += owed

    def _mirrors(self, before: str, position: int, told: tuple[Any, ...], numbers: tuple[Any, ...]) -> None:
        """A red line is the line that it takes back, with the opposite sign and at the same price."""
        quantity, price, amount, retail = numbers
        opposite = (*told, -quantity, price, -amount, None if retail is None else -retail)
        if self.sales_lines.get((before, position)) != opposite:
            raise ValueError(f"line {position} does not take back that of the version before")

    def take_count(self, text: Text) -> None:
        count, data = text["subject"]["id"], text["data"]
        head = (data["channel"], data["place"], data["counted_on"], data["version"])
        if self.counts.setdefault(count, head) != head:
            raise ValueError("its facts tell of different counts")
        owed, gone = 0, Counter[str]()
        ended: dict[str, int] = {}
        for line in data["lines"]:
            lost = line["spoilage"] + line["loss"]
            if line["expected"] != line["counted"] + lost:
                raise ValueError(f"line {line['position']} does not add up")
            if ended.get(line["lot"], line["expected"]) != line["expected"]:
                raise ValueError(f"line {line['position']} does not begin where the one before ended")
            due = lost * line["unit_price_fen"] if line["borne_by"] == "channel" else 0
            if line["amount_fen"] != due:
                raise ValueError(f"line {line['position']} charges another sum than its packs")
            told = (data["seller"], line["product"], line["lot"], line["lot"], data["place"])
            _add(self.count_lines, (count, line["position"]), (*told, *(line[name] for name in _COUNTED)))
            ended[line["lot"]] = line["counted"]
            owed += due
            gone[line["lot"]] += lost
        if owed != data["amount_fen"]:
            raise ValueError("its lines do not give its amount")
        _moved(data, gone)


def _add(lines: Lines, key: tuple[str, int], values: tuple[Any, ...]) -> None:
    if key in lines:
        raise ValueError(f"line {key[1]} is told twice")
    lines[key] = values


def _moved(data: Text, gone: Counter[str]) -> None:
    """What left the shop by the lines is what the moves of the fact took from its stock."""
    taken = Counter[str]()
    for move in _of_place(data["moves"], data["place"]):
        taken[move["lot"]] -= move["on_hand"]
    if {k: v for k, v in taken.items() if v} != {k: v for k, v in gone.items() if v}:
        raise ValueError("its moves do not take what its lines say")


def _of_place(moves: Iterable[Text], place: str) -> Iterable[Text]:
    for move in moves:
        if move["place"] != place or move["reserved"]:
            raise ValueError("it moves other stock than the shop's")
        yield move
