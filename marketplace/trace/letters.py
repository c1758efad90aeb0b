"""The Chinese letters of papers and labels: 宋体 (Noto Serif SC), carried by each paper as far as it needs them.

So a paper looks the same on every screen and printer, and its words can be searched and copied.
"""

from __future__ import annotations

import unicodedata

from reportlab.pdfbase import pdfmetrics

from marketplace.trace.outlines import Songti, has_letter

FONT = Songti.fontName
# Stands, as print shops set it, for a letter that the font does not have.
MISSING = "〓"


def width_of(text: str, size: float) -> float:
    """In points."""
    width: float = pdfmetrics.stringWidth(text, FONT, size)
    return width


def printable(text: str) -> str:
    """`text` with a mark for letters that the font does not have, without marks that are never seen."""
    return "".join(map(_printable, text))


def _printable(letter: str) -> str:
    if has_letter(letter):
        return letter
    if letter.isspace():
        return " "
    # Marks of direction, of joining and the like take no room.
    return "" if unicodedata.category(letter) in ("Cf", "Cc") else MISSING


pdfmetrics.registerFont(Songti())
