"""The office's figures where pages are kept: made once while nothing changes, and anew with every commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
import time_machine
from flask import Flask, template_rendered

from marketplace.clock import now, today
from tests.conftest import dispose, make_app
from tests.desks.trading import Visitor


class Told:
    """Counts how often the figures' page was made."""

    def __init__(self, app: Flask) -> None:
        self.made = 0
        template_rendered.connect(self._count, app)

    def _count(self, sender: object, template: object, **rest: object) -> None:
        self.made += getattr(template, "name", None) == "offices/quota.html"


def made_once(told: Told, read: Callable[[], object]) -> bool:
    """Whether two readings cost one page, once in two minutes: another database of the server, where other tests are
    at work, may change in between.
    """
    end = time.monotonic() + 120
    while time.monotonic() < end:
        read()
        begun = told.made
        read()
        if told.made == begun:
            return True
    return False


@pytest.fixture(autouse=True)
def _one_minute() -> Iterator[None]:
    """The page tells the minute it was made in: two makings are compared within one."""
    with time_machine.travel(now(), tick=False):
        yield


@pytest.fixture
def site(app: Flask) -> Iterator[Flask]:
    site = make_app({**app.config["TEST_ENVIRONMENT"], "READ_CACHE_SECONDS": "2"})
    yield site
    dispose(site)


def test_the_page_is_made_once_while_nothing_changes_and_anew_after_a_commit(
    site: Flask, owner: psycopg.Connection
) -> None:
    office, told = Visitor(site, "county.office"), Told(site)
    first = office.get("/quota")
    assert made_once(told, lambda: office.get("/quota"))

    begun = told.made
    with owner.transaction():
        owner.execute("update category set name = name where code = (select min(code) from category)")
    assert office.get("/quota") == first
    assert told.made == begun + 1


def test_a_page_is_its_readers_and_its_addresses_own(site: Flask) -> None:
    office, other = Visitor(site, "county.office"), Visitor(site, "finance.reviewer")
    mine, theirs, by_month = office.get("/quota"), other.get("/quota"), office.get("/quota?by=month")
    assert mine != theirs
    assert mine != by_month
    assert (office.get("/quota"), other.get("/quota"), office.get("/quota?by=month")) == (
        mine,
        theirs,
        by_month,
    )


def test_a_changed_figure_is_on_the_next_page(site: Flask, owner: psycopg.Connection) -> None:
    office = Visitor(site, "county.office")
    before = office.get("/quota?by=agency")
    names = [row[0] for row in owner.execute("select name from organisation where kind = 'agency'")]
    name = next(name for name in names if name in before)

    owner.execute("update organisation set name = '改名后的单位' where name = %s", (name,))
    try:
        after = office.get("/quota?by=agency")
        assert name not in after
        assert "改名后的单位" in after
    finally:
        owner.execute("update organisation set name = %s where name = '改名后的单位'", (name,))
    assert office.get("/quota?by=agency") == before


def test_who_may_not_see_the_figures_is_not_answered_from_what_others_were(site: Flask) -> None:
    Visitor(site, "county.office").get("/quota")
    assert site.test_client().get("/quota").status_code in (302, 303, 401)
    assert Visitor(site, "coop.seller").client.get("/quota").status_code == 403


def test_the_next_day_has_its_own_page(site: Flask) -> None:
    told, year = Told(site), today().year
    with time_machine.travel(f"{year}-03-31T15:59:58Z", tick=False):
        office = Visitor(site, "county.office")
        assert made_once(told, lambda: office.get("/quota"))
        begun = told.made
    with time_machine.travel(f"{year}-03-31T16:00:00Z", tick=False):
        office.get("/quota")
        assert told.made == begun + 1
