"""A shop's sales as a file: every wrong line is named, lots of a day add up, and what stands is not reported twice."""

from __future__ import annotations

from datetime import date, timedelta

import psycopg
import pytest
from flask import Flask

from marketplace.channels.sales_files import FileRow, as_text, preview, read_file, report_rows
from marketplace.clock import today
from marketplace.database import db
from tests.channels.partner import channel_actor
from tests.channels.stocked import Stocked, stocked

CODE = "1K7QM2V9XATF4G8CNRH3"
DAY = today() - timedelta(days=30)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("日期,追溯码,件数\n2026-11-23,AB,3\n".encode(), [(2, date(2026, 11, 23), "AB", 3)]),
        ("日期;追溯码;件数\r\n2026/1/3;AB;1,200\r\n".encode("gb18030"), [(2, date(2026, 1, 3), "AB", 1200)]),
        ("\ufeff20261123\tAB\t3\t\n\n2026年11月4日\tCD\t1\n".encode(), [
            (1, date(2026, 11, 23), "AB", 3), (3, date(2026, 11, 4), "CD", 1),
        ]),
        (f"2026-11-23,{CODE[:5]}-{CODE[5:].lower()},3".encode(), [(1, date(2026, 11, 23), CODE, 3)]),
    ],
)  # fmt: skip
def test_a_file_is_read_in_the_forms_that_tills_write(
    content: bytes, rows: list[tuple[int, date, str, int]]
) -> None:
    assert read_file(content) == ([FileRow(*row) for row in rows], [])
    assert read_file(as_text(read_file(content)[0]).encode())[1] == []


def test_every_line_that_can_not_be_read_is_named() -> None:
    rows, mistakes = read_file(
        "日期,追溯码,件数\n2026-13-01,AB,3\n2026-11-01,AB\n2026-11-01,AB,0\n一,AB,1".encode()
    )

    assert rows == []
    assert [(m.line, m.detail) for m in mistakes] == [
        (2, "读不出日期：2026-13-01"),
        (3, "要有日期、追溯码、件数三列，这一行有2列"),
        (4, "件数要是1以上的整数：0"),
        (5, "读不出日期：一"),
    ]
    for content in (b"", b"\x00\x01", "日期,追溯码,件数".encode()):
        assert [m.line for m in read_file(content)[1]] == [0]


@pytest.fixture(scope="module")
def lots(app: Flask) -> list[Stocked]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        return stocked(app, owner)


def file_of(*rows: tuple[date, str, int]) -> list[FileRow]:
    return [FileRow(n, *row) for n, row in enumerate(rows, start=1)]


def test_a_file_is_judged_before_it_is_reported_and_reported_once(
    app: Flask, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    first, second = lots
    held = first.held(owner)
    rows = file_of((DAY, first.trace_code, 2), (DAY, second.trace_code, 1), (DAY, first.trace_code, 1))
    with app.app_context():
        actor = channel_actor("tianjin.partner")
        days, mistakes = preview(db.session(), actor, rows)
        assert (mistakes, [(d.version, d.same, d.total_fen) for d in days]) == (
            [], [(None, False, 3 * first.price_fen + second.price_fen)],
        )  # fmt: skip
        assert [(line["line"], line["quantity"]) for line in days[0].lines] == [(1, 3), (2, 1)]
        assert first.held(owner) == held

        assert report_rows(actor, rows, {}) == 1
        assert report_rows(actor, rows, {}) == 0
        assert first.held(owner) == held - 3
        assert preview(db.session(), actor, rows)[0][0].same

        other = file_of((DAY, first.trace_code, 5))
        (day,), mistakes = preview(db.session(), actor, other)
        assert (day.version, day.same, mistakes) == (1, False, [])
        assert report_rows(actor, other, {DAY: 1}) == 1
        assert first.held(owner) == held - 5


def test_what_would_be_refused_is_named_by_its_line(
    app: Flask, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    first, second = lots
    held, at = second.held(owner), DAY + timedelta(days=1)
    rows = file_of(
        (at, second.trace_code, held - 1), (at + timedelta(days=1), second.trace_code, 2), (at, "NOSUCH", 1),
        (today() + timedelta(days=2), first.trace_code, 1), (date(2025, 1, 1), first.trace_code, 1),
    )  # fmt: skip
    with app.app_context():
        _, mistakes = preview(db.session(), channel_actor("tianjin.partner"), rows)

    assert [(m.line, m.detail) for m in mistakes] == [
        (2, "门店只有1件，报了2件"),
        (3, "门店没有过这一批"),
        (4, f"{(today() + timedelta(days=2)).isoformat()}还没有到"),
        (5, "2025-01-01没有生效的代销协议"),
    ]
    assert second.held(owner) == held
