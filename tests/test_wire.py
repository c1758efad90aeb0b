"""Statements that go out together: in one transaction, one after the other, with the library's errors."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from marketplace.database import db
from marketplace.unit_of_work import retrying
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


def test_more_than_the_sockets_hold_goes_both_ways() -> None:
    echo = prepare(sa.text("select cast(:text as text), cast(:raw as bytea), cast(:number as bigint)"))
    text, raw = "苹果\\{},\"'" * 200_000, bytes(range(256)) * 8_000
    call = (echo, {"text": text, "raw": raw, "number": -(2**63)})
    with Session(db.engine) as session:
        for rows in send(session, call, call, call):
            assert [(row[0], bytes(row[1]), row[2]) for row in rows] == [(text, raw, -(2**63))]


def test_statements_that_were_cleared_behind_our_back_are_prepared_anew() -> None:
    with Session(db.engine) as session:
        send(session, (DIVIDE, {"by": 1}))
        session.execute(sa.text("deallocate all"))
        session.commit()

        @retrying
        def divided() -> list[list[tuple[int]]]:
            try:
                return send(session, (DIVIDE, {"by": 1}))
            finally:
                session.rollback()

        assert divided() == [[(1,)]]


def test_values_that_cannot_be_written_leave_the_connection_as_it_was() -> None:
    with Session(db.engine) as session:
        send(session, (ADD, {"key": "wire"}))
        with pytest.raises(OperationalError, match="cannot adapt"):
            send(session, (COUNT, {"key": "wire"}), (COUNT, {"key": object()}))
        assert send(session, (COUNT, {"key": "wire"})) == [[(1,)]]
        session.rollback()
