"""The papers as their readers get them: a PDF with the right words and sums, for those who may see the thing."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pypdfium2
import pytest
import zxingcpp
from flask import Flask
from flask.testing import FlaskClient
from fontTools.ttLib import TTFont
from PIL import Image
from pypdf import PdfReader

from marketplace.papers.bundle import joined
from marketplace.papers.sheet import Column, Sheet, Sign, merged, pdf
from marketplace.payments.capitals import in_capitals
from marketplace.values import yuan
from tests.conftest import PASSWORD
from tests.story import Story, Teller, one_page

MM = 72 / 25.4
ORIGIN = {"Origin": "http://localhost"}
SignIn = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def story(app: Flask, sign_in: SignIn) -> Story:
    return Teller(app, sign_in).play("declared")


def as_user(app: Flask, username: str) -> FlaskClient:
    client = app.test_client()
    answer = client.post("/sign-in", data={"username": username, "password": PASSWORD}, headers=ORIGIN)
    assert answer.status_code == 303
    return client


def text_of(body: bytes) -> str:
    """The words of a PDF without the blanks between letters that a reader may see."""
    return re.sub(r"\s", "", "".join(page.extract_text() for page in PdfReader(io.BytesIO(body)).pages))


def paper(app: Flask, user: str, path: str) -> bytes:
    answer = as_user(app, user).get(path)
    assert answer.status_code == 200, answer.get_data(as_text=True)[:300]
    assert answer.mimetype == "application/pdf"
    return answer.data


def test_the_approval_sheet_names_lines_sum_in_capitals_and_room_to_sign(app: Flask, story: Story) -> None:
    text = text_of(paper(app, "canteen.manager", f"/papers/purchases/{story.purchase['id']}/approval.pdf"))
    assert "采购审批单" in text
    assert story.purchase["number"] in text
    assert in_capitals(story.purchase["total_fen"]) in text
    for word in ("申请人", "审批人", "单位盖章", "第1页，共1页"):
        assert word in text


def test_the_delivery_note_has_three_copies_with_every_lot(app: Flask, story: Story) -> None:
    shipment = story.order["shipments"][0]
    body = paper(app, "coop.seller", f"/papers/shipments/{shipment['id']}/delivery.pdf")
    pages = PdfReader(io.BytesIO(body)).pages
    assert len(pages) == 3
    text = text_of(body)
    assert [text.count(copy) for copy in ("第一联供货单位存根", "第二联采购单位", "第三联财务")] == [1, 1, 1]
    code = shipment["lines"][0]["trace_code"]
    assert text.count(f"{code[:5]}-{code[5:10]}") == 3
    assert "甘L·D3062" in text


def test_the_acceptance_sheet_says_what_was_refused_and_why(app: Flask, story: Story) -> None:
    text = text_of(paper(app, "canteen.buyer", f"/papers/orders/{story.order_id}/acceptance.pdf"))
    assert "食材验收单" in text
    assert "一箱压坏" in text
    assert "李师傅、王老师" in text
    assert yuan(story.order["accepted_fen"]) in text


def test_storage_settlement_and_payment_request_carry_the_accepted_sum(app: Flask, story: Story) -> None:
    amount = yuan(story.order["accepted_fen"])
    for user, path in (
        ("canteen.buyer", f"/papers/orders/{story.order_id}/storage.pdf"),
        ("coop.seller", f"/papers/orders/{story.order_id}/settlement.pdf"),
        ("canteen.buyer", f"/papers/payments/{story.payment['id']}/request.pdf"),
    ):
        text = text_of(paper(app, user, path))
        assert amount in text, path
        assert in_capitals(story.order["accepted_fen"]) in text, path


def test_all_papers_of_a_delivery_hold_the_files_themselves(app: Flask, story: Story) -> None:
    shipment = story.order["shipments"][0]
    body = paper(app, "canteen.buyer", f"/papers/shipments/{shipment['id']}/all.pdf")
    text = text_of(body)
    assert "索证索票目录" in text
    assert "承诺达标合格证" in text
    assert story.invoice["number"] in text
    assert len(PdfReader(io.BytesIO(body)).pages) >= 4  # list, note, a certificate, the invoice


@pytest.mark.parametrize("user", ["canteen2.buyer", "coop2.seller"])
def test_other_tenants_find_no_paper(app: Flask, story: Story, user: str) -> None:
    client = as_user(app, user)
    for path in (
        f"/papers/shipments/{story.order['shipments'][0]['id']}/delivery.pdf",
        f"/papers/shipments/{story.order['shipments'][0]['id']}/all.pdf",
        f"/papers/orders/{story.order_id}/acceptance.pdf",
        f"/papers/payments/{story.payment['id']}/request.pdf",
    ):
        assert client.get(path).status_code == 404, path


def test_offices_see_no_phone_on_a_delivery_note(app: Flask, story: Story) -> None:
    shipment = story.order["shipments"][0]
    text = text_of(paper(app, "county.office", f"/papers/shipments/{shipment['id']}/delivery.pdf"))
    assert "13800000000" not in text


def test_a_long_paper_repeats_its_head_and_counts_its_pages() -> None:
    sheet = Sheet(
        title="送货单",
        facts=[("订单号", "FH-2026-000001"), ("采购单位", "名字很长的学校" * 6)],
        columns=[Column("序", 1), Column("品名规格", 3), Column("数量", 1, "number")],
        rows=[(str(n), "静宁苹果 红富士" * (1 + n % 3), "10") for n in range(120)],
        total=("合计", "", "1,200"),
        signs=[Sign("收货", ("收货人",), "单位盖章")],
        foot="一式三联",
    )
    body = pdf([sheet], datetime(2026, 11, 24, tzinfo=UTC))
    pages = PdfReader(io.BytesIO(body)).pages
    assert len(pages) > 2
    assert all("品名规格" in re.sub(r"\s", "", page.extract_text()) for page in pages[:-1])
    assert f"第1页，共{len(pages)}页" in text_of(body)


def test_a_text_that_is_higher_than_a_page_goes_on_on_the_next_one() -> None:
    sheet = Sheet(
        title="食材验收单",
        facts=[("订单号", "CG-2026-000001-1")],
        columns=[Column("品名规格", 9), Column("验收意见", 1)],
        rows=[("静宁苹果", "碰伤" * 250)],
        remarks=["拒收处理：" + "静宁苹果拒收1箱；" * 1500],
    )
    body = pdf([sheet], datetime(2026, 11, 24, tzinfo=UTC))
    text = text_of(body)
    assert text.count("碰") == text.count("伤") == 250
    assert text.count("箱") == 1500


def test_a_number_that_is_wide_stays_in_one_line_and_a_head_breaks_before_its_unit() -> None:
    sheet = Sheet(
        title="入库单",
        facts=[("承运", "甘L·D3062"), ("送货人", "马\U0002c594")],
        columns=[Column("日期", 1, "centre"), Column("净重（公斤）", 1, "number"), Column("品名规格", 7)],
        rows=[("2026-10-08", "1,234,567.89", "静宁苹果")],
    )
    body = pdf([sheet], datetime(2026, 11, 24, tzinfo=UTC))
    text = PdfReader(io.BytesIO(body)).pages[0].extract_text()
    lines = [line.strip() for line in text.splitlines()]
    for whole in ("2026-10-08", "1,234,567.89", "净重", "（公斤）", "甘L·D3062", "马〓"):
        assert whole in lines


def one_line(text: str) -> Sheet:
    return Sheet(title="入库单", facts=[("承运", text)], columns=[Column("品名规格", 1)], rows=[(text,)])


def test_a_paper_carries_every_chinese_letter_that_it_shows() -> None:
    (page,) = PdfReader(io.BytesIO(pdf([one_line("静宁苹果")], datetime(2026, 11, 24, tzinfo=UTC)))).pages

    fonts = [font.get_object() for font in page["/Resources"]["/Font"].values()]
    (chinese,) = [font for font in fonts if font["/Subtype"] == "/Type0"]
    descriptor = chinese["/DescendantFonts"][0].get_object()["/FontDescriptor"]
    program = TTFont(io.BytesIO(descriptor["/FontFile2"].get_data()))
    pairs = re.findall(rb"^<(\w{4})> <(\w{4})>$", chinese["/ToUnicode"].get_data(), re.MULTILINE)
    assert set("静宁苹果入库单承运品名规格") < {chr(int(letter, 16)) for _, letter in pairs}
    # And the box for a letter that is missing.
    assert program["maxp"].numGlyphs == len(pairs) + 1
    drawn = [program["glyf"][name].numberOfContours > 0 for name in program.getGlyphOrder()]
    assert [letter for (_, letter), shown in zip(pairs, drawn[1:], strict=True) if not shown] == [b"0020"]


def test_a_letter_beyond_65535_is_printed_and_found_and_one_that_the_font_lacks_is_marked() -> None:
    body = pdf([one_line("\U0002b5f4马\u200b🍎")], datetime(2026, 11, 24, tzinfo=UTC))
    assert "\U0002b5f4马〓" in text_of(body)


def test_letters_stand_as_they_are_drawn_in_the_font() -> None:
    """What is seen, and not only what can be copied: 一 is wider than high, 丨 higher than wide, 口 has a hole."""
    boxes = {}
    for letter in "一丨口":
        sheet = Sheet(title=letter, facts=[("", "")], columns=[Column("", 1)], rows=[], least_rows=1)
        page = pypdfium2.PdfDocument(pdf([sheet], datetime(2026, 11, 24, tzinfo=UTC)))[0]
        picture = page.render(scale=8).to_pil().convert("L").point(lambda ink: 255 if ink < 128 else 0)
        title = picture.crop((0, int(15 * MM * 8), picture.width, int(24 * MM * 8)))
        boxes[letter] = title.crop(title.getbbox())
    assert boxes["一"].width > 8 * boxes["一"].height
    assert boxes["丨"].height > 8 * boxes["丨"].width
    hole = boxes["口"]
    assert hole.getpixel((hole.width // 2, hole.height // 2)) == 0
    assert hole.width * hole.height < 6 * sum(1 for ink in hole.get_flattened_data() if ink)


def test_papers_made_at_once_each_carry_their_own_letters() -> None:
    """Outlines are read by one thread at a time; letters of one document never reach another."""
    texts = [
        chr(first) * 3 + "".join(map(chr, range(first, first + 60))) for first in range(0x4E00, 0x5600, 64)
    ]
    with ThreadPoolExecutor(4) as pool:
        bodies = list(pool.map(lambda text: pdf([one_line(text)], datetime(2026, 11, 24, tzinfo=UTC)), texts))
    for text, body in zip(texts, bodies, strict=True):
        assert text in text_of(body)


def test_the_code_on_a_paper_opens_the_page_of_the_thing(app: Flask, story: Story) -> None:
    def codes(person: str, address: str) -> list[str]:
        pages = pypdfium2.PdfDocument(paper(app, person, address))
        read = [zxingcpp.read_barcodes(page.render(scale=3).to_pil()) for page in pages]
        return [code.text for page in read for code in page]

    base = "http://localhost:8000"
    shipment = story.order["shipments"][0]["id"]
    purchase, order = story.purchase["id"], story.order_id
    assert codes("canteen.manager", f"/papers/purchases/{purchase}/approval.pdf") == [
        f"{base}/purchases/{purchase}"
    ]
    assert codes("canteen.buyer", f"/papers/orders/{order}/acceptance.pdf") == [f"{base}/orders/{order}"]
    assert (
        codes("coop.seller", f"/papers/shipments/{shipment}/delivery.pdf") == [f"{base}/orders/{order}"] * 3
    )
    client = as_user(app, "canteen.manager")
    for address in (f"/purchases/{purchase}", f"/orders/{order}"):
        assert client.get(address).status_code == 200


def test_a_broken_file_does_not_spoil_the_bundle() -> None:
    front = one_page("front")
    body = joined(
        front, [("application/pdf", b"%PDF-1.4 broken"), ("image/png", b"no picture"), ("text/xml", b"<a/>")]
    )
    assert len(PdfReader(io.BytesIO(body)).pages) == 1


def test_a_photo_becomes_a_page() -> None:
    picture = io.BytesIO()
    Image.new("RGB", (3000, 2000), "white").save(picture, "JPEG")
    body = joined(one_page("front"), [("image/jpeg", picture.getvalue())])
    assert len(PdfReader(io.BytesIO(body)).pages) == 2


def test_one_part_alone_is_not_rewritten() -> None:
    part = one_page("alone")
    assert merged([part]) is part
