"""The worker's part of consignment: statements come by themselves after a period's end."""

from __future__ import annotations

import logging

from marketplace.actors import Door, system
from marketplace.channels.statements import due_statements, issue_statement
from marketplace.clock import today
from marketplace.database import db
from marketplace.errors import AlreadyThere, WrongState
from marketplace.jobs import task

log = logging.getLogger("marketplace.channels")


@task("channels.issue_statements", cron="40 * * * *")
def issue_statements() -> None:
    """Issue what has not been: of each channel and seller the newest period that has ended."""
    session = db.session()
    due = due_statements(session, today())
    session.close()
    for channel_id, seller_id, period in due:
        try:
            issue_statement(system(Door.JOB), channel_id=channel_id, seller_id=seller_id, period=period)
        except (AlreadyThere, WrongState) as refusal:
            # The office was quicker, by hand.
            log.info("no statement of %s for %s: %s", period, seller_id, refusal.code)
