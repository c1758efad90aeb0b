"""Reads that are one statement: compiled once, then sent by the driver itself on a connection without a transaction.

A single statement is its own snapshot, so BEGIN and ROLLBACK around it would only be two more round trips; and for
the most asked pages building, compiling and planning the statement costs more than running it. Their connections are
for them alone, so that what the server has prepared lasts. Everything else reads through the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import RawCursor
from sqlalchemy.exc import OperationalError

from marketplace.database import READS, db
from marketplace.wire import Prepared, Row, announce


def fetch(prepared: Prepared, given: Mapping[str, Any]) -> list[Row]:
    """All rows. Raises OperationalError when the database is gone or takes longer than a connection's bounds."""
    return fetch_text(prepared.text, prepared.values(given))


def fetch_text(text: str, values: Sequence[Any]) -> list[Row]:
    """The same for SQL that is written out with $1, $2, …"""
    engines = db.engines
    announce(engines[None], text, values)
    checked_out = engines[READS].raw_connection()
    raw: Any = checked_out.driver_connection
    try:
        return RawCursor(raw).execute(text, values).fetchall()
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
