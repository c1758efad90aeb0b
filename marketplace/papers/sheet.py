"""One kind of paper as A4 PDF: title, numbers and QR code on top, a ruled table, remarks, signatures with seals.

Each paper carries the Chinese letters (宋体) that it shows, so that it prints alike on any machine. Everything is drawn
black on white; empty rows are ruled so that nothing can be written in later.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any
from xml.sax import saxutils

import segno
from pypdf import PdfReader, PdfWriter
from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table

from marketplace.clock import SHANGHAI
from marketplace.trace.letters import FONT, printable, width_of

MARGIN_X, MARGIN_TOP, MARGIN_BOTTOM = 16 * mm, 15 * mm, 20 * mm
WIDTH = A4[0] - 2 * MARGIN_X
QR_SIDE = 25 * mm
SEAL = 22 * mm
LEAST_ROWS = 6
PAD = 1.8 * mm


def escape(text: str) -> str:
    return saxutils.escape(printable(text))


def _style(size: float, **options: Any) -> ParagraphStyle:
    return ParagraphStyle(
        "paper", fontName=FONT, fontSize=size, leading=size * 1.4, wordWrap="CJK", **options
    )


TEXT = _style(9.5)
CENTRED = _style(9.5, alignment=TA_CENTER)
RIGHT = _style(9.5, alignment=TA_RIGHT)
FACT = _style(10)
CODE = ParagraphStyle("code", fontName="Courier", fontSize=7.5, leading=10, wordWrap="CJK")
SMALL = _style(8)
_STYLES = {"text": TEXT, "centre": CENTRED, "number": RIGHT, "code": CODE}
LEAST_SIZE = 6.0
TALLEST = 100 * mm


@dataclass(frozen=True)
class Column:
    """`share` of the width; `look` text, centre, number or code."""

    label: str
    share: float
    look: str = "text"


@dataclass(frozen=True)
class Sign:
    """A box to sign: who, the lines to fill in, and whether a seal belongs here."""

    title: str
    lines: tuple[str, ...]
    seal: str = ""


@dataclass(frozen=True)
class Sheet:
    """A whole paper. `facts` are (label, value) pairs in two columns; `total` is the last row of the table.

    `copy` names the copy of a paper made several times (第二联　采购单位); `foot` says how many and how long kept.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    total: Sequence[str] = ()
    remarks: Sequence[str] = ()
    signs: Sequence[Sign] = ()
    foot: str = ""
    address: str = ""
    copy: str = ""
    least_rows: int = LEAST_ROWS
    extra: Sequence[tuple[str, str]] = field(default=())


def pdf(sheets: Sequence[Sheet], printed_at: datetime) -> bytes:
    """The papers one after another; each counts its own pages."""
    return merged([_one(sheet, printed_at) for sheet in sheets])


def merged(parts: Sequence[bytes]) -> bytes:
    """Several PDF files as one. A single one stays as it is."""
    if len(parts) == 1:
        return parts[0]
    writer = PdfWriter()
    for part in parts:
        writer.append(PdfReader(io.BytesIO(part)))
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _one(sheet: Sheet, printed_at: datetime) -> bytes:
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        # The library's frame pads its content by 6 points.
        leftMargin=MARGIN_X - 6,
        rightMargin=MARGIN_X - 6,
        topMargin=MARGIN_TOP,
        bottomMargin=MARGIN_BOTTOM,
        title=sheet.title,
        lang="zh-Hans",
    )
    printed = printed_at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")

    class Numbered(Canvas):  # type: ignore[misc]
        """Writes "page x of y" when all pages are known."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, start=1):
                self.__dict__.update(page)
                _foot(self, sheet, f"第{number}页，共{len(self._pages)}页", printed)
                super().showPage()
            super().save()

    document.build(_story(sheet), canvasmaker=Numbered)
    return out.getvalue()


def _foot(canvas: Canvas, sheet: Sheet, pages: str, printed: str) -> None:
    canvas.setFont(FONT, 8)
    canvas.setFillColor(colors.HexColor("#333333"))
    y = 13 * mm
    paragraph = Paragraph(escape(sheet.foot), SMALL)
    _, height = paragraph.wrap(WIDTH - 42 * mm, 12 * mm)
    paragraph.drawOn(canvas, MARGIN_X, y + 3.2 * mm - height + 8)
    canvas.drawRightString(A4[0] - MARGIN_X, y + 3 * mm, pages)
    canvas.drawRightString(A4[0] - MARGIN_X, y - 1 * mm, f"{printed} 打印")
    canvas.setFillColor(colors.black)


def _story(sheet: Sheet) -> list[Flowable]:
    story: list[Flowable] = [
        _Title(sheet.title, sheet.copy),
        Spacer(1, 3 * mm),
        _top(sheet),
        Spacer(1, 3 * mm),
    ]
    story.append(_table(sheet))
    if sheet.signs:
        story += [Spacer(1, 4 * mm), KeepTogether([_Signs(sheet.signs)])]
    return story


class _Title(Flowable):  # type: ignore[misc]
    """The title, spaced as on a form, with the copy's name at the right."""

    def __init__(self, title: str, copy: str) -> None:
        super().__init__()
        self.title, self.copy = title, copy
        self.width, self.height = WIDTH, 9 * mm

    def draw(self) -> None:
        size, gap = 18.0, 5.0
        whole = size * len(self.title) + gap * (len(self.title) - 1)
        text = self.canv.beginText((WIDTH - whole) / 2, 2.5 * mm)
        text.setFont(FONT, size)
        text.setCharSpace(gap)
        text.textOut(self.title)
        # The spacing would go on with whatever is written next.
        text.setCharSpace(0)
        self.canv.drawText(text)
        if self.copy:
            self.canv.setFont(FONT, 9)
            self.canv.drawRightString(WIDTH, 3 * mm, self.copy)


