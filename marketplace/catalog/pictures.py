"""A seller's picture made ready for everybody: upright, small enough, and with nothing in it but its points. Pure."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass

from PIL import Image, ImageOps

from marketplace.documents.rules import FileRefused

LARGE_SIDE = 1280  # the longer side, as the page of a product shows it on a wide screen of fine points
SMALL_SIDE = 400  # in a list
LEAST_SIDE = 300  # below it the goods can't be seen
QUALITY = 80


@dataclass(frozen=True)
class Picture:
    """A JPEG of ours. `digest` is the SHA-256 of its bytes, and its name in the store."""

    content: bytes
    digest: str
    width: int
    height: int


def pictures(content: bytes) -> tuple[Picture, Picture]:
    """(large, small) of a photo, newly encoded: no place, device, time or hidden preview of the original is left.

    Sides of at most `LARGE_SIDE` and `SMALL_SIDE` points; never enlarged. Raises FileRefused (`file-refused`) for what
    can't be decoded or is smaller than `LEAST_SIDE`.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as opened:
            # A JPEG is decoded at a fraction of its size where that is enough.
            opened.draft("RGB", (LARGE_SIDE, LARGE_SIDE))
            upright = ImageOps.exif_transpose(opened)
            large = _opaque(upright)
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ):
        raise FileRefused("这张照片打不开，请换一张 JPG 或 PNG") from None
    if min(large.size) < LEAST_SIDE:
        raise FileRefused(f"照片太小，短边至少{LEAST_SIDE}像素，看得清货品")
    small = large.copy()
    large.thumbnail((LARGE_SIDE, LARGE_SIDE), Image.Resampling.LANCZOS)
    small.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.LANCZOS)
    return _encoded(large), _encoded(small)


def _opaque(image: Image.Image) -> Image.Image:
    """Red, green and blue alone; what was transparent becomes white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        seen = image.convert("RGBA")
        ground = Image.new("RGB", seen.size, "white")
        ground.paste(seen, mask=seen.getchannel("A"))
        return ground
    return image.convert("RGB")


def _encoded(image: Image.Image) -> Picture:
    # Only the points: what came with them (EXIF, comments, profiles) stays behind.
    bare = Image.new("RGB", image.size)
    bare.paste(image)
    target = io.BytesIO()
    bare.save(target, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    content = target.getvalue()
    return Picture(content, hashlib.sha256(content).hexdigest(), *bare.size)
