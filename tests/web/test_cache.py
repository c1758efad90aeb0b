from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from marketplace.actors import Permission, system
from marketplace.sandbox import SandboxDoor
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from marketplace.web import cache
from marketplace.web.cache import ReadCache
from marketplace.web.generation import Generation
from tests.web.conftest import MakeApp

# Seconds that no test takes, however busy the machine is.
LONG = 3600.0


class Source:
    """A WSGI application that counts how often it computes an answer."""

    def __init__(self, status: str = "200 OK", headers: list[tuple[str, str]] | None = None) -> None:
        self.status, self.headers = status, headers or []
        self.calls = 0
        self.delay = 0.0
        self.body = b"body"
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            self.calls += 1
            number = self.calls
        time.sleep(self.delay)
        environ["marketplace.route"] = "/api/v1/products"
        start(self.status, [*self.headers, ("X-Request-Id", f"request-{number:08}")])
        return [self.body + str(number).encode()]


def get(layer: Any, path: str = "/api/v1/products", **kwargs: Any) -> tuple[bytes, str, Any]:
    chunks, status, headers = run_wsgi_app(layer, EnvironBuilder(path, **kwargs).get_environ())
    return b"".join(chunks), status, headers


def test_a_public_read_is_computed_once_and_sent_with_a_request_id_of_its_own(tmp_path: Path) -> None:
    source = Source()
    layer = ReadCache(source, LONG, Generation(tmp_path))
    begun = time.monotonic()
    first, second = get(layer), get(layer)
    assert (first[0], second[0]) == (b"body1", b"body1")
    assert source.calls == 1
    assert first[2]["X-Request-Id"] != second[2]["X-Request-Id"]
    assert 0 <= int(second[2]["Age"]) <= time.monotonic() - begun
    assert len(second[2].getlist("X-Request-Id")) == 1


def test_path_query_and_language_are_told_apart(tmp_path: Path) -> None:
    layer = ReadCache(Source(), LONG, Generation(tmp_path))
    bodies = [
        get(layer)[0],
        get(layer, query_string="q=a")[0],
        get(layer, headers={"Accept-Language": "en"})[0],
        get(layer, "/api/v1/products/1")[0],
    ]
    assert bodies == [b"body1", b"body2", b"body3", b"body4"]


def test_whoever_says_who_he_is_gets_a_computed_answer(tmp_path: Path) -> None:
    layer = ReadCache(Source(), LONG, Generation(tmp_path))
    get(layer)
    assert get(layer, headers={"Authorization": "Bearer x"})[0] == b"body2"
    assert get(layer, headers={"Cookie": "a=b"})[0] == b"body3"
    assert get(layer, headers={"If-None-Match": '"1"'})[0] == b"body4"
    assert get(layer, method="POST")[0] == b"body5"
    assert get(layer)[0] == b"body1"


def test_what_a_code_opens_is_never_kept(tmp_path: Path) -> None:
    layer = ReadCache(Source(), LONG, Generation(tmp_path))
    for path in ("/api/v1/trace/ABC", "/t/ABC", "/api/v1/orders"):
        assert get(layer, path)[0] != get(layer, path)[0]


def test_errors_private_answers_and_cookies_are_not_kept(tmp_path: Path) -> None:
    for n, source in enumerate(
        (
            Source("404 NOT FOUND"),
            Source("500 ERROR"),
            Source(headers=[("Cache-Control", "no-store")]),
            Source(headers=[("Cache-Control", "private, no-cache")]),
            Source(headers=[("Set-Cookie", "a=b")]),
        )
    ):
        layer = ReadCache(source, LONG, Generation(tmp_path / str(n)))
        get(layer)
        get(layer)
        assert source.calls == 2


def test_an_answer_ages_out(tmp_path: Path) -> None:
    source = Source()
    layer = ReadCache(source, 0.05, Generation(tmp_path))
    get(layer)
    time.sleep(0.06)
    assert get(layer)[0] == b"body2"


def test_a_purge_is_seen_by_another_worker_at_once(tmp_path: Path) -> None:
    one, other = Source(), Source()
    here = ReadCache(one, LONG, Generation(tmp_path))
    there = ReadCache(other, LONG, Generation(tmp_path))
    get(here)
    get(there)
    Generation(tmp_path).advance()
    assert get(here)[0] == b"body2"
    assert get(there)[0] == b"body2"


def test_an_answer_begun_before_a_purge_is_not_kept(tmp_path: Path) -> None:
    generation = Generation(tmp_path)
    source = Source()

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if source.calls == 0:
            generation.advance()
        return source(environ, start)

    layer = ReadCache(application, LONG, generation)
    assert get(layer)[0] == b"body1"
    assert get(layer)[0] == b"body2"


def test_of_many_at_once_one_computes(tmp_path: Path) -> None:
    source = Source()
    source.delay = 0.1
    layer = ReadCache(source, LONG, Generation(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        bodies = set(pool.map(lambda _: get(layer)[0], range(8)))
    assert bodies == {b"body1"}
    assert source.calls == 1


def test_when_the_one_fails_the_others_compute_for_themselves(tmp_path: Path) -> None:
    source = Source("500 ERROR")
    source.delay = 0.05
    layer = ReadCache(source, LONG, Generation(tmp_path))
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda _: get(layer)[1], range(4)))
    assert statuses == ["500 ERROR"] * 4


def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source()
    monkeypatch.setattr(cache, "MAX_ENTRIES", 100)
    layer = ReadCache(source, LONG, Generation(tmp_path))
    for n in range(cache.MAX_ENTRIES + 10):
        get(layer, query_string=f"n={n}")
    assert len(layer._kept) == cache.MAX_ENTRIES
    assert layer._bytes == sum(kept.size for kept in layer._kept.values())
    assert get(layer, query_string="n=0")[0] != b"body1"


def test_a_committed_take_down_makes_every_kept_answer_worthless(make_echo: MakeApp, tmp_path: Path) -> None:
    with make_echo(READ_CACHE_SECONDS="2") as app, app.app_context():
        # Requests with a test key are led to the sandbox before anything is looked up.
        layer = app.wsgi_app._live if isinstance(app.wsgi_app, SandboxDoor) else app.wsgi_app
        assert isinstance(layer, ReadCache)
        seen = Generation(tmp_path)
        before = seen.current()
        with suppress(RuntimeError), transaction(system(), Permission.SYSTEM) as tx:
            tx.record("product.withdrawn", "product", uuid7())
            raise RuntimeError
        assert seen.current() == before
        with transaction(system(), Permission.SYSTEM) as tx:
            tx.record("product.withdrawn", "product", uuid7())
            assert seen.current() == before
        assert seen.current() == before + 1
