"""What a model of trade is made of: shelves, lines, orders and purchases of one example."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from tests.properties.market import Goods, LotGoods


@dataclass(eq=False)
class Shelf:
    """A lot at a place."""

    id: int
    place: UUID
    lot: LotGoods
    goods: Goods
    on_hand: int
    held: int = 0

    @property
    def free(self) -> int:
        return self.on_hand - self.held

    @property
    def age(self) -> tuple[date, int]:
        return self.lot.best_before, self.id


@dataclass(eq=False)
class Sent:
    lot: LotGoods
    shelf: Shelf
    quantity: int
    accepted: int = 0
    refused: int = 0
    booked: int = 0

    @property
    def unseen(self) -> int:
        return self.quantity - self.accepted - self.refused


@dataclass(eq=False)
class Line:
    goods: Goods
    price: int
    quantity: int
    plan: dict[Shelf, int]
    id: UUID | None = None
    cancelled: int = 0
    shipped: int = 0
    accepted_fen: int = 0
    paid_fen: int = 0
    sent: list[Sent] = field(default_factory=list)
    allowances: list[int] = field(default_factory=list)

    @property
    def left(self) -> int:
        return self.quantity - self.shipped - self.cancelled

    @property
    def accepted(self) -> int:
        return sum(s.accepted for s in self.sent)

    @property
    def refused(self) -> int:
        return sum(s.refused for s in self.sent)


@dataclass(eq=False)
class Order:
    purchase: Purchase
    seller: str
    lines: list[Line]
    state: str
    id: UUID | None = None
    confirm_by: datetime | None = None
    # What the lines stand at in the ledger once the seller has confirmed: packs that were ordered then.
    confirmed: bool = False
    asked_by: str | None = None
    accepted_on: date | None = None
    paid_on: date | None = None
    evaluation: str = "none"
    invoiced_fen: int = 0
    opened_fen: int = 0
    paid_fen: int = 0

    @property
    def accepted_fen(self) -> int:
        return sum(line.accepted_fen for line in self.lines)

    @property
    def complete(self) -> bool:
        return all(x.left == 0 and x.accepted + x.refused == x.shipped for x in self.lines)

    def seen_by_seller(self) -> bool:
        return self.purchase.state == "approved" or self.confirm_by is not None


@dataclass(eq=False)
class Purchase:
    buyer: str
    state: str
    states: tuple[str, ...]
    orders: list[Order] = field(default_factory=list)
    id: UUID | None = None
    hold_until: datetime | None = None
