"""Ladders, quantities, bar codes and texts of products."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.catalog import rules
from marketplace.catalog.rules import Step
from marketplace.catalog.states import PRODUCT_MOVES, ProductState, move
from marketplace.errors import WrongState
from tests.catalog_seed.seed import rows

quantities = st.integers(1, 10_000)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[list[Step], int, int]:
    """A ladder that holds, with its minimum and multiple."""
    multiple = draw(st.integers(1, 20))
    minimum = multiple * draw(st.integers(1, 20))
    more = draw(st.lists(st.integers(1, 500), max_size=rules.MAX_STEPS - 1))
    starts = [minimum]
    for gap in more:
        starts.append(starts[-1] + gap)
    prices = sorted(draw(st.lists(st.integers(1, 10**7), min_size=len(starts), max_size=len(starts))))[::-1]
    return [Step(q, p) for q, p in zip(starts, prices, strict=True)], minimum, multiple


@given(ladders(), quantities, quantities)
def test_a_pack_never_costs_more_when_more_are_bought(made, one, other):
    ladder, minimum, multiple = made

    assert rules.ladder_problems(ladder, minimum, multiple) == []
    assert rules.unit_price(ladder, max(one, other)) <= rules.unit_price(ladder, min(one, other))


@given(ladders(), quantities)
def test_the_price_is_that_of_the_last_step_reached(made, quantity):
    ladder, _, _ = made
    reached = [step.price_fen for step in ladder if step.min_quantity <= quantity]

    assert rules.unit_price(ladder, quantity) == (reached[-1] if reached else ladder[0].price_fen)


@pytest.mark.parametrize(
    ("quantity", "price"), [(1, 4500), (2, 4500), (49, 4500), (50, 4200), (10_000, 4200)]
)
def test_the_price_changes_at_the_first_quantity_of_a_step(quantity, price):
    assert rules.unit_price([Step(2, 4500), Step(50, 4200)], quantity) == price


def test_a_ladder_without_steps_has_no_price():
    with pytest.raises(ValueError, match="at least one step"):
        rules.unit_price([], 1)


@pytest.mark.parametrize(
    ("ladder", "minimum", "multiple", "pointers"),
    [
        ([], 1, 1, ["price_ladder"]),
        ([Step(1, 0)], 1, 1, ["price_ladder/0/price_fen"]),
        ([Step(2, 10)], 1, 1, ["price_ladder/0/min_quantity"]),
        ([Step(1, 10), Step(1, 9)], 1, 1, ["price_ladder/1/min_quantity"]),
        ([Step(1, 10), Step(5, 11)], 1, 1, ["price_ladder/1/price_fen"]),
        ([Step(1, 10), Step(5, 10)], 1, 1, []),
        ([Step(3, 10)], 3, 2, ["min_order_quantity"]),
        ([Step(1, 10)], 1, 0, ["order_multiple"]),
        ([Step(0, 10)], 0, 1, ["min_order_quantity"]),
        ([Step(n, 10) for n in range(1, 12)], 1, 1, ["price_ladder"]),
    ],
)
def test_a_wrong_ladder_is_told_with_its_places(ladder, minimum, multiple, pointers):
    assert [pointer for pointer, _ in rules.ladder_problems(ladder, minimum, multiple)] == pointers


@given(st.integers(1, 50), st.integers(1, 50), st.integers(-5, 5_000))
def test_a_quantity_is_a_multiple_from_the_minimum_on(times, multiple, quantity):
    minimum = times * multiple

    allowed = rules.check_quantity(minimum, multiple, quantity) is None

    assert allowed == (quantity >= minimum and quantity % multiple == 0)


def test_no_line_has_more_than_ten_million_packs():
    assert rules.check_quantity(1, 1, 10_000_000) is None
    assert rules.check_quantity(1, 1, 10_000_001) == "数量要在1到10000000之间"


@pytest.mark.parametrize(
    "gtin", ["6901234567892", "96385074", "036000291452", "16901234567899", "2620800000017"]
)
def test_a_gtin_with_its_check_digit_is_valid(gtin):
    assert rules.gtin_is_valid(gtin)


@pytest.mark.parametrize(
    "gtin",
    ["6901234567891", "690123456789", "", "69012345678920", "６９０１２３４５６７８９２", "69012345678-2"],
)
def test_a_gtin_that_was_mistyped_is_refused(gtin):
    assert not rules.gtin_is_valid(gtin)


@given(st.text("0123456789", min_size=12, max_size=12), st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_never_passes(body, place, step):
    whole = next(body + str(check) for check in range(10) if rules.gtin_is_valid(body + str(check)))
    wrong = whole[:place] + str((int(whole[place]) + step) % 10) + whole[place + 1 :]

    assert not rules.gtin_is_valid(wrong)


def test_every_gtin_and_ladder_of_the_seed_holds():
    for row in rows("products"):
        steps = [Step(*map(int, pair.split(":"))) for pair in row["ladder"].split()]
        minimum, multiple = int(row["min_order_quantity"]), int(row["order_multiple"])
        assert rules.ladder_problems(steps, minimum, multiple) == [], row["sku"]
        assert row["gtin"] == "" or rules.gtin_is_valid(row["gtin"]), row["sku"]


def test_prices_by_weight_are_rounded_half_up_from_the_pack():
    assert (rules.price_per_kg(4500, 5000), rules.price_per_jin(4500, 5000)) == (900, 450)
    assert (rules.price_per_kg(1000, 300), rules.price_per_jin(1000, 300)) == (3333, 1667)
    # From the rounded kilogram it would be 2 fen.
    assert (rules.price_per_kg(2, 700), rules.price_per_jin(2, 700)) == (3, 1)


@pytest.mark.parametrize("text", ["苹果\n", "苹\u202e果", "苹\u200b果", "\u2028"])
def test_a_printed_text_has_no_invisible_characters(text):
    assert rules.text_problem(text) == "不能有换行和不可见字符"


def test_what_makes_the_pack_is_fixed_by_a_lot_and_what_was_recognised_by_the_office():
    assert [name for name, _ in rules.pack_changes({"net_g", "name", "ladder"})] == ["net_g"]
    assert [name for name, _ in rules.shelf_changes({"net_g", "name", "ladder"})] == ["name", "net_g"]
    assert not rules.PACK_FIELDS & rules.COMMERCIAL_FIELDS


def test_the_table_of_states_leads_onto_the_shelf_only_through_the_office():
    assert {key for key, to in PRODUCT_MOVES.items() if to is ProductState.RECOGNISED} == {
        (ProductState.SUBMITTED, "recognise")
    }
    for state in ProductState:
        for event in ("submit", "recognise", "refuse", "withdraw"):
            if (state, event) not in PRODUCT_MOVES:
                with pytest.raises(WrongState) as refused:
                    move(PRODUCT_MOVES, state, event)
                assert refused.value.data == {"state": state.value, "event": event}
