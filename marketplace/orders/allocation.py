"""Which lots serve which lines: pure planning on locked values, first expired first out.

A lot may serve a line when it is best before the line's delivery day or later. The days nest: what may serve a
later day may serve an earlier one too. So the lines of the latest day choose first, each from the lots that expire
soonest; this places as many packs as any plan could (held by a property test against a maximum flow).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID


@dataclass(frozen=True)
class Want:
    """Packs of a product for one line; `line` is the line's position in the purchase."""

    line: int
    product_id: UUID
    quantity: int
    deliver_on: date


@dataclass(frozen=True)
class Candidate:
    """A locked stock row of a lot on sale; `free` = on hand less reserved."""

    stock_id: int
    product_id: UUID
    lot_id: UUID
    place_id: UUID
    trace_code: str
    best_before: date
    harvested_on: date
    free: int


@dataclass(frozen=True)
class Take:
    line: int
    candidate: Candidate
    quantity: int


@dataclass(frozen=True)
class Shortage:
    product_id: UUID
    asked: int
    available: int


@dataclass(frozen=True)
class Plan:
    takes: tuple[Take, ...]
    shortages: tuple[Shortage, ...]


def allocate(wants: Sequence[Want], candidates: Sequence[Candidate]) -> Plan:
    """Serve `wants` from `candidates`; every product that comes up short is told at once.

    `shortages` names what was asked of the product and how much could be placed; takes of a product that is short
    are part of the plan all the same (the caller decides whether a part is of use).
    """
    rows = sorted(candidates, key=lambda c: (c.best_before, c.harvested_on, c.stock_id))
    by_product: dict[UUID, list[Candidate]] = {}
    for row in rows:
        by_product.setdefault(row.product_id, []).append(row)
    left = {row.stock_id: row.free for row in rows}
    takes: list[Take] = []
    asked: dict[UUID, int] = {}
    placed: dict[UUID, int] = {}
    for want in sorted(wants, key=lambda w: (-w.deliver_on.toordinal(), w.line)):
        asked[want.product_id] = asked.get(want.product_id, 0) + want.quantity
        open_quantity = want.quantity
        for row in by_product.get(want.product_id, ()):
            if open_quantity == 0:
                break
            if row.best_before < want.deliver_on or left[row.stock_id] <= 0:
                continue
            quantity = min(open_quantity, left[row.stock_id])
            left[row.stock_id] -= quantity
            open_quantity -= quantity
            takes.append(Take(want.line, row, quantity))
        placed[want.product_id] = placed.get(want.product_id, 0) + want.quantity - open_quantity
    takes.sort(key=lambda t: (t.line, t.candidate.best_before, t.candidate.stock_id))
    shortages = tuple(
        Shortage(product_id, quantity, placed[product_id])
        for product_id, quantity in asked.items()
        if placed[product_id] < quantity
    )
    return Plan(tuple(takes), shortages)
