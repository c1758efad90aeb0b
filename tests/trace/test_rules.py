"""What stands against the sale of a lot: each comparison refuses by itself, and all are told at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from marketplace.trace.rules import (
    Certificate,
    LotPapers,
    Use,
    blocking_reasons,
    contradiction,
    within_lot,
)

HARVEST = date(2026, 10, 12)
TODAY = date(2026, 11, 24)
SELLER = "91620826MA7EXAMPL1"

PAPER = Certificate(
    kind="commitment",
    number="HGZ-1013-07",
    product_name="静宁苹果",
    holder=SELLER,
    issued_on=date(2026, 10, 13),
    valid_until=date(2027, 4, 13),
    quantity=600,
)
LICENCE = replace(PAPER, kind="sc_licence", number="SC11562082600001", product_name="水果制品", quantity=None)
LOT = LotPapers(
    product_names=("静宁苹果", "苹果", "静宁苹果 80#一级"),
    holders=(SELLER,),
    quantity=600,
    harvested_on=HARVEST,
    best_before=date(2027, 3, 31),
    proofs=("commitment",),
    sampling_required=False,
    certificates=(PAPER,),
)


def codes_of(lot: LotPapers, today: date = TODAY) -> list[str]:
    return [reason["code"] for reason in blocking_reasons(lot, today)]


def with_paper(**changes: Any) -> LotPapers:
    return replace(LOT, certificates=(replace(PAPER, **changes),))


def test_a_lot_whose_papers_agree_may_be_sold() -> None:
    assert blocking_reasons(LOT, TODAY) == []


def test_a_lot_without_its_paper_is_refused() -> None:
    assert blocking_reasons(replace(LOT, certificates=()), TODAY) == [
        {"code": "certificate-missing", "detail": "缺承诺达标合格证", "kind": "commitment"}
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"product_name": "静宁烧鸡"}, "certificate-product"),
        ({"holder": "91620826MA7EXAMPL2"}, "certificate-holder"),
        ({"holder": ""}, "certificate-holder"),
        ({"quantity": 599}, "certificate-quantity"),
        ({"issued_on": date(2026, 11, 25)}, "certificate-not-yet-issued"),
        ({"issued_on": date(2026, 10, 4)}, "certificate-too-early"),
        ({"valid_until": date(2026, 11, 23)}, "certificate-expired"),
        ({"used": (Use("静宁苹果", "91620826MA7EXAMPL2", 0),)}, "certificate-number-holder"),
        ({"used": (Use("静宁烧鸡", SELLER, 0),)}, "certificate-number-product"),
        ({"used": (Use("静宁苹果", SELLER, 100),), "quantity": None}, "certificate-quantity-open"),
        ({"used": (Use("静宁苹果", SELLER, 100),), "quantity": 699}, "certificate-overused"),
    ],
)
def test_a_paper_that_disagrees_is_refused_for_that_alone(changes: dict[str, Any], code: str) -> None:
    assert codes_of(with_paper(**changes)) == [code]


@pytest.mark.parametrize(
    "changes",
    [
        {"product_name": " 静宁 苹果 "},
        {"product_name": "苹果"},
        {"product_name": "静宁苹果 80\uff03一级"},
        {"quantity": None},
        {"quantity": 600},
        {"issued_on": TODAY},
        {"issued_on": date(2026, 10, 5)},
        {"valid_until": TODAY},
        {"valid_until": None},
        {"used": (Use("静宁苹果", SELLER, 100),), "quantity": 700},
        {"number": None, "used": ()},
    ],
)
def test_a_paper_at_the_edge_of_its_rule_stands(changes: dict[str, Any]) -> None:
    assert codes_of(with_paper(**changes)) == []


def test_a_paper_of_another_kind_does_not_stand_for_the_kind_that_is_asked() -> None:
    lot = replace(LOT, certificates=(replace(PAPER, kind="factory_report"),))
    assert codes_of(lot) == ["certificate-missing"]


def test_every_kind_that_the_category_asks_for_is_needed() -> None:
    lot = replace(LOT, proofs=("quarantine", "meat_inspection"), certificates=(PAPER,))
    reasons = blocking_reasons(lot, TODAY)
    assert [(r["code"], r["kind"]) for r in reasons] == [
        ("certificate-missing", "quarantine"),
        ("certificate-missing", "meat_inspection"),
    ]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    lot = replace(
        with_paper(product_name="静宁烧鸡", holder="", quantity=1, valid_until=date(2026, 11, 1)),
        best_before=date(2026, 11, 23),
        samples=(False,),
    )
    assert codes_of(lot) == [
        "lot-expired",
        "certificate-product",
        "certificate-holder",
        "certificate-quantity",
        "certificate-expired",
        "sample-failed",
    ]


def test_one_paper_that_agrees_is_enough_beside_a_wrong_one() -> None:
    wrong = replace(PAPER, product_name="静宁烧鸡")
    assert codes_of(replace(LOT, certificates=(PAPER, wrong))) == []


def test_the_newest_of_several_wrong_papers_is_told() -> None:
    papers = (replace(PAPER, holder=""), replace(PAPER, quantity=1))
    assert codes_of(replace(LOT, certificates=papers)) == ["certificate-quantity"]


def test_an_agents_paper_may_be_the_makers() -> None:
    maker = "91620826MA7EXAMPL2"
    assert codes_of(replace(with_paper(holder=maker), holders=(SELLER, maker))) == []


def test_a_licence_names_no_batch_and_is_not_compared_with_one() -> None:
    old = replace(LICENCE, issued_on=date(2024, 1, 1), used=(Use("果汁", SELLER, 10_000),))
    assert codes_of(replace(LOT, proofs=("sc_licence",), certificates=(old,))) == []


def test_a_licence_of_another_maker_is_refused() -> None:
    lot = replace(LOT, proofs=("sc_licence",), certificates=(replace(LICENCE, holder="91620826MA7EXAMPL2"),))
    assert codes_of(lot) == ["certificate-holder"]


def test_an_expired_licence_is_refused() -> None:
    lot = replace(
        LOT, proofs=("sc_licence",), certificates=(replace(LICENCE, valid_until=date(2026, 11, 23)),)
    )
    assert codes_of(lot) == ["certificate-expired"]


def test_a_lot_is_sold_on_its_last_day_and_not_after_it() -> None:
    lot = replace(LOT, best_before=TODAY)
    assert codes_of(lot) == []
    assert codes_of(lot, date(2026, 11, 25)) == ["lot-expired"]


@pytest.mark.parametrize(
    ("required", "samples", "covered", "expected"),
    [
        (False, (), False, []),
        (True, (), False, ["sample-missing"]),
        (True, (), True, []),
        (True, (True,), False, []),
        (True, (True, False), True, ["sample-failed"]),
        (False, (False,), False, ["sample-failed"]),
    ],
)
def test_samples_decide_as_the_category_asks(
    required: bool, samples: tuple[bool, ...], covered: bool, expected: list[str]
) -> None:
    assert codes_of(replace(LOT, sampling_required=required, samples=samples, covered=covered)) == expected


def test_the_days_before_harvest_follow_the_rule_of_the_county() -> None:
    lot = with_paper(issued_on=date(2026, 10, 4))
    assert codes_of(replace(lot, days_before_harvest=8)) == []


@pytest.mark.parametrize(
    ("items", "passed", "named"),
    [
        ([{"name": "毒死蜱", "value": "0.03", "limit": "0.02"}], True, "毒死蜱"),
        ([{"name": "毒死蜱", "value": "0.02", "limit": "0.02"}], True, None),
        ([{"name": "毒死蜱", "value": "0.03", "limit": "0.02"}], False, None),
        ([{"name": "毒死蜱", "value": "未检出", "limit": "0.02"}], True, None),
        ([{"name": "毒死蜱", "value": "NaN", "limit": "0.02"}], True, None),
        ([{"name": "毒死蜱", "value": "0.03"}], True, None),
        ([], True, None),
    ],
)
def test_a_passed_sample_has_no_value_above_its_limit(
    items: list[dict[str, str]], passed: bool, named: str | None
) -> None:
    assert contradiction(items, passed) == named


@pytest.mark.parametrize(("on_hand", "gone", "fits"), [(400, 200, True), (401, 200, False), (0, 600, True)])
def test_a_count_fits_into_what_was_harvested(on_hand: int, gone: int, fits: bool) -> None:
    assert within_lot(600, on_hand, gone) is fits
