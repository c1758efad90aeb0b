"""The worker's part: statements come by themselves after a period's end, and the sandbox admits new channels."""

from __future__ import annotations

import logging

from marketplace.channels import guests
from marketplace.channels.statements import issue_due
from marketplace.database import db
from marketplace.jobs import task

log = logging.getLogger("marketplace.channels")


@task("channels.issue_statements", cron="40 * * * *")
def issue_statements() -> None:
    """Issue what has not been: of each channel and seller the newest period that has ended."""
    issue_due()


@task("channels.admit_guests", cron="* * * * * */15")
def admit_guests() -> None:
    """Let into the sandbox who holds a test key and is not known there; the marketplace itself finds nobody waiting."""
    session = db.session()
    found = guests.waiting(session)
    session.close()
    for code, name, region_code in found:
        if not guests.admit(session, code, name, region_code):
            log.warning("no channel of the sandbox to take the terms of %s from", code)
