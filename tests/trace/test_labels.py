"""Label sheets: pages, texts, and codes that stand for the right address."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from xml.etree import ElementTree

import pypdfium2
import pytest
import zxingcpp
from flask.testing import FlaskClient

from marketplace.trace.labels import Label, pdf_sheet, svg_sheet
from tests.trace.world import World

LABEL = Label(
    product="静宁苹果",
    spec="红富士 80#一级",
    county="静宁县",
    seller="静宁塬上合作社",
    code="1K7QM-2V9XA-TF4G8-CNRH3",
    harvested_on=date(2026, 10, 12),
    address="https://example.org/t/1K7QM2V9XATF4G8CNRH3",
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("count", "pages"), [(1, 1), (21, 1), (22, 2), (64, 4)])
def test_a_pdf_sheet_holds_21_labels_a_page(count: int, pages: int) -> None:
    made = pdf_sheet(LABEL, count)
    assert made.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b(?!s)", made)) == pages


def test_every_code_of_a_sheet_opens_the_story_of_its_lot() -> None:
    page = pypdfium2.PdfDocument(pdf_sheet(LABEL, 21))[0]
    codes = zxingcpp.read_barcodes(page.render(scale=4).to_pil())
    assert [code.text for code in codes] == [LABEL.address] * 21


def test_an_svg_sheet_is_well_formed_and_carries_the_texts() -> None:
    root = ElementTree.fromstring(svg_sheet(LABEL, 5))
    assert len(root.findall(f"{SVG}use")) == 5
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert texts == [
        "静宁苹果", "红富士 80#一级", "静宁县出产", "采收 2026-10-12", "1K7QM-2V9XA", "TF4G8-CNRH3", "静宁塬上合作社"
    ]  # fmt: skip


def test_marks_of_xml_in_a_name_stay_text() -> None:
    root = ElementTree.fromstring(svg_sheet(replace(LABEL, product="<b>&果"), 1))
    assert next(root.iter(f"{SVG}text")).text == "<b>&果"


def test_a_long_name_is_cut_to_the_label() -> None:
    root = ElementTree.fromstring(svg_sheet(replace(LABEL, product="很长的名字" * 20), 1))
    text = next(root.iter(f"{SVG}text")).text or ""
    assert text.endswith("…")
    assert len(text) < 20


def test_the_seller_prints_labels_of_its_own_lots(
    world: World, http: FlaskClient, signed: Callable[[str], dict[str, str]]
) -> None:
    lot = world.lot()
    pdf = http.get(f"/api/v1/lots/{lot['id']}/labels.pdf?count=22", headers=signed("one.seller"))
    svg = http.get(f"/api/v1/lots/{lot['id']}/labels.svg", headers=signed("one.seller"))
    assert (pdf.status_code, pdf.mimetype) == (200, "application/pdf")
    assert (svg.status_code, svg.mimetype) == (200, "image/svg+xml")
    picture = pypdfium2.PdfDocument(pdf.data)[0].render(scale=4).to_pil()
    assert {code.text for code in zxingcpp.read_barcodes(picture)} == {
        f"http://localhost:8000/t/{lot['trace_code']}"
    }
    assert lot["trace_code"][:5] in svg.get_data(as_text=True)
    assert http.get(f"/api/v1/lots/{lot['id']}/labels.pdf", headers=signed("two.seller")).status_code == 404
    assert (
        http.get(f"/api/v1/lots/{lot['id']}/labels.pdf?count=0", headers=signed("one.seller")).status_code
        == 422
    )
