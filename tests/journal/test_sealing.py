"""Sealing on a real PostgreSQL: the server connects as the application does, tampering is done by the tables' owner."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from marketplace.actors import Permission, system
from marketplace.clock import now
from marketplace.config import _driver
from marketplace.database import db
from marketplace.embedded import create_database, drop_database, running, with_database
from marketplace.journal import verifier
from marketplace.journal.checkpoints import Checkpoint, key_name, make_key, open_note, sign
from marketplace.journal.merkle import leaf_hash, root
from marketplace.journal.models import Checkpoint as CheckpointRow
from marketplace.journal.models import Fact, Seal
from marketplace.journal.sealing import (
    UNSEALED_SECONDS,
    JournalBroken,
    Notary,
    Sealer,
    UnsealedWatch,
    export,
    make_checkpoint,
    seal_pending,
)
from marketplace.migrations.rights import grant_rights
from marketplace.unit_of_work import INSERT_FACT, RecordedFact, fact_row, transaction
from marketplace.values import uuid7

SIGNER, VKEY = make_key("pingliang.example/journal")
TABLES = [Fact.__table__, Seal.__table__, CheckpointRow.__table__]


@pytest.fixture(scope="module")
def servers():
    """(owner URL, application URL) of a running server."""
    if "DATABASE_OWNER_URL" in os.environ:
        yield os.environ["DATABASE_OWNER_URL"], os.environ["DATABASE_URL"]
    else:
        with running() as server:
            yield server.owner_url, server.app_url


@pytest.fixture(scope="module")
def template(servers):
    owner_url, app_url = servers
    name = f"sealing_template_{os.getpid()}"
    url = create_database(owner_url, name)
    engine = sa.create_engine(_driver(url), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        db.metadata.create_all(connection, tables=TABLES)
        grant_rights(connection, sa.make_url(app_url).username)
    yield name
    drop_database(owner_url, name)


@pytest.fixture
def owner_url(servers, template):
    name = f"sealing_{os.getpid()}"
    yield create_database(servers[0], name, template)
    drop_database(servers[0], name)


@pytest.fixture
def app(servers, owner_url):
    name = sa.make_url(owner_url).database
    app = Flask("sealing")
    app.config["SQLALCHEMY_DATABASE_URI"] = _driver(with_database(servers[1], name))
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 12}
    db.init_app(app)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def _record(count, subject=None):
    for n in range(count):
        with transaction(system(), Permission.SYSTEM) as tx:
            tx.record("lot.weighed", "lot", subject or uuid7(), weight_g=n, place="静宁")


def _insert(connection, recorded_at=None, fact_id=None):
    fact = RecordedFact(
        fact_id or uuid7(), "lot.weighed", recorded_at or now(), "lot", uuid7(), (), {"weight_g": 1}
    )
    connection.execute(INSERT_FACT, fact_row(fact, system()))
    return fact.id


def _rows(statement):
    with Session(db.engine) as session:
        return [tuple(row) for row in session.execute(sa.text(statement))]


def _sealed():
    return [UUID(str(row[0])) for row in _rows("select fact_id from seal order by seq")]


def _signed_journal(tmp_path, sizes=(10, 20, 30)):
    """A journal with checkpoints at these sizes, which the office also keeps: (folder of its copies)."""
    known = tmp_path / "known"
    known.mkdir()
    sealed = 0
    for size in sizes:
        _record(size - sealed)
        sealed += seal_pending()
        (known / f"{size}.txt").write_bytes(make_checkpoint(SIGNER).encode())
    assert sealed == sizes[-1]
    return known


def _verify(tmp_path, known):
    """Findings of the verifier, run apart, on a fresh export with the office's own checkpoints."""
    folder = tmp_path / "export"
    with Session(db.engine) as session:
        export(folder, session)
    done = subprocess.run(
        [sys.executable, "-I", verifier.__file__, str(folder), "--key", VKEY, "--known", str(known)],
        capture_output=True,
        encoding="utf-8",
        timeout=200,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == (0 if done.stdout.startswith("ok: ") else 1)
    return [line.split(": ")[0] for line in done.stdout.splitlines()]


def _as_owner(url, *statements):
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("fact", "seal", "checkpoint"):
            connection.execute(f"alter table {table} disable trigger user")
        connection.execute("alter table seal drop constraint if exists fk_seal_fact_id_fact")
        connection.execute("alter table seal drop constraint if exists fk_seal_fact_id")
        for statement in statements:
            connection.execute(statement)


def test_committed_facts_are_sealed_gap_free_with_the_hash_of_their_text(app):
    _record(5)

    assert seal_pending() == 5
    assert seal_pending() == 0

    rows = _rows(
        "select s.seq, s.leaf_hash, f.body from seal s join fact f on f.id = s.fact_id order by s.seq"
    )
    assert [seq for seq, _, _ in rows] == [1, 2, 3, 4, 5]
    assert [bytes(leaf) for _, leaf, _ in rows] == [leaf_hash(seq, body) for seq, _, body in rows]


def test_a_fact_recorded_first_and_committed_last_is_sealed_after_the_others(app):
    sealer = Sealer()
    with db.engine.connect() as slow, slow.begin():
        first = _insert(slow)
        with db.engine.begin() as quick:
            second = _insert(quick)
        assert sealer.seal_pending() == 1
        assert sealer.seal_pending() == 0
        with db.engine.begin() as quick:
            third = _insert(quick)
        assert sealer.seal_pending() == 1

    assert sealer.seal_pending() == 1
    assert _sealed() == [second, third, first]


def test_a_transaction_that_began_long_before_it_recorded_is_not_skipped(app):
    sealer = Sealer()
    with db.engine.connect() as slow, slow.begin():
        slow.execute(sa.text("select pg_current_xact_id()"))
        with db.engine.begin() as quick:
            first = _insert(quick)
        assert [sealer.seal_pending(), sealer.seal_pending()] == [1, 0]
        second = _insert(slow)

    assert sealer.seal_pending() == 1
    assert _sealed() == [first, second]


def test_a_rolled_back_fact_leaves_no_gap(app):
    with db.engine.connect() as undone, undone.begin() as act:
        _insert(undone)
        act.rollback()
    _record(2)

    assert seal_pending() == 2
    assert _rows("select seq from seal order by seq") == [(1,), (2,)]


def test_the_number_decides_the_order_not_the_id(app):
    made_first, made_second = uuid7(), uuid7()
    with db.engine.begin() as connection:
        _insert(connection, fact_id=made_second)
        _insert(connection, fact_id=made_first)

    assert seal_pending() == 2
    assert _sealed() == [made_second, made_first]


def test_more_facts_than_a_batch_are_sealed_in_one_call_in_the_order_of_their_numbers(app):
    _record(10)

    assert Sealer(batch=3).seal_pending() == 10
    assert _rows("select f.number from seal s join fact f on f.id = s.fact_id order by s.seq") == _rows(
        "select number from fact order by number"
    )


def test_a_batch_that_is_exactly_full_is_not_taken_for_the_end(app):
    sealer = Sealer(batch=2)
    _record(4)

    assert sealer.seal_pending() == 4
    _record(1)
    assert sealer.seal_pending() == 1


def test_a_second_sealer_leaves_the_work_to_the_first(app):
    _record(3)
    with db.engine.connect() as other, other.begin():
        other.execute(sa.text("select pg_advisory_xact_lock(hashtextextended('journal.sealer', 0))"))
        assert seal_pending() == 0
        assert _sealed() == []

    assert seal_pending() == 3


def test_a_sealer_whose_last_seals_were_lost_in_a_restore_seals_those_facts_again(app, owner_url):
    sealer = Sealer()
    _record(5)
    assert sealer.seal_pending() == 5
    assert sealer.seal_pending() == 0
    _as_owner(owner_url, "delete from seal where seq > 3")

    assert sealer.seal_pending() == 2
    assert _rows("select count(*), max(seq) from seal") == [(5, 5)]


def test_eight_writers_and_two_sealers_make_one_gap_free_chain_in_order_per_subject(app, tmp_path):
    subjects = [uuid7() for _ in range(8)]
    writing = threading.Event()
    writing.set()
    counts, failures = [], []

    def guarded(work, *arguments):
        try:
            with app.app_context():
                work(*arguments)
        except BaseException as error:
            failures.append(error)
            raise

    def seal_while_writing():
        sealer, count = Sealer(batch=50), 0
        while writing.is_set():
            count += sealer.seal_pending()
        counts.append(count)

    writers = [threading.Thread(target=guarded, args=(_record, 200, subject)) for subject in subjects]
    sealers = [threading.Thread(target=guarded, args=(seal_while_writing,)) for _ in range(2)]
    for thread in (*writers, *sealers):
        thread.start()
    for thread in writers:
        thread.join()
    writing.clear()
    for thread in sealers:
        thread.join()
    rest = seal_pending()

    assert failures == []
    assert sum(counts) + rest == 1600
    assert _rows("select count(*), min(seq), max(seq), count(distinct fact_id) from seal") == [
        (1600, 1, 1600, 1600)
    ]
    by_subject = {subject: [] for subject in subjects}
    for subject, weight in _rows(
        "select f.subject_id, (f.body::json->'data'->>'weight_g')::int"
        " from seal s join fact f on f.id = s.fact_id order by s.seq"
    ):
        by_subject[subject].append(weight)
    assert all(weights == list(range(200)) for weights in by_subject.values())
    known = tmp_path / "known"
    known.mkdir()
    (known / "1.txt").write_bytes(make_checkpoint(SIGNER).encode())
    assert _verify(tmp_path, known) == ["ok"]


def test_the_age_of_the_oldest_unsealed_fact_is_measured(app):
    watch, sealer = UnsealedWatch(), Sealer()
    with Session(db.engine) as session, session.begin():
        assert watch.measure(session) == 0
    with db.engine.begin() as connection:
        _insert(connection, now() - timedelta(seconds=90))
        _insert(connection)

    with Session(db.engine) as session:
        assert 90 <= watch.measure(session) < 300
        assert 90 <= UNSEALED_SECONDS.collect()[0].samples[0].value < 300
        session.rollback()
        assert sealer.seal_pending() == 2
        assert watch.measure(session) == 0
        assert UNSEALED_SECONDS.collect()[0].samples[0].value == 0


def test_a_fact_that_stays_unsealed_keeps_the_alarm_up(app):
    watch = UnsealedWatch()
    with db.engine.begin() as connection:
        _insert(connection, now() - timedelta(seconds=90))

    for _ in range(3):
        with Session(db.engine) as session:
            assert 90 <= watch.measure(session) < 300


def test_a_checkpoint_states_size_and_root_of_the_sealed_facts(app):
    _record(7)
    seal_pending()
    _record(1)

    note = make_checkpoint(SIGNER)

    stated = open_note(note, VKEY)
    leaves = [bytes(leaf) for (leaf,) in _rows("select leaf_hash from seal order by seq")]
    assert (stated.size, stated.root) == (7, root(leaves))
    assert _rows("select tree_size, root, made_at, note from checkpoint") == [
        (7, stated.root, stated.time, note)
    ]


def test_nothing_sealed_gives_no_checkpoint_and_nothing_new_gives_the_last_one(app):
    notary = Notary(SIGNER)

    assert notary.make_checkpoint() is None
    _record(2)
    seal_pending()
    note = notary.make_checkpoint()
    assert notary.make_checkpoint() == make_checkpoint(SIGNER) == note
    assert _rows("select count(*) from checkpoint") == [(1,)]


def test_a_notary_that_goes_on_signs_what_one_that_starts_anew_would(app):
    notary = Notary(SIGNER)
    for _ in range(3):
        _record(3)
        seal_pending()
        notary.make_checkpoint()

    stated = open_note(make_checkpoint(SIGNER), VKEY)

    leaves = [bytes(leaf) for (leaf,) in _rows("select leaf_hash from seal order by seq")]
    assert (stated.size, stated.root) == (9, root(leaves))


def test_a_notary_that_goes_on_reads_only_what_came_since_its_last_checkpoint(app):
    """However many checkpoints there are: the newest note, and the seals after it."""
    notary = Notary(SIGNER)
    for _ in range(5):
        _record(3)
        seal_pending()
        notary.make_checkpoint()
    _record(2)
    seal_pending()
    read = []

    @sa.event.listens_for(db.engine, "after_cursor_execute")
    def note_reading(connection, cursor, statement, parameters, context, executemany):
        if "from checkpoint" in statement:
            read.append(("checkpoint", cursor.rowcount))
        elif "from seal where seq >" in statement:
            read.append(("seals after", parameters["after"]))

    notary.make_checkpoint()
    notary.make_checkpoint()

    assert read == [("checkpoint", 1), ("seals after", 15), ("checkpoint", 1), ("seals after", 17)]
    assert _rows("select tree_size from checkpoint order by 1") == [(3,), (6,), (9,), (12,), (15,), (17,)]


def test_a_notary_that_goes_on_signs_nothing_when_its_last_checkpoint_was_replaced(app, owner_url):
    notary = Notary(SIGNER)
    _record(4)
    seal_pending()
    notary.make_checkpoint()
    forged = Checkpoint(key_name(SIGNER), 4, bytes(32), now())
    _as_owner(owner_url, "delete from checkpoint")
    with Session(db.engine) as session, session.begin():
        session.add(CheckpointRow(tree_size=4, root=bytes(32), made_at=now(), note=sign(forged, SIGNER)))

    with pytest.raises(JournalBroken, match="root of checkpoint 4"):
        notary.make_checkpoint()


def test_a_clock_that_was_set_back_does_not_make_a_later_checkpoint_look_earlier(app):
    _record(2)
    seal_pending()
    future = datetime(2999, 1, 1, tzinfo=UTC)
    tree = root(bytes(leaf) for (leaf,) in _rows("select leaf_hash from seal order by seq"))
    note = sign(Checkpoint(key_name(SIGNER), 2, tree, future), SIGNER)
    with Session(db.engine) as session, session.begin():
        session.add(CheckpointRow(tree_size=2, root=tree, made_at=future, note=note))
    _record(1)
    seal_pending()

    assert open_note(make_checkpoint(SIGNER), VKEY).time == future + timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("update seal set leaf_hash = decode(repeat('00', 32), 'hex') where seq = 2", "root of checkpoint 4"),
        ("delete from seal where seq = 2", "seal 2 is missing"),
        ("delete from seal where seq > 3", "3 seals, but checkpoint 4 was signed"),
        ("update checkpoint set root = decode(repeat('00', 32), 'hex')", "columns differ"),
        (
            "update checkpoint set note = translate(note, 'ABCDEFGHIJKLMNOP', 'BCDEFGHIJKLMNOPA')",
            "none of the known keys",
        ),
    ],
)
def test_nothing_is_signed_over_a_damaged_journal(app, owner_url, damage, message):
    _record(4)
    seal_pending()
    make_checkpoint(SIGNER)
    _as_owner(owner_url, damage)
    _record(1)
    if "seq > 3" not in damage:
        seal_pending()
    before = _rows("select tree_size from checkpoint")

    with pytest.raises(JournalBroken, match=message):
        make_checkpoint(SIGNER)

    assert _rows("select tree_size from checkpoint") == before


