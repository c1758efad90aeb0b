"""Several prepared statements to the server and back in one round trip, by libpq's own calls.

The driver's pipeline asks its connection after each statement whether there is something to send or to read: 25 sends
for the six statements of a purchase, each of which hands the interpreter to another thread and back. Here all of them
lie in libpq's buffer until the one that ends them, and are then waited for together.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg import errors, pq
from psycopg.adapt import PyFormat, Transformer

Row = tuple[Any, ...]
# SQL with $1, $2, …, each with a cast, and the values of these.
Order = tuple[str, Sequence[Any]]

_BEGIN: Order = ("begin", ())
_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_TOLD = (*_DONE, pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)
# What a server says that no longer has a statement, or has it for a table that is another now.
FORGOTTEN = frozenset({"26000", "0A000"})

_lines: WeakKeyDictionary[psycopg.Connection[Any], _Line] = WeakKeyDictionary()


def in_one_trip(raw: psycopg.Connection[Any], orders: Sequence[Order]) -> list[list[Row]]:
    """The rows of each statement, in one transaction, which is begun where none is open.

    Raises psycopg.Error of the first that fails; those behind it are not run. A connection on which something is still
    under way when this is left is closed.
    """
    line = _lines.get(raw)
    if line is None:
        line = _lines[raw] = _Line(raw)
    return line.rows(orders)


class _Line:
    """One connection: what it has prepared, and how it writes and reads values."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._pgconn = raw.pgconn
        self._values = Transformer(raw)
        self._names: dict[str, bytes] = {}
        # They go on after a failure: a name may be taken although nobody was told.
        self._numbers = count(1)
        self._poll = select.poll()

    def rows(self, orders: Sequence[Order]) -> list[list[Row]]:
        pgconn = self._pgconn
        if pgconn.transaction_status == pq.TransactionStatus.IDLE:
            return self._answered((_BEGIN, *orders))[1:]
        return self._answered(orders)

    def _answered(self, orders: Sequence[Order]) -> list[list[Row]]:
        pgconn = self._pgconn
        # Values first: what can't be written must not leave half of the orders behind.
        written = [self._written(values) for _, values in orders]
        answered = False
        try:
            answers, failed = self._exchanged(orders, written)
            answered = True
        finally:
            if not answered:
                # Nobody could tell whose the next answer on it is.
                with suppress(psycopg.Error):
                    pgconn.finish()
        if failed is not None:
            if failed.sqlstate in FORGOTTEN:
                self._names.clear()
            raise failed
        return [self._read(answer) for answer in answers]

    def _exchanged(
        self, orders: Sequence[Order], written: Sequence[tuple[Any, Any]]
    ) -> tuple[list[pq.abc.PGresult], psycopg.Error | None]:
        """What the server says of each, and the first error."""
        pgconn = self._pgconn
        pgconn.enter_pipeline_mode()
        new = [self._send(text, *given) for (text, _), given in zip(orders, written, strict=True)]
        pgconn.pipeline_sync()
        answers, failed = [], None
        for (text, _), name in zip(orders, new, strict=True):
            if name is not None:
                prepared = self._next()
                failed = failed or _error(prepared)
                if prepared.status in _DONE:
                    self._names[text] = name
            answer = self._next()
            failed = failed or _error(answer)
            answers.append(answer)
        if self._result().status != pq.ExecStatus.PIPELINE_SYNC:
            raise errors.InternalError("the server did not end the statements that were sent")
        pgconn.exit_pipeline_mode()
        return answers, failed

    def _written(self, values: Sequence[Any]) -> tuple[Any, Any]:
        """Bytes as they are; everything else as text."""
        asked = [PyFormat.BINARY if isinstance(value, bytes) else PyFormat.TEXT for value in values]
        given = self._values.dump_sequence(values, asked)
        return given, self._values.formats

    def _send(self, text: str, given: Any, formats: Any) -> bytes | None:
        """Lay it into the buffer; the name under which it is prepared with this, if it was not before."""
        name = self._names.get(text)
        new = None
        if name is None:
            name = new = b"line_%d" % next(self._numbers)
            self._pgconn.send_prepare(name, text.encode())
        self._pgconn.send_query_prepared(name, given, formats)
        return new

    def _next(self) -> pq.abc.PGresult:
        """The result of one statement, and the end of it."""
        result = self._result()
        if result.status not in _TOLD:
            raise errors.InternalError(f"an answer of an unknown kind: {result.status}")
        self._wait()
        self._pgconn.get_result()
        return result

    def _result(self) -> pq.abc.PGresult:
        self._wait()
        result = self._pgconn.get_result()
        if result is None:
            raise errors.InternalError("the server gave fewer answers than statements")
        return result

    def _wait(self) -> None:
        pgconn = self._pgconn
        while pgconn.is_busy():
            self._poll.register(pgconn.socket, select.POLLIN | (select.POLLOUT if pgconn.flush() else 0))
            self._poll.poll()
            pgconn.consume_input()

    def _read(self, answer: pq.abc.PGresult) -> list[Row]:
        if not answer.ntuples:
            return []
        self._values.set_pgresult(answer)
        return self._values.load_rows(0, answer.ntuples, tuple)


def _error(result: pq.abc.PGresult) -> psycopg.Error | None:
    return errors.error_from_result(result) if result.status == pq.ExecStatus.FATAL_ERROR else None
