"""What an invoice's own file says: number, day, amount, title. Read so that nobody types it; a person still confirms it.

Bytes in, a dict out; whatever can't be read is absent, and nothing here is ever believed without a second look. XML of
数电票 and the XML inside an OFD are read by names, a PDF by the words in it, a picture by the QR code that every Chinese
invoice carries. Entity declarations are refused, sizes are bounded.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date
from typing import Any
from xml.parsers import expat

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from marketplace.documents.rules import JPEG, OFD, PDF, PNG, XML
from marketplace.payments.states import InvoiceKind
from marketplace.trace.photos import PhotoRefused, qr_texts
from marketplace.values import MAX_FEN

MAX_MEMBER_BYTES = 2_000_000  # of one XML file inside an OFD
MAX_PAGES = 3  # an invoice has one; a list of goods may follow
MAX_TEXT = 50_000

# Names of elements (数电票, older electronic invoices) and of an OFD's custom data, without case and namespace.
_NAMES = {
    "number": ("invoicenumber", "eiid", "发票号码", "invoiceno"),
    "code": ("发票代码", "invoicecode"),
    "issued_on": ("issuetime", "requesttime", "开票日期", "issuedate"),
    "amount_fen": ("totaltax-includedamount", "taxinclusivetotalamount", "价税合计"),
    "net_fen": ("totalamwithouttax", "合计金额", "taxexclusivetotalamount"),
    "tax_fen": ("totaltaxam", "合计税额", "taxtotalamount"),
    "buyer_title": ("buyername", "购买方名称"),
    "buyer_tax_number": ("buyeridnum", "购买方纳税人识别号", "buyertaxid"),
}
_AMOUNT = re.compile(r"[¥￥]?\s*(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{1,2}))?")
_DAY = re.compile(r"(20\d\d)\D{0,3}?(\d{1,2})\D{0,3}?(\d{1,2})(?!\d)")
_WRITTEN_DAY = re.compile(r"(20\d\d)\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日")
_DIGITAL = re.compile(r"(?<!\d)\d{20}(?!\d)")
_TAX_NUMBER = re.compile(r"(?<![0-9A-Z])[0-9A-HJ-NPQRTUWXY]{18}(?![0-9A-Z])")
_TOTAL = re.compile(r"小写\s*[)）]?\s*[¥￥]?\s*([\d,]+\.\d\d)")
_PRICED = re.compile(r"[¥￥]\s*([\d,]+\.\d\d)")
# Second field of the QR code: what kind of invoice it is.
_QR_KINDS = {
    "31": InvoiceKind.DIGITAL_SPECIAL,
    "32": InvoiceKind.DIGITAL_ORDINARY,
    "01": InvoiceKind.SPECIAL,
    "04": InvoiceKind.ORDINARY,
    "08": InvoiceKind.SPECIAL,
    "10": InvoiceKind.ORDINARY,
}


def read_invoice(content: bytes, content_type: str) -> dict[str, Any]:
    """Some of `number`, `kind`, `issued_on` (date), `amount_fen`, `buyer_title`, `buyer_tax_number`; {} when unreadable.

    `content` has passed the documents' own checks; a file that this reader can't follow is no error.
    """
    if content_type == XML:
        return _from_names(_named_texts(content))
    if content_type == OFD:
        return _from_names(_ofd_texts(content))
    if content_type == PDF:
        return _from_words(_pdf_text(content))
    if content_type in (JPEG, PNG):
        try:
            found = [_from_qr(text) for text in qr_texts(content)]
        except PhotoRefused:
            return {}
        return next((f for f in found if f), {})
    return {}


def _fen(text: str) -> int | None:
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        return None
    fen = int(found[1].replace(",", "")) * 100 + int((found[2] or "").ljust(2, "0"))
    return fen if 0 < fen <= MAX_FEN else None


def _day(text: str, form: re.Pattern[str] = _DAY) -> date | None:
    found = form.search(text)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None


def _named_texts(content: bytes) -> list[tuple[str, str]]:
    """(name, text) of all elements with a text; custom data goes by its Name. Nothing of a broken or odd file."""
    parser = expat.ParserCreate(namespace_separator="}")
    found: list[tuple[str, str]] = []
    open_names: list[str] = []
    texts: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        open_names.append(attributes.get("Name") or name.rpartition("}")[2])
        texts.append("")

    def words(data: str) -> None:
        if texts and len(texts[-1]) < 500:
            texts[-1] += data

    def end(_name: str) -> None:
        name, text = open_names.pop().lower(), texts.pop().strip()
        if text:
            found.append((name, text))

    def refuse(*_arguments: object) -> None:
        raise ValueError("no declarations")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = words
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, ValueError):
        return []
    return found


def _ofd_texts(content: bytes) -> list[tuple[str, str]]:
    try:
        return list(_members(content))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        return []


def _members(content: bytes) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            if entry.filename.lower().endswith(".xml") and entry.file_size <= MAX_MEMBER_BYTES:
                yield from _named_texts(archive.read(entry))


def _from_names(texts: list[tuple[str, str]]) -> dict[str, Any]:
    given: dict[str, str] = {}
    for member, names in _NAMES.items():
        for name in names:
            text = next((t for n, t in texts if n == name), None)
            if text is not None:
                given[member] = text
                break
    amount = _fen(given.get("amount_fen", ""))
    net, tax = _fen(given.get("net_fen", "")), _fen(given.get("tax_fen", "")) or 0
    if amount is None and net is not None:
        amount = net + tax
    return _known(
        number=given.get("number"),
        code=given.get("code"),
        issued_on=_day(given.get("issued_on", "")),
        amount_fen=amount,
        buyer_title=given.get("buyer_title"),
        buyer_tax_number=given.get("buyer_tax_number"),
    )


def _known(
    *,
    number: str | None,
    code: str | None = None,
    issued_on: date | None,
    amount_fen: int | None,
    kind: InvoiceKind | None = None,
    buyer_title: str | None = None,
    buyer_tax_number: str | None = None,
) -> dict[str, Any]:
    number = re.sub(r"\s", "", number or "")
    if _DIGITAL.fullmatch(number):
        kind = kind or InvoiceKind.DIGITAL_ORDINARY
    elif re.fullmatch(r"\d{8}", number) and re.fullmatch(r"\d{10}|\d{12}", code or ""):
        number, kind = f"{code}-{number}", kind or InvoiceKind.ORDINARY
    else:
        return {}
    values = {
        "number": number,
        "kind": kind,
        "issued_on": issued_on,
        "amount_fen": amount_fen,
        "buyer_title": (buyer_title or "")[:200],
        "buyer_tax_number": (buyer_tax_number or "")[:40],
    }
    return {name: value for name, value in values.items() if value}


def _pdf_text(content: bytes) -> str:
    """The words of the first pages. A damaged or odd PDF has none; the library raises many kinds for these."""
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted:
            return ""
        pages = [page.extract_text() for page in reader.pages[:MAX_PAGES]]
    except (PyPdfError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OSError):
        return ""
    except (zlib.error, AssertionError, NotImplementedError, UnicodeError):
        return ""
    return "\n".join(pages)[:MAX_TEXT]


def _from_words(text: str) -> dict[str, Any]:
    """Labels and values of a PDF come in any order: look for what only one thing on an invoice looks like."""
    number = _DIGITAL.search(re.sub(r"(?<=\d) (?=\d)", "", text))
    total = _TOTAL.search(text)
    amounts = [fen for fen in map(_fen, [total[1]] if total else _PRICED.findall(text)) if fen]
    if not number:
        return {}
    # The buyer stands left of the seller: the first tax number is the buyer's.
    tax_number = _TAX_NUMBER.search(text.replace(number[0], ""))
    return _known(
        number=number[0],
        issued_on=_day(text, _WRITTEN_DAY),
        amount_fen=max(amounts, default=None),
        kind=InvoiceKind.DIGITAL_SPECIAL if "增值税专用发票" in text else InvoiceKind.DIGITAL_ORDINARY,
        buyer_tax_number=tax_number[0] if tax_number else None,
    )


def _from_qr(text: str) -> dict[str, Any]:
    """`01,32,,24622000000000000001,5160.00,20261120,…`: kind, code, number, amount, day.

    The amount of 数电票 includes the tax; that of older kinds does not and is left to be typed.
    """
    parts = text.split(",")
    if len(parts) < 6 or parts[0] != "01" or parts[1] not in _QR_KINDS:
        return {}
    kind = _QR_KINDS[parts[1]]
    digital = kind in (InvoiceKind.DIGITAL_ORDINARY, InvoiceKind.DIGITAL_SPECIAL)
    return _known(
        number=parts[3],
        code=parts[2],
        issued_on=_day(parts[5]) if re.fullmatch(r"\d{8}", parts[5]) else None,
        amount_fen=_fen(parts[4]) if digital else None,
        kind=kind,
    )
