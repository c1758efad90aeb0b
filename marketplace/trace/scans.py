"""How often a code is opened on a day: a number for the seller, no address and no person.

A reading never waits for its count. Each process adds up what was opened and writes it at most `FLUSH_SECONDS`
later, and when it ends in good order; a process that is killed loses the counts of these seconds, nothing else. The
figure that a story shows holds what the process that answers has not written yet; those of others follow.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import date
from uuid import UUID
from weakref import WeakKeyDictionary

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from marketplace.clock import today
from marketplace.database import db
from marketplace.unit_of_work import housekeeping

log = structlog.get_logger("marketplace.trace")

FLUSH_SECONDS = 2.0
# Of one process between two writes; beyond it further lots are not counted, so that memory stays bounded.
MOST_WAITING = 20_000

# In the order of the lots, so that processes which write at the same time wait for each other and go on.
_ADD = sa.text(
    "insert into trace_scan (lot_id, day, count)"
    " select lot, day, count from unnest(cast(:lots as uuid[]), cast(:days as date[]), cast(:counts as bigint[]))"
    " as t(lot, day, count) order by lot, day"
    " on conflict (lot_id, day) do update set count = trace_scan.count + excluded.count"
)


class _Waiting:
    """The counts of one database that are not written yet: readings of a lot by day."""

    def __init__(self) -> None:
        self.counts: dict[UUID, Counter[date]] = {}
        self.lock = threading.Lock()
        self.writing = threading.Lock()
        self.timer: threading.Timer | None = None

    def add(self, engine: sa.Engine, lot_id: UUID, day: date) -> None:
        with self.lock:
            known = self.counts.get(lot_id)
            if known is None and len(self.counts) < MOST_WAITING:
                known = self.counts[lot_id] = Counter()
            if known is not None:
                known[day] += 1
            if self.timer is None:
                self.timer = threading.Timer(FLUSH_SECONDS, self.write, (engine,))
                self.timer.daemon = True
                self.timer.start()

    def end(self, engine: sa.Engine) -> None:
        with self.lock:
            if self.timer is not None:
                self.timer.cancel()
        self.write(engine, last=True)

    def of(self, lot_id: UUID) -> int:
        with self.lock:
            known = self.counts.get(lot_id)
            return 0 if known is None else known.total()

    def write(self, engine: sa.Engine, *, last: bool = False) -> None:
        """Write what waits. A busy or absent database keeps it waiting for the next reading's timer.

        With the `last` one nobody reads on: a database that is gone by then took its counts with it.
        """
        with self.writing:
            with self.lock:
                self.timer = None
                taken = [
                    (lot, day, count) for lot, days in self.counts.items() for day, count in days.items()
                ]
            if not taken:
                return
            lots, days, counts = map(list, zip(*taken, strict=True))
            try:
                with housekeeping(["trace_scan"], engine) as session:
                    session.execute(sa.text("set local lock_timeout = '1s'"))
                    session.execute(_ADD, {"lots": lots, "days": days, "counts": counts})
            except SQLAlchemyError as error:
                gone = last and isinstance(error, OperationalError)
                log.log(
                    logging.DEBUG if gone else logging.WARNING,
                    "scans_not_written", error=type(error).__name__, rows=len(taken),
                )  # fmt: skip
                return
            with self.lock:
                for lot, day, count in taken:
                    left = self.counts[lot]
                    left[day] -= count
                    if not left.total():
                        del self.counts[lot]


_all: WeakKeyDictionary[sa.Engine, _Waiting] = WeakKeyDictionary()
_making = threading.Lock()


def _here() -> tuple[sa.Engine, _Waiting]:
    engine = db.engine
    found = _all.get(engine)
    if found is None:
        with _making:
            found = _all.setdefault(engine, _Waiting())
    return engine, found


def count_scan(lot_id: UUID) -> None:
    """Count one reading of today, without waiting for the database."""
    engine, here = _here()
    here.add(engine, lot_id, today())


def counter(lot_id: UUID) -> Callable[[], None]:
    """Counts one more reading with each call, also outside of any application."""
    engine, here = _here()
    return lambda: here.add(engine, lot_id, today())


def waiting(lot_id: UUID) -> int:
    """Readings of a lot that this process has counted and not yet written."""
    return _here()[1].of(lot_id)


def flush() -> None:
    """Write at once what this process has counted, of every database it serves."""
    for engine, here in list(_all.items()):
        here.write(engine)


def close(engine: sa.Engine) -> None:
    """Write the last counts of a database before its pool is closed; from then on this process has none of it."""
    here = _all.pop(engine, None)
    if here is not None:
        here.end(engine)


def close_all() -> None:
    for engine in list(_all):
        close(engine)


# gunicorn, the development server and commands alike end through the interpreter when they end in good order.
atexit.register(close_all)
