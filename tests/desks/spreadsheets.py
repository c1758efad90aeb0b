"""Reads back the one sheet of a downloaded workbook, without a library: a workbook is a zip of XML."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime, timedelta
from xml.etree import ElementTree

_N = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet_rows(content: bytes) -> list[list[str]]:
    """The rows that have cells, each cell as its text; a day or an instant as the sheet shows it."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        strings = [
            "".join(text.text or "" for text in item.iter(f"{_N}t"))
            for item in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
        dated = _dated_styles(ElementTree.fromstring(book.read("xl/styles.xml")))
    return [[_text(cell, strings, dated) for cell in row] for row in sheet.iter(f"{_N}row")]


def _dated_styles(styles: ElementTree.Element) -> dict[str, str]:
    """The styles of cells that hold a day or an instant, with how the sheet shows it."""
    shown = {"yyyy-mm-dd": "%Y-%m-%d", "yyyy-mm-dd hh:mm": "%Y-%m-%d %H:%M"}
    codes = {form.get("numFmtId"): form.get("formatCode", "") for form in styles.iter(f"{_N}numFmt")}
    cells = styles.find(f"{_N}cellXfs")
    assert cells is not None
    named = {str(n): codes.get(cell.get("numFmtId"), "") for n, cell in enumerate(cells)}
    return {number: shown[code] for number, code in named.items() if code in shown}


def _text(cell: ElementTree.Element, strings: list[str], dated: dict[str, str]) -> str:
    value = cell.findtext(f"{_N}v") or ""
    if cell.get("t") == "s":
        return strings[int(value)]
    shown = dated.get(cell.get("s", ""))
    if shown is None or not value:
        return value
    # Days since 1899-12-30, with a double's rest of a second.
    return (datetime(1899, 12, 30) + timedelta(minutes=round(float(value) * 1440))).strftime(shown)
