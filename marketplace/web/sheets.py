"""A list of a page as a spreadsheet to download."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from flask import Response, request

from marketplace.workbooks import CONTENT_TYPE, workbook
from marketplace.workbooks import Column as Column

MAX_ROWS = 10_000


def wants_sheet() -> bool:
    """Whether this request asks for the list as a file (?format=xlsx)."""
    return request.args.get("format") == "xlsx"


def sheet_response(
    title: str, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], basis: Sequence[str]
) -> Response:
    """The workbook as a download named after its title."""
    response = Response(workbook(title, columns, rows, basis), mimetype=CONTENT_TYPE)
    response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(title)}.xlsx"
    return response
