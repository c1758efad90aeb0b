"""A whole table by the address: found, ordered, turned page by page."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from marketplace.paging import BadCursor
from marketplace.web.sorting import found_rows, page_of, sorted_rows, typed

ROWS = [
    {"name": "苹果", "of": {"fen": 300}, "code": "APPLE"},
    {"name": "土豆", "of": {"fen": None}, "code": "POTATO"},
    {"name": "红苹果", "of": {"fen": 100}, "code": "RED"},
]


@pytest.fixture(scope="module")
def bare() -> Flask:
    return Flask("bare")


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def test_rows_without_a_value_come_last_both_ways(bare: Flask) -> None:
    with bare.test_request_context("/?sort=of.fen"):
        assert names(sorted_rows(ROWS, "of.fen")) == ["红苹果", "苹果", "土豆"]
    with bare.test_request_context("/?sort=-of.fen"):
        assert names(sorted_rows(ROWS, "of.fen")) == ["苹果", "红苹果", "土豆"]
    with bare.test_request_context("/?sort=name"):
        assert sorted_rows(ROWS, "of.fen") == ROWS


def test_what_was_typed_is_found_in_the_named_members_whatever_its_case(bare: Flask) -> None:
    with bare.test_request_context("/?q= apple "):
        assert names(found_rows(ROWS, "name", "code")) == ["苹果"]
        assert found_rows(ROWS, "name") == []
    with bare.test_request_context("/?q=苹果"):
        assert names(found_rows(ROWS, "name", "code")) == ["苹果", "红苹果"]
    with bare.test_request_context("/?q=%20"):
        assert typed() is None
        assert found_rows(ROWS, "name") == ROWS


def test_pages_follow_each_other_to_the_last_row(bare: Flask) -> None:
    shown: list[dict[str, Any]] = []
    after: str | None = "0"
    while after is not None:
        with bare.test_request_context(f"/?after_goods={after}"):
            page = page_of(ROWS, name="after_goods", limit=2)
        shown += page["items"]
        after = page["next"]
    assert shown == ROWS


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "²", "9" * 9])
def test_a_cursor_that_is_none_of_ours_is_refused(bare: Flask, cursor: str) -> None:
    with bare.test_request_context("/", query_string={"after": cursor}), pytest.raises(BadCursor):
        page_of(ROWS)
