"""The job that clears abandoned uploads is known to the worker."""

from marketplace.documents import jobs
from marketplace.jobs import TASKS


def test_abandoned_uploads_are_looked_for_every_hour():
    known = TASKS["documents.remove_abandoned"]

    assert known.handler is jobs.remove_abandoned
    assert known.cron == "43 * * * *"


def test_the_job_uses_the_store_of_the_application(empty_app):
    with empty_app.app_context():
        jobs.remove_abandoned()
