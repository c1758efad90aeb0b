"""The shop window: what everybody sees, its counts, its words in both languages, and that nobody is in it."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import segno
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image

from marketplace.catalog.listing import Filters, list_products
from marketplace.clock import today
from marketplace.database import db
from marketplace.desks import shop_facets
from marketplace.desks import shop_house_views as house
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import ORIGIN, Trader, Visitor
from tests.statements import sent_statements

STATIC = Path(__file__).resolve().parents[2] / "marketplace" / "static"
CHINESE = re.compile(r"[\u3400-\u9fff]")
VOID = {"meta", "link", "input", "img", "br", "hr", "rect", "circle", "path", "line"}


@pytest.fixture(scope="module")
def things(app: Flask) -> dict[str, Any]:
    """One of each: an apple of the listed county with its seller and lot, and goods of a county that is not listed."""
    with app.app_context():
        apple = list_products(db.session(), Filters(q="静宁苹果", sort="price"), limit=1)["items"][0]
        herb = list_products(db.session(), Filters(county="620881"), limit=1)["items"][0]
    client = app.test_client()
    lot = client.get(f"/api/v1/products/{apple['id']}").get_json()["lots"][0]
    return {"apple": apple, "herb": herb, "code": lot["trace_code"], "seller": apple["seller"]["id"]}


@pytest.fixture(scope="module")
def paths(things: dict[str, Any]) -> list[str]:
    return [
        "/", "/products", "/products?q=pg&county=620826&eligible=1&sort=price", f"/products/{things['apple']['id']}",
        f"/products/{things['herb']['id']}", "/sellers", f"/sellers/{things['seller']}", "/counties/620826",
        "/counties/620881", "/trace", f"/t/{things['code']}", "/about/figures", "/about/accessibility",
    ]  # fmt: skip


def body(client: FlaskClient, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, f"{path}: {answer.status_code}"
    return answer.get_data(as_text=True)


class Reader(HTMLParser):
    """Collects Chinese that is not marked as such: texts, and attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, bool]] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        chinese = (bool(self.open) and self.open[-1][1]) or (given.get("lang") or "").startswith("zh")
        for name in ("alt", "title", "placeholder") if not chinese else ():
            self._see(given.get(name) or "")
        if tag not in VOID:
            self.open.append((tag, chinese))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        marked = bool(self.open) and (self.open[-1][1] or any(tag == "title" for tag, _ in self.open))
        if not marked:
            self._see(data)

    def _see(self, text: str) -> None:
        if CHINESE.search(text):
            self.found.append(text.strip())


def test_every_page_opens_for_a_stranger_and_sets_no_cookie(client: FlaskClient, paths: list[str]) -> None:
    for path in paths:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert "Set-Cookie" not in answer.headers, path
        assert "no-store" not in answer.headers["Cache-Control"], path
        text = answer.get_data(as_text=True)
        assert "style=" not in text, path
        assert "onclick" not in text, path
        assert not re.search(r'(src|href)="(https?:)?//', text), path


def test_two_strangers_get_the_same_bytes(app: Flask, paths: list[str]) -> None:
    for path in paths:
        if path.startswith(("/t/", "/?")) or path == "/":  # they tell a number of readings, and the minute
            continue
        assert app.test_client().get(path).data == app.test_client().get(path).data, path


def test_no_page_has_chinese_left_in_english(client: FlaskClient, paths: list[str]) -> None:
    client.set_cookie("language", "en")
    for path in [*paths, "/products?q=zzzz", "/t/nothing"]:
        reader = Reader()
        reader.feed(client.get(path).get_data(as_text=True))
        assert reader.found == [], path


def test_the_first_page_stays_below_100_kb_with_all_that_it_asks_for(client: FlaskClient) -> None:
    for path in ("/", "/products"):
        text = body(client, path)
        files = set(re.findall(r'(?:src|href)="/static/([^"?]+)', text))
        styles_and_scripts = [name for name in files if not name.startswith("img/")]
        total = len(text.encode()) + sum((STATIC / name).stat().st_size for name in files)
        assert {"look.css", "site.css", "shop.css"} <= set(styles_and_scripts)
        assert total < 100_000, f"{path}: {total}"
        assert len(gzip.compress(text.encode())) < 20_000


