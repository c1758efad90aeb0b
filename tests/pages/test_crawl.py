"""Every page of every role: no dead link, no 5xx, no form that leads nowhere, no inline style, no untranslated text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tests.crawling import PEOPLE, Walk, signed_in, walk
from tests.pages.lists import PLAIN, complaints, reversed_by, with_lists, workbook_complaint
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
            # Files say the same in both languages; what was opened once need not be made again.
            without = frozenset(once(person, "zh").files) if language == "en" else frozenset()
            known[key] = walk(traded, signed_in(traded, person, language), ["/", "/desk"], without=without)
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


@pytest.mark.parametrize("person", EVERYBODY)
def test_every_list_sorts_is_found_through_the_address_and_is_a_workbook(
    walks: Callable[[str | None, str], Walk], person: str | None
) -> None:
    assert complaints(walks(person, "zh")) == []


@pytest.mark.parametrize("person", EVERYBODY)
def test_every_list_turns_its_pages_by_a_cursor_that_it_checks(
    traded: Flask, walks: Callable[[str | None, str], Walk], person: str | None
) -> None:
    client = signed_in(traded, person)
    careless = {}
    for endpoint, path in with_lists(walks(person, "zh")).items():
        answer = client.get(path + ("&" if "?" in path else "?") + "after=%3F")
        if answer.status_code not in (400, 422):
            careless[endpoint] = answer.status_code
    assert careless == {}


@pytest.fixture(scope="module")
def tried() -> set[tuple[str, str]]:
    """Tables of which the order and the workbook were looked at: (endpoint, first head)."""
    return set()


@pytest.mark.parametrize("person", EVERYBODY)
def test_every_head_turns_its_table_around_and_the_workbook_has_its_rows(
    traded: Flask,
    walks: Callable[[str | None, str], Walk],
    tried: set[tuple[str, str]],
    person: str | None,
) -> None:
    client = signed_in(traded, person)
    wrong: list[str | None] = []
    for endpoint, page in walks(person, "zh").parsed.values():
        for table in page.tables:
            key = (endpoint, table.first)
            if key in tried or {(endpoint, ""), key} & PLAIN.keys():
                continue
            tried.add(key)
            wrong += [
                reversed_by(client, address.replace("sort=-", "sort="), table.first, place)
                for place, address in table.sorts.items()
            ]
            sheets = page.sheets.get(table.section) or page.sheets[0]
            wrong += [workbook_complaint(client, address, len(table.rows)) for address in sheets]
    assert [complaint for complaint in wrong if complaint is not None] == []
