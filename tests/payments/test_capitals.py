"""Amounts in capital numerals, by the bank's rules for filling in papers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.payments.capitals import DIGITS, MAX_FEN, in_capitals


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "零元整"),
        (5, "伍分"),
        (30, "叁角整"),
        (35, "叁角伍分"),
        (100, "壹元整"),
        (105, "壹元零伍分"),
        (1000, "壹拾元整"),
        (1030, "壹拾元零叁角整"),
        (140950, "壹仟肆佰零玖元伍角整"),
        (600714, "陆仟零柒元壹角肆分"),
        (168032, "壹仟陆佰捌拾元零叁角贰分"),
        (1640902, "壹万陆仟肆佰零玖元零贰分"),
        (32504, "叁佰贰拾伍元零肆分"),
        (10700053, "壹拾万零柒仟元零伍角叁分"),
        (507400, "伍仟零柒拾肆元整"),
        (1001000001, "壹仟零壹万元零壹分"),
        (10_000_000_00, "壹仟万元整"),
        (100_000_001_00, "壹亿零壹元整"),
        (100_010_000_00, "壹亿零壹万元整"),
        (1_0000_0000_0000_00, "壹万亿元整"),
    ],
)
def test_an_amount_is_written_as_banks_want_it(fen: int, text: str) -> None:
    assert in_capitals(fen) == text


def value_of(text: str) -> int:
    """Reads capitals back, by an algorithm of its own."""
    total = section = digit = 0
    fen = 0
    for sign in text:
        if sign in DIGITS:
            digit = DIGITS.index(sign)
        elif sign in "拾佰仟":
            section += digit * {"拾": 10, "佰": 100, "仟": 1000}[sign]
            digit = 0
        elif sign == "万":
            section = (section + digit) * 10_000
            total, section, digit = total + section, 0, 0
        elif sign == "亿":
            total = (total + section + digit) * 100_000_000
            section = digit = 0
        elif sign == "元":
            total, section, digit = total + section + digit, 0, 0
        elif sign == "角":
            fen, digit = fen + digit * 10, 0
        elif sign == "分":
            fen, digit = fen + digit, 0
    return total * 100 + fen


@given(st.integers(0, 10**14 - 1))
def test_capitals_say_the_same_amount_and_never_two_zeros_in_a_row(fen: int) -> None:
    text = in_capitals(fen)
    assert value_of(text) == fen
    assert "零零" not in text


@pytest.mark.parametrize("fen", [-1, MAX_FEN + 1])
def test_amounts_that_nobody_pays_are_refused(fen: int) -> None:
    with pytest.raises(ValueError, match="no capitals"):
        in_capitals(fen)