def test_pages_ask_a_constant_number_of_queries(app: Flask, things: dict[str, Any]) -> None:
    def asked(path: str) -> int:
        with app.app_context(), sent_statements(db.engine) as sent:
            assert app.test_client().get(path).status_code == 200
        return len(sent)

    assert asked("/products") == asked("/products?county=620826") == asked("/products?category=0504")
    assert asked("/counties/620826") == asked("/counties/620823")


def test_counts_beside_filters_are_those_of_the_lists_they_lead_to(client: FlaskClient, app: Flask) -> None:
    with app.app_context():
        for chosen in (Filters(), Filters(q="苹果"), Filters(county="620826", eligible=True)):
            counted = shop_facets.facets(db.session(), chosen)
            everything = list_products(db.session(), chosen, limit=1000)["items"]
            assert counted.total == len(everything)
            assert counted.sellers == len({item["seller"]["id"] for item in everything})
            assert counted.counties == len({item["county"]["code"] for item in everything})
            for facet, values in counted.choices.items():
                for value in values:
                    key = UUID(value.key) if facet == "seller" else value.key
                    given = {**chosen._asdict(), facet: key}
                    leads_to = list_products(db.session(), Filters(**given), limit=1000)["items"]
                    assert value.count == len(leads_to), (chosen, facet, value)


def test_filters_in_force_are_named_and_can_be_taken_away(client: FlaskClient) -> None:
    text = body(client, "/products?q=苹果&county=620826&certification=green&min_price=10&max_price=9999")
    for label in ("搜“苹果”", "静宁县", "绿色食品", "10.00元起", "9,999.00元以内"):
        assert f"去掉条件：{label}" in text
    without = re.search(r'href="([^"]+)" aria-label="去掉条件：绿色食品"', text)
    assert without
    assert "certification" not in without[1]
    assert "county=620826" in without[1]


@pytest.mark.parametrize(
    "query",
    ["county=9", "min_price=abc", "deliver_on=2020-01-01", "deliver_on=x", "seller=1", "sort=sideways", "category=" + "9" * 50],
)  # fmt: skip
def test_a_filter_that_cannot_be_read_is_named_and_left_out(client: FlaskClient, query: str) -> None:
    text = body(client, f"/products?{query}")
    assert "这些条件看不懂，没有用上" in text
    assert "静宁苹果" in text


def test_unknown_arguments_and_hostile_texts_do_no_harm(client: FlaskClient) -> None:
    text = body(client, "/products?q=<script>alert(1)</script>&utm_source=x&county=")
    assert "<script>alert" not in text
    assert "没有符合这些条件的产品" in text
    assert client.get("/products?after=nonsense").status_code == 422


def test_an_empty_list_says_what_to_do(client: FlaskClient) -> None:
    text = body(client, "/products?q=鲍鱼&county=620826")
    assert "没有符合这些条件的产品" in text
    assert "去掉“静宁县”" in text


def test_the_catalogue_is_found_by_initials_sorted_and_paged(client: FlaskClient) -> None:
    assert "静宁苹果" in body(client, "/products?q=pg")
    cheap = [
        p.replace(",", "")
        for p in re.findall(r'class="price">([\d.,]+)', body(client, "/products?sort=price"))
    ]
    assert [float(p) for p in cheap] == sorted(float(p) for p in cheap)
    assert len(cheap) == 24
    following = re.search(r'href="([^"]+)" rel="next"', body(client, "/products?sort=price"))
    assert following
    second = body(client, following[1].replace("&amp;", "&"))
    assert "第一页" in second


def test_a_seller_is_found_from_the_catalogue_search(client: FlaskClient, things: dict[str, Any]) -> None:
    text = body(client, "/products?q=塬上果香")
    assert f"/sellers/{things['seller']}" in text


def test_the_catalogue_downloads_with_its_basis(client: FlaskClient) -> None:
    answer = client.get("/products?county=620881&format=xlsx")
    assert answer.headers["Content-Type"].endswith("spreadsheetml.sheet")
    rows = sheet_rows(answer.data)
    assert rows[0] == ["产品目录"]
    assert "筛选条件：华亭市" in rows[1][0]
    assert rows[2][0].startswith("口径：")
    goods = rows[4:]
    assert len(goods) == 6
    assert {row[-1] for row in goods} == {"不计入"}


