"""Trace codes: what we made is read back in any writing, and nothing else is."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.trace.codes import (
    ALPHABET,
    canonical_form,
    check_symbol,
    make_trace_code,
    parse_trace_code,
    shown,
)

KEYS = ("old key of thirty-two characters", "new key of thirty-two characters")
made = st.builds(
    lambda keys, bits: make_trace_code(keys, lambda count: bits),
    st.sampled_from([KEYS[:1], KEYS]),
    st.integers(0, 2**50 - 1),
)


@given(made)
def test_a_made_code_is_read_back(code: str) -> None:
    assert len(code) == 20
    assert set(code) <= set(ALPHABET)
    assert parse_trace_code(code, KEYS) == code
    assert parse_trace_code(shown(code), KEYS) == code


@given(made, st.randoms())
def test_case_hyphens_spaces_and_lookalikes_do_not_matter(code: str, chance: random.Random) -> None:
    alike = {"1": "1IiLl", "0": "0Oo"}
    typed = ""
    for symbol in code:
        symbol = chance.choice(alike.get(symbol, symbol))
        typed += chance.choice([symbol.lower(), symbol]) + chance.choice(["", "-", " "])
    assert parse_trace_code(typed, KEYS) == code


@given(made)
@settings(max_examples=20)
def test_every_single_wrong_symbol_is_refused_by_the_check_alone(code: str) -> None:
    for place in range(20):
        for symbol in ALPHABET:
            if symbol != code[place]:
                wrong = code[:place] + symbol + code[place + 1 :]
                assert check_symbol(wrong[:-1]) != wrong[-1]
                assert parse_trace_code(wrong, KEYS) is None


@given(made)
@settings(max_examples=50)
def test_every_swap_of_two_symbols_is_refused_by_the_check_alone(code: str) -> None:
    for first in range(20):
        for second in range(first + 1, 20):
            if code[first] != code[second]:
                symbols = list(code)
                symbols[first], symbols[second] = symbols[second], symbols[first]
                wrong = "".join(symbols)
                assert check_symbol(wrong[:-1]) != wrong[-1]
                assert parse_trace_code(wrong, KEYS) is None


def test_of_100000_random_codes_with_a_right_check_none_is_valid() -> None:
    chance = random.Random(20261124)
    for _ in range(100_000):
        body = "".join(chance.choices(ALPHABET, k=19))
        assert parse_trace_code(body + check_symbol(body), KEYS) is None


def test_a_code_forged_with_another_key_is_refused() -> None:
    forged = make_trace_code(("a key that somebody else has made",))
    assert parse_trace_code(forged, KEYS) is None


def test_a_code_is_bound_to_the_version_of_its_key() -> None:
    old = make_trace_code(KEYS[:1])
    moved = "1" + old[1:-1]
    assert old[0] == "0"
    assert parse_trace_code(moved + check_symbol(moved), KEYS) is None


def test_new_codes_carry_the_newest_version_and_old_ones_stay_valid() -> None:
    old, new = make_trace_code(KEYS[:1]), make_trace_code(KEYS)
    assert (old[0], new[0]) == ("0", "1")
    assert parse_trace_code(old, KEYS) == old
    assert parse_trace_code(new, KEYS[:1]) is None


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused_without_an_error(text: str) -> None:
    assert parse_trace_code(text, KEYS) is None
    assert canonical_form(text) is None or len(canonical_form(text) or "") == 20


def test_a_code_is_shown_in_fives() -> None:
    assert shown("1K7QM2V9XATF4G8CNRH3") == "1K7QM-2V9XA-TF4G8-CNRH3"
