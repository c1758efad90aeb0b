"""The seller's lots by page: register, certify, release, hold, move, print; what is refused keeps what was typed."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from psycopg.sql import SQL, Identifier

from marketplace.clock import today
from marketplace.database import db
from tests.conftest import PASSWORD
from tests.desks.spreadsheets import sheet_rows
from tests.statements import sent_statements

ORIGIN = {"Origin": "http://localhost"}
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\nxref\n0 1\ntrailer\n<< >>\nstartxref\n50\n%%EOF\n"
ID = r"([0-9a-f]{8}-[0-9a-f-]{27})"
Person = Callable[[str], FlaskClient]


@pytest.fixture
def person(app: Flask) -> Person:
    def come(username: str) -> FlaskClient:
        client = app.test_client()
        answer = client.post("/sign-in", data={"username": username, "password": PASSWORD}, headers=ORIGIN)
        assert answer.status_code == 303
        return client

    return come


@pytest.fixture
def seller(person: Person) -> FlaskClient:
    return person("coop.seller")


def product_of(client: FlaskClient, name: str = "静宁苹果 红富士 80# 一级 5公斤") -> str:
    page = client.get("/sell/lots/new").get_data(as_text=True)
    found = re.search(rf'product_id={ID}"[^>]*><span[^>]*><b>{re.escape(name)}<', page)
    assert found is not None
    return found[1]


def lot_form(product: str, **changes: str) -> dict[str, str]:
    return {
        "_once": "ab" * 16, "product_id": product, "quantity": "120", "harvested_on": today().isoformat(),
        "origins-0-township_code": "620826108", "origins-0-village": "上塬村", "origins-0-plot": "A09号地块",
        "origins-0-weight_g": "600", "origins-0-paid_fen": "3,360",
    } | changes  # fmt: skip


def new_lot(client: FlaskClient, key: str = "ab", **changes: str) -> str:
    product = product_of(client)
    answer = client.post(
        f"/sell/lots/new?product_id={product}",
        data=lot_form(product, _once=key * 16, **changes),
        headers=ORIGIN,
    )
    assert answer.status_code == 303, answer.get_data(as_text=True)
    found = re.search(ID, answer.location)
    assert found is not None
    return found[1]


def certificate(**changes: object) -> dict[str, object]:
    return {
        "kind": "commitment", "issued_on": today().isoformat(), "quantity": "120",
        "document_id": (io.BytesIO(PDF), "合格证.pdf"),
    } | changes  # fmt: skip


def rows(owner: psycopg.Connection, table: str) -> int:
    found = owner.execute(SQL("select count(*) from {}").format(Identifier(table))).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize(
    "path",
    ["/sell/lots", "/sell/lots/new", "/sell/growers", "/sell/stock", "/sell/lots?state=draft&sort=-quantity"],
)
def test_a_page_of_lots_is_the_sellers_alone(person: Person, path: str) -> None:
    assert person("coop.seller").get(path).status_code == 200
    assert person("canteen.buyer").get(path).status_code == 403


def test_a_lot_is_registered_certified_and_released_by_page(seller: FlaskClient) -> None:
    lot = new_lot(seller)
    page = seller.get(f"/sell/lots/{lot}").get_data(as_text=True)
    assert "缺承诺达标合格证" in page
    assert "A09号地块" in page
    assert "3,360.00" in page
    answer = seller.post(f"/sell/lots/{lot}/certificates", data=certificate(), headers=ORIGIN)
    assert answer.status_code == 303
    assert answer.location.endswith(f"/sell/lots/{lot}")
    assert "可以放行了" in seller.get(f"/sell/lots/{lot}").get_data(as_text=True)
    assert seller.post(f"/sell/lots/{lot}/release", headers=ORIGIN).status_code == 303
    page = seller.get(f"/sell/lots/{lot}").get_data(as_text=True)
    assert "已放行" in page
    assert "chip--done" in page


def test_a_lot_sent_twice_is_registered_once(seller: FlaskClient, owner: psycopg.Connection) -> None:
    before = rows(owner, "lot")
    first, second = new_lot(seller, key="c1"), new_lot(seller, key="c1")
    assert first == second
    assert rows(owner, "lot") == before + 1


def test_a_refused_lot_keeps_what_was_typed(seller: FlaskClient, owner: psycopg.Connection) -> None:
    before = rows(owner, "lot")
    product = product_of(seller)
    data = lot_form(product, quantity="很多", **{"origins-0-village": "", "origins-2-village": "下川村"})
    answer = seller.post(f"/sell/lots/new?product_id={product}", data=data, headers=ORIGIN)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'value="很多"' in page
    assert 'value="A09号地块"' in page
    assert 'value="下川村"' in page
    # The third row is the second that was filled in: its mistakes stand at the third.
    assert 'href="#f-quantity"' in page
    assert '<a href="#f-origins-0-village">村：必须填写</a>' in page
    assert 'href="#f-origins-2-plot"' in page
    assert 'href="#f-origins-1-plot"' not in page
    assert rows(owner, "lot") == before


def test_one_more_row_is_added_without_a_script(seller: FlaskClient, owner: psycopg.Connection) -> None:
    before = rows(owner, "lot")
    product = product_of(seller)
    answer = seller.post(
        f"/sell/lots/new?product_id={product}", data=lot_form(product, _more="origins"), headers=ORIGIN
    )
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    assert 'name="origins-1-plot"' in page
    assert 'value="A09号地块"' in page
    assert 'value="120"' in page
    assert rows(owner, "lot") == before


def test_another_sellers_lot_is_absent(
    person: Person, seller: FlaskClient, owner: psycopg.Connection
) -> None:
    lot, other = new_lot(seller, key="d1"), person("coop2.seller")
    before = rows(owner, "fact")
    for end in ("", "/certificates", "/release", "/hold", "/unhold", "/movements", "/labels", "/labels.pdf"):
        assert other.get(f"/sell/lots/{lot}{end}").status_code == 404
    for end in ("/release", "/hold", "/unhold", "/movements"):
        data = {"reason": "x", "kind": "spoilage", "quantity": "1"}
        assert other.post(f"/sell/lots/{lot}{end}", data=data, headers=ORIGIN).status_code == 404
    assert rows(owner, "fact") == before


def test_a_lot_that_lacks_a_paper_is_not_released_and_says_why(
    seller: FlaskClient, owner: psycopg.Connection
) -> None:
    lot = new_lot(seller, key="e1")
    before = rows(owner, "fact")
    answer = seller.post(f"/sell/lots/{lot}/release", headers=ORIGIN)
    assert answer.status_code == 422
    assert "缺承诺达标合格证" in answer.get_data(as_text=True)
    assert rows(owner, "fact") == before


def test_the_file_of_a_refused_paper_is_not_asked_for_again(
    seller: FlaskClient, owner: psycopg.Connection
) -> None:
    lot = new_lot(seller, key="f1")
    answer = seller.post(f"/sell/lots/{lot}/certificates", data=certificate(issued_on=""), headers=ORIGIN)
    page = answer.get_data(as_text=True)
    kept = re.search(rf'name="document_id" value="{ID}"', page)
    assert answer.status_code == 422
    assert kept is not None
    documents = rows(owner, "document")
    again = seller.post(
        f"/sell/lots/{lot}/certificates", data=certificate(document_id=kept[1]), headers=ORIGIN
    )
    assert again.status_code == 303
    assert rows(owner, "document") == documents


def test_a_seller_holds_its_lot_and_lifts_the_hold(seller: FlaskClient) -> None:
    lot = new_lot(seller, key="a2")
    assert seller.post(f"/sell/lots/{lot}/hold", data={"reason": ""}, headers=ORIGIN).status_code == 422
    assert (
        seller.post(f"/sell/lots/{lot}/hold", data={"reason": "重新分级"}, headers=ORIGIN).status_code == 303
    )
    page = seller.get(f"/sell/lots/{lot}").get_data(as_text=True)
    assert "停售中" in page
    assert "重新分级" in page
    assert seller.post(f"/sell/lots/{lot}/unhold", data={}, headers=ORIGIN).status_code == 303
    assert "停售中" not in seller.get(f"/sell/lots/{lot}").get_data(as_text=True)


def test_spoiled_packs_are_booked_and_booked_back(seller: FlaskClient) -> None:
    lot = new_lot(seller, key="a3")
    answer = seller.post(
        "/sell/stock", data={"lot_id": lot, "kind": "spoilage", "quantity": "6"}, headers=ORIGIN
    )
    assert answer.status_code == 303
    assert answer.location == "/sell"
    page = seller.get(f"/sell/lots/{lot}").get_data(as_text=True)
    assert "在库114，已留给订单0" in page
    assert f"/sell/lots/{lot}/movements?kind=stocktake&amp;quantity=120&amp;wrong=-6" in page
    data = {"kind": "stocktake", "quantity": "120", "reason": "记错了"}
    assert seller.post(f"/sell/lots/{lot}/movements", data=data, headers=ORIGIN).status_code == 303
    assert "在库120，已留给订单0" in seller.get(f"/sell/lots/{lot}").get_data(as_text=True)


def test_more_packs_than_there_are_can_not_leave(seller: FlaskClient) -> None:
    lot = new_lot(seller, key="a4")
    data = {"kind": "spoilage", "quantity": "121"}
    answer = seller.post(f"/sell/lots/{lot}/movements", data=data, headers=ORIGIN)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 409
    assert 'value="121"' in page
    assert "在库120件" in page
    assert '<a href="#f-quantity">' in page
    assert "这一批能动的有120件，另外0件已留给订单；请改少，或换一批" in page
    counted = seller.post(
        f"/sell/lots/{lot}/movements", data={"kind": "stocktake", "quantity": "121"}, headers=ORIGIN
    )
    assert counted.status_code == 422
    assert "这一批一共采收120件" in counted.get_data(as_text=True)


def test_labels_are_printed_in_the_asked_number(seller: FlaskClient) -> None:
    lot = new_lot(seller, key="a5")
    answer = seller.get(f"/sell/lots/{lot}/labels.pdf?count=22")
    assert answer.mimetype == "application/pdf"
    assert answer.data.count(b"/Type /Page\n") + answer.data.count(b"/Type /Page ") == 2
    assert seller.get(f"/sell/lots/{lot}/labels.pdf?count=0").status_code == 422


def test_lots_are_downloaded_with_what_blocks_them(seller: FlaskClient) -> None:
    answer = seller.get("/sell/lots?format=xlsx&state=draft")
    assert answer.mimetype.endswith("spreadsheetml.sheet")
    assert answer.data[:2] == b"PK"


def test_a_longer_list_of_lots_asks_no_more_questions(app: Flask, seller: FlaskClient) -> None:
    def statements() -> int:
        with app.app_context():
            engine = db.engine
        with sent_statements(engine) as asked:
            assert seller.get("/sell/lots?state=draft").status_code == 200
        return len(asked)

    new_lot(seller, key="b1")
    before = statements()
    for key in ("b2", "b3", "b4"):
        new_lot(seller, key=key)
    assert statements() == before


def test_growers_are_downloaded_by_their_seller(seller: FlaskClient) -> None:
    rows_of_sheet = sheet_rows(seller.get("/sell/growers?format=xlsx").data)
    assert any("GR-001" in row for row in rows_of_sheet)


def test_growers_are_found_and_ordered_by_each_head(seller: FlaskClient) -> None:
    for code, name, village in (
        ("GR-811", "甲某", "下塬村"),
        ("GR-812", "乙某", "上塬村"),
        ("gr_813", "丙某", "中塬村"),
    ):
        data = {"code": code, "name": name, "township_code": "620826108", "village": village}
        assert seller.post("/sell/growers", data=data, headers=ORIGIN).status_code == 303

    def codes(wish: str) -> list[str]:
        shown = seller.get(f"/sell/growers?{wish}").get_data(as_text=True)
        return re.findall(r'<td class="code" data-label="编号">([^<]+)</td>', shown)

    assert codes("q=GR-81") == ["GR-811", "GR-812"]
    assert codes("q=GR-81&sort=-code") == ["GR-812", "GR-811"]
    assert codes("q=GR-81&sort=village") == ["GR-812", "GR-811"]
    assert codes("q=gr_81") == ["gr_813"]
    assert "没有找到" in seller.get("/sell/growers?q=%25").get_data(as_text=True)
    names = sorted((name for name in ("甲某", "乙某")), reverse=True)
    assert codes("q=GR-81&sort=-name") == [{"甲某": "GR-811", "乙某": "GR-812"}[name] for name in names]
    turned = re.search(
        r'href="(/sell/growers\?[^"]*after=[^"]*)"',
        seller.get("/sell/growers?limit=2&sort=-village").get_data(as_text=True),
    )
    assert turned is not None
    assert seller.get(turned[1].replace("&amp;", "&")).status_code == 200
    assert len(sheet_rows(seller.get("/sell/growers?q=GR-81&sort=-code&format=xlsx").data)) >= 4
    assert seller.get("/sell/growers?sort=household").status_code == 422


def test_growers_are_seen_by_their_seller_alone(person: Person, seller: FlaskClient) -> None:
    data = {"code": "GR-901", "name": "王某新", "township_code": "620826108", "village": "上塬村"}
    assert seller.post("/sell/growers", data=data, headers=ORIGIN).status_code == 303
    assert "王某新" in seller.get("/sell/growers").get_data(as_text=True)
    assert "王某新" not in person("coop2.seller").get("/sell/growers").get_data(as_text=True)
    again = seller.post("/sell/growers", data=data, headers=ORIGIN)
    assert again.status_code == 409
    assert 'value="王某新"' in again.get_data(as_text=True)


def test_a_lot_of_html_stays_text(seller: FlaskClient) -> None:
    lot = new_lot(seller, key="a6", **{"origins-0-plot": "<script>alert(1)</script>"})
    page = seller.get(f"/sell/lots/{lot}").get_data(as_text=True)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
