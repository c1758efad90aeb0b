"""Delivery of a basket in parts, for every number of packs, days and multiple: nothing is lost or added."""

from __future__ import annotations

from datetime import date, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from marketplace.desks.basket_days import spread
from marketplace.desks.baskets import Line

APPLE, POTATO = UUID(int=1), UUID(int=2)
MONDAY = date(2026, 11, 30)


def on(*after: int) -> list[date]:
    return [MONDAY + timedelta(days) for days in after]


def told(lines: list[Line]) -> list[tuple[int, date | None]]:
    return [(line.quantity, line.deliver_on) for line in lines]


def test_forty_come_on_monday_and_forty_on_thursday() -> None:
    thursday = MONDAY + timedelta(3)
    assert told(spread([Line(APPLE, 80)], [MONDAY, thursday], MONDAY, {APPLE: 1})) == [
        (40, None),
        (40, thursday),
    ]


def test_what_is_left_over_comes_first_and_parts_are_whole_multiples() -> None:
    assert told(spread([Line(APPLE, 50)], on(3, 0, 7), MONDAY, {APPLE: 10})) == [
        (20, None),
        (20, MONDAY + timedelta(3)),
        (10, MONDAY + timedelta(7)),
    ]


def test_a_day_without_a_part_has_no_line() -> None:
    assert told(spread([Line(APPLE, 10)], on(0, 3), MONDAY, {APPLE: 10})) == [(10, None)]


def test_spreading_again_replaces_the_first_and_one_day_undoes_it() -> None:
    lines = [Line(APPLE, 80), Line(POTATO, 9)]
    twice = spread(spread(lines, on(0, 1, 2), MONDAY, {}), on(0, 4), MONDAY, {})
    assert twice == spread(lines, on(0, 4), MONDAY, {})
    assert spread(twice, on(0), MONDAY, {}) == lines


@given(
    quantities=st.lists(st.integers(1, 10_000), min_size=1, max_size=6),
    days=st.sets(st.integers(0, 60), min_size=1, max_size=4),
    multiple=st.integers(1, 40),
)
def test_every_pack_comes_on_one_of_the_days(quantities: list[int], days: set[int], multiple: int) -> None:
    lines = [Line(APPLE, quantity) for quantity in quantities]
    found = spread(lines, on(*days), MONDAY + timedelta(min(days)), {APPLE: multiple})
    assert sum(line.quantity for line in found) == sum(quantities)
    assert {line.deliver_on or MONDAY + timedelta(min(days)) for line in found} <= set(on(*days))
    assert all(line.quantity % multiple == 0 for line in found[1:])
