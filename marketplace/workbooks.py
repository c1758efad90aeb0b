"""A list as a workbook: title, 口径, head, rows; or an empty form. Every cell has its type, so a name can never become a
formula. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Any

import xlsxwriter

from marketplace.clock import SHANGHAI

CONTENT_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
# kind -> (divisor, number format): sheets hold doubles, which keep every amount here to the fen.
_NUMBERS = {
    "yuan": (100, "#,##0.00"),
    "percent": (100, "0.00"),
    "kg": (1000, "#,##0.###"),
    "count": (1, "#,##0"),
    "year": (1, "0"),
}
# A day or an instant as the sheet's own date, so that it can be sorted, filtered and reckoned with.
_DAYS = {"day": "yyyy-mm-dd", "time": "yyyy-mm-dd hh:mm"}


@dataclass(frozen=True)
class Column:
    """`key` is the member of a row, or its path ("seller.name"); `kind` text, yuan, percent, kg, count, year, day, time.

    `none` is what stands in a cell without a value.
    """

    key: str
    label: str
    kind: str = "text"
    width: int = 16
    none: str = ""


def workbook(
    title: str,
    columns: Sequence[Column],
    rows: Iterable[Mapping[str, Any]],
    basis: Sequence[str],
    *,
    tab: str | None = None,
) -> bytes:
    """The bytes of a workbook with one sheet, named `tab` (default: the title).

    Amounts are in 元, weights in 公斤, times in Beijing time.
    """
    target = BytesIO()
    book = xlsxwriter.Workbook(target, _OPTIONS)
    sheet = book.add_worksheet(_sheet_name(tab or title))
    sheet.write_string(0, 0, title, book.add_format({"bold": True, "font_size": 14}))
    for number, line in enumerate(basis, start=1):
        sheet.write_string(number, 0, line)
    top = len(basis) + 2
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True})
    formats = {kind: book.add_format({"num_format": form}) for kind, (_, form) in _NUMBERS.items()}
    formats |= {kind: book.add_format({"num_format": form, "align": "left"}) for kind, form in _DAYS.items()}
    for place, column in enumerate(columns):
        sheet.write_string(top, place, column.label, head)
        sheet.set_column(place, place, column.width)
    for number, row in enumerate(rows, start=top + 1):
        for place, column in enumerate(columns):
            _write(sheet, number, place, column, member(row, column.key), formats)
    sheet.freeze_panes(top + 1, 1)
    book.close()
    return target.getvalue()


def form_workbook(tab: str, columns: Sequence[tuple[str, str]], *, lines: int) -> bytes:
    """A sheet to fill in: a head, and `lines` rows whose cells keep what is typed as day, text or count (from 1 on)."""
    target = BytesIO()
    book = xlsxwriter.Workbook(target, _OPTIONS)
    sheet = book.add_worksheet(tab)
    head = book.add_format({"bold": True, "bottom": 1})
    formats = {"day": "yyyy-mm-dd", "text": "@", "count": "0"}
    for place, (label, kind) in enumerate(columns):
        sheet.set_column(
            place, place, 30 if kind == "text" else 14, book.add_format({"num_format": formats[kind]})
        )
        sheet.write_string(0, place, label, head)
        if kind == "day":
            rule = {"validate": "date", "criteria": ">=", "value": date(2020, 1, 1)}
            sheet.data_validation(1, place, lines, place, rule)
        elif kind == "count":
            sheet.data_validation(
                1, place, lines, place, {"validate": "integer", "criteria": ">=", "value": 1}
            )
    sheet.freeze_panes(1, 0)
    book.close()
    return target.getvalue()


def member(row: Any, path: str) -> Any:
    """What stands at a path in a row, whose parts are mappings or objects; None where there is nothing."""
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value


def _sheet_name(title: str) -> str:
    return "".join(c for c in title if c not in "[]:*?/\\'")[:31] or "Sheet"


def _write(sheet: Any, row: int, place: int, column: Column, value: Any, formats: dict[str, Any]) -> None:
    if column.kind in _DAYS and isinstance(value, str) and value:
        value = date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    if value is None:
        sheet.write_string(row, place, column.none)
    elif column.kind in _NUMBERS:
        divisor, _ = _NUMBERS[column.kind]
        sheet.write_number(row, place, value / divisor if divisor > 1 else value, formats[column.kind])
    elif isinstance(value, datetime):
        minute = value.astimezone(SHANGHAI).replace(second=0, microsecond=0, tzinfo=None)
        sheet.write_datetime(row, place, minute, formats["time"])
    elif isinstance(value, date):
        sheet.write_datetime(row, place, value, formats["day"])
    else:
        sheet.write_string(row, place, str(value)[:32_767])
