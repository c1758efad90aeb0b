"""Amounts as people type them, in packs, 公斤 or 斤, and the whole packs they come to."""

from __future__ import annotations

import pytest

from marketplace.desks.amounts import JIN, KG, PACK, Packs, packs, thousandths


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60", 60_000),
        ("1,250", 1_250_000),
        ("62.5", 62_500),
        ("６０．５", 60_500),
        (" 12 ", 12_000),
        ("0", None),
        ("", None),
        ("-3", None),
        ("1,25", None),
        ("一百", None),
        ("1.2345", None),
        ("9999999999", None),
    ],
)
def test_an_amount_is_read_as_people_type_it(text: str, value: int | None) -> None:
    assert thousandths(text) == value


def test_1250_jin_of_ten_kilogram_boxes_are_63_boxes_with_10_jin_more() -> None:
    found = packs(1_250_000, JIN, net_g=10_000, multiple=1)
    assert found == Packs(
        quantity=63, exact_hundredths=6_250, asked_g=625_000, ordered_g=630_000, fewer=62, lacking_g=5_000
    )
    assert found.extra_g == 5_000
    assert found.rounded


def test_a_weight_is_rounded_up_to_the_multiple_in_which_a_product_is_sold() -> None:
    found = packs(101_000, KG, net_g=10_000, multiple=5)
    assert found == Packs(
        quantity=15, exact_hundredths=1_010, asked_g=101_000, ordered_g=150_000, fewer=10, lacking_g=1_000
    )


def test_typed_packs_stay_as_they_are_though_they_miss_the_multiple() -> None:
    found = packs(12_000, PACK, net_g=10_000, multiple=5)
    assert found == Packs(quantity=12, exact_hundredths=1_200, asked_g=120_000, ordered_g=120_000)
    assert not found.rounded


def test_half_a_pack_becomes_a_whole_one() -> None:
    found = packs(2_500, PACK, net_g=400, multiple=1)
    assert found == Packs(quantity=3, exact_hundredths=250, asked_g=1_000, ordered_g=1_200)


def test_more_than_the_largest_order_is_no_order() -> None:
    assert packs(999_999_999_000, PACK, net_g=1, multiple=1) is None


def test_a_multiple_less_is_near_up_to_a_twentieth_of_what_was_asked() -> None:
    nearest = [packs(kg * 1_000, KG, net_g=10_000, multiple=1) for kg in (210, 211, 105, 106, 9)]
    assert [found and found.fewer for found in nearest] == [None, 21, 10, None, None]
    assert (packs(9_499, PACK, net_g=10_000, multiple=1) or Packs(0, 0, 0, 0)).fewer is None
