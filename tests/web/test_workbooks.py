"""What stands in a downloaded list: numbers as numbers, days as days, text as text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from io import BytesIO

from openpyxl import load_workbook

from marketplace.workbooks import Column, workbook
from tests.desks.spreadsheets import sheet_rows

COLUMNS = [
    Column("name", "品名"),
    Column("fen", "金额（元）", "yuan"),
    Column("on", "日期", "day"),
    Column("at", "时间", "time"),
]


def test_days_and_instants_are_the_sheets_own_in_beijing_time() -> None:
    row = {
        "name": "=1+1",
        "fen": 123_456,
        "on": date(2026, 11, 24),
        "at": datetime(2026, 11, 24, 16, 5, 59, tzinfo=UTC),
    }

    content = workbook("表", COLUMNS, [row], ["口径：一行"])

    sheet = load_workbook(BytesIO(content)).active
    assert sheet is not None
    cells = [cell.value for cell in sheet[5]]
    assert cells == ["=1+1", 1234.56, datetime(2026, 11, 24), datetime(2026, 11, 25, 0, 5)]
    assert [cell.data_type for cell in sheet[5]] == ["s", "n", "d", "d"]


def test_a_day_that_came_as_text_of_a_stored_answer_is_a_day_too_and_none_stays_empty() -> None:
    rows = [
        {"name": "甲", "fen": 1, "on": "2026-11-24", "at": "2026-11-24T16:05:00+00:00"},
        {"name": "乙", "fen": None, "on": None, "at": ""},
    ]

    told = sheet_rows(workbook("表", COLUMNS, rows, []))

    assert told[-2:] == [["甲", "0.01", "2026-11-24", "2026-11-25 00:05"], ["乙", "", "", ""]]