class _Qr(Flowable):  # type: ignore[misc]
    """A QR code drawn as rectangles, and what it is for."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.code = segno.make(address, error="m")
        self.width, self.height = QR_SIDE, QR_SIDE + 4 * mm

    def draw(self) -> None:
        rows = list(self.code.matrix)
        module = QR_SIDE / len(rows)
        self.canv.setFillColor(colors.black)
        for y, row in enumerate(rows):
            for x, dark in enumerate(row):
                if dark:
                    self.canv.rect(
                        x * module, 4 * mm + QR_SIDE - (y + 1) * module, module, module, stroke=0, fill=1
                    )
        self.canv.setFont(FONT, 7.5)
        self.canv.drawCentredString(QR_SIDE / 2, 0.5 * mm, "扫码核对本单")


def _top(sheet: Sheet) -> Flowable:
    left = WIDTH - (QR_SIDE + 5 * mm if sheet.address else 0)
    pairs = list(sheet.facts)
    rows = []
    for start in range(0, len(pairs), 2):
        row: list[Any] = []
        for label, value in pairs[start : start + 2]:
            row += [Paragraph(escape(label), FACT), Paragraph(escape(value), FACT)]
        rows.append(row + [""] * (4 - len(row)))
    widths = [21 * mm, left * 0.56 - 21 * mm, 21 * mm, left * 0.44 - 21 * mm]
    facts = Table(rows, colWidths=widths, style=[
        ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4), ("TOPPADDING", (0, 0), (-1, -1), 0.6 * mm),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 0.6 * mm),
    ])  # fmt: skip
    if not sheet.address:
        return facts
    return Table(
        [[facts, _Qr(sheet.address)]],
        colWidths=[left, QR_SIDE + 5 * mm],
        style=[
            ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0), ("LEFTPADDING", (1, 0), (1, 0), 5 * mm),
            ("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
        ],
    )  # fmt: skip


def _table(sheet: Sheet) -> Flowable:
    """Head repeated on every page, rows, ruled empty rows, total, remarks over the whole width."""
    columns = sheet.columns
    whole = sum(column.share for column in columns)
    widths = [WIDTH * column.share / whole for column in columns]
    inner = [width - 2 * PAD for width in widths]
    cells: list[Sequence[Any]] = [[_head(c.label, room) for c, room in zip(columns, inner, strict=True)]]
    for row in sheet.rows:
        row_cells = [_cell(t, c.look, room) for t, c, room in zip(row, columns, inner, strict=True)]
        cells += zip_longest(*map(_pieces, row_cells, inner), fillvalue="")
    cells += [[""] * len(columns) for _ in range(max(0, sheet.least_rows - len(sheet.rows)))]
    style: list[tuple[Any, ...]] = [
        ("GRID", (0, 0), (-1, -1), 0.5, colors.black), ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), PAD), ("RIGHTPADDING", (0, 0), (-1, -1), PAD),
        ("TOPPADDING", (0, 0), (-1, -1), 1.2 * mm), ("BOTTOMPADDING", (0, 0), (-1, -1), 1.4 * mm),
    ]  # fmt: skip
    if sheet.total:
        total = [_cell(t, c.look, room) for t, c, room in zip(sheet.total, columns, inner, strict=True)]
        # The word 合计 stands over all columns before the first sum.
        span = next((n for n, text in enumerate(sheet.total) if n and text), 1) - 1
        cells.append([Paragraph(escape(sheet.total[0]), CENTRED), *total[1:]])
        style.append(("SPAN", (0, len(cells) - 1), (span, len(cells) - 1)))
    for remark in sheet.remarks:
        for piece in _pieces(Paragraph(escape(remark), TEXT), WIDTH - 2 * PAD):
            cells.append([piece, *[""] * (len(columns) - 1)])
            style.append(("SPAN", (0, len(cells) - 1), (-1, len(cells) - 1)))
    heights = [7 * mm if not any(row) else None for row in cells]
    return Table(cells, colWidths=widths, rowHeights=heights, repeatRows=1, style=style)


def _pieces(cell: Any, room: float) -> list[Any]:
    """A text that is higher than a row may be (a row does not go on on the next page) as the texts of several rows."""
    pieces = []
    while isinstance(cell, Paragraph) and cell.wrap(room, TALLEST)[1] > TALLEST:
        piece, cell = cell.split(room, TALLEST)
        pieces.append(piece)
    return [*pieces, cell]


def _head(label: str, room: float) -> Paragraph:
    """A head that is too long for its column breaks before the unit."""
    text = escape(label)
    if width_of(label, CENTRED.fontSize) > room:
        text = text.replace("（", "<br/>（")
    return Paragraph(text, CENTRED)


def _cell(text: str, look: str, room: float) -> Any:
    if look == "code":
        if not text.isascii():
            look = "text"
        elif text.count("-") == 3:
            # A trace code breaks between its fives.
            head, tail = text[:12], text[12:]
            return Paragraph(f"{escape(head)}<br/>{escape(tail)}", CODE)
    if not text:
        return ""
    style = _STYLES[look]
    if text.isascii() and look in ("centre", "number"):
        # A number or a day is never broken: it is set smaller.
        wide = width_of(text, style.fontSize)
        if wide > room:
            size = max(LEAST_SIZE, style.fontSize * room / wide - 0.01)
            style = ParagraphStyle("fitted", style, fontSize=size)
    return Paragraph(escape(text), style)


class _Signs(Flowable):  # type: ignore[misc]
    """Boxes side by side: lines to sign on, a dashed circle that no text touches, a day to write."""

    def __init__(self, signs: Sequence[Sign]) -> None:
        super().__init__()
        self.signs = signs
        lines = max(len(sign.lines) for sign in signs)
        sealed = any(sign.seal for sign in signs)
        self.width, self.height = WIDTH, (9 + 8.5 * lines + (26 if sealed else 10)) * mm

    def draw(self) -> None:
        canvas, box = self.canv, WIDTH / len(self.signs)
        canvas.setLineWidth(0.5)
        for number, sign in enumerate(self.signs):
            x = number * box
            canvas.rect(x, 0, box, self.height)
            canvas.setFont(FONT, 9.5)
            canvas.drawString(x + 3 * mm, self.height - 6 * mm, sign.title)
            canvas.setFont(FONT, 9)
            y = self.height - 6 * mm
            for line in sign.lines:
                y -= 8.5 * mm
                canvas.drawString(x + 3 * mm, y + 1.4 * mm, f"{line}：")
                canvas.line(x + 3 * mm, y, x + box - 3 * mm, y)
            if sign.seal:
                canvas.saveState()
                canvas.setDash(2, 2)
                canvas.setStrokeColor(colors.HexColor("#777777"))
                canvas.circle(x + box - 4 * mm - SEAL / 2, 6.5 * mm + SEAL / 2, SEAL / 2)
                canvas.setFillColor(colors.HexColor("#555555"))
                canvas.setFont(FONT, 8)
                canvas.drawCentredString(x + box - 4 * mm - SEAL / 2, 5.5 * mm + SEAL / 2, sign.seal)
                canvas.restoreState()
            canvas.setFont(FONT, 9)
            canvas.drawRightString(x + box - 3 * mm, 2 * mm, "　　年　　月　　日")
