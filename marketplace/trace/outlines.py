"""The one font of papers: its letters' outlines, and how a PDF carries those that it shows.

The font's own outlines are cubic (CFF), which reportlab can't embed. Each letter is turned into the quadratic ones of
TrueType when a paper first shows it, to a thousandth of its height, and kept by the process; a paper then carries a
TrueType font of its letters alone, two bytes a letter, with their Unicode beside them (PDF 32000-1, 9.7 and 9.10.3).
The whole font in TrueType would be 18 MB more on disk for each process to read.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import pylopdf_fonts_zh_cn
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont
from fontTools.ttLib.tables._g_l_y_f import Glyph
from reportlab.pdfbase import pdfdoc

UNITS = 1000  # of the letters' square; PDF counts in the same
PRECISION = 1.0
STEM = 80  # of an upright stroke, for readers that look for a font like it
SYMBOLIC_SERIF = 6
# The page's box of letters, from the font's head; readers take it as a hint.
BOX = (-50, -290, 1050, 1160)


@dataclass(frozen=True)
class Outline:
    glyph: Any
    width: int
    left: int


class _Settled(Glyph):  # type: ignore[misc]  # fontTools has no types for it
    """A letter whose bytes are known: the same in every paper that shows it, and slower to make than all the rest."""

    def __init__(self, glyph: Glyph) -> None:
        super().__init__()
        self._bytes: bytes = glyph.compile(None)
        self.__dict__ |= vars(glyph)

    def compile(self, *_: Any, **__: Any) -> bytes:
        return self._bytes


class _Source:
    """What is read of the font's file, once a process, and the outlines made so far."""

    def __init__(self) -> None:
        with TTFont(pylopdf_fonts_zh_cn.serif_path(), lazy=True) as font:
            self.names: dict[int, str] = font.getBestCmap()
            self.metrics: dict[str, tuple[int, int]] = font["hmtx"].metrics
            self.ascent: int = font["hhea"].ascent
            self.descent: int = font["hhea"].descent
            self.shapes = font.getGlyphSet()
        # Reading an outline moves a place in the table: one thread at a time.
        self.lock = Lock()
        self.made: dict[str, Outline] = {}

    def outline(self, name: str) -> Outline:
        with self.lock:
            found = self.made.get(name)
            if found is None:
                pen = TTGlyphPen(None)
                self.shapes[name].draw(Cu2QuPen(pen, PRECISION, reverse_direction=True))
                width, left = self.metrics[name]
                found = self.made[name] = Outline(_Settled(pen.glyph()), width, left)
            return found


_loading = Lock()


@cache
def _loaded() -> _Source:
    return _Source()


def _source() -> _Source:
    with _loading:
        return _loaded()


def has_letter(letter: str) -> bool:
    return ord(letter) in _source().names


