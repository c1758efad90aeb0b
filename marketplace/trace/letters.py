"""The Chinese letters of papers and labels: the reader's own 宋体 (Adobe-GB1), nothing is embedded."""

from __future__ import annotations

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont

FONT = "STSong-Light"
# Stands, as print shops set it, for a letter that the font does not have.
MISSING = "〓"


def register() -> None:
    """Make the font known. Its texts are UTF-16, so that the dot of 甘L·D3062 is found by every reader."""
    font = UnicodeCIDFont(FONT)
    font.encodingName = font.encoding.name = "UniGB-UTF16-H"
    pdfmetrics.registerFont(font)


def width_of(text: str, size: float) -> float:
    """In points."""
    width: float = pdfmetrics.stringWidth(text, FONT, size)
    return width


def printable(text: str) -> str:
    """`text` with a mark for letters beyond 65,535, which would be printed as two wrong ones."""
    return "".join(letter if ord(letter) < 0x10000 else MISSING for letter in text)


register()