def test_suggestions_name_products_sellers_and_counties(client: FlaskClient) -> None:
    items = client.get("/suggest?q=jingning").get_json()["items"]
    assert {"label": "静宁县", "note": "产地", "to": "/counties/620826"} in items
    assert any(item["label"].startswith("静宁") and item["to"].startswith("/products/") for item in items)
    assert len(items) <= 9
    assert client.get("/suggest?q=").get_json() == {"items": []}
    assert client.get("/suggest?q=" + "苹" * 5000).status_code == 200
    assert client.get("/suggest?q=%25_").get_json() == {"items": []}


def test_a_product_page_tells_price_by_weight_lots_and_why_it_counts(
    client: FlaskClient, things: dict[str, Any]
) -> None:
    apple, text = things["apple"], body(client, f"/products/{things['apple']['id']}")
    assert apple["name"] in text
    assert "1–49箱" in text
    assert f"/t/{things['code']}" in text
    assert "计入预留份额" in text
    assert "登录后订货" in text
    herb = body(client, f"/products/{things['herb']['id']}")
    assert "产地不在当年的片区县名单" in herb


def test_a_product_for_a_later_day_shows_only_lots_that_last(
    client: FlaskClient, things: dict[str, Any]
) -> None:
    far = (today() + timedelta(days=350)).isoformat()
    text = body(client, f"/products/{things['apple']['id']}?deliver_on={far}")
    assert "暂时无货" in text
    assert "/t/" not in text
    assert "登录后订货" in body(client, f"/products/{things['apple']['id']}?deliver_on=2020-13-45")


def test_a_draft_is_no_page_and_a_product_that_was_taken_down_says_so(app: Flask, sign_in: Any) -> None:
    trader, visitor = Trader(app, sign_in), Visitor(app)
    mine = trader.call("GET", "/my/products?limit=100", "coop.seller")["items"]
    goods = next(item for item in mine if item["state"] == "recognised")
    visitor.get(f"/products/{goods['id']}")
    trader.call("POST", f"/products/{goods['id']}/withdraw", "coop.seller", {"reason": "今年的货卖完了"})
    text = visitor.get(f"/products/{goods['id']}")
    assert "已下架" in text
    assert "今年的货卖完了" not in text
    assert 'name="quantity"' not in text
    waiting = trader.call("GET", "/products/submitted", "county.office")["items"]
    for item in waiting:
        assert visitor.client.get(f"/products/{item['id']}").status_code == 404
    assert visitor.client.get("/products/00000000-0000-7000-8000-000000000000").status_code == 404


def test_the_front_page_shows_figures_of_the_reports_with_their_basis(
    app: Flask, client: FlaskClient
) -> None:
    with app.app_context():
        figures = house.year_figures(db.session(), today().year)
        products = db.session.scalar(sa.text("select count(*) from product where state = 'recognised'"))
    text = body(client, "/")
    assert figures["products"] == products
    assert f">{figures['products']}</a>" in text
    assert "截至" in text
    assert "不含运费" in text


def test_sellers_are_listed_by_county_without_address_or_phone(
    client: FlaskClient, things: dict[str, Any]
) -> None:
    text = body(client, "/sellers") + body(client, f"/sellers/{things['seller']}")
    assert "静宁县塬上果香果品农民专业合作社" in text
    assert "示范路" not in text
    sheet = sheet_rows(client.get("/sellers?format=xlsx").data)
    assert ["静宁县", "静宁县塬上果香果品农民专业合作社"] in [row[:2] for row in sheet]
    # A phone stands by itself; eleven digits within an id are none.
    assert not re.search(r"(?<![0-9a-f])1[3-9]\d{9}(?![0-9a-f])", text)


def test_organisations_that_do_not_sell_have_no_page(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        agency = db.session.scalar(sa.text("select id from organisation where kind = 'agency' limit 1"))
    assert client.get(f"/sellers/{agency}").status_code == 404
    for code in ("120103", "620800", "000000", "x"):
        assert client.get(f"/counties/{code}").status_code == 404


def test_a_county_tells_whether_its_goods_count(client: FlaskClient) -> None:
    assert "2019年起的采购可以计入" in body(client, "/counties/620826")
    assert "不计入预留份额" in body(client, "/counties/620881")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("", "请输入标签上的20位追溯码"),
        ("1K7QM-2V9XA", "现在是10位"),
        ("1K7QM-2V9XA-TF4G8-CNRU3", "没有“U”"),
        ("苹果苹果苹果苹果苹果苹果苹果苹果苹果苹果", "没有“果苹”"),
        ("7" * 500, "现在是500位"),
    ],
)
def test_a_mistyped_code_is_told_what_is_wrong_and_kept(client: FlaskClient, typed: str, told: str) -> None:
    answer = client.post("/trace", data={"code": typed}, headers=ORIGIN)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert told in text
    assert f'value="{typed}"' in text


