"""A row that is locked is a row that is read anew.

Whoever waited for a lock has to go on with what the one before him committed. The library locks the row and then keeps
the values of an object that the session knows already; asked for at each of the places that lock, one would be forgotten.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import ORMExecuteState, Session


def read_locked_rows_anew() -> None:
    """From now on every `with_for_update()` of any session. Calling it twice is harmless."""
    if not sa.event.contains(Session, "do_orm_execute", _read_anew):
        sa.event.listen(Session, "do_orm_execute", _read_anew)


def _read_anew(state: ORMExecuteState) -> None:
    if getattr(state.statement, "_for_update_arg", None) is not None:
        state.update_execution_options(populate_existing=True)
