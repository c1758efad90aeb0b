"""Small files, made byte by byte: good ones, and the parts of bad ones."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\nxref\n0 1\ntrailer\n<< >>\nstartxref\n50\n%%EOF\n"
XML = b'<?xml version="1.0" encoding="UTF-8"?><EInvoice><Header><EIid>24622000000000000001</EIid></Header></EInvoice>'


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int = 2, height: int = 2, *, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00" * min((width + 1) * height, 10_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def segment(marker: int, data: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def jpeg(width: int = 2, height: int = 2, *, comment: bytes = b"", scan: bytes = b"\x12\x34") -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"
    parts = [b"\xff\xd8", segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")]
    if comment:
        parts.append(segment(0xFE, comment))
    parts += [segment(0xC0, frame), segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"), scan, b"\xff\xd9"]
    return b"".join(parts)


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return out.getvalue()


OFD_ROOT = b'<?xml version="1.0" encoding="UTF-8"?><ofd:OFD xmlns:ofd="http://www.ofdspec.org/2016"/>'


def ofd(**more: bytes) -> bytes:
    return archive({"OFD.xml": OFD_ROOT, "Doc_0/Document.xml": b"<a/>", **more})
