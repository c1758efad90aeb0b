"""Reads that are one statement: compiled once, then sent by the client library itself, outside of any transaction.

A single statement is its own snapshot, so BEGIN and ROLLBACK around it would only be two more round trips; and for
the most asked pages building, compiling and sending the statement costs more than running it. Each connection plans it
once. Everything else reads through the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import DiagnosticField, ExecStatus
from sqlalchemy.exc import OperationalError

from marketplace.database import db
from marketplace.wire import Prepared, Row, announce

# Of one connection; beyond it the oldest statement is given up for the new one.
MOST_PLANNED = 200
_PLANNED = "marketplace.reading"


def fetch(prepared: Prepared, given: Mapping[str, Any]) -> list[Row]:
    """All rows. Raises OperationalError when the database is gone or takes longer than a connection's bounds."""
    return fetch_text(prepared.text, prepared.values(given))


def fetch_text(text: str, values: Sequence[Any]) -> list[Row]:
    """The same for SQL that is written out with $1, $2, …"""
    engine = db.engine
    announce(engine, text, values)
    checked_out = engine.raw_connection()
    raw: Any = checked_out.driver_connection
    try:
        return _rows(raw, checked_out.info.setdefault(_PLANNED, {}), text, values)
    except psycopg.Error as error:
        lost = bool(raw.closed)
        if lost:
            # As the library does itself: the others went with the same server.
            checked_out.invalidate(error)
            engine.dispose()
        raise OperationalError(text, None, error, connection_invalidated=lost) from error
    finally:
        checked_out.close()


def _rows(raw: Any, planned: dict[str, bytes], text: str, values: Sequence[Any]) -> list[Row]:
    """Values go as text and take their types from the casts and columns that they meet."""
    adapter = Transformer(raw)
    sent = adapter.dump_sequence(values, [PyFormat.TEXT] * len(values))
    name = planned.get(text) or _plan(raw.pgconn, planned, text)
    result = raw.pgconn.exec_prepared(name, sent)
    if _state(result) == errors.InvalidSqlStatementName.sqlstate:
        # A rollback on this connection gave up all plans.
        planned.clear()
        result = raw.pgconn.exec_params(text.encode(), sent)
    _check(raw.pgconn, result)
    adapter.set_pgresult(result)
    return adapter.load_rows(0, result.ntuples, tuple)


def _plan(connection: Any, planned: dict[str, bytes], text: str) -> bytes:
    if len(planned) >= MOST_PLANNED:
        oldest = next(iter(planned))
        _check(connection, connection.exec_(b"DEALLOCATE " + planned.pop(oldest)))
    number = 1 + max((int(name[5:]) for name in planned.values()), default=0)
    name = b"read_%d" % number
    _check(connection, connection.prepare(name, text.encode()))
    planned[text] = name
    return name


def _state(result: Any) -> str | None:
    given = result.error_field(DiagnosticField.SQLSTATE) if result.status == ExecStatus.FATAL_ERROR else None
    return None if given is None else given.decode()


def _check(connection: Any, result: Any) -> None:
    """Raises the error of a result as the driver names it."""
    if result.status in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        return
    state = _state(result)
    kind = psycopg.OperationalError if state is None else errors.lookup(state)
    raise kind(
        result.error_message.decode("utf-8", "replace") if result.error_message else "the connection is lost"
    )
