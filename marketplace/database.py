"""The one engine, the naming of constraints, and the column types that every model uses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from psycopg.pq import ExecStatus, PipelineStatus, TransactionStatus
from sqlalchemy import BigInteger, Date, MetaData, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from marketplace.config import Settings
from marketplace.values import uuid7


class AwareDateTime(TypeDecorator[datetime]):
    """timestamptz that refuses naive datetimes and always answers UTC."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database")
        return value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return None if value is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        int: BigInteger,
        str: Text,
        datetime: AwareDateTime,
        date: Date,
        UUID: PgUUID(as_uuid=True),
    }


# The models have their own declarative base (typed), the extension gives the session and the engine.
db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False})

uuid_pk = Annotated[UUID, mapped_column(primary_key=True, default=uuid7)]
row_id = Annotated[int, mapped_column(BigInteger, sa.Identity(always=True), primary_key=True)]


def choice(values: type[StrEnum], name: str, **kwargs: Any) -> Mapped[Any]:
    """A text column that holds one value of a closed set, with a named CHECK."""
    return mapped_column(
        sa.Enum(
            values,
            native_enum=False,
            create_constraint=True,
            length=40,
            name=name,
            values_callable=lambda e: [m.value for m in e],
        ),
        **kwargs,
    )


MAIN_SCHEMA = "public"
# Where the keys `pl_test_…` trade: the same tables, other rows.
SANDBOX_SCHEMA = "sandbox"


def schema_of(settings: Settings) -> str:
    return SANDBOX_SCHEMA if settings.sandbox else MAIN_SCHEMA


# The connections that are for reads of one statement alone (`reading.py`).
READS = "reads"


def engine_options(settings: Settings, *, more: str = "") -> dict[str, Any]:
    """Bounded waits on every connection: a lock for 3 s, a statement for 10 s, an idle transaction for 15 s.

    No statement here runs so long that compiling it would pay. `more`: further options of the server.
    """
    return {
        "pool_size": settings.pool_size,
        "max_overflow": settings.pool_size,
        "pool_timeout": 5,
        "pool_pre_ping": False,
        "pool_recycle": 1800,
        "connect_args": {
            "options": "-c lock_timeout=3000 -c statement_timeout=10000"
            " -c idle_in_transaction_session_timeout=15000 -c jit=off -c timezone=UTC"
            f" -c search_path={schema_of(settings)}{more}",
            "application_name": "marketplace",
            "connect_timeout": 5,
            # A page's statements are prepared from their third time on; planning them takes longer than running them.
            "prepare_threshold": 2,
        },
    }


def reading_options(settings: Settings) -> dict[str, Any]:
    """Connections without transactions: no rollback makes the driver forget what the server has prepared, and each
    statement is planned once, for its text says which of its kind it is (planning a list takes longer than reading it).
    """
    options = engine_options(settings, more=" -c plan_cache_mode=force_generic_plan")
    options["connect_args"]["prepare_threshold"] = 0
    return options | {
        "url": settings.database_url, "isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None,
    }  # fmt: skip


# More statements than one connection meets of those that are asked all the time; the driver's 100 are fewer.
_MOST_PREPARED = 300


def keep_prepared(engine: sa.Engine) -> None:
    """Let what the server has prepared outlive the end of a read.

    Each read ends with a rollback, and the driver then forgets its prepared statements, since a table made in the
    transaction is gone with it. Nothing here makes tables (the application's role may not), so the end of a
    transaction is sent past the driver's book-keeping.
    """
    engine.dialect.do_rollback = _roll_back  # type: ignore[method-assign, assignment]
    sa.event.listen(engine, "connect", _allow_more)


def _allow_more(connection: Any, record: object) -> None:
    connection.prepared_max = _MOST_PREPARED


def _roll_back(connection: Any) -> None:
    pgconn: psycopg.pq.abc.PGconn = connection.pgconn
    in_transaction = pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)
    plain = in_transaction and pgconn.pipeline_status == PipelineStatus.OFF
    if not plain or pgconn.exec_(b"ROLLBACK").status != ExecStatus.COMMAND_OK:
        # Nothing to end, or a server that is gone: the driver knows what to do and what to raise.
        connection.rollback()
