"""All papers of one delivery as one PDF: list, delivery note, then every file that can be printed."""

from __future__ import annotations

import io
from collections.abc import Iterable

from PIL import Image, UnidentifiedImageError
from pypdf import PdfReader, PdfWriter
from pypdf.errors import PyPdfError
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

MAX_SIDE = 2000  # pixels of an image in the file; more is not seen on paper
MARGIN = 12 * mm
QUALITY = 85  # of JPEG: print shows no difference


def joined(front: bytes, files: Iterable[tuple[str, bytes]]) -> bytes:
    """`front` followed by (content type, bytes) of files; one that can't be read is left out (the list names it)."""
    return _written(front, files)


def collected(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Pictures and PDFs as one PDF, a picture a page: several photos of one thing are filed as one document."""
    return _written(None, files)


def _written(front: bytes | None, files: Iterable[tuple[str, bytes]]) -> bytes:
    writer = PdfWriter()
    if front is not None:
        writer.append(PdfReader(io.BytesIO(front)))
    for content_type, content in files:
        printable = content if content_type == "application/pdf" else _picture(content_type, content)
        if printable is None:
            continue
        try:
            writer.append(PdfReader(io.BytesIO(printable)))
        except (PyPdfError, ValueError, KeyError):
            # A broken or locked PDF of somebody: its hash stands in the list, the delivery's file goes on.
            continue
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _picture(content_type: str, content: bytes) -> bytes | None:
    """A picture on an A4 page, shrunk to what paper shows."""
    if not content_type.startswith("image/"):
        return None
    try:
        image: Image.Image = Image.open(io.BytesIO(content))
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        image = image.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    width, height = A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN
    scale = min(width / image.width, height / image.height)
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=1)
    drawn = (image.width * scale, image.height * scale)
    # As JPEG it goes into the file as it is; a raw picture would be packed anew, many times as large and slow.
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=QUALITY)
    packed.seek(0)
    canvas.drawImage(ImageReader(packed), (A4[0] - drawn[0]) / 2, A4[1] - MARGIN - drawn[1], *drawn)
    canvas.showPage()
    canvas.save()
    return out.getvalue()
