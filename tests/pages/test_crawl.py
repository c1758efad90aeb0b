"""Every page of every role: no dead link, no 5xx, no form that leads nowhere, no inline style, no untranslated text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tests.crawling import PEOPLE, Walk, signed_in, walk
from tests.traded import trade

EVERYBODY = [None, *PEOPLE]


@pytest.fixture(scope="module")
def traded(app: Flask) -> Flask:
    """A site with an order in every state."""
    trade(app)
    return app


@pytest.fixture(scope="module")
def walks(traded: Flask) -> Callable[[str | None, str], Walk]:
    known: dict[tuple[str | None, str], Walk] = {}

    def once(person: str | None, language: str) -> Walk:
        key = (person, language)
        if key not in known:
            known[key] = walk(traded, signed_in(traded, person, language), ["/", "/desk"])
        return known[key]

    return once


@pytest.mark.parametrize("person", EVERYBODY)
def test_no_link_and_no_form_leads_nowhere(
    walks: Callable[[str | None, str], Walk], person: str | None
) -> None:
    found = walks(person, "zh")
    assert found.broken == []
    assert len(found.pages) > 3


@pytest.mark.parametrize("person", EVERYBODY)
def test_pages_have_no_inline_style_or_script_and_no_doubled_id(
    walks: Callable[[str | None, str], Walk], person: str | None
) -> None:
    found = walks(person, "zh")
    assert found.styled == []
    assert found.doubled == []


@pytest.mark.parametrize("person", EVERYBODY)
def test_the_english_pages_have_no_chinese_but_marked_names(
    walks: Callable[[str | None, str], Walk], person: str | None
) -> None:
    assert {path: texts[:5] for path, texts in walks(person, "en").unmarked.items()} == {}
