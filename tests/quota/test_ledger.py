"""The fold of a line, by itself: the order of acts never changes what counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.clock import budget_year, business_day
from marketplace.quota.ledger import (
    Booking,
    Entry,
    EntryKind,
    LineState,
    Step,
    advance,
    book,
    states_of,
    steps_of,
)

LINE = LineState(
    line="l",
    order="o",
    order_number="CG-2026-000001-1",
    agency="a",
    purpose="canteen",
    county="620826",
    buyer_county="620802",
    category="010301",
    eligible=True,
    policy_version="counted_states@2019-01-01.1",
    states=("accepted", "evaluated", "paid"),
)
AMOUNTS = st.integers(1, 10**9)


def run(state: LineState, steps: list[Step]) -> tuple[LineState, list[Entry]]:
    told: list[Entry] = []
    for step in steps:
        state, entries = advance(state, step)
        told += entries
    return state, told


def sums(entries: list[Entry]) -> dict[str, int]:
    totals = dict.fromkeys((kind.value for kind in EntryKind), 0)
    for entry in entries:
        totals[entry.kind.value] += entry.amount_fen
    return totals


@st.composite
def shuffled_acts(draw):
    accepted = draw(st.lists(AMOUNTS, max_size=4))
    paid = draw(st.lists(AMOUNTS, max_size=4))
    steps = [Step(EntryKind.ACCEPTED, a) for a in accepted] + [Step(EntryKind.PAID, p) for p in paid]
    if draw(st.booleans()):
        steps.append(Step(EntryKind.EVALUATED))
    return steps, draw(st.permutations(steps))


@given(shuffled_acts())
def test_the_order_of_acceptance_payment_and_evaluation_does_not_matter(acts):
    one, _ = run(LINE, list(acts[0]))
    other, _ = run(LINE, list(acts[1]))
    assert one == other


@given(
    st.lists(
        st.builds(
            Step,
            st.sampled_from([EntryKind.ORDERED, EntryKind.ACCEPTED, EntryKind.PAID, EntryKind.EVALUATED]),
            st.integers(-(10**9), 10**9),
        ),
        max_size=12,
    ),
    st.sets(st.sampled_from(["ordered", "accepted", "paid", "evaluated"])),
    st.booleans(),
)
def test_entries_add_up_to_the_standing_and_counted_never_exceeds_its_stages(steps, states, eligible):
    start = replace(LINE, states=tuple(sorted(states)), eligible=eligible)
    end, entries = run(start, steps)
    assert sums(entries) == {
        "ordered": end.ordered_fen,
        "accepted": end.accepted_fen,
        "paid": end.paid_fen,
        "evaluated": end.evaluated_fen,
        "counted": end.counted_fen,
    }
    assert all(entry.amount_fen != 0 for entry in entries)
    assert end.counted_fen >= 0
    reached = {
        "ordered": end.ordered_fen,
        "accepted": end.accepted_fen,
        "paid": end.paid_fen,
        "evaluated": end.evaluated_fen,
    }
    for stage in states:
        assert end.counted_fen <= max(0, reached[stage])
    if not eligible or not states:
        assert end.counted_fen == 0


def test_counted_is_what_was_both_accepted_and_paid_once_evaluated():
    end, entries = run(
        LINE,
        [
            Step(EntryKind.ORDERED, 10_000),
            Step(EntryKind.ACCEPTED, 9_000),
            Step(EntryKind.PAID, 4_000),
            Step(EntryKind.EVALUATED),
            Step(EntryKind.PAID, 6_000),
        ],
    )
    assert entries == [
        Entry(EntryKind.ORDERED, 10_000),
        Entry(EntryKind.ACCEPTED, 9_000),
        Entry(EntryKind.PAID, 4_000),
        Entry(EntryKind.EVALUATED, 9_000),
        Entry(EntryKind.COUNTED, 4_000),
        Entry(EntryKind.PAID, 6_000),
        Entry(EntryKind.COUNTED, 5_000),
    ]
    assert end.counted_fen == 9_000


def test_goods_accepted_after_the_evaluation_are_evaluated_too():
    _, entries = run(
        LINE, [Step(EntryKind.ACCEPTED, 100), Step(EntryKind.EVALUATED), Step(EntryKind.ACCEPTED, 50)]
    )
    assert [e.amount_fen for e in entries if e.kind is EntryKind.EVALUATED] == [100, 50]


def test_an_allowance_takes_back_what_it_had_counted():
    end, entries = run(
        LINE,
        [
            Step(EntryKind.ACCEPTED, 100),
            Step(EntryKind.PAID, 100),
            Step(EntryKind.EVALUATED),
            Step(EntryKind.ACCEPTED, -30),
        ],
    )
    assert entries[-3:] == [
        Entry(EntryKind.ACCEPTED, -30),
        Entry(EntryKind.EVALUATED, -30),
        Entry(EntryKind.COUNTED, -30),
    ]
    assert end.counted_fen == 70


def test_a_policy_of_acceptance_alone_counts_what_was_accepted():
    end, _ = run(replace(LINE, states=("accepted",)), [Step(EntryKind.ACCEPTED, 700)])
    assert end.counted_fen == 700


@pytest.mark.parametrize("line", [replace(LINE, eligible=False), replace(LINE, agency=None)])
def test_goods_of_an_unlisted_county_and_trade_of_no_agency_are_booked_but_never_counted(line):
    end, entries = run(
        line, [Step(EntryKind.ACCEPTED, 100), Step(EntryKind.PAID, 100), Step(EntryKind.EVALUATED)]
    )
    assert sums(entries) == {"ordered": 0, "accepted": 100, "paid": 100, "evaluated": 100, "counted": 0}
    assert end.counted_fen == 0


def test_counted_is_never_told():
    with pytest.raises(ValueError, match="follows from the other stages"):
        advance(LINE, Step(EntryKind.COUNTED, 1))


def test_the_year_turns_at_16_hours_utc_on_31_december():
    before = business_day(datetime(2026, 12, 31, 15, 59, 59, tzinfo=UTC))
    after = business_day(datetime(2026, 12, 31, 16, 0, 0, tzinfo=UTC))
    assert (budget_year(before), budget_year(after)) == (2026, 2027)
    assert book(before, ()) == Booking(2026, "2026-12", False)
    assert book(after, ()) == Booking(2027, "2027-01", False)


def test_an_act_of_a_closed_month_stands_in_the_first_open_one_marked():
    assert book(date(2026, 10, 31), {"2026-10"}) == Booking(2026, "2026-11", True)
    assert book(date(2026, 11, 30), {"2026-11", "2026-12"}) == Booking(2027, "2027-01", True)
    assert book(date(2026, 11, 30), {"2026-10"}) == Booking(2026, "2026-11", False)


@pytest.mark.parametrize(
    "text",
    ["accepted,paid,evaluated", '["paid", "accepted", "evaluated"]', ["evaluated", "paid", "accepted"]],
)
def test_counting_conditions_are_read_from_text_and_list_alike(text):
    assert states_of(text) == ("accepted", "evaluated", "paid")


@pytest.mark.parametrize("text", ["accepted,shipped", "counted"])
def test_a_condition_that_is_no_stage_is_refused(text):
    with pytest.raises(ValueError):
        states_of(text)


def test_lots_of_one_line_are_added_up():
    data = {
        "lines": [
            {"line": "l", "accepted_fen": 30},
            {"line": "m", "accepted_fen": 5},
            {"line": "l", "accepted_fen": 12},
        ]
    }
    assert steps_of("order.accepted", data) == {
        "l": Step(EntryKind.ACCEPTED, 42),
        "m": Step(EntryKind.ACCEPTED, 5),
    }


def test_cancelling_takes_back_only_what_was_confirmed():
    data = {"confirmed": True, "lines": [{"line": "l", "quantity": 3, "goods_fen": 300}]}
    assert steps_of("order.cancelled", data) == {"l": Step(EntryKind.ORDERED, -300)}
    assert steps_of("order.cancelled", {**data, "confirmed": False}) == {}
    assert steps_of("order.shipped", data) == {}
