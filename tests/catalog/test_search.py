"""What is found, in which order, and through which index."""

from __future__ import annotations

import ast
import unicodedata
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from pypinyin.constants import PINYIN_DICT

from marketplace.catalog import listing, search
from marketplace.catalog.listing import Filters, list_products
from marketplace.catalog.search import Script
from marketplace.catalog.syllables import SYLLABLES
from marketplace.clock import today
from marketplace.database import db
from marketplace.values import uuid7
from tests.catalog import making
from tests.catalog_seed.seed import rows
from tests.timing import computing

pytestmark = pytest.mark.usefixtures("context")


def found(q: str, **more: object) -> list[str]:
    """Article numbers on the first page for a query."""
    return [item["sku"] for item in list_products(db.session(), Filters(q=q, **more), limit=100)["items"]]


@pytest.mark.parametrize("row", rows("search_queries"), ids=lambda row: row["query"])
def test_the_expected_product_comes_first(row):
    assert found(row["query"])[0] == row["first_sku"]


@pytest.mark.parametrize(
    "q",
    [
        "静宁苹果",
        "静宁 苹果",
        " 静宁苹果 ",
        "静　宁苹果",
        "JNPG",
        "ｊｎｐｇ",
        "jing ning ping guo",
        "JingNing 苹果",
    ],
)
def test_spaces_width_and_case_make_no_difference(q):
    assert found(q)[0] == "PL-0001"


def test_every_word_of_a_query_must_match():
    assert found("静宁 早酥梨") == ["PL-0004"]
    assert found("泾川 早酥梨") == []


@pytest.mark.parametrize("q", ["!!", "%", "_", "*", "苹果' or 1=1 --", "\\", "龘龘", "q" * 60])
def test_what_means_nothing_finds_nothing(q):
    assert found(q) == []


def test_a_product_is_found_by_spec_family_category_and_county_after_names():
    assert "PL-0001" in found("红富士")
    assert "PL-0045" in found("谷物粉")
    seen = found("果")
    names = {row["sku"]: row["name"] for row in rows("products")}
    inside = [sku for sku in seen if "果" in names[sku]]
    assert seen[: len(inside)] == inside
    assert len(inside) < len(seen)


def test_what_waits_for_the_office_is_not_found():
    assert {"PL-0062", "PL-0064", "PL-0065"}.isdisjoint(found("窗花") + found("核桃") + found("苹果"))


def test_queries_are_taken_as_han_pinyin_or_initials():
    scripts = {q: search.analyse(q).script for q in ("苹果", "pingguo", "pg", "xian", "ng", "静宁pg")}
    assert scripts == {
        "苹果": Script.HAN,
        "pingguo": Script.PINYIN,
        "pg": Script.INITIALS,
        "xian": Script.PINYIN,
        "ng": Script.INITIALS,
        "静宁pg": Script.HAN,
    }
    assert search.analyse("静宁pg").tokens == ("静宁", "pg")


def test_the_words_of_a_product_are_bounded_and_made_quickly():
    with computing() as spent:
        terms = search.index_terms("静宁苹果" * 15, ["庄浪马铃薯粉" * 10] * 4)
    assert len(terms.tokens) <= search.MAX_TOKENS
    assert spent.seconds < 1
    assert terms.pinyin == "jingningpingguo" * 15


def test_polyphones_are_read_by_their_word():
    assert search.index_terms("重庆银行").pinyin == "chongqingyinhang"


def test_u_umlaut_is_typed_as_v():
    terms = search.index_terms("绿豆")
    assert "lvdou" in terms.tokens
    assert search.analyse("lüdou").tokens == ("lvdou",)


def test_a_search_uses_the_index_of_words(app: Flask, owner: psycopg.Connection):
    """With 2,000 products more, the page of a search is planned over `ix_product_tokens`."""
    seller = making.organisation()
    recipe = making.recognised(making.person(organisation_id=seller))
    kinds = ("苹果", "早酥梨", "核桃", "小米", "荞麦", "党参", "黄芪", "大黄", "粉条", "胡麻油")
    with owner.cursor() as cursor:
        for number in range(2_000):
            terms = search.index_terms(f"样品{kinds[number % 10]}第{number}号")
            cursor.execute(
                "insert into product select (jsonb_populate_record(p, %s::jsonb)).* from product p where id = %s",
                (
                    psycopg.types.json.Jsonb(
                        {
                            "id": str(uuid7()),
                            "sku": f"BULK-{number}",
                            "search_name": terms.name,
                            "search_pinyin": terms.pinyin,
                            "search_initials": terms.initials,
                            "tokens": terms.tokens,
                        }
                    ),
                    UUID(recipe["id"]),
                ),
            )
        cursor.execute("analyze product")
    try:
        statement, keys = listing.listing(Filters(q="蒸馍"), today())
        page = statement.add_columns(*[c for c, _ in keys]).order_by(*[c for c, _ in keys]).limit(25)
        with db.engine.connect() as connection:
            plan = connection.execute(
                sa.text("explain " + str(page.compile(db.engine, compile_kwargs={"literal_binds": True})))
            ).scalars()
            text = "\n".join(plan)
        assert "ix_product_tokens" in text, text
        assert found("蒸馍") == ["PL-0052"]
    finally:
        owner.execute("delete from product where sku like 'BULK-%'")
        owner.execute("analyze product")


def test_the_written_syllables_are_those_of_the_dictionary() -> None:
    known = set()
    for readings in PINYIN_DICT.values():
        for reading in readings.split(","):
            letters = unicodedata.normalize("NFD", reading).replace("u\u0308", "v")
            known.add("".join(c for c in letters if c.isascii() and c.isalpha()))
    # ń, ḿ and the like are readings of interjections; as syllables they would make `pgn` pinyin.
    assert {s for s in known if set(s) & set("aeiouv")} == SYLLABLES


def test_no_process_waits_for_the_dictionary_of_pinyin_when_it_starts() -> None:
    waiting = [
        path.name
        for path in (Path(__file__).resolve().parents[2] / "marketplace").rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom) and "pypinyin" in ast.unparse(node)
    ]
    assert waiting == []
