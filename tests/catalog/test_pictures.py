"""What becomes of a seller's photo: upright, small, and without where, when and by what it was taken."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image

from marketplace.catalog.pictures import pictures
from marketplace.documents.rules import FileRefused

PLACE = b"35.5428N 106.6653E"


def made(
    size: tuple[int, int],
    form: str = "JPEG",
    mode: str = "RGB",
    *,
    turned: bool = False,
    tint: object = "red",
) -> bytes:
    image = Image.new(mode, size, tint)  # type: ignore[arg-type]
    exif = Image.Exif()
    exif[0x010E] = PLACE.decode()  # description
    exif[0x0110] = "a telephone"
    if turned:
        exif[0x0112] = 6  # a quarter turn
    target = io.BytesIO()
    image.save(target, form, exif=exif)
    return target.getvalue()


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_large_photo_becomes_two_sizes_named_by_their_content() -> None:
    large, small = pictures(made((4000, 3000)))
    assert (large.width, large.height, small.width, small.height) == (1280, 960, 400, 300)
    for each in (large, small):
        assert opened(each.content).size == (each.width, each.height)
        assert each.digest == hashlib.sha256(each.content).hexdigest()


def test_nothing_of_the_camera_and_the_place_is_left() -> None:
    content = made((800, 600))
    assert PLACE in content
    for each in pictures(content):
        image = opened(each.content)
        assert (image.format, dict(image.getexif()), PLACE in each.content) == ("JPEG", {}, False)


def test_a_photo_that_was_taken_sideways_stands_upright() -> None:
    large, _ = pictures(made((800, 600), turned=True))
    assert (large.width, large.height) == (600, 800)


def test_a_small_photo_is_not_enlarged() -> None:
    large, small = pictures(made((320, 310)))
    assert (large.width, large.height, small.width, small.height) == (320, 310, 320, 310)


@pytest.mark.parametrize(("mode", "tint"), [("RGBA", (0, 0, 0, 0)), ("LA", (0, 0)), ("P", 0), ("L", 255)])
def test_pictures_of_other_kinds_become_plain_and_what_was_transparent_white(mode: str, tint: object) -> None:
    large, _ = pictures(made((400, 400), "PNG", mode, tint=tint))
    image = opened(large.content)
    assert image.mode == "RGB"
    if mode != "P":
        assert image.getpixel((200, 200)) == (255, 255, 255)


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff\xe0", made((400, 400))[:900], b"GIF89a" + b"\x00" * 40]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(FileRefused):
        pictures(content)


def test_a_photo_on_which_nothing_can_be_seen_is_refused() -> None:
    with pytest.raises(FileRefused, match="短边至少300像素"):
        pictures(made((299, 1000)))
