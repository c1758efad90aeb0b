"""One worker that runs through the module; what a worker must get right while nothing breaks."""

import re
import time

import pytest

from marketplace.actors import Permission, system
from marketplace.journal.checkpoints import open_note, verifier_key
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7

from .conftest import wait_for


@pytest.fixture(scope="module")
def worker(house):
    return house.start()


def defer_and_fail(subject):
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.record("test.asked", "test", subject)
        tx.defer("test.note", subject=str(subject))
        tx.write_facts()
        raise ZeroDivisionError


def test_a_job_of_a_committed_transaction_runs_once(house, worker):
    subject = uuid7()

    house.defer("test.note", subject=str(subject))
    wait_for(lambda: house.noted(subject), worker)
    time.sleep(1.2)  # two more polls

    assert house.noted(subject) == 1
    done = house.value(
        "select status::text from procrastinate_jobs where args->>'subject' = %s", [str(subject)]
    )
    assert done == "succeeded"


def test_a_job_of_a_rolled_back_transaction_never_runs(house, worker):
    lost, kept = uuid7(), uuid7()

    with house.app.app_context(), pytest.raises(ZeroDivisionError):
        defer_and_fail(lost)
    house.defer("test.note", subject=str(kept))
    wait_for(lambda: house.noted(kept), worker)

    assert house.noted(lost) == 0
    jobs = house.value("select count(*) from procrastinate_jobs where args->>'subject' = %s", [str(lost)])
    assert jobs == 0


def test_a_facts_seal_and_checkpoint_follow_within_seconds(house, worker):
    subject = house.defer("test.note", subject=str(uuid7()))
    begun = time.monotonic()

    seq = wait_for(
        lambda: house.value(
            "select s.seq from seal s join fact f on f.id = s.fact_id where f.subject_id = %s", [subject]
        ),
        worker,
    )
    sealed_after = time.monotonic() - begun
    row = wait_for(
        lambda: house.connection.execute(
            "select tree_size, note from checkpoint where tree_size >= %s limit 1", [seq]
        ).fetchone(),
        worker,
    )

    assert sealed_after < 30
    path = house.folder / "checkpoints" / f"{row[0]:012}.txt"
    wait_for(path.exists, worker)
    assert path.read_bytes() == row[1].encode()
    key = house.folder / "development-checkpoint-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert open_note(row[1], verifier_key(key.read_text().strip())).size == row[0]


def test_a_defect_parks_the_job_and_is_logged_once_with_its_id(house, worker):
    house.defer("test.defect")
    job = wait_for(
        lambda: house.value(
            "select id from procrastinate_jobs where task_name = 'test.defect' and status = 'failed'"
        ),
        worker,
    )

    listed = house.invoke("jobs", "list-failed")

    assert re.search(rf"^{job}\ttest\.defect\t", listed.output, re.MULTILINE)
    assert worker.said().count(f"job {job} test.defect is parked") == 1
    assert worker.said().count("ValueError: a defect of the handler") == 1


def test_a_parked_job_is_run_again_when_asked(house, worker):
    house.defer("test.defect")
    job = wait_for(
        lambda: house.value("select max(id) from procrastinate_jobs where status = 'failed'"), worker
    )

    answer = house.invoke("jobs", "retry", str(job))
    wait_for(lambda: worker.said().count(f"job {job} test.defect is parked") == 2, worker)

    assert answer.exit_code == 0, answer.output


def test_a_job_that_does_not_exist_is_not_retried(house, worker):
    answer = house.invoke("jobs", "retry", "999999999")

    assert answer.exit_code == 1
    assert "没有任务 999999999" in answer.output


def test_a_job_that_is_not_parked_is_not_retried(house, worker):
    subject = uuid7()
    house.defer("test.note", subject=str(subject))
    job = wait_for(
        lambda: house.value(
            "select id from procrastinate_jobs where args->>'subject' = %s and status = 'succeeded'",
            [str(subject)],
        ),
        worker,
    )

    answer = house.invoke("jobs", "retry", str(job))

    assert answer.exit_code == 1
    assert house.value("select status::text from procrastinate_jobs where id = %s", [job]) == "succeeded"
    assert house.noted(subject) == 1


def test_a_silent_other_side_is_asked_again_later(house, worker):
    house.defer("test.upstream")

    def waiting():
        return house.connection.execute(
            "select j.attempts, extract(epoch from j.scheduled_at - e.at)::float from procrastinate_jobs j"
            " join procrastinate_events e on e.job_id = j.id and e.type = 'deferred_for_retry'"
            " where j.task_name = 'test.upstream' and j.status = 'todo' and j.attempts = 1"
        ).fetchone()

    attempts, seconds = wait_for(waiting, worker)

    assert attempts == 1
    assert 2 < seconds <= 5


def test_two_workers_share_the_jobs_and_no_effect_comes_twice(house, worker):
    second = house.start()
    subjects = [uuid7() for _ in range(30)]

    for subject in subjects:
        house.defer("test.note", subject=str(subject))
    wait_for(
        lambda: (
            house.value(
                "select count(*) from procrastinate_jobs where status in ('todo', 'doing')"
                " and task_name = 'test.note'"
            )
            == 0
        ),
        worker,
    )

    assert [house.noted(subject) for subject in subjects] == [1] * 30
    assert second.end()[0] == 0


def test_an_idle_worker_ends_quickly_and_in_silence(house, worker):
    other = house.start()

    code, seconds = other.end()

    assert code == 0
    assert seconds < 30
    assert "Traceback" not in other.said()
