"""Shapes of policy values: those of the seed hold, wrong ones are refused."""

import csv
import json
from datetime import date
from pathlib import Path

import pytest

from marketplace.policies import rules

SEED = Path(__file__).parents[2] / "catalog_seed" / "policies.csv"


def seed_values() -> list[tuple[str, object]]:
    with SEED.open(encoding="utf-8") as source:
        return [(row["key"], json.loads(row["value"])) for row in csv.DictReader(source)]


@pytest.mark.parametrize(("key", "value"), seed_values())
def test_every_value_of_the_seed_has_its_shape(key, value):
    rules.check_value(key, value)


def test_the_seed_sets_every_key():
    assert {key for key, _ in seed_values()} == set(rules.SHAPES)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("reserve_share_bp", {}),
        ("reserve_share_bp", {"minimum": 10_001}),
        ("reserve_share_bp", {"minimum": True}),
        ("reserve_share_bp", {"minimum": 1000, "encouraged": 900}),
        ("reserve_share_bp", {"minimum": 1000, "more": 1}),
        ("reserve_share_bp", 1000),
        ("reserve_base", {"canteen": 1, "union": False}),
        ("reserve_base", {"canteen": True}),
        ("reserve_non_decreasing", 0),
        ("declaration_deadline", {"month": 2, "day": 30}),
        ("declaration_deadline", {"month": "3", "day": 1}),
        ("counted_states", []),
        ("counted_states", ["accepted", "accepted"]),
        ("counted_states", ["accepted", "shipped"]),
        ("counted_states", [["accepted"]]),
        ("counted_states", "accepted"),
        ("payment_due_days", {"days": 61, "maximum": 60}),
        ("payment_due_days", {"days": 0, "maximum": 60}),
        ("late_interest_bp_per_day", -1),
        ("late_interest_bp_per_day", 5.0),
        ("hold_hours", 0),
        ("hold_hours", True),
        ("hold_hours", "72"),
        ("inspectors_required", {"school": 2}),
        ("inspectors_required", {"default": 0}),
        ("freight_counts", "false"),
        ("freight_counts", True),
        ("external_832_counts", True),
        ("certificate_rule", {"document": "合格证"}),
        ("certificate_rule", {"document": "合格证", "required_of": "company", "keep_months": 6}),
    ],
)
def test_a_value_of_another_shape_is_refused(key, value):
    with pytest.raises(rules.PolicyShape):
        rules.check_value(key, value)


def test_a_key_that_nobody_reads_is_refused():
    with pytest.raises(rules.UnknownPolicy):
        rules.check_value("reserve_shares_bp", {"minimum": 1000})


def test_readers_give_typed_values():
    assert rules.reserve_share({"minimum": 1000, "encouraged": 1500}) == rules.ReserveShare(1000, 1500)
    assert rules.reserve_share({"minimum": 0}) == rules.ReserveShare(0, None)
    assert rules.reserve_base({"canteen": True, "union": False}) == rules.ReserveBase(True, False)
    assert rules.declaration_deadline({"month": 3, "day": 24}, 2026) == date(2026, 3, 24)
    assert rules.counted_states(["evaluated", "accepted"]) == ("accepted", "evaluated")
    assert rules.payment_due({"days": 30, "maximum": 60}) == rules.PaymentDue(30, 60)


@pytest.mark.parametrize(("subkind", "people"), [("school", 2), ("hospital", 1), (None, 1)])
def test_the_kind_of_agency_decides_how_many_inspect(subkind, people):
    assert rules.inspectors_required({"school": 2, "default": 1}, subkind) == people


@pytest.mark.parametrize(
    ("scope", "chain"),
    [("", [""]), ("620826", ["620826", "620800", "620000", ""]), ("620800", ["620800", "620000", ""])],
)
def test_a_rule_is_looked_for_from_near_to_far(scope, chain):
    assert rules.scope_chain(scope) == chain
