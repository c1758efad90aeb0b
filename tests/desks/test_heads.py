"""Orders by the people at table: whole packs that feed everybody, on the days on which they come."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from marketplace.desks.baskets import Line
from marketplace.desks.heads import Table, laid, need
from marketplace.orders.rules import Offer

APPLE, POTATO = UUID(int=1), UUID(int=2)
MONDAY = date(2026, 11, 30)
OFFER = Offer(
    product_id=APPLE,
    seller_id=UUID(int=9),
    seller_name="合作社",
    name="苹果",
    spec="5公斤",
    pack_unit="箱",
    net_g=5_000,
    priced_by="pack",
    category_code="0504",
    county_code="620826",
    min_order_quantity=4,
    order_multiple=2,
    ladder=((4, 4_500),),
    price_list_code="public",
    seller_admitted=True,
)


def test_six_hundred_people_at_150_grams_for_five_days_need_ninety_boxes() -> None:
    lines, beyond = laid([Line(APPLE, 1, grams=150)], Table(600, 5), {APPLE: OFFER}, MONDAY)
    assert (lines[0].quantity, lines[0].amount, lines[0].unit, beyond) == (90, "450", "kg", [])


def test_few_people_order_the_least_that_is_sold() -> None:
    lines, _ = laid([Line(APPLE, 1, grams=100)], Table(20, 1), {APPLE: OFFER}, MONDAY)
    assert (lines[0].quantity, lines[0].amount, lines[0].unit) == (4, "", "pack")


def test_lines_without_grams_or_off_the_shelf_stay_as_they_are() -> None:
    lines = [Line(APPLE, 7), Line(POTATO, 3, grams=50)]
    assert laid(lines, Table(600, 5), {APPLE: OFFER}, MONDAY) == (lines, [])


def test_a_product_that_comes_on_two_days_keeps_them() -> None:
    thursday = MONDAY + timedelta(3)
    line = Line(APPLE, 1, grams=150)
    found, _ = laid([line, replace(line, deliver_on=thursday)], Table(600, 5), {APPLE: OFFER}, MONDAY)
    assert [(each.quantity, each.deliver_on) for each in found] == [(46, None), (44, thursday)]


def test_more_than_the_largest_order_is_told_and_nothing_is_reckoned() -> None:
    light = replace(OFFER, net_g=1)
    lines, beyond = laid([Line(APPLE, 1, grams=5_000)], Table(100_000, 60), {APPLE: light}, MONDAY)
    assert (lines, beyond) == ([], [0])


@given(
    weight_g=st.integers(1, 10**9),
    net_g=st.integers(100, 50_000),
    multiple=st.integers(1, 24),
    minimum=st.integers(1, 10),
)
def test_what_is_ordered_is_enough_and_never_a_whole_multiple_too_much(
    weight_g: int, net_g: int, multiple: int, minimum: int
) -> None:
    found = need(weight_g, net_g=net_g, multiple=multiple, minimum=minimum * multiple)
    if found is None:
        assert weight_g > 10_000_000 * net_g - multiple * net_g
        return
    assert found.extra_g >= 0
    assert found.quantity % multiple == 0
    assert found.quantity == minimum * multiple or found.extra_g < multiple * net_g
