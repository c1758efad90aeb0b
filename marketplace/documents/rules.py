"""Which files are taken in: PDF, JPEG, PNG, and the e-invoice forms XML and OFD, by their bytes alone. Pure.

What the client says about a type is not read. A file that is two things at once, cut off, active or made to
exhaust a reader is refused; the reasons are in Chinese, for the one who hands it in.
"""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from xml.parsers import expat

from marketplace.errors import RuleViolation

MAX_PIXELS = 40_000_000  # above any phone's photo; 160 MB when decoded, which only readers pay
MAX_SIDE = 20_000 - 1
MAX_ARCHIVE_ENTRIES = 1_000
MAX_ARCHIVE_BYTES = 50_000_000
MAX_ARCHIVE_RATIO = 100
MAX_XML_ELEMENTS = 100_000
MAX_XML_DEPTH = 100

PDF, JPEG, PNG, XML, OFD = "application/pdf", "image/jpeg", "image/png", "application/xml", "application/ofd"
EXTENSIONS = {PDF: ".pdf", JPEG: ".jpg", PNG: ".png", XML: ".xml", OFD: ".ofd"}
_IMAGES = frozenset({JPEG, PNG})
# Types by kind of document; kinds that are not named take PDF and images.
_KIND_TYPES = {
    "photo": _IMAGES,
    "invoice": frozenset(EXTENSIONS),
    "slip": frozenset({PDF, JPEG, PNG, OFD}),
    "other": frozenset({PDF, JPEG, PNG, OFD}),
}
# Roots of 数电票 and of the accounting data standard of electronic vouchers (财会〔2023〕7号).
_INVOICE_ROOTS = frozenset({"einvoice", "invoice", "xbrl"})
_MARKUP = re.compile(rb"<(?:html|script|!doctype|\?php|iframe)", re.IGNORECASE)
_ACTIVE_PDF = re.compile(rb"/(?:JavaScript|Launch|RichMedia)\b")
_ARCHIVE_END = b"PK\x05\x06"


class FileRefused(RuleViolation):
    slug = "file-refused"
    title = "不能接收这个文件"


@dataclass(frozen=True)
class Recognised:
    """What the bytes are; the type and the ending are ours, not the client's."""

    content_type: str
    extension: str


def recognise(content: bytes, *, kind: str, max_bytes: int) -> Recognised:
    """The type of a file of `kind`, 1 to `max_bytes` bytes. Raises FileRefused (`file-refused`)."""
    if not content:
        raise FileRefused("文件是空的")
    if len(content) > max_bytes:
        raise FileRefused(f"文件超过{max_bytes // 1_000_000}MB", max_bytes=max_bytes)
    form = next((form for form in _FORMS if content.startswith(form[0])), None)
    if form is None:
        raise FileRefused("只接收 PDF、JPG、PNG 文件，电子发票还可以是 XML、OFD")
    _, content_type, check = form
    check(content)
    allowed = _KIND_TYPES.get(kind, _IMAGES | {PDF})
    if content_type not in allowed:
        endings = "、".join(sorted(EXTENSIONS[t].lstrip(".").upper() for t in allowed))
        raise FileRefused(f"这类文件只接收 {endings}")
    return Recognised(content_type, EXTENSIONS[content_type])


def _refuse_second_nature(content: bytes) -> None:
    """No markup that a browser would run, no archive that hides behind the file."""
    if _MARKUP.search(content) or _ARCHIVE_END in content[-66_000:]:
        raise FileRefused("文件里混有别的内容")


def _check_pdf(content: bytes) -> None:
    if not re.match(rb"%PDF-[12]\.[0-9]", content):
        raise FileRefused("不是完好的 PDF 文件")
    tail = content[-1024:].rstrip(b"\r\n \x00")
    if not tail.endswith(b"%%EOF") or b"startxref" not in content[-2048:]:
        raise FileRefused("PDF 文件不完整")
    if _ACTIVE_PDF.search(content):
        raise FileRefused("PDF 文件里有脚本或可运行的内容")
    _refuse_second_nature(content)


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1 or max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise FileRefused(f"图片尺寸{width}×{height}不能接收，最多{MAX_PIXELS // 1_000_000}百万像素")


