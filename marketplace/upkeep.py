"""What the house forgets, and when: technical rows only, none of them says what happened in the trade."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from marketplace.clock import now
from marketplace.jobs import remove_finished, task
from marketplace.unit_of_work import housekeeping

KEEP_JOBS = timedelta(days=7)
KEEP_ANSWERS = timedelta(days=30)
# Longest window of any throttle is a day.
KEEP_COUNTERS = timedelta(days=2)
KEEP_ENDED_LOGINS = timedelta(days=1)
# A basket may hold a name and a phone number; lists that were saved on purpose hold none and stay.
KEEP_BASKETS = timedelta(days=90)
BATCH = 2_000

_FORGET = {
    "idempotency_key": (
        KEEP_ANSWERS,
        sa.text(
            "delete from idempotency_key where ctid in"
            " (select ctid from idempotency_key where created_at < :before limit :batch)"
        ),
    ),
    "throttle": (
        KEEP_COUNTERS,
        sa.text(
            "delete from throttle where ctid in"
            " (select ctid from throttle where window_start < :before limit :batch)"
        ),
    ),
    "web_session": (
        KEEP_ENDED_LOGINS,
        sa.text(
            "delete from web_session where ctid in (select ctid from web_session"
            " where expires_at < :before or revoked_at < :before limit :batch)"
        ),
    ),
    "access_token": (
        KEEP_ENDED_LOGINS,
        sa.text(
            "delete from access_token where ctid in (select ctid from access_token"
            " where expires_at < :before or revoked_at < :before limit :batch)"
        ),
    ),
    "basket_draft": (
        KEEP_BASKETS,
        sa.text(
            "delete from basket_draft where ctid in"
            " (select ctid from basket_draft where name = '' and saved_at < :before limit :batch)"
        ),
    ),
}


@task("upkeep.forget", cron="17 * * * *")
def forget() -> None:
    """Remove what is past its time, in small transactions: answers to idempotency keys after 30 days, finished jobs
    after 7, counters after 2, ended sessions and tokens after 1, baskets that nobody touched after 90.
    """
    remove_finished(now(), KEEP_JOBS)
    for table, (keep, statement) in _FORGET.items():
        before = now() - keep
        removed = BATCH
        while removed == BATCH:
            with housekeeping([table]) as session:
                result = session.execute(statement, {"before": before, "batch": BATCH})
                removed = result.rowcount  # type: ignore[attr-defined]
