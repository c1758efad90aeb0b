"""What a worker leaves behind when it is killed, or asked to stop in the middle of a job."""

import signal

from marketplace.values import uuid7

from .conftest import wait_for

# Seconds after which a worker counts as dead here.
STALLED = 2


def test_the_job_of_a_killed_worker_is_retried_and_has_one_effect(house):
    first = house.start(STALLED)
    subject, mark = uuid7(), house.folder / "killed"
    house.defer("test.slow_at_first", subject=str(subject), mark=str(mark))
    wait_for(mark.exists, first)

    first.end(signal.SIGKILL)
    assert house.noted(subject) == 0
    second = house.start(STALLED)
    wait_for(lambda: house.noted(subject), second)

    wait_for(
        lambda: (
            house.value(
                "select attempts from procrastinate_jobs where args->>'subject' = %s and status = 'succeeded'",
                [str(subject)],
            )
            == 2
        ),
        second,
    )
    assert house.noted(subject) == 1
    assert "lost its worker; it is todo now" in second.said()
    assert second.end()[0] == 0


def test_a_worker_that_is_asked_to_stop_in_a_long_job_ends_in_time_and_the_job_is_retried(house):
    first = house.start(STALLED)
    subject, mark = uuid7(), house.folder / "stopped"
    house.defer("test.slow_at_first", subject=str(subject), mark=str(mark))
    wait_for(mark.exists, first)

    code, seconds = first.end()

    assert code == 0
    # Much less than the job would have taken.
    assert seconds < 12
    assert "Traceback" not in first.said()
    assert house.noted(subject) == 0
    second = house.start(STALLED)
    wait_for(lambda: house.noted(subject) == 1, second)
    assert second.end()[0] == 0
