"""How an example begins, how an act runs on model and services, and what is compared after it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import pytest
import time_machine
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from marketplace.database import db
from marketplace.errors import MarketplaceError
from marketplace.quota.verify import verify
from tests.properties.declaring import Declaration, Refused
from tests.properties.market import BEGIN, BUYERS, Market, rows
from tests.properties.model import Trade
from tests.properties.money import Money
from tests.properties.things import Order, Shelf

COUNTED_STATES = (
    ("accepted", "evaluated", "paid"),
    ("accepted", "paid"),
    ("accepted",),
)
T = TypeVar("T")
numbers = st.integers(0, 999)


class Machine(RuleBasedStateMachine):
    market: Market
    seen: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.travel = time_machine.travel(BEGIN, tick=False)
        self.now = self.travel.start()

    @initialize(
        states=st.sampled_from(COUNTED_STATES),
        invoice_first=st.booleans(),
        school=st.integers(0, 9),
        hospital=st.integers(0, 9),
    )
    def open(self, states: tuple[str, ...], invoice_first: bool, school: int, hospital: int) -> None:
        """Two purchases are there already, each carried on by some steps."""
        self.market.set_policy("counted_states", list(states))
        self.market.set_policy("invoice_before_payment", invoice_first)
        self.goods = self.market.goods_for_one()
        shelves = [
            Shelf(stock, place, lot, goods, packs)
            for goods in self.goods
            for lot in goods.lots
            for stock, place, packs in lot.stocks
        ]
        self.trade, self.money = Trade(shelves, states), Money(invoice_first)
        year = next(self.market.years)
        self.declarations = [Declaration(agency, year) for agency in ("school", "hospital")]
        self.buy(0, {0: 5, 1: 2, 2: 3}, 4)
        self.buy(1, {0: 4}, 8)
        for order, times in zip(self.trade.orders, (school, 9 - school, hospital), strict=True):
            for _ in range(times):
                self.next_step(order)

    # How an act runs

    def both(self, name: str, told: Callable[[], T], done: Callable[[], Any]) -> tuple[T, Any] | None:
        """The model says whether the act is refused, and with which slug; the service must say the same."""
        outcome, slug = None, None
        try:
            result = told()
        except Refused as refusal:
            slug = refusal.slug
        if slug is None:
            outcome = (result, done())
        else:
            with pytest.raises(MarketplaceError) as found:
                done()
            assert found.value.code == slug, (name, found.value.code, found.value.data)
        self.seen[name if slug is None else f"{name}: {slug}"] += 1
        self.trade.book()
        self.compare()
        return outcome

    def one(self, items: Sequence[T], number: int, wanted: Callable[[T], bool]) -> T:
        """Mostly one that the act is meant for; now and then any, which must be refused."""
        good = [item for item in items if wanted(item)]
        if good and number % 7:
            return good[number // 7 % len(good)]
        return items[number // 7 % len(items)]

    def any_order(self, *states: str) -> bool:
        return any(order.state in states for order in self.trade.orders)

    def order_in(self, number: int, *states: str) -> Order:
        return self.one(self.trade.orders, number, lambda order: order.state in states)

    @rule(hours=st.sampled_from((1, 1, 30, 100, 800)))
    def wait(self, hours: int) -> None:
        self.now.shift(timedelta(hours=hours))

    # Comparing

    def compare(self) -> None:
        trade = self.trade
        products = [goods.id for goods in self.goods]
        found = rows(
            "select s.id, s.on_hand, s.reserved, m.on_hand, m.reserved from stock s join lot l on l.id = s.lot_id"
            " join (select stock_id, sum(on_hand_delta) as on_hand, sum(reserved_delta) as reserved"
            " from stock_movement group by stock_id) m on m.stock_id = s.id where l.product_id = any(:p)",
            p=products,
        )
        assert {tuple(r) for r in found} == {
            (s.id, s.on_hand, s.held, s.on_hand, s.held) for s in trade.shelves
        }
        found = rows(
            "select l.id, cancelled_quantity, shipped_quantity, accepted_quantity, refused_quantity,"
            " l.accepted_fen, l.paid_fen, (select coalesce(sum(a.quantity - a.shipped - a.freed), 0)"
            " from allocation a where a.line_id = l.id) from order_line l where product_id = any(:p)",
            p=products,
        )
        assert {tuple(r) for r in found} == {
            (x.id, x.cancelled, x.shipped, x.accepted, x.refused, x.accepted_fen, x.paid_fen, x.left)
            for order in trade.orders
            for x in order.lines
        }
        assert all(x.left == sum(x.plan.values()) for order in trade.orders for x in order.lines)
        found = rows(
            "select distinct o.id, p.state, o.state, o.invoice_state, o.payment_state, o.evaluation_state,"
            " o.accepted_on, o.accepted_fen, o.invoiced_fen, o.payment_opened_fen, o.paid_fen from orders o"
            " join purchase p on p.id = o.purchase_id join order_line l on l.order_id = o.id"
            " where l.product_id = any(:p)",
            p=products,
        )
        assert {tuple(r) for r in found} == {
            (
                o.id, o.purchase.state, o.state, self.money.invoice_state(o), self.money.payment_state(o),
                o.evaluation, o.accepted_on, o.accepted_fen, o.invoiced_fen, o.opened_fen, o.paid_fen,
            )
            for o in trade.orders
        }  # fmt: skip
        names = {self.market.organisations[buyer]: buyer for buyer in BUYERS}
        ledger: dict[Any, int] = defaultdict(int)
        for agency, year, kind, fen in rows(
            "select e.agency_id, e.year, e.kind, sum(e.amount_fen) from reserve_entry e"
            " join order_line l on l.id = e.line_id where l.product_id = any(:p) group by 1, 2, 3",
            p=products,
        ):
            ledger[names.get(agency, ""), year, kind] = int(fen)
        assert {k: v for k, v in ledger.items() if v} == {k: v for k, v in trade.ledger.items() if v}

        assert {
            tuple(row)
            for row in rows(
                "select d.id, d.state, d.approved_version, v.number, v.reserve_fen from declaration d"
                " join declaration_version v on v.declaration_id = d.id where d.year = :year",
                year=self.declarations[0].year,
            )
        } == {
            (d.id, d.state, d.approved, number, reserve)
            for d in self.declarations
            for number, reserve in enumerate(d.reserves, start=1)
        }

    def teardown(self) -> None:
        self.travel.stop()
        report = verify(db.engine)
        assert [difference.line() for difference in report.differences] == []