def test_a_notary_that_saw_a_seal_signs_nothing_when_it_is_replaced(app, owner_url):
    notary = Notary(SIGNER)
    _record(4)
    seal_pending()
    notary.make_checkpoint()
    _as_owner(owner_url, "delete from checkpoint", "delete from seal where seq > 2")
    assert _rows("select count(*) from checkpoint") == [(0,)]

    with pytest.raises(JournalBroken, match="seal 4 is not the one"):
        notary.make_checkpoint()

    assert _rows("select count(*) from checkpoint") == [(0,)]


def test_after_a_change_of_key_the_earlier_key_still_vouches(app):
    _record(2)
    seal_pending()
    make_checkpoint(SIGNER)
    _record(1)
    seal_pending()
    signer, vkey = make_key("pingliang.example/journal")

    with pytest.raises(JournalBroken, match="none of the known keys"):
        make_checkpoint(signer)
    note = Notary(signer, earlier_vkeys=(VKEY,)).make_checkpoint()

    assert open_note(note, vkey).size == 3


def test_an_export_over_an_older_one_is_refused(app, tmp_path):
    _record(1)
    seal_pending()
    with Session(db.engine) as session:
        assert export(tmp_path / "export", session) == 1
        with pytest.raises(FileExistsError):
            export(tmp_path / "export", session)


