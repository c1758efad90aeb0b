"""What is forgotten, what is kept, and jobs whose worker is gone."""

from uuid import uuid4

import pytest

from marketplace import upkeep
from marketplace.jobs import MAX_ATTEMPTS, TASKS, retry_stalled, task


def job(house, status, age="0 days", attempts=0, worker=None):
    found = house.value(
        "insert into procrastinate_jobs (queue_name, task_name, status, attempts, worker_id)"
        " values ('kept', 'test.note', %s, %s, %s) returning id",
        [status, attempts, worker],
    )
    house.connection.execute(
        "update procrastinate_events set at = now() - %s::interval where job_id = %s", [age, found]
    )
    if not house.value("select count(*) from procrastinate_events where job_id = %s", [found]):
        house.connection.execute(
            "insert into procrastinate_events (job_id, type, at) values (%s, 'succeeded', now() - %s::interval)",
            [found, age],
        )
    return found


def status(house, found):
    return house.value("select status::text from procrastinate_jobs where id = %s", [found])


def test_finished_jobs_are_removed_after_seven_days_and_parked_ones_stay(house):
    old, new = job(house, "succeeded", "8 days"), job(house, "succeeded", "6 days")
    cancelled, parked, waiting = (job(house, each, "8 days") for each in ("cancelled", "failed", "todo"))

    with house.app.app_context():
        upkeep.forget()

    assert [status(house, each) for each in (old, cancelled)] == [None, None]
    assert [status(house, each) for each in (new, parked, waiting)] == ["succeeded", "failed", "todo"]


def test_answers_and_counters_are_forgotten_after_their_time(house):
    for key, age in (("old", "31 days"), ("new", "29 days")):
        house.connection.execute(
            "insert into idempotency_key (principal_id, key, fingerprint, status, body, headers, created_at)"
            " values (%s, %s, '', 200, '', '{}', now() - %s::interval)",
            [uuid4(), key, age],
        )
    for key, age in (("old", "3 days"), ("new", "1 day")):
        house.connection.execute(
            "insert into throttle (key, window_start, count) values (%s, now() - %s::interval, 1)", [key, age]
        )

    with house.app.app_context():
        upkeep.forget()

    assert house.connection.execute("select key from idempotency_key").fetchall() == [("new",)]
    assert house.connection.execute("select key from throttle").fetchall() == [("new",)]


def test_the_job_of_a_living_worker_is_left_alone(house):
    alive = house.value("insert into procrastinate_workers default values returning id")
    found = job(house, "doing", worker=alive)

    with house.app.app_context():
        freed = retry_stalled(30)

    assert freed == 0
    assert status(house, found) == "doing"
    house.connection.execute("delete from procrastinate_jobs where id = %s", [found])


def test_a_job_that_took_down_worker_after_worker_is_parked(house):
    dead = house.value(
        "insert into procrastinate_workers (last_heartbeat) values (now() - interval '31 seconds') returning id"
    )
    last = job(house, "doing", attempts=MAX_ATTEMPTS - 1, worker=dead)
    earlier = job(house, "doing", attempts=MAX_ATTEMPTS - 2, worker=dead)

    with house.app.app_context():
        freed = retry_stalled(30)

    assert freed == 2
    assert [status(house, each) for each in (last, earlier)] == ["failed", "todo"]


def test_two_functions_cannot_share_a_name():
    with pytest.raises(ValueError, match=r"two tasks are called upkeep\.forget"):
        task("upkeep.forget")(lambda: None)

    assert TASKS["upkeep.forget"].handler is upkeep.forget
