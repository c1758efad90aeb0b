"""Refusals on English pages: whatever a service says, in whatever case, has its English text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.orders.receiving import too_many
from marketplace.web.language import ENGLISH, catalogue, said_by_services, translated
from marketplace.web.problem_texts import HTTP_TITLES, SLUGS

PACKAGE = Path(__file__).resolve().parent.parent.parent / "marketplace"
CHINESE = re.compile(r"[\u3400-\u9fff]")
HOLE = re.compile(r"%\(\w+\)s")
# Where services word what they refuse. Names of tags and API chapters, papers, and words of the data are not refusals.
SPOKEN = (
    "accounts",
    "catalog",
    "channels",
    "documents",
    "journal",
    "orders",
    "payments",
    "policies",
    "quota",
    "trace",
)
SILENT = {
    "api.py", "office_api.py", "catalogue_api.py", "orders_api.py", "webhooks_api.py", "sales_api.py", "statements_api.py", "partner_statements_api.py", "counts_api.py", "pages.py", "cli.py",
    "search.py", "story.py", "labels.py", "capitals.py", "invoice_files.py", "report.py", "figures.py",
    "prices.py", "verifier.py", "words.py",
}  # fmt: skip
# A default place's name, an empty file's name, a form's sheet, what joins two pieces of advice, and names in the sandbox.
DATA = {
    "产地库",
    "，或",
    "待验收的0",
    "{}{}",
    "销售",
    "沙箱渠道",
    "{}沙箱价",
    "{}沙箱门店",
    "农药残留",
    "未检出",
}


def _chapter(node: ast.AST) -> TypeGuard[ast.Call]:
    """The declaration of an API chapter, whose description is no refusal."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Blueprint"


def sayings() -> Iterator[tuple[str, str]]:
    """(place, Chinese text) of every literal that a service may refuse with; {} for a value of the case."""
    paths = [
        p
        for package in SPOKEN
        for p in sorted((PACKAGE / package).rglob("*.py"))
        if p.name not in SILENT and not p.name.endswith("_api.py")
    ]
    paths += [PACKAGE / name for name in ("errors.py", "paging.py", "unit_of_work.py")]
    paths += [PACKAGE / "web" / name for name in ("parsing.py", "schemas.py", "authentication.py", "edge.py")]
    for path in paths:
        tree = ast.parse(path.read_text("utf-8"))
        aside = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        aside |= {id(word.value) for n in ast.walk(tree) if _chapter(n) for word in n.keywords}
        for node in ast.walk(tree):
            if id(node) in aside:
                continue
            if isinstance(node, ast.JoinedStr):
                aside |= {id(part) for part in node.values}
                text = "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if CHINESE.search(text) and text not in DATA:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", text


def test_every_refusal_has_its_english_text() -> None:
    held = catalogue(ENGLISH)
    known = {HOLE.sub("{}", str(said)) for said in held._catalog}
    assert [(place, text) for place, text in sayings() if text not in known] == []


def test_every_problem_has_an_english_title_and_next_step() -> None:
    held = catalogue(ENGLISH)
    texts = {words.title for words in SLUGS.values()} | {words.next_step for words in SLUGS.values()}
    texts |= {title for _, title in HTTP_TITLES.values()}
    assert sorted(text for text in texts if held.gettext(text) == text) == []


@pytest.mark.parametrize(
    ("said", "english"),
    [
        ("找不到这一项", "This was not found"),
        ("花牛苹果最少订10箱，现在是3箱", "花牛苹果: the minimum order is 10 box; you have 3 box"),
        ("送货日期最远90天", "The delivery day may be at most 90 days away"),
        ("预留比例不得低于10.00%", "The reserved share cannot be below 10.00%"),
        ("要是以下之一：a, b", "Must be one of: a, b"),
        ("没有人写过的话", "没有人写过的话"),
    ],
)
def test_values_of_the_case_stand_in_the_english_text(app: Flask, said: str, english: str) -> None:
    with app.test_request_context("/", headers={"Cookie": "language=en"}):
        assert translated(said) == english
    with app.test_request_context("/"):
        assert translated(said) == said


def test_advice_inside_a_refusal_is_english_too(app: Flask) -> None:
    said = too_many("1K7QM2V9XATF4G8CNRH3", "箱", 8, 4, 10)
    with app.test_request_context("/", headers={"Cookie": "language=en"}):
        assert translated(said) == (
            "Lot 1K7QM: accepted 8 box, refused 4 box, together 12 box: 2 box more than the 10 box delivered. "
            "Change accepted to 6, or refused to 2."
        )


def test_no_form_of_a_refusal_matches_everything() -> None:
    assert [form.pattern for form, _ in said_by_services() if form.fullmatch("…")] == []


def test_an_error_page_speaks_the_readers_language(client: FlaskClient) -> None:
    chinese = client.get("/no/such/page")
    assert chinese.status_code == 404
    assert "找不到这一项" in chinese.text
    assert 'lang="zh-Hans"' in chinese.text
    client.set_cookie("language", "en")
    english = client.get("/no/such/page")
    assert english.status_code == 404
    assert "<h1>This was not found</h1>" in english.text
    assert '<html lang="en">' in english.text
    body = english.text.partition("<main")[2]
    assert CHINESE.search(body) is None
    assert client.get("/api/v1/no-such").get_json()["title"] == "找不到这一项"
