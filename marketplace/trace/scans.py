"""How often a code is opened on a day: a number for the seller, no address and no person."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from marketplace.clock import today
from marketplace.database import db
from marketplace.unit_of_work import housekeeping

log = structlog.get_logger("marketplace.trace")

_COUNT = sa.text(
    "insert into trace_scan (lot_id, day, count) values (:lot, :day, 1)"
    " on conflict (lot_id, day) do update set count = trace_scan.count + 1"
)


def count_scan(lot_id: UUID) -> None:
    """Count one reading, after it was answered for. Never fails the reading: a busy counter loses one."""
    # Gives the connection of the reading back first, so that one request never holds two.
    db.session.close()
    try:
        with housekeeping(["trace_scan"]) as session:
            session.execute(sa.text("set local lock_timeout = '200ms'"))
            session.execute(_COUNT, {"lot": lot_id, "day": today()})
    except SQLAlchemyError as error:
        log.warning("scan_not_counted", error=type(error).__name__)
