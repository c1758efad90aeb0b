"""What has changed: the facts as they are committed, so that an answer may be kept for as long as it is true.

Every business act writes a fact in its own transaction, and a fact names whatever it touches by id. A thread of each
serving process reads the new ones ten times a second and remembers in which round each product and lot (by its trace
code) was named. An answer notes the round before it was made; it is true until one of the
ids in it is named in a later round.

`current()` is a lease: it ends `lease` seconds after the last round *began*, so a process that can't look serves
nothing kept. Therefore an act that waits that long between its commit and its answer is on every reading that begins
after its answer, on whatever machine.

A round sees exactly what was committed before it: facts from the oldest transaction that was still running in the
round before, less those already read.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable

import psycopg
import structlog

log = structlog.get_logger("marketplace.watching")

ROUND_SECONDS = 0.1
LONGEST_LEASE = 0.5
# How long an answer may be kept at most; by then its ids need not be remembered.
KEPT_SECONDS = 300.0
MOST_NAMED = 100_000
RETRY_SECONDS = 1.0

# Facts whose ids say all that they change on a public answer. Others (a product that comes on the shelf, a rule, an
# eligible county, a paper whose number stands on other lots as well) change more than they name: nothing made before
# them is kept.
_TELLING = (
    "purchase.", "order.", "stock.", "product.added", "product.submitted", "lot.added", "lot.released", "lot.held",
    "lot.unheld", "grower.", "place.", "document.", "invoice.", "payment.", "declaration.", "user.",
    "bank_account.", "canteen.", "payer_profile.", "period.", "notice.", "sales.", "consignment.",
)  # fmt: skip
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_CODE = re.compile(r'"trace_code":"([0-9A-Z]{20})"')

_BEGIN = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_NEW = """
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint, f.number, f.xid, f.kind, f.body
from (values (1)) as always left join fact f on f.xid >= %s and f.number <> all(%s::bigint[])
"""
# What these facts change of what public answers show, of all that they name; a lot changes its product too. An
# organisation that they name (whose order it is, whose product) shows nothing new: a name, an admission and its end
# have facts of their own, which are not among them.
_SHOWN = """
select trace_code, product_id::text from lot where id = any(%(ids)s::uuid[])
union all select id::text, null from product where id = any(%(ids)s::uuid[])
"""


def ids_of(body: bytes) -> frozenset[str]:
    """The ids and trace codes that stand in an answer."""
    text = body.decode()
    return frozenset(_ID.findall(text)) | frozenset(_CODE.findall(text))


class Watch:
    """One per process; it looks from its first question on. Thread-safe."""

    def __init__(self, database_url: str, lease: float = LONGEST_LEASE) -> None:
        self._url = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._lease = min(lease, LONGEST_LEASE)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._named: dict[str, int] = {}
        self._round = 0
        self._floor = 0
        self._current_until = float("-inf")

    def current(self) -> bool:
        if self._thread is None:
            self._start()
        return time.monotonic() < self._current_until

    def position(self) -> int | None:
        """The round to note before an answer is made; None when nothing may be kept now."""
        return self._round if self.current() else None

    def unchanged(self, position: int, ids: Iterable[str]) -> bool:
        """Whether nothing named in `ids` has changed since `position`, as far as the lease reaches."""
        if not self.current() or position < self._floor:
            return False
        named = self._named
        return not any(named.get(each, -1) > position for each in ids)

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        while not self._stopped.is_set():
            try:
                with psycopg.connect(
                    self._url,
                    autocommit=True,
                    connect_timeout=2,
                    application_name="marketplace-watch",
                    options="-c statement_timeout=2000",
                ) as connection:
                    self._rounds(connection)
            except psycopg.Error as error:
                log.warning("watch_interrupted", error=type(error).__name__)
            self._stopped.wait(RETRY_SECONDS)

    def _rounds(self, connection: psycopg.Connection) -> None:
        begun = time.monotonic()
        row = connection.execute(_BEGIN).fetchone()
        oldest = int(row[0]) if row is not None else 0
        seen: dict[int, int] = {}
        # What came before was not looked at.
        self._round += 1
        self._floor = self._round
        self._named = {}
        self._current_until = begun + self._lease
        while not self._stopped.wait(ROUND_SECONDS):
            begun = time.monotonic()
            rows = connection.execute(_NEW, (oldest, list(seen))).fetchall()
            oldest = int(rows[0][0])
            new = [(number, xid, kind, body) for _, number, xid, kind, body in rows if number is not None]
            if new:
                self._take(connection, [(kind, body) for _, _, kind, body in new])
            seen = {n: x for n, x in (seen | {n: x for n, x, _, _ in new}).items() if x >= oldest}
            self._current_until = begun + self._lease

    def _take(self, connection: psycopg.Connection, facts: list[tuple[str, str]]) -> None:
        ids = list({each for _, body in facts for each in _ID.findall(body)})
        this = self._round + 1
        for pair in connection.execute(_SHOWN, {"ids": ids}).fetchall():
            self._named.update((each, this) for each in pair if each is not None)
        if any(not kind.startswith(_TELLING) for kind, _ in facts) or len(self._named) > MOST_NAMED:
            self._floor = this
            self._named = {}
        # Only now: an answer that notes this round was begun with all of it in the database.
        self._round = this
