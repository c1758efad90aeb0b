"""A basket is brought to a budget: within five percent of it where whole packs allow, in the old proportions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from marketplace.desks.baskets import Line
from marketplace.desks.budgets import Told, fitted
from tests.desks.test_heads import OFFER

APPLE, POTATO, GONE = UUID(int=1), UUID(int=2), UUID(int=3)
POTATOES = replace(OFFER, product_id=POTATO, min_order_quantity=1, order_multiple=1, ladder=((1, 2_000),))
OFFERS = {APPLE: OFFER, POTATO: POTATOES}
PLENTY = {APPLE: 10_000, POTATO: 10_000}


def packs(lines: list[Line]) -> list[int]:
    return [line.quantity for line in lines]


def test_goods_grow_together_to_the_budget() -> None:
    # 10 boxes at 45.00 and 20 sacks at 20.00 come to 850.00.
    lines, told = fitted([Line(APPLE, 10), Line(POTATO, 20)], 170_000, OFFERS, PLENTY)
    assert packs(lines) == [20, 40]
    assert (told.goods_fen, told.bp, told.near, told.over) == (170_000, 0, True, False)


def test_goods_shrink_to_the_budget_and_what_is_left_is_spent() -> None:
    lines, told = fitted([Line(APPLE, 10), Line(POTATO, 20)], 50_000, OFFERS, PLENTY)
    assert packs(lines) == [6, 11]
    assert (told.goods_fen, told.bp, told.near) == (49_000, 200, True)


def test_the_ladder_is_reckoned_with() -> None:
    cheaper = {**OFFERS, POTATO: replace(POTATOES, ladder=((1, 2_000), (50, 1_500)))}
    lines, told = fitted([Line(POTATO, 10)], 90_000, cheaper, PLENTY)
    assert (packs(lines), told.goods_fen) == ([60], 90_000)


def test_the_least_that_is_sold_stays_and_the_sum_says_that_it_is_too_much() -> None:
    lines, told = fitted([Line(APPLE, 10), Line(POTATO, 20)], 10_000, OFFERS, PLENTY)
    assert packs(lines) == [4, 1]
    assert (told.goods_fen, told.near, told.over) == (20_000, False, True)


def test_no_more_is_proposed_than_is_free() -> None:
    lines, told = fitted([Line(APPLE, 10), Line(POTATO, 20)], 170_000, OFFERS, {APPLE: 13, POTATO: 10_000})
    assert packs(lines) == [12, 58]
    assert told.goods_fen == 170_000


def test_one_multiple_beyond_is_taken_where_it_is_nearer_and_within_five_percent() -> None:
    lines, told = fitted([Line(POTATO, 20)], 39_000, OFFERS, PLENTY)
    assert (packs(lines), told.bp, told.over) == ([19], 256, False)
    lines, told = fitted([Line(POTATO, 20)], 39_001, OFFERS, PLENTY)
    assert (packs(lines), told.bp, told.over) == ([20], 256, True)
    lines, told = fitted([Line(POTATO, 20)], 3_500, OFFERS, PLENTY)
    assert (packs(lines), told.near, told.over) == ([1], False, False)


def test_days_and_funds_of_a_product_share_its_packs_and_goods_off_the_shelf_stay() -> None:
    day = date(2026, 12, 3)
    basket = [Line(APPLE, 6, amount="30", unit="kg"), Line(GONE, 7), Line(APPLE, 2, deliver_on=day)]
    lines, _ = fitted(basket, 8 * 4_500 * 2, OFFERS, PLENTY)
    assert [(line.product_id, line.quantity, line.unit, line.deliver_on) for line in lines] == [
        (APPLE, 12, "pack", None),
        (GONE, 7, "pack", None),
        (APPLE, 4, "pack", day),
    ]


def test_five_percent_is_near_and_a_fen_more_is_not() -> None:
    assert [Told(sum_fen, 10_000).near for sum_fen in (9_499, 9_500, 10_500, 10_501)] == [
        *(False, True, True, False)
    ]


@given(
    st.integers(1, 500),
    st.integers(1, 500),
    st.integers(1, 5_000_000),
    st.integers(1, 9),
    st.integers(1, 30_000),
)
def test_a_budget_of_fine_goods_is_met_and_every_quantity_can_be_ordered(
    apples: int, sacks: int, budget_fen: int, multiple: int, price_fen: int
) -> None:
    apple = replace(OFFER, min_order_quantity=multiple * 2, order_multiple=multiple)
    potato = replace(POTATOES, ladder=((1, price_fen),))
    lines, told = fitted(
        [Line(APPLE, apples), Line(POTATO, sacks)], budget_fen, {APPLE: apple, POTATO: potato}, PLENTY
    )
    assert lines[0].quantity % multiple == 0
    assert lines[0].quantity >= multiple * 2
    assert lines[1].quantity >= 1
    least = 2 * multiple * 4_500 + price_fen
    assert told.near or not told.over or told.goods_fen == least
    # A sack is less than a twentieth of the budget and enough of them are there: then the budget is met.
    if least <= budget_fen and price_fen * 20 <= budget_fen <= price_fen * 10_000:
        assert told.near
