"""Where the yuan of an order stand in counting, in one word for a list."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from marketplace.desks.counting import counting
from marketplace.orders.models import OrderLine
from marketplace.orders.states import OrderState

NOTHING = dict.fromkeys(("not_eligible", "not_accepted", "not_paid", "not_evaluated", "refused"), 0)


def line(number: int = 1, reason: str | None = None) -> OrderLine:
    return OrderLine(id=UUID(int=number), ineligible_reason=reason)


def standing(counted: int, **reasons: int) -> dict[str, Any]:
    return {"counted_fen": counted, "reasons": {**NOTHING, **reasons}}


@pytest.mark.parametrize(
    ("state", "word"), [(OrderState.AWAITING_APPROVAL, "approval"), (OrderState.PLACED, "confirmation")]
)
def test_before_the_seller_confirms_nothing_is_ordered(state: OrderState, word: str) -> None:
    found = counting(state, [line()], {})
    assert (found["waits_for"], found["counted_fen"], found["reasons"]) == (word, 0, [])


@pytest.mark.parametrize("reason", ["not_accepted", "not_paid", "not_evaluated"])
def test_the_next_condition_is_named(reason: str) -> None:
    found = counting(OrderState.SHIPPED, [line()], {UUID(int=1): standing(0, **{reason: 500})})
    assert (found["waits_for"], found["reasons"]) == (reason, [reason])


def test_the_earliest_condition_of_several_comes_first() -> None:
    standings = {UUID(int=1): standing(100, not_paid=500), UUID(int=2): standing(0, not_accepted=300)}
    found = counting(OrderState.PART_ACCEPTED, [line(1), line(2)], standings)
    assert (found["waits_for"], found["counted_fen"]) == ("not_accepted", 100)
    assert sorted(found["reasons"]) == ["not_accepted", "not_paid"]


def test_what_counts_waits_for_nothing() -> None:
    found = counting(OrderState.ACCEPTED, [line()], {UUID(int=1): standing(500)})
    assert (found["waits_for"], found["counted_fen"]) == ("nothing", 500)


def test_an_order_whose_lines_never_count_says_why() -> None:
    found = counting(OrderState.ACCEPTED, [line(reason="county_not_listed")], {UUID(int=1): standing(0)})
    assert (found["reason"], found["waits_for"]) == ("county_not_listed", None)


def test_one_line_that_counts_makes_an_order_count() -> None:
    lines = [line(1, "county_not_listed"), line(2)]
    standings = {UUID(int=1): standing(0, not_eligible=300), UUID(int=2): standing(0, not_paid=200)}
    found = counting(OrderState.ACCEPTED, lines, standings)
    assert (found["reason"], found["waits_for"]) == (None, "not_paid")


@pytest.mark.parametrize("state", [OrderState.CANCELLED, OrderState.LAPSED, OrderState.REFUSED])
def test_an_order_that_came_to_nothing_has_ended(state: OrderState) -> None:
    assert counting(state, [line()], {})["waits_for"] == "ended"
