"""What is read from the words of a season, of a kind and of a source."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from marketplace.desks.seasons import ALL, season_of
from marketplace.desks.signs import sign_of
from marketplace.desks.sources import public_source

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "harvest", "stored"),
    [
        ("10月采收，贮存至次年6月", {10}, {11, 12, 1, 2, 3, 4, 5, 6}),
        ("9-11月", {9, 10, 11}, set()),
        ("12-4月", {12, 1, 2, 3, 4}, set()),
        ("11月至5月", {11, 12, 1, 2, 3, 4, 5}, set()),
        ("7月起", {7, 8, 9, 10, 11, 12}, set()),
        ("秋冬", {9, 10, 11, 12, 1, 2}, set()),
        ("冬春", {12, 1, 2, 3, 4, 5}, set()),
        ("10月收获", {10}, set()),
        ("全年", set(ALL), set()),
        ("", set(), set()),
        ("13月", set(), set()),
        ("随时", set(), set()),
    ],
)
def test_a_season_is_read_as_months(text: str, harvest: set[int], stored: set[int]) -> None:
    season = season_of(text)
    assert (season.harvest, season.stored) == (harvest, stored)


def test_only_goods_of_the_whole_year_have_no_calendar() -> None:
    assert season_of("全年").all_year
    assert not season_of("10月采收，贮存至次年9月").all_year


def test_the_longest_category_decides_the_sign() -> None:
    assert sign_of("010301", "苹果") == "apple"
    assert sign_of("010301", "梨") == "pear"
    assert sign_of("010399") == "apple"
    assert sign_of("77") == "bowl"


def test_no_product_of_the_seed_is_shown_by_the_drawing_of_something_else() -> None:
    shown = {
        row["name"]: sign_of(row["category_code"], row["family"])
        for row in csv.DictReader((ROOT / "catalog_seed" / "products.csv").open(encoding="utf-8"))
    }
    expected = {
        "崆峒辣椒": "chili", "崆峒番茄": "tomato", "庄浪白萝卜": "radish-white", "泾川青萝卜": "radish", "崇信芹菜": "celery",
        "崆峒菠菜": "leaf", "华亭金银花": "flower", "平凉黄芪": "root", "华亭大黄": "herb", "静宁鲜榨苹果汁": "juice",
        "静宁陈酿苹果醋": "bottle", "静宁冻干苹果脆片": "crisp", "灵台布老虎": "tiger", "静宁窗花": "papercut",
        "庄浪草编果篮": "basket", "崆峒艾草荷包": "craft",
    }  # fmt: skip
    assert {name: shown[name] for name in expected} == expected
    assert {
        sign for sign in shown.values() if not (ROOT / f"marketplace/static/img/{sign}.svg").exists()
    } == set()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("财库〔2021〕19号 (S1 public page)", "财库〔2021〕19号"),
        ("财库〔2019〕27号; 财库〔2019〕41号 (S18 public page)", "财库〔2019〕27号；财库〔2019〕41号"),
        ("estimate", ""),
        ("estimate (武汉 2022 asks for it, S6 public page; no such text for 平凉)", ""),
        ("GB/T 2260; 甘肃省58个集中连片特困县名单 (S15 public page)", "甘肃省58个集中连片特困县名单"),
        ("GB 2763-2021", "GB 2763-2021"),
        (None, ""),
    ],
)
def test_a_source_is_shown_without_the_notes_of_who_keeps_it(text: str | None, shown: str) -> None:
    assert public_source(text) == shown