def test_one_wrong_symbol_is_seen_before_anything_is_looked_up(
    client: FlaskClient, things: dict[str, Any]
) -> None:
    code = things["code"]
    wrong = ("1" if code[0] != "1" else "2") + code[1:]
    answer = client.post("/trace", data={"code": wrong}, headers=ORIGIN)
    assert "校验对不上" in answer.get_data(as_text=True)


@pytest.mark.parametrize("shape", ["{}", " {} ", "https://elsewhere.example/t/{}"])
def test_a_code_leads_to_its_lot_however_it_is_written(
    client: FlaskClient, things: dict[str, Any], shape: str
) -> None:
    code = things["code"]
    in_fives = "-".join(code[n : n + 5] for n in range(0, 20, 5)).lower().replace("0", "o").replace("1", "l")
    for text in (code, in_fives):
        answer = client.post("/trace", data={"code": shape.format(text)}, headers=ORIGIN)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/t/{code}")


def photo(text: str) -> bytes:
    drawn, out = io.BytesIO(), io.BytesIO()
    segno.make_qr(text, error="m").save(drawn, kind="png", scale=8, border=4)
    Image.open(drawn).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def test_a_photo_of_a_label_leads_to_its_lot(client: FlaskClient, things: dict[str, Any]) -> None:
    def sent(content: bytes) -> Any:
        data = {"photo": (io.BytesIO(content), "../../etc/标签.jpg")}
        return client.post("/trace", data=data, headers=ORIGIN, content_type="multipart/form-data")

    answer = sent(photo(f"https://any.example/t/{things['code']}"))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/t/{things['code']}")
    empty = sent(photo("https://any.example/"))
    assert (empty.status_code, "没有看到追溯码" in empty.get_data(as_text=True)) == (422, True)
    broken = sent(b"\xff\xd8\xff not a photo")
    assert (broken.status_code, "不是完好的" in broken.get_data(as_text=True)) == (422, True)


def test_a_search_from_a_foreign_page_is_refused(client: FlaskClient) -> None:
    answer = client.post("/trace", data={"code": "x"}, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == 403


def test_rules_are_shown_with_their_day_and_source_and_no_code(client: FlaskClient) -> None:
    text = body(client, "/about/figures")
    for words in (
        "预留比例",
        "不低于10.00%，鼓励15.00%",
        "财库〔2021〕19号",
        "已验收、已付款、已评价",
        "平台暂定",
    ):
        assert words in text
    for code in ("counted_states<", "estimate", "S1 public page", "accepted"):
        assert code not in text


def test_an_old_story_of_a_lot_speaks_english_too(client: FlaskClient, things: dict[str, Any]) -> None:
    client.set_cookie("language", "en")
    text = body(client, f"/t/{things['code']}")
    assert "What happened to this lot" in text
    assert "Commitment certificate issued" in text
    client.delete_cookie("language")


@pytest.fixture(autouse=True)
def _chinese_again(client: FlaskClient) -> Iterator[None]:
    yield
    client.delete_cookie("language")


def test_each_county_names_what_it_harvests_next(app: Flask) -> None:
    with app.app_context():
        rows = house.calendar(db.session(), 10)
        found = house.next_harvests(rows)
    assert len(found) == 7
    assert found["华亭市"]["wait"] == 0
    assert all(0 <= one["wait"] < 12 for one in found.values())
    apples = next(row for row in rows if row["family"] == "苹果")
    assert apples["season"].harvest == {9, 10, 11}
    assert apples["places"]["静宁县"] == 0
    assert "面" not in {row["family"] for row in rows}


def test_a_painting_has_no_price_a_kilogram(client: FlaskClient) -> None:
    crafts = body(client, "/products?category=09")
    assert "崆峒剪纸" in crafts
    assert "元/公斤" not in crafts
    assert "元/公斤" in body(client, "/products?category=01")
