"""The acts on purchases, orders and lots, in any order and with any amounts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
)

from marketplace import clock
from marketplace.accounts.models import Purpose
from marketplace.actors import system
from marketplace.orders import deciding, evaluating, fulfilment, purchasing, takeover
from marketplace.orders.fulfilment import ShipLine, ShipWish
from marketplace.orders.purchasing import DeliverTo, LineWish, PurchaseWish
from marketplace.orders.takeover import AcceptLine, AcceptWish, ReturnLine
from marketplace.trace import service as trace
from tests.properties.machine import Machine, numbers
from tests.properties.market import BUYERS, Goods
from tests.properties.things import Line, Purchase

ADDRESS = DeliverTo("王老师", "13800000000", "平凉市崆峒区")
few = st.integers(0, 6)


class Selling(Machine):
    # Buying

    @rule(
        buyer=st.integers(0, 2),
        packs=st.dictionaries(st.integers(0, 2), st.integers(1, 13), min_size=1),
        days=st.sampled_from((0, 4, 8, 30)),
    )
    def buy(self, buyer: int, packs: dict[int, int], days: int) -> None:
        wants = {self.goods[n]: quantity for n, quantity in packs.items()}
        deliver_on = clock.today() + timedelta(days)
        wish = PurchaseWish(
            Purpose.CANTEEN if buyer < 2 else Purpose.SOCIAL,
            deliver_on,
            ADDRESS,
            [
                LineWish(n, goods.id, packs, deliver_on, None)
                for n, (goods, packs) in enumerate(wants.items())
            ],
        )
        name = BUYERS[buyer]
        made = self.both(
            "buy",
            lambda: self.submitted(name, wants, deliver_on),
            lambda: self.identified(purchasing.submit_purchase(self.market.buyer(name), wish).result),
        )
        if made:
            self.compare()

    def submitted(self, buyer: str, wants: dict[Goods, int], deliver_on: Any) -> Purchase:
        self.fresh = self.trade.submit(buyer, wants, deliver_on)
        return self.fresh

    def identified(self, view: dict[str, Any]) -> None:
        """The ids that the service drew go to the model's newest purchase."""
        self.fresh.id = view["id"]
        assert view["state"] == self.fresh.state
        for order, found in zip(self.fresh.orders, view["orders"], strict=True):
            order.id = found["id"]
            for line, row in zip(order.lines, found["lines"], strict=True):
                line.id = row["id"]
                assert (row["product_id"], row["unit_price_fen"]) == (line.goods.id, line.price)

    @precondition(lambda self: any(p.state == "awaiting_approval" for p in self.trade.purchases))
    @rule(number=numbers, event=st.sampled_from(("approve", "approve", "reject", "cancel")))
    def decide(self, number: int, event: str) -> None:
        purchase = self.one(self.trade.purchases, number, lambda p: p.state == "awaiting_approval")
        manager, buyer = self.market.manager(purchase.buyer), self.market.buyer(purchase.buyer)
        if event == "cancel":
            self.both(
                "cancel purchase",
                lambda: self.trade.cancel_purchase(purchase),
                lambda: deciding.cancel_purchase(buyer, purchase.id, "改期"),
            )
        elif event == "reject":
            self.both(
                "reject",
                lambda: self.trade.reject(purchase),
                lambda: deciding.reject_purchase(manager, purchase.id, "超预算"),
            )
        else:
            self.both(
                "approve",
                lambda: self.trade.approve(purchase),
                lambda: deciding.approve_purchase(manager, purchase.id),
            )

    @precondition(lambda self: any(map(self.trade.overdue, self.trade.purchases)))
    @rule(number=numbers)
    def expire(self, number: int) -> None:
        purchase = self.one(self.trade.purchases, number, self.trade.overdue)
        self.both(
            "expire",
            lambda: self.trade.expire(purchase),
            lambda: deciding.expire_purchase(system(), purchase.id),
        )

    # The seller

    @precondition(lambda self: self.any_order("placed"))
    @rule(number=numbers)
    def confirm(self, number: int) -> None:
        order = self.order_in(number, "placed")
        self.both(
            "confirm",
            lambda: self.trade.confirm(order),
            lambda: fulfilment.confirm_order(self.market.seller(order.seller), order.id),
        )

    @precondition(lambda self: self.any_order("placed"))
    @rule(number=numbers)
    def lapse(self, number: int) -> None:
        order = self.order_in(number, "placed")
        self.both(
            "lapse", lambda: self.trade.lapse(order), lambda: fulfilment.lapse_order(system(), order.id)
        )

    @precondition(lambda self: self.any_order("placed", "confirmed", "part_shipped", "part_accepted"))
    @rule(number=numbers, seller=st.booleans())
    def cancel(self, number: int, seller: bool) -> None:
        order = self.order_in(number, "placed", "confirmed", "part_shipped", "part_accepted")
        side = order.seller if seller else order.purchase.buyer
        actor = self.market.seller(side) if seller else self.market.buyer(side)
        self.both(
            "cancel",
            lambda: self.trade.cancel(order, "seller" if seller else "buyer"),
            lambda: fulfilment.cancel_order(actor, order.id, "霜冻"),
        )

    @precondition(lambda self: self.any_order("confirmed", "part_shipped", "part_accepted"))
    @rule(number=numbers, less=st.integers(0, 3), named=st.booleans(), other=few, over=st.integers(0, 9))
    def ship(self, number: int, less: int, named: bool, other: int, over: int) -> None:
        """All lines less some packs; named lots may differ from the planned ones, and may be short."""
        order = self.order_in(number, "confirmed", "part_shipped", "part_accepted")
        wishes: list[tuple[Line, int, Any]] = []
        for line in [x for x in order.lines if x.left] or order.lines:
            quantity = max(1, line.left - less) + (1 if over == 9 else 0)
            lots = None
            if named:
                first = sorted(line.plan, key=lambda s: s.age)[0].lot if line.plan else line.goods.lots[0]
                part = min(other, quantity)
                lots = [(line.goods.lots[-1], part), (first, quantity - part)]
                lots = [(lot, packs) for lot, packs in lots if packs]
            wishes.append((line, quantity, lots))
        wish = ShipWish(
            [
                ShipLine(x.id, q, None if lots is None else [(lot.trace_code, packs) for lot, packs in lots])
                for x, q, lots in wishes
            ],
            carrier="陇运",
        )
        self.both(
            "ship named" if named else "ship",
            lambda: self.trade.ship(order, wishes),
            lambda: fulfilment.ship_order(self.market.seller(order.seller), order.id, wish),
        )

    @rule(
        number=numbers,
        kind=st.sampled_from(("spoilage", "sold_elsewhere", "own_use", "stocktake")),
        packs=few,
    )
    def move_stock(self, number: int, kind: str, packs: int) -> None:
        shelf = self.trade.shelves[number % len(self.trade.shelves)]
        quantity = max(0, shelf.on_hand + 1 - packs) if kind == "stocktake" else packs + 1
        self.both(
            f"move {kind}",
            lambda: self.trade.move(shelf, kind, quantity),
            lambda: trace.move_stock(
                self.market.seller(shelf.goods.seller), shelf.lot.id, kind=kind, quantity=quantity,
                reason="盘库", place_id=shelf.place,
            ),
        )  # fmt: skip

    @rule(number=numbers, end=st.booleans())
    def hold_lot(self, number: int, end: bool) -> None:
        shelf = self.one(self.trade.shelves, number, lambda s: (s.lot.id in self.trade.held_lots) is end)
        seller = self.market.seller(shelf.goods.seller)
        if end:
            self.both(
                "unhold",
                lambda: self.trade.unhold_lot(shelf.lot),
                lambda: trace.unhold_lot(seller, shelf.lot.id),
            )
        else:
            self.both(
                "hold",
                lambda: self.trade.hold_lot(shelf.lot),
                lambda: trace.hold_lot(seller, shelf.lot.id, reason="自查"),
            )

    # Acceptance

    @precondition(lambda self: self.any_order("shipped", "part_shipped", "part_accepted"))
    @rule(number=numbers, less=few, refused=st.integers(0, 2), allowance=st.sampled_from((0, 50, 50, 5_000)))
    def accept(self, number: int, less: int, refused: int, allowance: int) -> None:
        order = self.order_in(number, "shipped", "part_shipped", "part_accepted")
        portions = []
        for line in order.lines:
            for lot in line.goods.lots:
                opened = sum(s.unseen for s in line.sent if s.lot is lot)
                if opened:
                    taken = max(0, opened - refused - (less if number % 2 else 0))
                    portions.append((line, lot, taken, min(refused, opened) if taken else opened, allowance))
        if not portions:
            portions = [(order.lines[0], order.lines[0].goods.lots[0], 1, 0, 0)]
        wish = AcceptWish(
            [
                AcceptLine(line.id, lot.trace_code, accepted, refused_packs, fen, "压伤")
                for line, lot, accepted, refused_packs, fen in portions
            ]
        )
        self.both(
            "accept",
            lambda: self.trade.accept(order, portions),
            lambda: takeover.accept_order(self.market.buyer(order.purchase.buyer), order.id, wish),
        )

    @precondition(lambda self: any(x.allowances for o in self.trade.orders for x in o.lines))
    @rule(number=numbers)
    def agree_allowance(self, number: int) -> None:
        order = self.one(self.trade.orders, number, lambda o: any(x.allowances for x in o.lines))
        self.both(
            "agree allowance",
            lambda: self.trade.agree(order),
            lambda: takeover.agree_allowance(self.market.seller(order.seller), order.id),
        )

    @precondition(lambda self: any(x.refused for o in self.trade.orders for x in o.lines))
    @rule(number=numbers, restock=st.booleans(), more=st.integers(0, 5))
    def return_goods(self, number: int, restock: bool, more: int) -> None:
        order = self.one(
            self.trade.orders, number, lambda o: any(s.refused > s.booked for x in o.lines for s in x.sent)
        )
        line, sent = next(
            ((x, s) for x in order.lines for s in x.sent if s.refused > s.booked), (order.lines[0], None)
        )
        lot = sent.lot if sent else line.goods.lots[0]
        left = sum(s.refused - s.booked for s in line.sent if s.lot is lot)
        quantity = left + 1 if more == 5 else max(1, left - more)
        wish = [ReturnLine(line.id, lot.trace_code, quantity, "restock" if restock else "loss")]
        self.both(
            "restock" if restock else "loss",
            lambda: self.trade.give_back(order, line, lot, quantity, restock),
            lambda: takeover.return_goods(self.market.seller(order.seller), order.id, wish),
        )

    @precondition(lambda self: self.any_order("accepted"))
    @rule(number=numbers, silent=st.booleans())
    def evaluate(self, number: int, silent: bool) -> None:
        order = self.one(
            self.trade.orders, number, lambda o: o.state == "accepted" and o.evaluation == "none"
        )
        if silent:
            self.wait(number % 2 * 800)
            self.both(
                "evaluate silently",
                lambda: self.trade.evaluate_silent(order, self.money.payment_state(order)),
                lambda: evaluating.evaluate_silent_order(system(), order.id),
            )
        else:
            self.both(
                "evaluate",
                lambda: self.trade.evaluate(order),
                lambda: evaluating.evaluate_order(self.market.buyer(order.purchase.buyer), order.id, 5, None),
            )