def test_an_honest_journal_passes_the_verifier(app, tmp_path):
    known = _signed_journal(tmp_path)
    _record(3)
    seal_pending()

    assert _verify(tmp_path, known) == ["ok"]


TAMPERINGS = {
    "edit a text": (
        [
            "update fact set body = replace(body, '静宁', '天津') where id = (select fact_id from seal where seq = 17)"
        ],
        ["changed-content seq 17"],
    ),
    "edit a text and its seal": (
        [
            "update fact set body = replace(body, '静宁', '天津') where id = (select fact_id from seal where seq = 17)",
            "update seal set leaf_hash = (select sha256('\\x00'::bytea || int8send(17) || convert_to(body, 'UTF8'))"
            " from fact where id = fact_id) where seq = 17",
        ],
        ["broken-link seq 11-20"],
    ),
    "delete a fact": (
        ["delete from fact where id = (select fact_id from seal where seq = 17)"],
        ["broken-link seq 17"],
    ),
    "delete a fact and its seal": (
        [
            "delete from fact where id = (select fact_id from seal where seq = 17)",
            "delete from seal where seq = 17",
        ],
        ["broken-link seq 17"],
    ),
    "swap two facts": (
        [
            "create temp table pair as select seq, fact_id from seal where seq in (7, 27)",
            "delete from seal where seq in (7, 27)",
            "insert into seal select 34 - p.seq, p.fact_id, sha256('\\x00'::bytea || int8send(34 - p.seq) ||"
            " convert_to(f.body, 'UTF8')) from pair p join fact f on f.id = p.fact_id",
        ],
        ["broken-link seq 1-10"],
    ),
    "swap two texts": (
        [
            "update fact f set body = g.body from fact g, seal s, seal t where f.id = s.fact_id and g.id = t.fact_id"
            " and (s.seq, t.seq) in ((7, 27), (27, 7))",
        ],
        ["changed-content seq 7", "changed-content seq 27"],
    ),
    "insert a fact in the middle": (
        [
            "update seal set seq = seq + 1000 where seq > 16",
            "update seal set seq = seq - 999 where seq > 1000",
            "insert into fact (id, kind, recorded_at, door, subject_type, subject_id, parties, body)"
            " select gen_random_uuid(), kind, recorded_at, door, subject_type, subject_id, parties, body || ' '"
            " from fact order by number limit 1",
            "insert into seal select 17, id, sha256('\\x00') from fact order by number desc limit 1",
            "update seal set leaf_hash = (select sha256('\\x00'::bytea || int8send(seq) || convert_to(body, 'UTF8'))"
            " from fact where id = fact_id) where seq > 16",
        ],
        ["broken-link seq 11-20"],
    ),
    "cut the tail": (
        [
            "delete from fact where id in (select fact_id from seal where seq > 25)",
            "delete from seal where seq > 25",
        ],
        ["missing-tail seq 26-30"],
    ),
    "roll the database back": (
        [
            "delete from checkpoint where tree_size > 20",
            "delete from fact where id in (select fact_id from seal where seq > 25)",
            "delete from seal where seq > 25",
        ],
        ["rollback seq 26-30"],
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_the_owner_of_the_tables_changes_is_found_and_placed(app, owner_url, tmp_path, name):
    statements, expected = TAMPERINGS[name]
    known = _signed_journal(tmp_path)
    _as_owner(owner_url, *statements)

    assert _verify(tmp_path, known) == [*expected, "found"]


def test_a_journal_rolled_back_and_grown_again_with_the_stolen_key_contradicts_the_office(
    app, owner_url, tmp_path
):
    known = _signed_journal(tmp_path)
    _as_owner(
        owner_url,
        "delete from checkpoint where tree_size > 20",
        "delete from fact where id in (select fact_id from seal where seq > 25)",
        "delete from seal where seq > 25",
    )
    _record(15)
    seal_pending()
    make_checkpoint(SIGNER)

    assert _verify(tmp_path, known) == ["rollback", "found"]


@pytest.mark.parametrize("table", ["fact", "seal", "checkpoint"])
@pytest.mark.parametrize(
    "statement",
    [
        "update {} set {} = {}",
        "delete from {}",
        "truncate {} cascade",
        "alter table {} disable trigger user",
        "drop table {} cascade",
    ],
)
def test_the_application_role_changes_nothing_that_is_written(app, table, statement):
    _record(1)
    seal_pending()
    make_checkpoint(SIGNER)
    column = {"fact": "body", "seal": "leaf_hash", "checkpoint": "note"}[table]
    before = _rows(f"table {table}")

    with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"):
        _rows(statement.format(table, column, column))

    assert _rows(f"table {table}") == before
    assert len(before) == 1