class _Shown:
    """The letters that one document shows, by the number that it gives each; 0 is the font's empty box."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        self.internal_name: str | None = None

    def number(self, letter: int) -> int:
        return self.numbers.setdefault(letter, len(self.numbers) + 1)


class Songti:
    """A font as reportlab's canvas takes it: one that is written into the document at its end."""

    fontName = "Songti"
    _multiByte = 1
    _dynamicFont = 1
    shapable = False

    def __init__(self) -> None:
        self.face = self
        self.name = self.fontName
        # By document, as long as it is written.
        self._shown: WeakKeyDictionary[Any, _Shown] = WeakKeyDictionary()

    @property
    def ascent(self) -> int:
        return _source().ascent

    @property
    def descent(self) -> int:
        return _source().descent

    def stringWidth(self, text: str, size: float, encoding: str = "utf-8") -> float:
        source = _source()
        widths = (source.metrics[source.names.get(ord(letter), ".notdef")][0] for letter in text)
        return sum(widths) * size / UNITS

    def splitString(self, text: str, doc: Any, encoding: str = "utf-8") -> list[tuple[int, bytes]]:
        """One string of the document's own numbers, all of one subset: they have two bytes."""
        shown = self._of(doc)
        names = _source().names
        numbers = [shown.number(ord(letter)) if ord(letter) in names else 0 for letter in text]
        return [(0, b"".join(number.to_bytes(2, "big") for number in numbers))]

    def getSubsetInternalName(self, subset: int, doc: Any) -> str:
        shown = self._of(doc)
        if shown.internal_name is None:
            shown.internal_name = f"F{len(doc.fontMapping) + 1}"
            doc.fontMapping[self.fontName] = f"/{shown.internal_name}"
            doc.delayedFonts.append(self)
        return f"/{shown.internal_name}"

    def addObjects(self, doc: Any) -> None:
        """Write the letters that the document has shown, at its end."""
        shown = self._shown.pop(doc)
        source = _source()
        outlines = [source.outline(name) for name in (".notdef", *(source.names[n] for n in shown.numbers))]
        base = pdfdoc.PDFName("SCSONG+NotoSerifSC-Regular")
        descriptor = pdfdoc.PDFDictionary({
            "Type": "/FontDescriptor", "FontName": base, "Flags": SYMBOLIC_SERIF,
            "FontBBox": pdfdoc.PDFArray(BOX), "ItalicAngle": 0, "Ascent": source.ascent,
            "Descent": source.descent, "CapHeight": source.ascent, "StemV": STEM,
            "FontFile2": _stream(doc, _program(outlines), "SongtiFile", whole=True),
        })  # fmt: skip
        letters = pdfdoc.PDFDictionary({
            "Type": "/Font", "Subtype": "/CIDFontType2", "BaseFont": base, "CIDToGIDMap": "/Identity",
            "CIDSystemInfo": pdfdoc.PDFDictionary({
                "Registry": pdfdoc.PDFString("Adobe"), "Ordering": pdfdoc.PDFString("Identity"), "Supplement": 0,
            }),
            "FontDescriptor": doc.Reference(descriptor, "SongtiDescriptor"), "DW": UNITS,
            "W": pdfdoc.PDFArray([0, pdfdoc.PDFArray([outline.width for outline in outlines])]),
        })  # fmt: skip
        font = pdfdoc.PDFDictionary({
            "Type": "/Font", "Subtype": "/Type0", "BaseFont": base, "Encoding": "/Identity-H",
            "DescendantFonts": pdfdoc.PDFArray([doc.Reference(letters, "SongtiLetters")]),
            "ToUnicode": _stream(doc, _to_unicode(shown.numbers), "SongtiUnicode"),
        })  # fmt: skip
        doc.idToObject["BasicFonts"].dict[shown.internal_name] = doc.Reference(font, "Songti")

    def _of(self, doc: Any) -> _Shown:
        return self._shown.setdefault(doc, _Shown())


def _stream(doc: Any, content: bytes, name: str, *, whole: bool = False) -> Any:
    stream = pdfdoc.PDFStream(content=content, filters=[pdfdoc.PDFZCompress])
    if whole:
        stream.dictionary["Length1"] = len(content)
    return doc.Reference(stream, name)


def _program(outlines: list[Outline]) -> bytes:
    """A TrueType font of these letters, in this order."""
    order = [f"g{number}" for number in range(len(outlines))]
    builder = FontBuilder(UNITS, isTTF=True)
    # Two papers of the same words have the same bytes.
    builder.font.recalcTimestamp = False
    builder.updateHead(created=0, modified=0)
    builder.setupGlyphOrder(order)
    builder.setupGlyf({name: outline.glyph for name, outline in zip(order, outlines, strict=True)})
    builder.setupHorizontalMetrics(
        {name: (outline.width, outline.left) for name, outline in zip(order, outlines, strict=True)}
    )
    builder.setupHorizontalHeader(ascent=_source().ascent, descent=_source().descent)
    builder.setupMaxp()
    out = io.BytesIO()
    builder.font.save(out)
    return out.getvalue()


def _to_unicode(numbers: dict[int, int]) -> bytes:
    """Which letter each number stands for; at most 100 a block, as the specification asks."""
    pairs = [
        f"<{number:04X}> <{chr(letter).encode('utf-16-be').hex()}>" for letter, number in numbers.items()
    ]
    blocks = "".join(
        f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar\n" for block in _blocks(pairs, 100)
    )
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
        f"{blocks}endcmap CMapName currentdict /CMap defineresource pop end end"
    ).encode("ascii")


def _blocks(rows: list[str], size: int) -> Iterable[list[str]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
