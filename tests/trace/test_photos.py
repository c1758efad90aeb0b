"""Trace codes from photos: what is read, and what is refused before it is decoded."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
import segno
from PIL import Image, ImageFilter

from marketplace.trace import codes, photos

KEYS = ("a-key-of-the-tests-0123456789abcdef",)
CODE = codes.make_trace_code(KEYS, lambda bits: 0x1234567890ABC)
OTHER = codes.make_trace_code(KEYS, lambda bits: 0x2AAAAAAAAAAAA)


def drawn(text: str, scale: int = 8) -> Image.Image:
    out = io.BytesIO()
    segno.make_qr(text, error="m").save(out, kind="png", scale=scale, border=4)
    return Image.open(out).convert("RGB")


def encoded(picture: Image.Image, form: str = "JPEG", **options: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def test_the_address_on_a_label_gives_its_code() -> None:
    assert photos.code_in_photo(encoded(drawn(f"https://pl.example/t/{CODE}"))) == CODE


@pytest.mark.parametrize("form", ["PNG", "WEBP", "JPEG"])
def test_a_bare_code_in_fives_is_read_from_every_form(form: str) -> None:
    assert photos.code_in_photo(encoded(drawn(codes.shown(CODE)), form)) == CODE


def test_a_crooked_blurred_small_label_in_a_large_photo_is_read() -> None:
    label = drawn(f"https://pl.example/t/{CODE}", 12).rotate(17, expand=True, fillcolor="white")
    photo = Image.new("RGB", (4000, 3000), (120, 110, 90))
    photo.paste(label, (1700, 1200))
    blurred = photo.filter(ImageFilter.GaussianBlur(2))
    assert photos.code_in_photo(encoded(blurred, quality=60)) == CODE


def test_a_photo_of_something_else_gives_nothing() -> None:
    assert photos.code_in_photo(encoded(Image.new("RGB", (800, 600), "green"))) is None


def test_a_foreign_code_gives_nothing() -> None:
    assert photos.code_in_photo(encoded(drawn("https://elsewhere.example/pay?to=me"))) is None


def test_a_code_with_a_wrong_check_symbol_gives_nothing() -> None:
    wrong = CODE[:-1] + ("0" if CODE[-1] != "0" else "1")
    assert photos.code_in_photo(encoded(drawn(wrong))) is None


def test_two_labels_of_one_lot_are_one_code_and_of_two_lots_a_refusal() -> None:
    def beside(left: str, right: str) -> bytes:
        pair = Image.new("RGB", (900, 500), "white")
        pair.paste(drawn(left), (20, 20))
        pair.paste(drawn(right), (480, 20))
        return encoded(pair)

    assert photos.code_in_photo(beside(CODE, CODE)) == CODE
    with pytest.raises(photos.PhotoRefused, match="请只对准一个标签"):
        photos.code_in_photo(beside(CODE, OTHER))


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7", b"GIF89a" + bytes(40), b"\x89PNG\r\n\x1a\n", b"<svg/>", bytes(10_000_001)]
)
def test_what_is_no_photo_is_refused(content: bytes) -> None:
    with pytest.raises(photos.PhotoRefused):
        photos.code_in_photo(content)


def test_a_cut_off_photo_is_refused() -> None:
    with pytest.raises(photos.PhotoRefused, match="完好"):
        photos.code_in_photo(encoded(drawn(CODE), "PNG")[:200])


def test_a_small_file_of_huge_dimensions_is_refused_before_it_is_decoded() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    with pytest.raises(photos.PhotoRefused):
        photos.code_in_photo(bomb + chunk(b"IEND", b""))
