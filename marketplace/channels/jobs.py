"""The worker's part: statements come by themselves after a period's end, and the sandbox admits new channels."""

from __future__ import annotations

import logging

from marketplace.actors import Door, system
from marketplace.channels import guests
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


@task("channels.admit_guests", cron="* * * * * */15")
def admit_guests() -> None:
    """Let into the sandbox who holds a test key and is not known there; the marketplace itself finds nobody waiting."""
    session = db.session()
    found = guests.waiting(session)
    session.close()
    for code, name, region_code in found:
        if not guests.admit(session, code, name, region_code):
            log.warning("no channel of the sandbox to take the terms of %s from", code)
