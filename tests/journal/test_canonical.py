import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.journal.canonical import MAX_DEPTH, canonical, instant_text

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def _reversed_keys(value):
    if isinstance(value, dict):
        return {key: _reversed_keys(value[key]) for key in reversed(value)}
    return [_reversed_keys(item) for item in value] if isinstance(value, list) else value


def test_keys_are_sorted_by_code_point_and_nothing_is_spaced_or_escaped():
    value = {"庄浪": [1, True, None], "b": -0, "B": "苹果\u2028\U0001f34e", "a": {"z": 1, "é": 2}}

    text = canonical(value)

    assert text == '{"B":"苹果\u2028\U0001f34e","a":{"z":1,"é":2},"b":0,"庄浪":[1,true,null]}'


def test_only_quote_backslash_and_control_characters_are_escaped():
    assert canonical('"\\/\n\x01\x7f') == '"\\"\\\\/\\n\\u0001\x7f"'


@given(VALUES)
def test_the_text_reads_back_to_the_same_value_and_the_same_text(value):
    text = canonical(value)

    assert json.loads(text) == value
    assert canonical(json.loads(text)) == text


@given(VALUES)
def test_the_order_in_which_keys_were_written_does_not_matter(value):
    assert canonical(_reversed_keys(value)) == canonical(value)


def _nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, "$: float is not allowed"),
        (float("nan"), "$: float is not allowed"),
        ({"lines": [{}, {"fen": 19.99}]}, "$.lines[1].fen: float is not allowed"),
        ({"at": datetime(2026, 11, 24, tzinfo=UTC)}, "$.at: datetime is not allowed"),
        ({"a": (1,)}, "$.a: tuple is not allowed"),
        ({"a": b"x"}, "$.a: bytes is not allowed"),
        ({1: "a"}, "$: key 1 is not text"),
        ({"a": {None: 1}}, "$.a: key None is not text"),
        ({"a": "x\x00"}, "$.a: NUL"),
        ({"a": ["x\ud800"]}, "$.a[0]: lone surrogate at character 1"),
        ({"\udfff": 1}, "$: key '\\udfff': lone surrogate"),
        (2**63, "$: integer outside 64 bits"),
        ([-(2**63) - 1], "$[0]: integer outside 64 bits"),
        (_nested(MAX_DEPTH + 1), "nested deeper than 32 levels"),
    ],
)
def test_what_another_reader_would_not_give_back_is_refused_with_its_path(value, message):
    with pytest.raises(ValueError) as refused:
        canonical(value)

    assert message in str(refused.value)


def test_the_deepest_allowed_value_is_written():
    assert canonical(_nested(MAX_DEPTH)) == "[" * 32 + "1" + "]" * 32


def test_a_structure_that_contains_itself_is_refused():
    loop = []
    loop.append(loop)

    with pytest.raises(ValueError, match="nested deeper"):
        canonical(loop)


def test_an_instant_is_utc_with_six_decimals():
    shanghai = timezone(timedelta(hours=8))

    assert instant_text(datetime(2026, 11, 24, 12, 1, 2, 3, shanghai)) == "2026-11-24T04:01:02.000003Z"
    assert instant_text(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        instant_text(datetime(2026, 11, 24))
