"""Reads back the one sheet of a downloaded workbook, without a library: a workbook is a zip of XML."""

from __future__ import annotations

import io
import zipfile
from xml.etree import ElementTree

_N = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet_rows(content: bytes) -> list[list[str]]:
    """The rows that have cells, each cell as its text."""
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        strings = [
            "".join(text.text or "" for text in item.iter(f"{_N}t"))
            for item in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        ]
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    return [[_text(cell, strings) for cell in row] for row in sheet.iter(f"{_N}row")]


def _text(cell: ElementTree.Element, strings: list[str]) -> str:
    value = cell.findtext(f"{_N}v") or ""
    return strings[int(value)] if cell.get("t") == "s" else value
