"""What stock, orders and the reserve ledger must be, in plain Python: no table, no code of the application but days.

Every act first says why it is refused (`Refused`, with the slug) and changes nothing then; else it changes the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

from marketplace import clock
from tests.properties.declaring import require
from tests.properties.market import Goods, LotGoods
from tests.properties.things import Line, Order, Purchase, Sent, Shelf

LIVING = frozenset({"awaiting_approval", "placed"})
HOLD_HOURS, CONFIRM_HOURS, EVALUATION_DAYS = 72, 48, 30


@dataclass
class Trade:
    """Shelves and orders of one example. `ledger` holds fen by (agency, year, stage)."""

    shelves: list[Shelf]
    states: tuple[str, ...]
    purchases: list[Purchase] = field(default_factory=list)
    held_lots: set[UUID] = field(default_factory=set)
    gone: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))
    ledger: dict[tuple[str, int, str], int] = field(default_factory=lambda: defaultdict(int))
    _standing: dict[Line, dict[str, int]] = field(default_factory=dict)

    @property
    def orders(self) -> list[Order]:
        return [order for purchase in self.purchases for order in purchase.orders]

    def sellable(self, lot: LotGoods) -> bool:
        return lot.id not in self.held_lots and lot.best_before >= clock.today()

    # Purchases

    def submit(self, buyer: str, wants: Mapping[Goods, int], deliver_on: date) -> Purchase:
        short = self._short(wants, deliver_on)
        if short:
            overdue = [p for p in self.purchases if self.overdue(p) and self._has_line(p, short)]
            for purchase in overdue:
                self.end(purchase, "expired")
            require(bool(overdue) and not self._short(wants, deliver_on), "insufficient-stock")
        waits = buyer != "company"
        purchase = Purchase(buyer, "awaiting_approval" if waits else "approved", self.states)
        if waits:
            purchase.hold_until = clock.add_working_hours(clock.now(), HOLD_HOURS)
        for goods, quantity in wants.items():
            order = next((o for o in purchase.orders if o.seller == goods.seller), None)
            if order is None:
                order = Order(purchase, goods.seller, [], "awaiting_approval")
                purchase.orders.append(order)
            price = max(step for step in goods.ladder if step[0] <= quantity)[1]
            order.lines.append(Line(goods, price, quantity, self._take(goods, quantity, deliver_on)))
        if not waits:
            self._place(purchase)
        self.purchases.append(purchase)
        return purchase

    def _candidates(self, goods: Goods, deliver_on: date) -> list[Shelf]:
        good = [
            s
            for s in self.shelves
            if s.goods is goods and s.lot.id not in self.held_lots and s.lot.best_before >= deliver_on
        ]
        return sorted(good, key=lambda s: s.age)

    def _short(self, wants: Mapping[Goods, int], deliver_on: date) -> set[UUID]:
        return {
            goods.id
            for goods, quantity in wants.items()
            if sum(s.free for s in self._candidates(goods, deliver_on)) < quantity
        }

    def _has_line(self, purchase: Purchase, products: set[UUID]) -> bool:
        return any(x.goods.id in products for o in purchase.orders for x in o.lines)

    def _take(self, goods: Goods, quantity: int, deliver_on: date) -> dict[Shelf, int]:
        plan: dict[Shelf, int] = {}
        for shelf in self._candidates(goods, deliver_on):
            part = min(quantity, shelf.free)
            if part:
                plan[shelf] = part
                shelf.held += part
                quantity -= part
        return plan

    def _place(self, purchase: Purchase) -> None:
        for order in purchase.orders:
            order.state = "placed"
            order.confirm_by = clock.add_working_hours(clock.now(), CONFIRM_HOURS)

    def overdue(self, purchase: Purchase) -> bool:
        return (
            purchase.state == "awaiting_approval"
            and purchase.hold_until is not None
            and purchase.hold_until <= clock.now()
        )

    def approve(self, purchase: Purchase) -> None:
        require(purchase.state == "awaiting_approval", "wrong-state")
        require(not self.overdue(purchase), "hold-expired")
        purchase.state = "approved"
        self._place(purchase)

    def reject(self, purchase: Purchase) -> None:
        require(purchase.state == "awaiting_approval", "wrong-state")
        self.end(purchase, "rejected")

    def cancel_purchase(self, purchase: Purchase) -> None:
        require(purchase.state in ("awaiting_approval", "approved"), "wrong-state")
        states = {o.state for o in purchase.orders}
        require(states <= {*LIVING, "cancelled", "lapsed"} and bool(states & LIVING), "wrong-state")
        self.end(purchase, "cancelled")

    def expire(self, purchase: Purchase) -> None:
        require(self.overdue(purchase), "wrong-state")
        self.end(purchase, "expired")

    def end(self, purchase: Purchase, state: str) -> None:
        purchase.state = state
        for order in [o for o in purchase.orders if o.state in LIVING]:
            self._free(order)
            order.state = "cancelled"

    def _free(self, order: Order) -> None:
        for line in order.lines:
            for shelf, packs in line.plan.items():
                shelf.held -= packs
            line.plan = {}
            line.cancelled += line.left

    # Orders

    def confirm(self, order: Order) -> None:
        require(order.seen_by_seller(), "not-found")
        require(order.state == "placed", "wrong-state")
        assert order.confirm_by is not None
        require(order.confirm_by > clock.now(), "confirm-overdue")
        order.state, order.confirmed = "confirmed", True

    def lapse(self, order: Order) -> None:
        require(order.state == "placed", "wrong-state")
        assert order.confirm_by is not None
        require(order.confirm_by <= clock.now(), "wrong-state")
        self._free(order)
        order.state = "lapsed"

    def cancel(self, order: Order, side: str) -> None:
        after = {
            "placed": "cancelled",
            "confirmed": "cancelled",
            "part_shipped": "shipped",
            "part_accepted": "part_accepted",
        }
        require(side == "buyer" or order.seen_by_seller(), "not-found")
        require(order.state in after and any(line.left for line in order.lines), "wrong-state")
        if order.state != "placed":
            require(order.asked_by != side, "cancel-asked")
            if order.asked_by is None:
                order.asked_by = side
                return
        self._free(order)
        order.asked_by, order.state = None, after[order.state]
        if order.state == "part_accepted" and order.complete:
            self._finish(order)

    def _finish(self, order: Order) -> None:
        order.state = "accepted" if any(x.accepted for x in order.lines) else "refused"
        if order.state == "accepted":
            order.accepted_on = clock.today()

    def ship(
        self, order: Order, wishes: Sequence[tuple[Line, int, Sequence[tuple[LotGoods, int]] | None]]
    ) -> None:
        require(order.seen_by_seller(), "not-found")
        require(order.state in ("confirmed", "part_shipped", "part_accepted"), "wrong-state")
        for line, quantity, named in wishes:
            fits = named is None or sum(packs for _, packs in named) == quantity
            require(1 <= quantity <= line.left and fits, "invalid")
        plans = {line: dict(line.plan) for line, _, _ in wishes}
        leaving: list[tuple[Line, Shelf, int, bool]] = []
        substitutions: list[tuple[Line, LotGoods, int]] = []
        for line, quantity, named in wishes:
            for lot, packs in _by_lot(named) if named is not None else [(None, quantity)]:
                for shelf in sorted(plans[line], key=lambda s: s.age):
                    part = min(packs, plans[line][shelf])
                    if part and lot in (None, shelf.lot):
                        plans[line][shelf] -= part
                        packs -= part
                        leaving.append((line, shelf, part, True))
                if packs:
                    assert lot is not None
                    substitutions.append((line, lot, packs))
        lots = [shelf.lot for _, shelf, _, _ in leaving] + [lot for _, lot, _ in substitutions]
        require(all(self.sellable(lot) for lot in lots), "lot-not-shippable")
        freed: dict[Shelf, int] = defaultdict(int)
        for line, _, packs in substitutions:
            for shelf in sorted(plans[line], key=lambda s: (self.sellable(s.lot), *s.age)):
                part = min(packs, plans[line][shelf])
                plans[line][shelf] -= part
                freed[shelf] += part
                packs -= part
        room = {shelf: shelf.free + freed[shelf] for shelf in self.shelves}
        for line, lot, packs in substitutions:
            for shelf in sorted((s for s in self.shelves if s.lot is lot), key=lambda s: s.id):
                part = min(packs, room[shelf])
                if part:
                    room[shelf] -= part
                    packs -= part
                    leaving.append((line, shelf, part, False))
            require(packs == 0, "insufficient-stock")
        for shelf, packs in freed.items():
            shelf.held -= packs
        for line, shelf, packs, planned in leaving:
            shelf.on_hand -= packs
            shelf.held -= packs if planned else 0
            line.shipped += packs
            line.sent.append(Sent(shelf.lot, shelf, packs))
            self.gone[shelf.lot.id] += packs
        for line, plan in plans.items():
            line.plan = {shelf: packs for shelf, packs in plan.items() if packs}
        done = all(line.left == 0 for line in order.lines)
        if order.state != "part_accepted":
            order.state = "shipped" if done else "part_shipped"
        if done:
            order.asked_by = None

    def accept(self, order: Order, portions: Sequence[tuple[Line, LotGoods, int, int, int]]) -> None:
        """`portions`: line, lot, packs accepted, packs refused, reduction in fen."""
        require(order.state in ("shipped", "part_shipped", "part_accepted"), "wrong-state")
        for line, lot, accepted, refused, allowance in portions:
            opened = sum(s.unseen for s in line.sent if s.lot is lot)
            known = any(s.lot is lot for s in line.sent)
            fits = 1 <= accepted + refused <= opened and allowance <= accepted * line.price
            require(known and fits, "invalid")
        for line, lot, accepted, refused, allowance in portions:
            line.accepted_fen += accepted * line.price
            if allowance:
                line.allowances.append(allowance)
            for sent in (s for s in line.sent if s.lot is lot):
                part = min(accepted, sent.unseen)
                sent.accepted += part
                accepted -= part
                part = min(refused, sent.unseen)
                sent.refused += part
                refused -= part
        if order.complete:
            self._finish(order)
        else:
            order.state = "part_accepted"

    def agree(self, order: Order) -> None:
        require(order.seen_by_seller(), "not-found")
        require(any(line.allowances for line in order.lines), "no-allowance")
        for line in order.lines:
            line.accepted_fen -= sum(line.allowances)
            line.allowances = []

    def give_back(self, order: Order, line: Line, lot: LotGoods, quantity: int, restock: bool) -> None:
        require(order.seen_by_seller(), "not-found")
        sent = [s for s in line.sent if s.lot is lot]
        require(1 <= quantity <= sum(s.refused - s.booked for s in sent), "invalid")
        require(not restock or self.sellable(lot), "lot-not-restockable")
        for row in sent:
            part = min(quantity, row.refused - row.booked)
            row.booked += part
            quantity -= part
            if restock:
                row.shelf.on_hand += part
                self.gone[lot.id] -= part

    def evaluate(self, order: Order) -> None:
        require(order.evaluation == "none", "evaluated-already")
        require(order.state == "accepted", "wrong-state")
        order.evaluation = "given"

    def evaluate_silent(self, order: Order, payment_state: str) -> None:
        ready = order.accepted_on and order.paid_on and payment_state == "paid"
        require(bool(ready), "wrong-state")
        assert order.accepted_on
        assert order.paid_on
        since = max(order.accepted_on, order.paid_on)
        require(since + timedelta(EVALUATION_DAYS) <= clock.today(), "wrong-state")
        require(order.evaluation == "none", "evaluated-already")
        order.evaluation = "automatic"

    # Stock that leaves otherwise

    def move(self, shelf: Shelf, kind: str, quantity: int) -> None:
        delta = quantity - shelf.on_hand if kind == "stocktake" else -quantity
        require(shelf.free + delta >= 0, "insufficient-stock")
        there = sum(s.on_hand for s in self.shelves if s.lot is shelf.lot) + delta
        fits = there + self.gone[shelf.lot.id] <= shelf.lot.quantity
        require(delta <= 0 or fits, "more-than-the-lot")
        shelf.on_hand += delta
        if kind in ("sold_elsewhere", "own_use"):
            self.gone[shelf.lot.id] -= delta

    def hold_lot(self, lot: LotGoods) -> None:
        require(lot.id not in self.held_lots, "wrong-state")
        self.held_lots.add(lot.id)

    def unhold_lot(self, lot: LotGoods) -> None:
        require(lot.id in self.held_lots, "wrong-state")
        require(lot.best_before >= clock.today(), "lot-not-releasable")
        self.held_lots.remove(lot.id)

    # Counting

    def book(self) -> None:
        """Book what the last act changed, in the budget year of today."""
        for order in self.orders:
            if not order.confirmed:
                continue
            agency = "" if order.purchase.buyer == "company" else order.purchase.buyer
            for line in order.lines:
                now = self._stages(order, line, bool(agency))
                before = self._standing.get(line, {})
                for stage, fen in now.items():
                    self.ledger[agency, clock.today().year, stage] += fen - before.get(stage, 0)
                self._standing[line] = now

    def _stages(self, order: Order, line: Line, agency: bool) -> dict[str, int]:
        stages = {
            "ordered": (line.quantity - line.cancelled) * line.price,
            "accepted": line.accepted_fen,
            "paid": line.paid_fen,
            "evaluated": line.accepted_fen if order.evaluation != "none" else 0,
        }
        waits = "evaluated" in order.purchase.states and order.evaluation == "none"
        counts = agency and line.goods.eligible and not waits
        stages["counted"] = min(stages[s] for s in order.purchase.states) if counts else 0
        return stages


def _by_lot(named: Iterable[tuple[LotGoods, int]]) -> list[tuple[LotGoods, int]]:
    packs: dict[UUID, int] = {}
    lots = {}
    for lot, quantity in named:
        packs[lot.id] = packs.get(lot.id, 0) + quantity
        lots[lot.id] = lot
    return [(lots[key], quantity) for key, quantity in packs.items()]
