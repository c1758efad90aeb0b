"""Reads that are one statement: compiled once, prepared once on each connection, and sent without a transaction.

A single statement is its own snapshot, so BEGIN and ROLLBACK around it would only be two more round trips; and for
the most asked pages building, compiling and planning the statement costs more than running it. Their connections are
for them alone, so that what the server has prepared lasts. Everything else reads through the session.

What is waited for is one call of libpq: a cursor's own steps between sending and receiving cost more than the
statement does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg import errors, pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.json import set_json_loads
from sqlalchemy.exc import OperationalError

from marketplace.database import READS, db
from marketplace.pipeline import Row
from marketplace.wire import Prepared, announce

T = TypeVar("T")
# As the server sends it in text format; None is NULL.
TextRow = tuple[bytes | None, ...]

_OUTDATED = (errors.FeatureNotSupported, errors.InvalidSqlStatementName)

# Of one connection; what was not asked for longest goes first.
MOST_PREPARED = 100


def fetch(prepared: Prepared, given: Mapping[str, Any]) -> list[Row]:
    """All rows. Raises OperationalError when the database is gone or takes longer than a connection's bounds."""
    return fetch_text(prepared.text, prepared.values(given))


def fetch_text(text: str, values: Sequence[Any]) -> list[Row]:
    """The same for SQL that is written out with $1, $2, …; the statement says the type of each."""
    return _asked(text, values, _typed)


def fetch_plain(prepared: Prepared, given: Mapping[str, Any]) -> list[TextRow]:
    """The rows as the server writes them, for answers that pass them on: nothing is read into a value and back."""
    return _asked(prepared.text, prepared.values(given), _plain)


class _Ready:
    """What one connection has prepared, and how it writes and reads values."""

    def __init__(self, raw: psycopg.Connection) -> None:
        # No JSON of ours holds an integer beyond 64 bits.
        set_json_loads(orjson.loads, raw)
        self.values = Transformer(raw)
        self._pgconn = raw.pgconn
        self._names: OrderedDict[str, bytes] = OrderedDict()
        self._numbers = count()

    def ask(self, text: str, values: Sequence[Any]) -> pq.abc.PGresult:
        """Raises psycopg.Error."""
        given: Any = self.values.dump_sequence(values, [PyFormat.TEXT] * len(values))
        name = self._names.get(text)
        if name is not None:
            self._names.move_to_end(text)
            try:
                return _good(self._pgconn.exec_prepared(name, given))
            except _OUTDATED:
                # A migration gave a column another type, or somebody between us and the server cleared it.
                del self._names[text]
        return _good(self._pgconn.exec_prepared(self._prepare(text), given))

    def _prepare(self, text: str) -> bytes:
        while len(self._names) >= MOST_PREPARED:
            _, oldest = self._names.popitem(last=False)
            with suppress(errors.InvalidSqlStatementName):  # cleared by somebody between us and the server
                _good(self._pgconn.exec_(b"deallocate " + oldest))
        name = b"read_%d" % next(self._numbers)
        _good(self._pgconn.prepare(name, text.encode()))
        self._names[text] = name
        return name


def _good(result: pq.abc.PGresult) -> pq.abc.PGresult:
    if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
        raise errors.error_from_result(result)
    return result


def _typed(ready: _Ready, result: pq.abc.PGresult) -> list[Row]:
    ready.values.set_pgresult(result)
    return ready.values.load_rows(0, result.ntuples, tuple)


def _plain(ready: _Ready, result: pq.abc.PGresult) -> list[TextRow]:
    columns, value = range(result.nfields), result.get_value
    return [tuple([value(row, column) for column in columns]) for row in range(result.ntuples)]


def _asked(text: str, values: Sequence[Any], read: Callable[[_Ready, pq.abc.PGresult], T]) -> T:
    engines = db.engines
    announce(engines[None], text, values)
    checked_out = engines[READS].raw_connection()
    raw: Any = checked_out.driver_connection
    try:
        ready = checked_out.info.get("ready")
        if ready is None:
            ready = checked_out.info["ready"] = _Ready(raw)
        return read(ready, ready.ask(text, values))
    except psycopg.Error as error:
        lost = bool(raw.closed)
        if lost:
            # As the library does itself: the others went with the same server.
            checked_out.invalidate(error)
            for engine in engines.values():
                engine.dispose()
        raise OperationalError(text, None, error, connection_invalidated=lost) from error
    finally:
        checked_out.close()
