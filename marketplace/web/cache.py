"""Rendered bytes of public reads, in front of Flask; they lag at most READ_CACHE_SECONDS (2 at most, 0 = off) behind.

Only GET without Cookie and Authorization is kept, of the front page and under `CACHED`, and only answers of status
200. The key is path, query and Accept-Language. Of several requests for one key at the same time, one is computed and
the others wait for it.

Products, the catalogue and the story of a lot say which ids they show, so they are kept up to 5 minutes of one day,
until a fact names one of these ids (`watching.py`), and for READ_CACHE_SECONDS whatever happens, but the story. A list
that is chosen by stock or eligibility leaves out what it doesn't name, and a file names nothing, so these only age.

Recall, hold and take-down are live (`generation.py`): workers of this machine see them with their next request. Other
machines follow within READ_CACHE_SECONDS; for the story of a lot, which must be live everywhere, before the act
is answered: the act waits until no process can hold a story from before it. A story is kept only while that is so.
Its scans are counted all the same; the number it shows may be up to 5 minutes old.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from marketplace.clock import today
from marketplace.web import metrics
from marketplace.web.generation import Generation
from marketplace.web.logs import log_cached, request_id_of
from marketplace.web.watching import KEPT_SECONDS, Watch, ids_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

CACHED = ("/api/v1/products", "/api/v1/regions", "/products", "/sellers", "/counties", "/suggest")
# Products, one product, the story of one lot, or the catalogue.
WATCHED = re.compile(r"/api/v1/(?:products(?:/[0-9a-f-]{36})?|(trace)/[^/]{1,64})|/products")
_UNNAMED = re.compile(r"(?:^|&)(?:available|eligible|format)=")
MAX_ENTRIES = 20_000
MAX_BYTES = 64_000_000
MAX_ENTRY_BYTES = 2_000_000
WAIT_SECONDS = 5.0
# They make the answer depend on what the caller holds already.
_CONDITIONS = (
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_RANGE",
    "HTTP_COOKIE",
    "HTTP_AUTHORIZATION",
)

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Kept:
    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    route: str
    made_at: float
    generation: int
    # What a watched answer shows, and the round before it was made; an answer that only ages has no round.
    ids: frozenset[str] = frozenset()
    position: int | None = None
    opened: Callable[[], None] | None = None
    day: date | None = None

    @property
    def size(self) -> int:
        """Bytes of memory, roughly: the body, its ids, and what the rest takes."""
        return len(self.body) + 100 * len(self.ids) + 1_000


class ReadCache:
    """The WSGI layer. Thread-safe; bounded in entries and bytes, the oldest go first.

    A view that wants to know of each reading leaves a function in `environ["marketplace.opened"]`, and one whose answer
    becomes another by itself sets `environ["marketplace.passing"]`.
    """

    def __init__(
        self, application: WSGIApplication, seconds: float, generation: Generation, watch: Watch | None = None
    ) -> None:
        self._application = application
        self._seconds = seconds
        self._generation = generation
        self._watch = watch
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[Key, threading.Event] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        key = self._key(environ)
        if key is None:
            return self._application(environ, start_response)
        started = time.perf_counter()
        kept, mine = self._find(key)
        outcome = "hit"
        if kept is None and mine is None:
            # Somebody else computes this answer now.
            with self._lock:
                event = self._under_way.get(key)
            if event is not None:
                event.wait(WAIT_SECONDS)
            kept, mine = self._find(key)
            outcome = "waited"
        if kept is not None:
            metrics.CACHE.labels(metrics.worker(), outcome).inc()
            return self._send(kept, environ, start_response, started)
        metrics.CACHE.labels(metrics.worker(), "miss").inc()
        try:
            return self._compute(key, environ, start_response)
        finally:
            if mine is not None:
                with self._lock:
                    self._under_way.pop(key, None)
                mine.set()

    def _key(self, environ: WSGIEnvironment) -> Key | None:
        path = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] != "GET" or not (path == "/" or path.startswith(CACHED)):
            # A story is kept only as long as the watch knows that it is true.
            watched = self._watch is not None and environ["REQUEST_METHOD"] == "GET" and _is_story(path)
            if not watched or self._watch is None or not self._watch.current():
                return None
        if any(name in environ for name in _CONDITIONS):
            return None
        return path, environ.get("QUERY_STRING", ""), environ.get("HTTP_ACCEPT_LANGUAGE", "")[:100]

    def _find(self, key: Key) -> tuple[Kept | None, threading.Event | None]:
        """A fresh answer, or the event of the one who computes it when that is the caller, or neither."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                if kept.generation == self._generation.current() and self._is_good(key, kept):
                    return kept, None
                self._drop(key)
            if key in self._under_way:
                return None, None
            event = self._under_way[key] = threading.Event()
            return None, event

    def _is_good(self, key: Key, kept: Kept) -> bool:
        age = time.monotonic() - kept.made_at
        if age < self._seconds and not _is_story(key[0]):
            return True
        if kept.position is None or self._watch is None or age >= KEPT_SECONDS or kept.day != today():
            return False
        return self._watch.unchanged(kept.position, kept.ids)

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size

    def _send(
        self, kept: Kept, environ: WSGIEnvironment, start_response: StartResponse, started: float
    ) -> list[bytes]:
        request_id = request_id_of(environ.get("HTTP_X_REQUEST_ID"))
        age = str(int(time.monotonic() - kept.made_at))
        start_response(kept.status, [*kept.headers, ("X-Request-Id", request_id), ("Age", age)])
        if kept.opened is not None:
            kept.opened()
        log_cached(request_id, kept.route, int(kept.status[:3]), time.perf_counter() - started)
        return [kept.body]

    def _compute(self, key: Key, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Read before the answer is made: a purge in between makes it worthless.
        generation = self._generation.current()
        watch = self._watch if WATCHED.fullmatch(key[0]) and not _UNNAMED.search(key[1]) else None
        position = None if watch is None else watch.position()
        day = today()
        told: list[tuple[str, list[tuple[str, str]]]] = []

        def listen(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], object]:
            told.append((status, list(headers)))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        chunks = self._application(environ, listen)
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        status, headers = told[-1]
        passing = environ.get("marketplace.passing", False)
        if (
            status.startswith("200")
            and not passing
            and len(body) <= MAX_ENTRY_BYTES
            and _may_be_kept(headers)
        ):
            kept = Kept(
                status,
                _lasting(headers),
                body,
                environ.get("marketplace.route", "(none)"),
                time.monotonic(),
                generation,
                frozenset() if position is None else ids_of(body),
                position,
                environ.get("marketplace.opened"),
                day,
            )
            with self._lock:
                self._drop(key)
                self._kept[key] = kept
                self._bytes += kept.size
                while self._bytes > MAX_BYTES or len(self._kept) > MAX_ENTRIES:
                    self._drop(next(iter(self._kept)))
        return [body]


def _is_story(path: str) -> bool:
    found = WATCHED.fullmatch(path)
    return found is not None and found[1] is not None


def _may_be_kept(headers: list[tuple[str, str]]) -> bool:
    named = {name.lower(): value.lower() for name, value in headers}
    control = named.get("cache-control", "")
    return "set-cookie" not in named and "no-store" not in control and "private" not in control


def _lasting(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Headers of the content; those of the one request that made it are left out."""
    own = ("x-request-id", "date", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "age")
    return tuple((name, value) for name, value in headers if name.lower() not in own)
