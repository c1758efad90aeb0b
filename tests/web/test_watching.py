"""Kept until it changes: what the watch sees of other connections' commits, and what the cache makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from psycopg import sql
from sqlalchemy.orm import Session
from werkzeug.test import EnvironBuilder, run_wsgi_app

from marketplace import clock
from marketplace.actors import Permission, system
from marketplace.database import db
from marketplace.embedded_cluster import APP_ROLE
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from marketplace.web.cache import ReadCache
from marketplace.web.generation import Generation
from marketplace.web.watching import LONGEST_LEASE, Watch, ids_of
from tests.timing import least_seconds

pytestmark = pytest.mark.usefixtures("context")

# Seconds that no test takes.
LONG = 3600.0


@pytest.fixture
def watch(app: Flask) -> Iterator[Watch]:
    """A watch whose lease no test outlasts, however busy the machine is; the end of a lease has tests of its own."""
    watch = Watch(app.config["SETTINGS"].database_url)
    watch._lease = LONG
    until(watch.current)
    yield watch
    watch.stop()


@pytest.fixture
def products(owner: psycopg.Connection) -> list[UUID]:
    rows = owner.execute("select id from product order by id limit 3").fetchall()
    assert len(rows) == 3
    return [row[0] for row in rows]


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def looked(watch: Watch) -> None:
    """Waits for a round that began after all that was committed so far."""
    now = time.monotonic()
    until(lambda: watch._current_until - watch._lease > now)


def record(kind: str, subject: UUID, **data: Any) -> None:
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.record(kind, kind.split(".")[0], subject, **data)


def noted(watch: Watch) -> int:
    while (position := watch.position()) is None:
        time.sleep(0.01)
    return position


def test_what_a_fact_names_has_changed_and_nothing_else(watch: Watch, products: list[UUID]) -> None:
    touched, inside, other = products
    position = noted(watch)

    record("place.added", touched, lines=[{"line": str(inside)}])
    looked(watch)

    assert not watch.unchanged(position, {str(other), str(touched)})
    assert not watch.unchanged(position, {str(inside)})
    assert watch.unchanged(position, {str(other)})
    assert watch.unchanged(noted(watch), {str(touched)})


def test_a_fact_of_a_lot_changes_its_product_and_what_its_code_opens(
    watch: Watch, owner: psycopg.Connection
) -> None:
    row = owner.execute("select id, trace_code, product_id::text from lot order by id limit 1").fetchone()
    assert row is not None
    lot, code, product = row
    position = noted(watch)

    record("document.stored", uuid7(), moves=[{"lot": str(lot)}])
    looked(watch)

    assert not watch.unchanged(position, {code})
    assert not watch.unchanged(position, {product})


def test_what_names_a_seller_leaves_its_other_products_as_they_are(
    watch: Watch, owner: psycopg.Connection, products: list[UUID]
) -> None:
    row = owner.execute("select seller_id from product where id = %s", (products[0],)).fetchone()
    assert row is not None
    position = noted(watch)

    record("place.added", uuid7(), seller=str(row[0]), lines=[{"product": str(products[0])}])
    looked(watch)

    assert not watch.unchanged(position, {str(products[0]), str(row[0])})
    assert watch.unchanged(position, {str(products[1]), str(row[0])})


@pytest.mark.parametrize("kind", ["organisation.edited", "organisation.added"])
def test_what_changes_an_organisation_changes_everything(
    watch: Watch, products: list[UUID], kind: str
) -> None:
    position = noted(watch)
    record(kind, uuid7())
    looked(watch)
    assert not watch.unchanged(position, {str(products[0])})


def test_a_rule_changes_everything(watch: Watch) -> None:
    position = noted(watch)
    record("policy.set", uuid7())
    looked(watch)
    assert not watch.unchanged(position, {str(uuid7())})
    assert not watch.unchanged(position, set())


def test_a_fact_that_is_committed_late_is_not_missed(watch: Watch, products: list[UUID]) -> None:
    """Its transaction began before others that were committed and read in the meantime."""
    slow, quick, _ = products
    insert = sa.text(
        "insert into fact (id, kind, recorded_at, door, subject_type, subject_id, parties, body)"
        " values (gen_random_uuid(), 'place.added', now(), 'cli', 'place', :id, '{}', '{\"id\":\"' || :id || '\"}')"
    )
    with Session(db.engine) as session:
        session.execute(insert, {"id": slow})
        position = noted(watch)
        record("place.added", quick)
        looked(watch)
        assert not watch.unchanged(position, {str(quick)})
        later = noted(watch)
        assert watch.unchanged(later, {str(slow)})
        session.connection().commit()
    looked(watch)
    assert not watch.unchanged(later, {str(slow)})
    assert watch.unchanged(later, {str(quick)})


def test_who_cannot_look_knows_nothing(app: Flask, owner: psycopg.Connection) -> None:
    watch = Watch(app.config["SETTINGS"].database_url)
    position = noted(watch)
    admitted = sql.Identifier(owner.info.dbname), sql.Identifier(APP_ROLE)
    owner.execute(sql.SQL("revoke connect on database {} from {}").format(*admitted))
    owner.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and application_name = 'marketplace-watch'"
    )
    until(lambda: not watch.current())
    assert watch.position() is None
    assert not watch.unchanged(position, set())
    owner.execute(sql.SQL("grant connect on database {} to {}").format(*admitted))
    until(lambda: noted(watch) > position)
    # Facts of the time between were not read.
    assert not watch.unchanged(position, set())
    watch.stop()
    until(lambda: not watch.current())


def test_the_ids_of_an_answer_are_found() -> None:
    one, other = uuid7(), uuid7()
    body = f'{{"id":"{one}","trace_code":"1K7QM2V9XATF4G8CNRH3","lots":[{{"id":"{other}"}}]}}'
    assert ids_of(body.encode()) == {str(one), str(other), "1K7QM2V9XATF4G8CNRH3"}


class Told:
    """A WSGI application whose answers name `ids`, and that counts how often it computes and is opened."""

    def __init__(self, *ids: UUID) -> None:
        self.ids = ids
        self.calls = self.opened = 0

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self.calls += 1
        self.open()
        environ["marketplace.opened"] = self.open
        start("200 OK", [])
        return [f"{self.calls} {self.ids}".encode()]

    def open(self) -> None:
        self.opened += 1


def get(layer: Any, path: str) -> bytes:
    return b"".join(run_wsgi_app(layer, EnvironBuilder(path).get_environ())[0])


@pytest.mark.parametrize("path", ["/api/v1/trace/1K7QM-2V9XA", "/api/v1/products/{}", "/products"])
def test_an_answer_is_kept_until_something_in_it_changes(
    tmp_path: Path, watch: Watch, products: list[UUID], path: str
) -> None:
    shown, other, _ = products
    told = Told(shown)
    path = path.format(shown)
    layer = ReadCache(told, 0.0, Generation(tmp_path), watch)

    first = get(layer, path)
    record("place.added", other)
    looked(watch)
    assert get(layer, path) == first
    assert (told.calls, told.opened) == (1, 2)

    record("place.added", shown)
    looked(watch)
    assert get(layer, path) != first
    assert (told.calls, told.opened) == (2, 3)


def test_an_answer_that_was_begun_before_a_change_is_dropped_after_it(
    tmp_path: Path, watch: Watch, products: list[UUID]
) -> None:
    shown = products[0]
    told = Told(shown)

    def slow(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        answer = told(environ, start)
        if told.calls == 1:
            # The rows were read; the change is committed and looked at before the answer is kept.
            record("place.added", shown)
            looked(watch)
        return answer

    layer = ReadCache(slow, 0.0, Generation(tmp_path), watch)
    assert get(layer, "/api/v1/trace/X") != get(layer, "/api/v1/trace/X")
    assert told.calls == 2


@pytest.mark.parametrize("path", ["/api/v1/products", "/products"])
@pytest.mark.parametrize(
    ("query", "calls"),
    [("", 1), ("?sort=price", 1), ("?available=true", 2), ("?q=a&eligible=1", 2), ("?format=xlsx", 2)],
)
def test_a_list_that_leaves_out_what_it_does_not_name_only_ages(
    tmp_path: Path, watch: Watch, path: str, query: str, calls: int
) -> None:
    told = Told()
    layer = ReadCache(told, 0.0, Generation(tmp_path), watch)
    for _ in range(2):
        get(layer, path + query)
    assert told.calls == calls


def test_a_change_within_the_seconds_of_the_cache_waits_but_not_for_a_story(
    tmp_path: Path, watch: Watch, products: list[UUID]
) -> None:
    told = Told(products[0])
    layer = ReadCache(told, LONG, Generation(tmp_path), watch)
    for path, calls in (("/api/v1/products", 1), ("/api/v1/trace/X", 2)):
        told.calls = 0
        get(layer, path)
        record("place.added", products[0])
        looked(watch)
        get(layer, path)
        assert told.calls == calls


def test_an_answer_that_changes_by_itself_is_not_kept(tmp_path: Path, watch: Watch) -> None:
    told = Told(uuid7())

    def passing(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        environ["marketplace.passing"] = True
        return told(environ, start)

    layer = ReadCache(passing, LONG, Generation(tmp_path), watch)
    assert get(layer, "/api/v1/trace/X") != get(layer, "/api/v1/trace/X")


def test_an_answer_is_of_its_day(tmp_path: Path, watch: Watch) -> None:
    told = Told(uuid7())
    layer = ReadCache(told, LONG, Generation(tmp_path), watch)
    get(layer, "/api/v1/trace/X")
    with time_machine.travel(clock.now() + timedelta(days=1), tick=True):
        until(watch.current)
        get(layer, "/api/v1/trace/X")
    assert told.calls == 2


def test_a_story_is_told_anew_when_nobody_watches(tmp_path: Path, app: Flask) -> None:
    watch = Watch(app.config["SETTINGS"].database_url)
    watch._lease = LONG
    until(watch.current)
    told = Told(uuid7())
    layer = ReadCache(told, LONG, Generation(tmp_path), watch)
    get(layer, "/api/v1/trace/X")
    get(layer, "/api/v1/trace/X")
    assert told.calls == 1
    watch.stop()
    # The lease of its last round is over.
    watch._current_until = time.monotonic()
    get(layer, "/api/v1/trace/X")
    assert told.calls == 2


def test_a_hold_is_answered_when_no_process_can_tell_the_story_before(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = app.config["SETTINGS"]
    for seconds, least in ((0.0, 0.0), (2.0, LONGEST_LEASE)):
        monkeypatch.setitem(app.config, "SETTINGS", _with_cache(settings, seconds))
        took = least_seconds(lambda: record("recall.opened", uuid7()), 3)
        assert least <= took < least + LONGEST_LEASE
    assert least_seconds(lambda: record("recall.closed", uuid7())) < LONGEST_LEASE


def _with_cache(settings: Any, seconds: float) -> Any:
    from dataclasses import replace

    return replace(settings, read_cache_seconds=seconds)
