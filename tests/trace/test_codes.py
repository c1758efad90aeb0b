"""Trace codes: what we made is read back however it is typed; anything else is refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.trace.codes import (
    ALPHABET,
    LENGTH,
    MAX_INPUT,
    check_symbol,
    make_trace_code,
    parse_trace_code,
    shown,
)

KEYS = ("first-key-of-the-tests", "second-key-of-the-tests")
# Made once under the first key: labels that are printed must stay readable, whatever the code becomes.
CODE = "07K1QM2V90XH7HV101Y3"

keys = st.lists(st.text(st.characters(codec="ascii"), min_size=1, max_size=40), min_size=1, max_size=32)
separators = st.lists(st.sampled_from(["", "-", " "]), min_size=LENGTH, max_size=LENGTH)


@given(keys)
def test_a_code_is_twenty_symbols_and_read_back(versions: list[str]) -> None:
    code = make_trace_code(versions)
    assert len(code) == LENGTH
    assert set(code) <= set(ALPHABET)
    assert code[0] == ALPHABET[len(versions) - 1]
    assert parse_trace_code(code, versions) == code


@given(separators, st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH))
def test_case_hyphens_and_spaces_do_not_matter(gaps: list[str], lower: list[bool]) -> None:
    code = make_trace_code(KEYS)
    typed = "".join(
        gap + (symbol.lower() if small else symbol)
        for gap, symbol, small in zip(gaps, code, lower, strict=True)
    )
    assert parse_trace_code(typed, KEYS) == code


@given(st.data())
def test_look_alikes_are_read_as_the_digits(data: st.DataObject) -> None:
    alike = {"0": "0Oo", "1": "1IiLl"}
    typed = "".join(data.draw(st.sampled_from(alike[s])) if s in alike else s for s in CODE)
    assert parse_trace_code(typed, KEYS) == CODE


def test_every_change_of_one_symbol_is_refused() -> None:
    accepted = [
        (place, symbol)
        for place in range(LENGTH)
        for symbol in ALPHABET
        if symbol != CODE[place]
        and parse_trace_code(CODE[:place] + symbol + CODE[place + 1 :], KEYS) is not None
    ]
    assert accepted == []


def test_every_change_of_one_symbol_changes_the_check_alone_already() -> None:
    body = CODE[:-1]
    same = [
        (place, symbol)
        for place in range(len(body))
        for symbol in ALPHABET
        if symbol != body[place] and check_symbol(body[:place] + symbol + body[place + 1 :]) == CODE[-1]
    ]
    assert same == []


def test_every_swap_of_two_different_symbols_changes_the_check() -> None:
    # All symbols differ, so that every pair is a real swap.
    body = ALPHABET[: LENGTH - 1]
    swapped = []
    for left in range(len(body)):
        for right in range(left + 1, len(body)):
            symbols = list(body)
            symbols[left], symbols[right] = symbols[right], symbols[left]
            swapped.append("".join(symbols))
    assert len(swapped) == 171
    assert check_symbol(body) not in {check_symbol(other) for other in swapped}


def test_a_code_of_a_forged_key_is_refused() -> None:
    forged = make_trace_code(["a-key-that-is-not-ours"])
    assert forged[0] == CODE[0]
    assert parse_trace_code(forged, KEYS) is None


def test_a_code_with_a_guessed_tag_and_a_right_check_is_refused() -> None:
    guessed = CODE[:11] + ("0" * 8 if CODE[11:19] != "0" * 8 else "1" * 8)
    assert parse_trace_code(guessed + check_symbol(guessed), KEYS) is None


def test_old_codes_stay_valid_when_a_key_is_added() -> None:
    assert parse_trace_code(CODE, KEYS) == CODE
    assert CODE[0] == "0"
    assert make_trace_code(KEYS)[0] == "1"


def test_a_version_that_has_no_key_is_refused() -> None:
    newer = make_trace_code(KEYS)
    assert parse_trace_code(newer, KEYS[:1]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        CODE[:-1],
        CODE + "0",
        "U" + CODE[1:],
        CODE.replace(CODE[5], "苹"),
        " " * (MAX_INPUT + 1) + CODE,
    ],
)
def test_what_is_no_code_is_refused(text: str) -> None:
    assert parse_trace_code(text, KEYS) is None


@given(st.text(max_size=80))
def test_any_text_is_refused_without_an_error(text: str) -> None:
    assert parse_trace_code(text, KEYS) is None


@pytest.mark.parametrize("count", [0, 33])
def test_a_code_needs_one_to_thirty_two_keys(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 32 key versions"):
        make_trace_code(["key"] * count)


def test_a_code_is_shown_in_fives() -> None:
    assert shown("1K7QM2V9XATF4G8CNRH3") == "1K7QM-2V9XA-TF4G8-CNRH3"


def test_of_100000_random_codes_with_a_right_check_none_is_valid() -> None:
    chance = random.Random(20261124)
    bodies = ("0" + "".join(chance.choices(ALPHABET, k=LENGTH - 2)) for _ in range(100_000))
    assert [body for body in bodies if parse_trace_code(body + check_symbol(body), KEYS) is not None] == []
