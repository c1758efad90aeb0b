"""Labels for the boxes of a lot: product, code in fives, harvest day, QR code. A4 sheets of 21, as PDF and SVG."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

import segno
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from marketplace.trace.letters import FONT, printable, width_of

COLUMNS, ROWS = 3, 7
PER_SHEET = COLUMNS * ROWS
# An A4 sheet of 21 labels of 63.5 x 38.1 mm, with 2.5 mm between columns.
SHEET_W, SHEET_H = 210.0, 297.0
LABEL_W, LABEL_H = 63.5, 38.1
LEFT, TOP, GAP = 7.25, 15.15, 2.5
QR_SIDE = 27.0
INSET = 2.5
TEXT_W = LABEL_W - QR_SIDE - 3 * INSET


@dataclass(frozen=True)
class Label:
    """What stands on one label. `code` is shown in fives; `address` is what the QR code opens."""

    product: str
    spec: str
    county: str
    seller: str
    code: str
    harvested_on: date
    address: str


@dataclass(frozen=True)
class Line:
    """A line of text at x, y (mm from the label's lower left corner) in points of size."""

    x: float
    y: float
    size: float
    text: str


def pdf_sheet(label: Label, count: int) -> bytes:
    """`count` equal labels (1 or more), 21 to an A4 page. The QR codes are drawn as paths, nothing is rasterised."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(SHEET_W * mm, SHEET_H * mm), invariant=1)
    canvas.setTitle(f"追溯标签 {label.code}")
    bars, side = _bars(label.address)
    lines = _lines(label)
    canvas.beginForm("label")
    _draw(canvas, lines, bars, QR_SIDE / side)
    canvas.endForm()
    for number in range(count):
        if number and number % PER_SHEET == 0:
            canvas.showPage()
        x, top = _corner(number % PER_SHEET)
        canvas.saveState()
        canvas.translate(x * mm, (SHEET_H - top - LABEL_H) * mm)
        canvas.doForm("label")
        canvas.restoreState()
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _draw(canvas: Canvas, lines: list[Line], bars: list[tuple[int, int, int]], unit: float) -> None:
    path = canvas.beginPath()
    top = (LABEL_H + QR_SIDE) / 2
    for x, y, length in bars:
        path.rect((INSET + x * unit) * mm, (top - (y + 1) * unit) * mm, length * unit * mm, unit * mm)
    canvas.drawPath(path, stroke=0, fill=1)
    for line in lines:
        canvas.setFont(FONT, line.size)
        canvas.drawString(line.x * mm, line.y * mm, printable(line.text))


def svg_sheet(label: Label, count: int) -> str:
    """The first sheet (at most 21 labels) as one SVG of A4, in millimetres."""
    bars, side = _bars(label.address)
    unit = QR_SIDE / side
    top = (LABEL_H - QR_SIDE) / 2
    path = "".join(
        f"M{INSET + x * unit:.3f} {top + y * unit:.3f}h{length * unit:.3f}v{unit:.3f}h-{length * unit:.3f}z"
        for x, y, length in bars
    )
    texts = "".join(
        f'<text x="{line.x:.2f}" y="{LABEL_H - line.y:.2f}" font-size="{line.size * 0.352778:.2f}">'
        f"{escape(line.text)}</text>"
        for line in _lines(label)
    )
    uses = "".join(
        '<use href="#label" x="{:.2f}" y="{:.2f}"/>'.format(*_corner(number))
        for number in range(min(count, PER_SHEET))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SHEET_W:.0f}mm" height="{SHEET_H:.0f}mm"'
        f' viewBox="0 0 {SHEET_W:.0f} {SHEET_H:.0f}"><title>追溯标签 {escape(label.code)}</title>'
        '<defs><g id="label" font-family="Songti SC,SimSun,Noto Serif CJK SC,serif">'
        f'<path d="{path}"/>{texts}</g></defs>{uses}</svg>'
    )


def _corner(place: int) -> tuple[float, float]:
    """Left and top of a label on its sheet, in mm."""
    row, column = divmod(place, COLUMNS)
    return LEFT + column * (LABEL_W + GAP), TOP + row * LABEL_H


def _bars(address: str) -> tuple[list[tuple[int, int, int]], int]:
    """Dark runs of the QR code's rows as (x, y, length) in modules, and its side without the quiet zone."""
    matrix = [bytes(row) for row in segno.make_qr(address, error="m").matrix]
    return [(x, y, length) for y, row in enumerate(matrix) for x, length in _runs(row)], len(matrix)


def _runs(row: bytes) -> Iterator[tuple[int, int]]:
    start = None
    for x, module in enumerate([*row, 0]):
        if module and start is None:
            start = x
        elif not module and start is not None:
            yield start, x - start
            start = None


def _lines(label: Label) -> list[Line]:
    """The texts right of the QR code; one that is too long gets smaller, then cut with …"""
    half = label.code[:11], label.code[12:]
    x = QR_SIDE + 2 * INSET
    return [
        _fitted(x, 30.0, 11, label.product),
        _fitted(x, 25.6, 8, label.spec),
        _fitted(x, 21.6, 7, f"{label.county}出产"),
        _fitted(x, 18.0, 7, f"采收 {label.harvested_on.isoformat()}"),
        _fitted(x, 12.6, 9.5, half[0]),
        _fitted(x, 8.6, 9.5, half[1]),
        _fitted(x, 4.8, 6, label.seller),
    ]


def _fitted(x: float, y: float, size: float, text: str) -> Line:
    width = TEXT_W * mm
    while size > 6 and width_of(text, size) > width:
        size -= 0.5
    if width_of(text, size) > width:
        while text and width_of(text + "…", size) > width:
            text = text[:-1]
        text += "…"
    return Line(x, y, size, text)
