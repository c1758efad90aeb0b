"""Charts: well-formed, harmless, without styles, and true to their numbers."""

from __future__ import annotations

import re
from datetime import date
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from marketplace.desks import charts

WORDS = charts.ProgressWords(
    "全市计入2,343.63万元", "计入 2,343.63", "应到 2,405.23", ("1月", *map(str, range(2, 12)), "12月")
)


def svgs(markup: Markup) -> list[ElementTree.Element]:
    """The drawings, parsed as XML."""
    assert "style" not in markup
    return list(ElementTree.fromstring(f"<r>{markup}</r>"))


def points_of(drawing: ElementTree.Element) -> list[tuple[float, float]]:
    line = next(e for e in drawing if e.get("class") == "line")
    return [tuple(map(float, pair.split(","))) for pair in str(line.get("points")).split()]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("most", "top"), [(1, 4), (4, 4), (5, 8), (9, 20), (100, 100), (101, 200), (267_655, 400_000), (0, 4)]
)
def test_an_axis_ends_at_a_round_number_that_holds_the_most(most: int, top: int) -> None:
    assert charts.nice_top(most) == top


def test_amounts_are_written_in_ten_thousands() -> None:
    assert charts.wan_text(2_343_630_000) == "2,343.63"
    assert charts.wan_text(5_000) == "0.01"
    assert charts.wan_text(4_999) == "0.00"
    assert charts.wan_text(0) == "0.00"


def test_the_line_of_progress_starts_at_nothing_and_ends_at_the_day_and_sum() -> None:
    sums = [100_000_000 * n for n in range(1, 12)]
    wide, narrow = svgs(charts.progress(2026, sums, date(2026, 11, 24), 2_000_000_000, WORDS))
    points = points_of(wide)
    assert len(points) == 12
    assert points[0] == (52.0, 220.0)
    # 328 of 365 days; 1,100 of an axis of 2,000 万元.
    assert points[-1] == (round(52 + 492 * 328 / 365, 1), round(220 - 206 * 0.55, 1))
    assert wide.get("aria-label") == narrow.get("aria-label") == "全市计入2,343.63万元"
    assert [e.text for e in wide if e.tag == "text"][:5] == ["0", "500", "1,000", "1,500", "2,000"]


def test_labels_of_progress_stay_inside_the_drawing_from_the_first_day_to_the_last() -> None:
    for sums, day in (
        ([0], date(2026, 1, 1)),
        ([9_000_000_000] * 12, date(2026, 12, 31)),
        ([5], date(2026, 1, 31)),
    ):
        for drawing in svgs(charts.progress(2026, sums, day, 1_000_000_000, WORDS)):
            _, _, width, height = map(float, str(drawing.get("viewBox")).split())
            for text in (e for e in drawing if e.tag == "text"):
                assert 0 <= float(str(text.get("x"))) <= width
                assert 0 < float(str(text.get("y"))) <= height


def test_progress_without_a_goal_or_a_month_draws_no_plan() -> None:
    for drawing in svgs(charts.progress(2026, [], date(2026, 1, 1), 0, WORDS)):
        assert [e for e in drawing if e.get("class") == "plan"] == []


def test_a_meter_is_darker_beyond_the_whole_and_never_longer_than_its_scale() -> None:
    (over,) = svgs(charts.meter(11_000))
    assert [(e.get("class"), e.get("width")) for e in over] == [
        ("f-count", "800.0"),
        ("f-over", "80.0"),
        ("f-gap", "10.0"),
    ]
    (far,) = svgs(charts.meter(50_000))
    assert sum(float(str(e.get("width"))) for e in far if e.get("class") != "f-gap") == 1_000.0
    (part,) = svgs(charts.meter(5_000, label="完成50.00%"))
    assert part.get("aria-label") == "完成50.00%"
    (none,) = svgs(charts.meter(None))
    assert none.get("aria-hidden") == "true"
    assert none[0].get("width") == "0.0"


def test_a_meter_shows_what_is_on_its_way_behind_a_gap() -> None:
    (drawn,) = svgs(charts.meter(5_000, way_bp=2_500))
    way = next(e for e in drawn if e.get("class") == "f-way")
    assert (way.get("x"), way.get("width")) == ("403.0", "197.0")


def test_bars_carry_names_as_text_and_never_as_markup() -> None:
    rows = [charts.Bar("<b>静宁县</b>", 10_000, "9.00"), charts.Bar("x" * 40, 2_500, "2.25", low=True)]
    markup = charts.bars(rows, '最多的是"静宁县"', mark_bp=9_800)
    wide, narrow = svgs(markup)
    assert "<b>" not in markup
    assert [e.get("class") for e in wide if e.tag == "rect"] == ["f-count", "f-low"]
    assert [e.get("width") for e in wide if e.tag == "rect"] == ["266.0", "66.5"]
    assert re.search("x{9}…", "".join(wide.itertext()))
    assert wide.get("aria-label") == '最多的是"静宁县"'
    assert len([e for e in narrow if e.get("class") == "plan"]) == 1