def _check_png(content: bytes) -> None:
    at, first, data = 8, True, False
    while True:
        if at + 12 > len(content):
            raise FileRefused("PNG 图片不完整")
        (length,) = struct.unpack_from(">I", content, at)
        name, end = content[at + 4 : at + 8], at + 12 + length
        if end > len(content):
            raise FileRefused("PNG 图片不完整")
        if zlib.crc32(content[at + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
            raise FileRefused("PNG 图片已损坏")
        if first:
            if name != b"IHDR" or length != 13:
                raise FileRefused("不是完好的 PNG 图片")
            _check_size(*struct.unpack_from(">II", content, at + 8))
        first, data, at = False, data or name == b"IDAT", end
        if name == b"IEND":
            break
    if not data or content[at:].strip(b"\x00"):
        raise FileRefused("PNG 图片不完整，或后面附有别的数据")
    _refuse_second_nature(content)


_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _check_jpeg(content: bytes) -> None:
    at, sized = 2, False
    while True:
        if at + 4 > len(content) or content[at] != 0xFF:
            raise FileRefused("JPG 图片不完整")
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        if length < 2 or at + 2 + length > len(content):
            raise FileRefused("JPG 图片不完整")
        if marker in _JPEG_FRAMES:
            if length < 8:
                raise FileRefused("JPG 图片已损坏")
            height, width = struct.unpack_from(">HH", content, at + 5)
            _check_size(width, height)
            sized = True
        at += 2 + length
        if marker == 0xDA:
            break
    if not sized:
        raise FileRefused("JPG 图片没有尺寸")
    if not content.rstrip(b"\x00").endswith(b"\xff\xd9"):
        raise FileRefused("JPG 图片不完整，或后面附有别的数据（动态照片请存为普通照片）")
    _refuse_second_nature(content)


def _xml_root(content: bytes) -> str:
    """Local name of the root; the whole text is read, so that a cut-off or swollen one is seen."""
    parser = expat.ParserCreate(namespace_separator="}")
    names: list[str] = []
    counts = {"elements": 0, "depth": 0}

    def start(name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition("}")
        counts["elements"] += 1
        counts["depth"] += 1
        if counts["elements"] > MAX_XML_ELEMENTS or counts["depth"] > MAX_XML_DEPTH:
            raise FileRefused("XML 文件太大或嵌套太深")
        if local.lower() in ("script", "html", "svg") or "xhtml" in namespace or "svg" in namespace:
            raise FileRefused("XML 文件里有网页或脚本内容")
        if not names:
            names.append(local)

    def end(name: str) -> None:
        counts["depth"] -= 1

    def refuse(*arguments: object) -> None:
        raise FileRefused("XML 文件不能有文档类型或实体声明")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.ProcessingInstructionHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError):
        raise FileRefused("XML 文件不完整或已损坏") from None
    return names[0]


def _check_xml(content: bytes) -> None:
    if _xml_root(content).lower() not in _INVOICE_ROOTS:
        raise FileRefused("这个 XML 不是电子发票")


def _check_ofd(content: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_archive(content, archive)
            root = _xml_root(archive.read("OFD.xml"))
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        NotImplementedError,
        EOFError,
        zlib.error,
        struct.error,
    ):
        raise FileRefused("不是完好的 OFD 文件") from None
    if root != "OFD":
        raise FileRefused("不是完好的 OFD 文件")


def _check_archive(content: bytes, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    declared = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ARCHIVE_ENTRIES or declared > MAX_ARCHIVE_BYTES:
        raise FileRefused("OFD 文件展开后太大")
    if declared > MAX_ARCHIVE_RATIO * len(content) or any(e.flag_bits & 1 for e in entries):
        raise FileRefused("OFD 文件压缩得不正常")
    for entry in entries:
        name = entry.filename
        # Some makers write the names with a leading slash, which OFD readers take as the root of the package.
        if "\\" in name or ".." in name.split("/") or "\x00" in name or ":" in name:
            raise FileRefused("OFD 文件里有不安全的路径")
        if name.lower().endswith((".exe", ".js", ".html", ".htm", ".svg", ".bat", ".jar")):
            raise FileRefused("OFD 文件里有不能接收的内容")
    if archive.testzip() is not None:
        raise FileRefused("OFD 文件已损坏")


_FORMS: tuple[tuple[bytes | tuple[bytes, ...], str, Callable[[bytes], None]], ...] = (
    (b"%PDF-", PDF, _check_pdf),
    (b"\x89PNG\r\n\x1a\n", PNG, _check_png),
    (b"\xff\xd8\xff", JPEG, _check_jpeg),
    (b"PK\x03\x04", OFD, _check_ofd),
    ((b"<?xml", b"\xef\xbb\xbf<?xml"), XML, _check_xml),
)


def display_name(filename: str, extension: str) -> str:
    """A name that is safe to show and to save: no path, no control or direction marks, our own ending."""
    last = re.split(r"[/\\]", filename)[-1]
    visible = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C")
    stem = re.sub(r'[<>:"|?*]', "_", visible).rsplit(".", 1)[0].strip(" .")
    return f"{stem[:80] or '文件'}{extension}"
