"""Statements that go out together: in one transaction, one after the other, with the library's errors."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from marketplace.database import db
from marketplace.wire import prepare, send

pytestmark = pytest.mark.usefixtures("context")

DIVIDE = prepare(sa.text("select 1 / cast(:by as int)"))
COUNT = prepare(sa.text("select count(*) from throttle where key = cast(:key as text)"))
ADD = prepare(
    sa.text(
        "insert into throttle (key, window_start, count) values (cast(:key as text), now(), 1) returning count"
    )
)


def test_a_later_statement_sees_what_an_earlier_one_did_and_a_rollback_undoes_both(app: Flask) -> None:
    with Session(db.engine) as session:
        key = {"key": "wire"}
        assert send(session, (COUNT, key), (ADD, key), (COUNT, key)) == [[(0,)], [(1,)], [(1,)]]
        assert session.execute(sa.text("select count(*) from throttle where key = 'wire'")).scalar() == 1
        session.rollback()
        assert send(session, (COUNT, key)) == [[(0,)]]


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_refused_statement_is_told_as_such_wherever_it_stands(wrong: int) -> None:
    with Session(db.engine) as session:
        calls = [(DIVIDE, {"by": 0 if n == wrong else 1}) for n in range(3)]
        with pytest.raises(OperationalError) as refused:
            send(session, *calls)
        assert refused.value.orig.sqlstate == "22012"
        assert refused.value.connection_invalidated is False
        session.rollback()
        assert send(session, (DIVIDE, {"by": 1})) == [[(1,)]]


def test_a_lost_connection_is_told_as_lost_and_the_next_transaction_has_another() -> None:
    end = prepare(sa.text("select pg_terminate_backend(pg_backend_pid())"))
    with Session(db.engine) as session:
        with pytest.raises(OperationalError) as lost:
            send(session, (end, {}))
        assert lost.value.connection_invalidated is True
        session.rollback()
        assert send(session, (DIVIDE, {"by": 1}), (DIVIDE, {"by": 1})) == [[(1,)], [(1,)]]
