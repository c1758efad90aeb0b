"""How a line comes to count, as one pure fold: live figures and `verify` both run exactly this.

A fact becomes steps, a step becomes entries of the reserve ledger, and the standing of a line is the sum of its
entries. Nothing here reads a table or the time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any


class EntryKind(StrEnum):
    ORDERED = "ordered"
    ACCEPTED = "accepted"
    PAID = "paid"
    EVALUATED = "evaluated"
    COUNTED = "counted"


@dataclass(frozen=True, slots=True)
class LineState:
    """A line and the running sums of its entries, in fen. The first ten fields never change after placing.

    `agency` is whose reserve the line fills, None for trade of no agency. `states` are the conditions that the
    policy of the day of placing sets for counting.
    """

    line: str
    order: str
    order_number: str
    agency: str | None
    purpose: str
    county: str
    buyer_county: str
    category: str
    eligible: bool
    policy_version: str
    states: tuple[str, ...]
    ordered_fen: int = 0
    accepted_fen: int = 0
    paid_fen: int = 0
    evaluated: bool = False
    evaluated_fen: int = 0
    counted_fen: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a fact says about one line. `amount_fen` is a change and may be negative."""

    kind: EntryKind
    amount_fen: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """An amount of a line reached a stage; a correction is an entry with the opposite sign."""

    kind: EntryKind
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Booking:
    """The year and month in which an entry stands. `adjusts` marks 以前期间调整."""

    year: int
    period: str
    adjusts: bool


def states_of(text: str | Collection[str]) -> tuple[str, ...]:
    """The counting conditions as a sorted tuple, from a list or from their stored text (any separators).

    Raises ValueError for a word that is no stage.
    """
    words = re.findall("[a-z]+", text) if isinstance(text, str) else text
    known = tuple(sorted(EntryKind(word).value for word in words))
    if "counted" in known:
        raise ValueError("counted is the result, not a condition")
    return known


def counted_fen(state: LineState) -> int:
    """What of a line fills the reserve, in fen: the least of the stages that the policy names.

    0 for goods that were not eligible when placed, for trade of no agency, and until an evaluation is written
    where the policy asks for one. 广西2022年上半年通报: only orders accepted, paid and evaluated are completed.
    """
    if not state.eligible or state.agency is None or not state.states:
        return 0
    if "evaluated" in state.states and not state.evaluated:
        return 0
    reached = {
        "ordered": state.ordered_fen,
        "accepted": state.accepted_fen,
        "paid": state.paid_fen,
        "evaluated": state.evaluated_fen,
    }
    return max(0, min(reached[stage] for stage in state.states))


def advance(state: LineState, step: Step) -> tuple[LineState, list[Entry]]:
    """The line after `step`, and the entries that lead there; entries of 0 fen are left out.

    An evaluation covers everything accepted, also what is accepted after it. Raises ValueError for a step of
    kind counted: that is never told, it follows.
    """
    entries: list[Entry] = []
    amount = step.amount_fen
    if step.kind is EntryKind.ORDERED:
        state = replace(state, ordered_fen=state.ordered_fen + amount)
    elif step.kind is EntryKind.ACCEPTED:
        state = replace(state, accepted_fen=state.accepted_fen + amount)
    elif step.kind is EntryKind.PAID:
        state = replace(state, paid_fen=state.paid_fen + amount)
    elif step.kind is EntryKind.EVALUATED:
        state = replace(state, evaluated=True)
        amount = 0
    else:
        raise ValueError("counted follows from the other stages")
    if amount:
        entries.append(Entry(step.kind, amount))
    if state.evaluated and state.evaluated_fen != state.accepted_fen:
        entries.append(Entry(EntryKind.EVALUATED, state.accepted_fen - state.evaluated_fen))
        state = replace(state, evaluated_fen=state.accepted_fen)
    counted = counted_fen(state)
    if counted != state.counted_fen:
        entries.append(Entry(EntryKind.COUNTED, counted - state.counted_fen))
        state = replace(state, counted_fen=counted)
    return state, entries


def book(occurred_on: date, closed: Collection[str]) -> Booking:
    """Where an entry stands: in its own month, or in the first open month after it when that one is closed."""
    year, month = occurred_on.year, occurred_on.month
    adjusts = False
    while (period := f"{year:04d}-{month:02d}") in closed:
        adjusts = True
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return Booking(year, period, adjusts)


# Kinds of fact that move lines. Only these are folded.
LINE_FACTS = (
    "order.confirmed",
    "order.cancelled",
    "order.reduced",
    "order.lapsed",
    "order.accepted",
    "order.allowance_agreed",
    "order.evaluated",
    "payment.confirmed",
    "payment.upheld",
    "payment.captured",
    "payment.refunded",
)


def steps_of(kind: str, data: Mapping[str, Any]) -> dict[str, Step]:
    """What a fact says about each of its lines, keyed by the line's id; lots of one line are added up.

    Cancelled goods were only ordered if the seller had confirmed. Facts of other kinds say nothing here.
    """
    if kind == "order.evaluated":
        return {line: Step(EntryKind.EVALUATED) for line in data["lines"]}
    if kind == "order.confirmed":
        stage, name, sign = EntryKind.ORDERED, "ordered_fen", 1
    elif kind in ("order.cancelled", "order.reduced", "order.lapsed"):
        if not data.get("confirmed"):
            return {}
        stage, name, sign = EntryKind.ORDERED, "goods_fen", -1
    elif kind in ("order.accepted", "order.allowance_agreed"):
        stage, name, sign = EntryKind.ACCEPTED, "accepted_fen", 1
    elif kind in ("payment.confirmed", "payment.upheld", "payment.captured"):
        stage, name, sign = EntryKind.PAID, "paid_fen", 1
    elif kind == "payment.refunded":
        stage, name, sign = EntryKind.PAID, "refunded_fen", -1
    else:
        return {}
    amounts: dict[str, int] = {}
    for row in data["lines"]:
        amounts[row["line"]] = amounts.get(row["line"], 0) + sign * row[name]
    return {line: Step(stage, amount) for line, amount in amounts.items()}
