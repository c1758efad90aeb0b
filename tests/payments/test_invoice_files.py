"""What is read from an invoice's file: the new XML, an OFD, a PDF's words, the QR code of a picture."""

from __future__ import annotations

import io
from datetime import date

import pytest
import segno
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from marketplace.documents.rules import JPEG, OFD, PDF, PNG, XML
from marketplace.payments.invoice_files import read_invoice
from marketplace.payments.states import InvoiceKind
from tests.documents import files

NUMBER = "24622000000012345678"
READ = {
    "number": NUMBER,
    "kind": InvoiceKind.DIGITAL_ORDINARY,
    "issued_on": date(2026, 11, 20),
    "amount_fen": 516_000,
}
BUYER = {"buyer_title": "平凉市泾滨中学", "buyer_tax_number": "12620802MA70A0C19C"}


def electronic(*, extra: str = "", head: str = "") -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>{head}<EInvoice><Header><EIid>{NUMBER}</EIid></Header>
<EInvoiceData><SellerInformation><SellerIdNum>93620826MA70A0A67D</SellerIdNum></SellerInformation>
<BuyerInformation><BuyerIdNum>12620802MA70A0C19C</BuyerIdNum><BuyerName>平凉市泾滨中学</BuyerName></BuyerInformation>
<BasicInformation><TotalAmWithoutTax>5160.00</TotalAmWithoutTax><TotalTaxAm>0.00</TotalTaxAm>
<TotalTax-includedAmount>5160.00</TotalTax-includedAmount>{extra}</BasicInformation></EInvoiceData>
<TaxSupervisionInfo><InvoiceNumber>{NUMBER}</InvoiceNumber><IssueTime>2026-11-20 09:30:00</IssueTime>
</TaxSupervisionInfo></EInvoice>""".encode()


def pdf(*lines: str) -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    target = io.BytesIO()
    canvas = Canvas(target)
    canvas.setFont("STSong-Light", 11)
    for row, line in enumerate(lines):
        canvas.drawString(60, 780 - 20 * row, line)
    canvas.save()
    return target.getvalue()


def picture(text: str) -> bytes:
    target = io.BytesIO()
    segno.make(text, micro=False).save(target, kind="png", scale=6)
    return target.getvalue()


def test_the_new_xml_gives_number_day_amount_and_title() -> None:
    assert read_invoice(electronic(), XML) == READ | BUYER


def test_an_ofd_gives_the_same_from_the_xml_inside() -> None:
    assert read_invoice(files.ofd(**{"Attachs/original.xml": electronic()}), OFD) == READ | BUYER


def test_an_ofd_gives_its_custom_data_with_tax_added() -> None:
    root = (
        '<?xml version="1.0" encoding="UTF-8"?><ofd:OFD xmlns:ofd="http://www.ofdspec.org/2016"><ofd:CustomDatas>'
        f'<ofd:CustomData Name="发票号码">{NUMBER}</ofd:CustomData>'
        '<ofd:CustomData Name="开票日期">2026年11月20日</ofd:CustomData>'
        '<ofd:CustomData Name="合计金额">5,000.00</ofd:CustomData>'
        '<ofd:CustomData Name="合计税额">160.00</ofd:CustomData></ofd:CustomDatas></ofd:OFD>'
    ).encode()
    assert read_invoice(files.archive({"OFD.xml": root}), OFD) == READ


def test_an_older_electronic_invoice_has_a_code_and_a_number() -> None:
    xml = (
        '<?xml version="1.0"?><eInvoice><InvoiceCode>062002100111</InvoiceCode><InvoiceNo>12345678</InvoiceNo>'
        "<IssueDate>2026年11月20日</IssueDate><TaxInclusiveTotalAmount>5160.00</TaxInclusiveTotalAmount></eInvoice>"
    ).encode()
    assert read_invoice(xml, XML) == READ | {"number": "062002100111-12345678", "kind": InvoiceKind.ORDINARY}


def test_a_pdf_is_read_by_its_words_in_any_order() -> None:
    content = pdf(
        "电子发票（普通发票）",
        NUMBER,
        "2026年11月20日",
        "发票号码：",
        "开票日期：",
        "统一社会信用代码/纳税人识别号：12620802MA70A0C19C",
        "统一社会信用代码/纳税人识别号：93620826MA70A0A67D",
        "合计 ¥5160.00",
        "价税合计（大写）伍仟壹佰陆拾元整 （小写）¥5160.00",
    )
    assert read_invoice(content, PDF) == READ | {"buyer_tax_number": "12620802MA70A0C19C"}


def test_the_code_on_a_picture_holds_number_amount_and_day() -> None:
    assert read_invoice(picture(f"01,32,,{NUMBER},5160.00,20261120,,3F2A"), PNG) == READ


def test_an_older_code_on_a_picture_leaves_the_amount_to_be_typed() -> None:
    seen = read_invoice(
        picture("01,04,062002100111,12345678,4733.94,20261120,01234567890123456789,ABCD"), PNG
    )
    assert seen == {
        "number": "062002100111-12345678",
        "kind": InvoiceKind.ORDINARY,
        "issued_on": date(2026, 11, 20),
    }


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (electronic(head='<!DOCTYPE a [<!ENTITY b "c">]>'), XML),
        (electronic()[:-20], XML),
        (files.PDF, PDF),
        (pdf("一份别的文件", "¥12.00"), PDF),
        (b"%PDF-1.7\n" + b"\xff" * 400, PDF),
        (files.ofd(), OFD),
        (b"PK\x03\x04 nothing", OFD),
        (picture("https://example.test/t/1K7QM"), PNG),
        (picture("01,32,,1,2,3"), PNG),
        (files.png(), PNG),
        (files.jpeg(), JPEG),
        (b"text", "text/plain"),
    ],
)
def test_what_can_not_be_read_is_left_to_be_typed(content: bytes, content_type: str) -> None:
    assert read_invoice(content, content_type) == {}


def test_an_amount_beyond_all_money_and_an_impossible_day_are_left_out() -> None:
    xml = (
        electronic()
        .replace(b"5160.00", b"99999999999999999999.00")
        .replace(b"2026-11-20 09:30:00", "2026年13月40日".encode())
    )
    assert read_invoice(xml, XML) == {"number": NUMBER, "kind": InvoiceKind.DIGITAL_ORDINARY} | BUYER
