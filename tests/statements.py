"""What a page or an answer asks of the database: the statements that are sent, without those that come by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

# Permits of the rate limit are taken by the batch and lapse after seconds; a session is marked as seen, and the use of
# a key noted, once a minute; readings of codes are added up and written by a timer.
BY_THE_CLOCK = (
    "throttle",
    "set local synchronous_commit",
    "UPDATE web_session",
    "partner_key_use",
    "set local lock_timeout",
    "insert into trace_scan",
)


@contextmanager
def sent_statements(engine: sa.Engine) -> Iterator[list[str]]:
    """The statements that go to the database within the block, as they are sent."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not any(part in statement for part in BY_THE_CLOCK):
            sent.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
