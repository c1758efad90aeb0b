"""Reads that are one statement: compiled once, then sent by the driver itself on a connection without a transaction.

A single statement is its own snapshot, so BEGIN and ROLLBACK around it would only be two more round trips; and for
the most asked pages building and compiling the statement costs more than running it. Everything else reads through
the session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import RawCursor
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.exc import OperationalError

from marketplace.database import db

_DIALECT: Any = dialects.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Prepared:
    """SQL with $1, $2, …; `names` says whose value each takes, `constants` holds those that never change."""

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]


def prepare(statement: sa.Select[*tuple[Any, ...]]) -> Prepared:
    """Compile `statement`; its named bind parameters are given with each `fetch`, others keep their values."""
    compiled = statement.compile(dialect=_DIALECT)
    names = tuple(compiled.positiontup or ())
    return Prepared(str(compiled), names, {name: compiled.params[name] for name in names})


def fetch(prepared: Prepared, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows. Values are those that psycopg adapts (uuid, date, int, text and lists of them).

    Raises OperationalError when the database is gone or takes longer than the bounds of every connection.
    """
    constants = prepared.constants
    given = tuple(values[name] if name in values else constants[name] for name in prepared.names)
    return fetch_text(prepared.text, given)


def fetch_text(text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The same for SQL that is written out with $1, $2, …"""
    engine = db.engine
    for told in engine.dispatch.before_cursor_execute:
        # Who counts or traces the engine's statements counts these too.
        told(None, None, text, values, None, False)
    checked_out = engine.raw_connection()
    raw: Any = checked_out.driver_connection
    try:
        raw.autocommit = True
        rows: list[tuple[Any, ...]] = RawCursor(raw).execute(text, values).fetchall()
        raw.autocommit = False
    except psycopg.Error as error:
        lost = bool(raw.closed)
        if lost:
            # As the library does itself: the others went with the same server.
            checked_out.invalidate(error)
            engine.dispose()
        else:
            raw.autocommit = False
        raise OperationalError(text, None, error, connection_invalidated=lost) from error
    finally:
        checked_out.close()
    return rows
