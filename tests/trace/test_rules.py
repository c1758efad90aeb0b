"""What stops a lot: one test for every comparison."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from marketplace.trace.rules import Certificate, LotPapers, Use, blocking_reasons, contradiction, within_lot

TODAY = date(2026, 11, 24)
HOLDER = "93620826MA70A0A67D"
PAPER = Certificate("commitment", "HGZ-1", "静宁苹果", HOLDER, date(2026, 10, 13), None, 600)
LOT = LotPapers(
    product_names=("静宁苹果", "苹果"),
    holders=(HOLDER,),
    quantity=600,
    harvested_on=date(2026, 10, 12),
    best_before=date(2027, 5, 10),
    proofs=("commitment",),
    sampling_required=True,
    certificates=(PAPER,),
    samples=(True,),
)


def codes(lot: LotPapers) -> list[str]:
    return [reason["code"] for reason in blocking_reasons(lot, TODAY)]


def with_paper(**changes: object) -> LotPapers:
    return replace(LOT, certificates=(replace(PAPER, **changes),))  # type: ignore[arg-type]


def test_a_lot_whose_papers_agree_may_be_sold() -> None:
    assert codes(LOT) == []


def test_a_missing_paper_is_named() -> None:
    assert blocking_reasons(replace(LOT, certificates=()), TODAY) == [
        {"code": "certificate-missing", "detail": "缺承诺达标合格证", "kind": "commitment"}
    ]


def test_every_missing_paper_is_named_at_once() -> None:
    beef = replace(LOT, proofs=("quarantine", "meat_inspection"), samples=())
    assert codes(beef) == ["certificate-missing", "certificate-missing", "sample-missing"]


def test_a_paper_of_another_kind_does_not_count() -> None:
    assert codes(with_paper(kind="factory_report")) == ["certificate-missing"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"product_name": "庄浪马铃薯"}, "certificate-product"),
        ({"holder": "93620825MA70A0A594"}, "certificate-holder"),
        ({"quantity": 599}, "certificate-quantity"),
        ({"issued_on": TODAY + timedelta(days=1)}, "certificate-not-yet-issued"),
        ({"issued_on": date(2026, 10, 4)}, "certificate-too-early"),
        ({"valid_until": TODAY - timedelta(days=1)}, "certificate-expired"),
        ({"used": (Use("静宁苹果", "93620825MA70A0A594", 0),)}, "certificate-number-holder"),
        ({"used": (Use("静宁梨", HOLDER, 0),)}, "certificate-number-product"),
        ({"quantity": None, "used": (Use("静宁苹果", HOLDER, 1),)}, "certificate-quantity-open"),
        ({"used": (Use("静宁苹果", HOLDER, 1),)}, "certificate-overused"),
    ],
)
def test_each_comparison_of_a_paper_refuses_alone(changes: dict[str, object], code: str) -> None:
    assert codes(with_paper(**changes)) == [code]


@pytest.mark.parametrize(
    "changes",
    [
        {"product_name": " 苹果 "},
        {"quantity": None},
        {"issued_on": TODAY},
        {"issued_on": date(2026, 10, 5)},
        {"valid_until": TODAY},
        {"quantity": 900, "used": (Use("静宁苹果", HOLDER, 300),)},
        {"number": None},
    ],
)
def test_the_bounds_of_each_comparison_are_allowed(changes: dict[str, object]) -> None:
    assert codes(with_paper(**changes)) == []


def test_a_licence_stands_for_all_products_and_days_of_its_holder() -> None:
    licence = replace(PAPER, kind="sc_licence", product_name="酱卤肉", issued_on=date(2024, 1, 1), quantity=1)
    lot = replace(
        LOT, proofs=("sc_licence",), certificates=(replace(licence, used=(Use("甜醅", HOLDER, 900),)),)
    )
    assert codes(lot) == []
    assert codes(replace(lot, holders=("93620825MA70A0A594",))) == ["certificate-holder"]


def test_one_good_paper_makes_up_for_a_bad_one() -> None:
    bad = replace(PAPER, quantity=1)
    assert codes(replace(LOT, certificates=(PAPER, bad))) == []


def test_a_failed_sample_stops_the_lot_even_beside_a_passed_one() -> None:
    assert codes(replace(LOT, samples=(True, False))) == ["sample-failed"]


def test_a_category_under_sampling_needs_a_passed_sample() -> None:
    assert codes(replace(LOT, samples=())) == ["sample-missing"]
    assert codes(replace(LOT, samples=(), covered=True)) == []
    assert codes(replace(LOT, samples=(), sampling_required=False)) == []


def test_a_lot_past_its_day_is_not_sold() -> None:
    assert codes(replace(LOT, best_before=TODAY - timedelta(days=1))) == ["lot-expired"]
    assert codes(replace(LOT, best_before=TODAY)) == []


def test_a_passed_sample_with_a_value_above_its_limit_contradicts_itself() -> None:
    item = {"name": "毒死蜱", "value": "0.03", "limit": "0.02"}
    assert contradiction([item], passed=True) == "毒死蜱"
    assert contradiction([item], passed=False) is None
    assert contradiction([item | {"value": "0.020"}], passed=True) is None
    assert contradiction([item | {"value": "未检出"}], passed=True) is None
    assert contradiction([item | {"value": "NaN"}], passed=True) is None


def test_a_count_fits_into_the_lot() -> None:
    assert within_lot(600, 400, 200)
    assert not within_lot(600, 401, 200)
