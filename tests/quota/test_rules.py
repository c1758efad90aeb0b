"""Declarations, reserves and reasons, by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.errors import WrongState
from marketplace.quota.ledger import EntryKind, Step
from marketplace.quota.rules import (
    Filing,
    SharePolicy,
    deadline_of,
    elapsed_bp,
    filing_errors,
    is_late,
    percent,
    period_is_over,
    ranks,
    reserve_fen,
    share_policy,
    uncounted_reasons,
)
from marketplace.quota.states import DECLARATION_MOVES, DeclarationState, move
from marketplace.values import ratio_bp
from tests.quota.test_ledger import LINE, run

TEN_PERCENT = SharePolicy(1000, 1500)


def pointers(filing: Filing) -> list[str]:
    return [error["pointer"] for error in filing_errors(filing, TEN_PERCENT)]


def test_jiujiang_completed_113_60_percent():
    assert ratio_bp(1_895_04_00_00, 1_668_23_00_00) == 11_360
    assert percent(11_360) == "113.6"


def test_a_reserve_is_rounded_up_to_the_fen():
    assert reserve_fen(Filing("own", 100_001, 1000), TEN_PERCENT, None) == 10_001


def test_a_reserve_falls_below_last_years_only_where_the_policy_lets_it():
    filing = Filing("own", 100_000, 1000)
    assert reserve_fen(filing, TEN_PERCENT, 12_000) == 10_000
    assert reserve_fen(filing, SharePolicy(1000, None, True), 12_000) == 12_000
    assert reserve_fen(filing, SharePolicy(1000, None, True), 9_000) == 10_000
    assert reserve_fen(filing, SharePolicy(1000, None, True), None) == 10_000


@pytest.mark.parametrize("canteen", ["none", "shared"])
def test_nothing_is_reserved_without_a_canteen_of_ones_own(canteen):
    filing = Filing(canteen, 0, 1000, represented_by=canteen == "shared")
    assert filing_errors(filing, TEN_PERCENT) == []
    assert reserve_fen(filing, SharePolicy(1000, None, True), 5_000) == 0


def test_each_case_names_every_field_that_is_wrong():
    assert pointers(Filing("own", 100, 1000)) == []
    assert pointers(Filing("own", 0, 999)) == ["#/base_fen", "#/share_bp"]
    assert pointers(Filing("none", 1, 0)) == ["#/base_fen"]
    assert pointers(Filing("shared", 1, 0)) == ["#/base_fen", "#/represented_by"]
    assert pointers(Filing("outsourced", 100, 1000)) == ["#/contractor_id"]
    assert pointers(Filing("outsourced", 100, 1000, contractor=True)) == []
    assert pointers(Filing("own", 100, 1000, represented_by=True, contractor=True)) == [
        "#/represented_by",
        "#/contractor_id",
    ]


def test_a_late_declaration_is_marked():
    deadline = deadline_of(2026, {"month": 3, "day": 24})
    assert deadline == date(2026, 3, 24)
    assert not is_late(date(2026, 3, 24), deadline)
    assert is_late(date(2026, 3, 25), deadline)
    assert not is_late(date(2026, 3, 25), None)
    assert share_policy({"minimum": 0}, False) == SharePolicy(0, None, False)


def test_a_month_may_be_closed_an_hour_after_its_end_in_shanghai():
    assert not period_is_over("2026-12", datetime(2026, 12, 31, 16, 59, tzinfo=UTC))
    assert period_is_over("2026-12", datetime(2026, 12, 31, 17, 0, tzinfo=UTC))
    assert not period_is_over("2027-01", datetime(2026, 12, 31, 17, 0, tzinfo=UTC))


def test_equal_completions_share_a_rank():
    assert ranks([11_360, None, 5_000, 11_360, 0]) == [1, None, 3, 1, 4]


def test_the_year_is_half_over_on_2_july():
    assert elapsed_bp(2026, date(2025, 12, 31)) == 0
    assert elapsed_bp(2026, date(2026, 7, 2)) == 5_014
    assert elapsed_bp(2026, date(2027, 3, 1)) == 10_000


def test_each_uncounted_yuan_has_its_reason():
    ordered = Step(EntryKind.ORDERED, 1_000)
    waiting, _ = run(LINE, [ordered])
    assert uncounted_reasons(waiting, 1_000)["not_accepted"] == 1_000
    accepted, _ = run(LINE, [ordered, Step(EntryKind.ACCEPTED, 700), Step(EntryKind.PAID, 400)])
    assert uncounted_reasons(accepted, 200) == {
        "not_eligible": 0,
        "not_accepted": 200,
        "not_paid": 300,
        "not_evaluated": 400,
        "refused": 100,
    }
    assert uncounted_reasons(replace(accepted, eligible=False), 200)["not_eligible"] == 1_000


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.booleans())
def test_reasons_and_counted_add_up_to_what_was_ordered(accepted, refused, paid, evaluated):
    accepted = min(accepted, 1000)
    refused = min(refused, 1000 - accepted)
    steps = [
        Step(EntryKind.ORDERED, 1_000),
        Step(EntryKind.ACCEPTED, accepted),
        Step(EntryKind.PAID, min(paid, accepted)),
    ]
    state, _ = run(LINE, steps + ([Step(EntryKind.EVALUATED)] if evaluated else []))
    reasons = uncounted_reasons(state, 1000 - accepted - refused)
    assert sum(reasons.values()) + state.counted_fen == 1_000
    assert all(amount >= 0 for amount in reasons.values())
    assert reasons["refused"] == refused


@pytest.mark.parametrize("state", list(DeclarationState))
@pytest.mark.parametrize("event", ["edit", "submit", "withdraw", "approve", "return"])
def test_a_declaration_moves_only_by_its_table(state, event):
    if (state, event) in DECLARATION_MOVES:
        assert move(state, event) is DECLARATION_MOVES[state, event]
    else:
        with pytest.raises(WrongState) as refused:
            move(state, event)
        assert refused.value.data == {"state": state.value, "event": event}
