"""The one table of a workbook (XLSX) that somebody hands in, row by row and as text. Pure.

A workbook is a zip of XML: what it would unpack to is known before anything is parsed, and entities are refused by
defusedxml, which openpyxl uses. Rows are read as a stream, so that neither rows nor columns without end are kept.
"""

from __future__ import annotations

import math
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import ParseError

from openpyxl import load_workbook
from openpyxl.utils import get_column_letter

SIGNATURE = b"PK\x03\x04"
# Of the older .xls, and of a workbook with a password.
OLD_SIGNATURE = b"\xd0\xcf\x11\xe0"
MOST_UNPACKED = 2_000_000  # bytes; the most rows that are taken fill less than half of it
MOST_PARTS = 200
# Elements, opened and closed, of all parts and of the styles: what openpyxl makes of each costs far more than its bytes.
# The most rows that are taken, with a text of their own in every cell, have 90,000.
MOST_TAGS = 120_000
MOST_STYLE_TAGS = 10_000
MOST_LINES = 20_000  # empty ones between the others included
MOST_COLUMNS = 20
_STYLES = "xl/styles.xml"
_TOO_LARGE = "表太大，请只留用得到的几列，另存后再传"
_UNREADABLE = "读不了这个文件，请另存成 XLSX 或 CSV"
# An encoding of one's own would hide the elements from being counted.
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([\w.-]+)")
# It warns of what it leaves out of odd workbooks, styles and lists to choose from among them; none of that is read here.
warnings.filterwarnings("ignore", module=r"openpyxl\b")
# What openpyxl raises for XML that is no workbook's: it has no error of its own for that.
_BROKEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError, EOFError, RuntimeError,
    ParseError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


class UnreadableWorkbook(ValueError):
    """No table can be taken from a file; the text says to people what to do."""


@dataclass(frozen=True)
class SheetRow:
    """A row that is not empty: its number in the sheet, its cells without the empty ones at the end, and what is
    wrong in it where a cell has no value that could be read."""

    number: int
    cells: list[str]
    mistake: str | None = None


def is_workbook(content: bytes) -> bool:
    return content.startswith((SIGNATURE, OLD_SIGNATURE))


def table_rows(content: bytes) -> Iterator[SheetRow]:
    """The rows of the only sheet that has any; hidden sheets are passed over.

    Days are YYYY-MM-DD and whole numbers digits, however the cells show them; of a formula it is the value that was
    saved with it. Raises UnreadableWorkbook, also while it is iterated.
    """
    if content.startswith(OLD_SIGNATURE):
        raise UnreadableWorkbook("旧的 XLS 或有密码的表读不了，请另存成没有密码的 XLSX")
    try:
        _check_size(content)
        yield from _rows(content)
    except UnreadableWorkbook:
        raise
    except _BROKEN:
        raise UnreadableWorkbook(_UNREADABLE) from None


def _check_size(content: bytes) -> None:
    with zipfile.ZipFile(BytesIO(content)) as parts:
        listed = parts.infolist()
        # No part unpacks to more than its entry says: the zip reader stops there.
        if len(listed) > MOST_PARTS or sum(part.file_size for part in listed) > MOST_UNPACKED:
            raise UnreadableWorkbook(_TOO_LARGE)
        tags = 0
        for part in listed:
            xml = parts.read(part)
            declared = _ENCODING.search(xml[:200])
            if declared and declared[1].lower() not in (b"utf-8", b"utf-16", b"us-ascii"):
                raise UnreadableWorkbook(_UNREADABLE)
            found = xml.count(b"<")
            tags += found
            if tags > MOST_TAGS or (found > MOST_STYLE_TAGS and part.filename == _STYLES):
                raise UnreadableWorkbook(_TOO_LARGE)


def _rows(content: bytes) -> Iterator[SheetRow]:
    book = load_workbook(BytesIO(content), read_only=True)
    saved: Iterator[Sequence[Any]] | None = None
    place = _only_table(book)
    if place is None:
        return
    for number, row in enumerate(_lines(book, place), start=1):
        values = [cell.value for cell in row]
        if saved is not None or any(cell.data_type == "f" for cell in row):
            if saved is None:
                saved = _lines(load_workbook(BytesIO(content), read_only=True, data_only=True), place)
                for _ in range(number - 1):
                    next(saved)
            values = [cell.value for cell in next(saved)]
        mistake = _mistake(row, values)
        cells = [_text(value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        if cells or mistake:
            yield SheetRow(number, cells, mistake)
        if number > MOST_LINES:
            raise UnreadableWorkbook(f"表太长，最多{MOST_LINES}行，请分开上传")


def _only_table(book: Any) -> int | None:
    """Which of the visible sheets has cells with something in them; None when none has."""
    visible = [n for n, sheet in enumerate(book.worksheets) if sheet.sheet_state == "visible"]
    filled = [n for n in visible if any(c.value is not None for row in _lines(book, n) for c in row)]
    if len(filled) > 1:
        names = "、".join(book.worksheets[n].title for n in filled)
        raise UnreadableWorkbook(f"有几张工作表（{names[:60]}），请只留一张")
    return filled[0] if filled else None


def _lines(book: Any, place: int) -> Iterator[Sequence[Any]]:
    sheet = book.worksheets[place]
    # What a sheet says of its own size need not be so.
    sheet.reset_dimensions()
    found: Iterator[Sequence[Any]] = sheet.iter_rows(max_col=MOST_COLUMNS)
    for number, row in enumerate(found, start=1):
        yield row
        if number > MOST_LINES:
            return


def _mistake(row: Sequence[Any], values: Sequence[Any]) -> str | None:
    for column, (cell, value) in enumerate(zip(row, values, strict=True), start=1):
        letter = get_column_letter(column)
        if cell.data_type == "f" and value is None:
            return f"{letter}列是公式，没有存下算出的数，请粘贴成数值"
        if cell.data_type == "e" or (cell.data_type == "f" and str(value).startswith("#")):
            return f"{letter}列是错误值{str(value)[:20]}"
    return None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and math.isfinite(value) and value == math.floor(value) and abs(value) < 1e15:
        return str(int(value))
    return str(value).strip()
