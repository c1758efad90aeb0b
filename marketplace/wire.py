"""Statements that the driver sends itself, for the paths where the library's part costs more than the database's.

They are compiled once; several go out together and their results come back in one round trip. Who counts or traces
the engine's statements sees these too, and errors are those of the library.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import psycopg as dialects
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from marketplace.pipeline import Row, in_one_trip

_DIALECT: Any = dialects.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Prepared:
    """SQL with $1, $2, …; `names` says whose value each takes, `constants` holds those that never change."""

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """In the order of the statement. Values are those that psycopg adapts: uuid, date, int, text, lists of them."""
        constants = self.constants
        return tuple(given[name] if name in given else constants[name] for name in self.names)


def prepare(statement: sa.Select[*tuple[Any, ...]] | sa.TextClause) -> Prepared:
    """Compile `statement`; its named bind parameters are given with each execution, others keep their values."""
    compiled = statement.compile(dialect=_DIALECT)
    names = tuple(compiled.positiontup or ())
    return Prepared(str(compiled), names, {name: compiled.params[name] for name in names})


def announce(engine: sa.Engine, text: str, values: Sequence[Any]) -> None:
    """Tell who listens to the engine's statements of one that goes past it."""
    for told in engine.dispatch.before_cursor_execute:
        told(None, None, text, values, None, False)


# A statement with its values.
Call = tuple[Prepared, Mapping[str, Any]]


def send(session: Session, *calls: Call) -> list[list[Row]]:
    """The rows of each call, in the session's transaction, in one round trip; a later one sees what earlier ones did.

    Nothing that waits in the session is flushed before. Raises OperationalError with the driver's error in it.
    """
    connection = session.connection()
    raw: Any = connection.connection.driver_connection
    for prepared, _ in calls:
        announce(connection.engine, prepared.text, ())
    with _errors_of_the_library(connection, raw, calls[0][0].text):
        return in_one_trip(raw, [(prepared.text, prepared.values(given)) for prepared, given in calls])


@contextmanager
def _errors_of_the_library(connection: sa.Connection, raw: Any, text: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        lost = bool(raw.closed)
        if lost:
            connection.invalidate(error)
        raise OperationalError(text, None, error, connection_invalidated=lost) from error
