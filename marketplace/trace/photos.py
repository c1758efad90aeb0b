"""A trace code from a photo of its label, for browsers that give a page no camera. No request, no row, no file."""

from __future__ import annotations

import io
import re
import struct
import zlib

import zxingcpp
from PIL import Image

from marketplace.errors import RuleViolation
from marketplace.trace import codes

MAX_BYTES = 10_000_000
MAX_PIXELS = 60_000_000  # above any phone's photo; read from the head of the file, before anything is decoded
READ_SIDE = 2400  # a label that fills a tenth of the photo still has 8 px a module
_FORMS = ("JPEG", "PNG", "WEBP")
_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
_IN_ADDRESS = re.compile(r"/t/([^/?#]+)")


class PhotoRefused(RuleViolation):
    """`errors` points at the field `photo`."""

    slug = "photo-refused"
    title = "读不了这张照片"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, errors=[{"pointer": "#/photo", "detail": detail}])


def code_in_photo(content: bytes) -> str | None:
    """The canonical code (20 symbols) that a QR code of the photo carries; None when no code of ours can be seen.

    Whether the code was made by us is the reader's question, as for a typed one. JPEG, PNG or WebP, 1 to `MAX_BYTES`
    bytes, at most `MAX_PIXELS`. Raises PhotoRefused (`photo-refused`), also when two lots are in the picture: the
    wrong one would be as good a guess as the right one.
    """
    if not content:
        raise PhotoRefused("照片是空的，请重拍一张")
    if len(content) > MAX_BYTES:
        raise PhotoRefused(f"照片超过{MAX_BYTES // 1_000_000}MB，请拍小一点或只截标签部分")
    found = {code for text in qr_texts(content) if (code := code_in_text(text)) is not None}
    if len(found) > 1:
        raise PhotoRefused("照片里有好几批货的码，请只对准一个标签")
    return found.pop() if found else None


def code_in_text(text: str) -> str | None:
    """The canonical code in what a QR code says, an address ending in `/t/<code>` or the bare code."""
    address = _IN_ADDRESS.search(text)
    code = codes.canonical_form(address[1] if address else text.strip())
    return code if code is not None and codes.check_symbol(code[:-1]) == code[-1] else None


def _picture(content: bytes) -> Image.Image:
    """The photo in greys, shrunk. Nothing is decoded before its size is known."""
    try:
        with Image.open(io.BytesIO(content), formats=_FORMS) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise PhotoRefused("照片的像素太多，请拍小一点或只截标签部分")
            opened.draft("L", (READ_SIDE, READ_SIDE))
            grey = opened.convert("L")
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ):
        raise PhotoRefused("这个文件不是完好的 JPG、PNG 或 WebP 照片") from None
    grey.thumbnail((READ_SIDE, READ_SIDE))
    return grey


def qr_texts(content: bytes) -> list[str]:
    """What the QR codes of a photo say. Raises PhotoRefused (`photo-refused`) for no photo at all."""
    read = zxingcpp.read_barcodes(_picture(content), formats=_QR)
    return [barcode.text for barcode in read]
