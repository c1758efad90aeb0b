"""What the basket says of stock agrees with the plan by which a purchase takes it."""

from __future__ import annotations

import random
from datetime import date, timedelta
from uuid import UUID

from marketplace.clock import today
from marketplace.desks.basket_views import Goods, shortages
from marketplace.desks.baskets import Basket, Line
from marketplace.orders.allocation import Candidate, Want, allocate
from marketplace.orders.rules import Offer

PRODUCT, SELLER, LOT = UUID(int=1), UUID(int=2), UUID(int=3)


def offer(multiple: int = 1) -> Offer:
    return Offer(
        product_id=PRODUCT, seller_id=SELLER, seller_name="合作社", name="红富士", spec="80#", pack_unit="箱",
        net_g=10_000, priced_by="pack", category_code="010301", county_code="620826", min_order_quantity=multiple,
        order_multiple=multiple, ladder=((1, 8_600),), price_list_code="public", seller_admitted=True,
    )  # fmt: skip


def goods(lots: list[tuple[date, int]], multiple: int = 1) -> Goods:
    return Goods({}, {PRODUCT: offer(multiple)}, {PRODUCT: lots})


def in_days(number: int) -> date:
    return today() + timedelta(days=number)


def test_a_line_says_what_is_left_and_what_it_could_take() -> None:
    basket = Basket((Line(PRODUCT, 60),))
    found = shortages(basket, goods([(in_days(30), 55)], multiple=2), in_days(3))
    assert found == {0: {"free": 55, "asked": 60, "take": 54}}


def test_lots_that_end_before_the_day_do_not_serve_it() -> None:
    basket = Basket((Line(PRODUCT, 10, deliver_on=in_days(9)), Line(PRODUCT, 10, deliver_on=in_days(2))))
    stock = goods([(in_days(5), 10), (in_days(20), 4)])
    assert shortages(basket, stock, in_days(2)) == {0: {"free": 4, "asked": 10, "take": 4}}


def test_the_later_day_chooses_first_and_the_earlier_line_is_told() -> None:
    basket = Basket((Line(PRODUCT, 8, deliver_on=in_days(2)), Line(PRODUCT, 8, deliver_on=in_days(9))))
    assert shortages(basket, goods([(in_days(20), 12)]), in_days(2)) == {
        0: {"free": 4, "asked": 8, "take": 4}
    }


def test_a_basket_is_short_exactly_when_the_purchase_would_be() -> None:
    draw = random.Random(2026)
    short = 0
    for _ in range(2_000):
        lots = [(in_days(draw.randint(0, 12)), draw.randint(1, 9)) for _ in range(draw.randint(0, 4))]
        lines = [
            Line(PRODUCT, draw.randint(1, 9), deliver_on=in_days(draw.randint(0, 10)))
            for _ in range(draw.randint(1, 4))
        ]
        told = shortages(Basket(tuple(lines)), goods(lots), today())
        plan = allocate(
            [Want(n, PRODUCT, line.quantity, line.deliver_on or today()) for n, line in enumerate(lines)],
            [
                Candidate(n, PRODUCT, LOT, SELLER, "", day, day, quantity)
                for n, (day, quantity) in enumerate(lots)
            ],
        )
        assert bool(told) == bool(plan.shortages), (lots, lines)
        short += bool(told)
        fitting = [
            Want(n, PRODUCT, told[n]["take"] if n in told else line.quantity, line.deliver_on or today())
            for n, line in enumerate(lines)
            if n not in told or told[n]["take"]
        ]
        repaired = allocate(
            fitting,
            [
                Candidate(n, PRODUCT, LOT, SELLER, "", day, day, quantity)
                for n, (day, quantity) in enumerate(lots)
            ],
        )
        assert repaired.shortages == (), "what the button offers must fit"
    assert 200 < short < 1_800
