"""Who reads which facts, and that proofs hold against what was signed."""

from hashlib import sha256

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from marketplace.actors import Door, Role, anonymous, system
from marketplace.database import db
from marketplace.errors import NotFound, Unauthenticated
from marketplace.journal import queries
from marketplace.journal.checkpoints import make_key
from marketplace.journal.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from marketplace.journal.proofs import BLOCK, BlockRoots
from marketplace.journal.sealing import Notary, seal_pending
from marketplace.values import uuid7

from .facts import county_reader, reader, record

SIGNER, VKEY = make_key("pingliang.example")
CANARY = "canary-7f3a"


@pytest.fixture
def context(empty_app):
    with empty_app.app_context():
        yield empty_app


@pytest.fixture
def owner(empty_app):
    url = empty_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def notary():
    return Notary(SIGNER)


def pages(actor, limit):
    after, found = 0, []
    while after is not None:
        page = queries.events(db.session(), actor, after=after, limit=limit)
        found += page["items"]
        after = page["next"]
    return found


def test_a_reader_pages_through_its_facts_in_seal_order(context):
    mine = uuid7()
    subjects = [record("order.cancel_asked", mine, number=f"CG-{n}") for n in range(5)]
    seal_pending()

    found = pages(reader(Role.SELLER, mine), limit=2)

    assert [each["subject"] for each in found] == [{"type": "test", "id": str(each)} for each in subjects]
    assert [each["data"]["number"] for each in found] == [f"CG-{n}" for n in range(5)]
    seqs = [each["seq"] for each in found]
    assert seqs == sorted(set(seqs))
    assert set(found[0]) == {"seq", "id", "kind", "recorded_at", "subject", "data"}


def test_a_fact_that_is_not_sealed_yet_is_not_in_the_feed(context):
    mine = uuid7()
    record("order.cancel_asked", mine)

    assert pages(reader(Role.SELLER, mine), limit=10) == []


def test_nothing_of_other_organisations_is_shown(context):
    mine, other = uuid7(), uuid7()
    own = record("order.cancel_asked", mine, number="own")
    record("order.cancel_asked", other, number=CANARY)
    record("order.cancel_asked", number=CANARY)
    record("lot.added", other, number=CANARY)
    seal_pending()

    for role in (Role.SELLER, Role.BUYER, Role.MANAGER, Role.PLATFORM_ADMIN, Role.CHANNEL_PARTNER):
        found = pages(reader(role, mine), limit=2)

        assert [each["subject"]["id"] for each in found] == [str(own)]
        assert CANARY not in str(found)


def test_a_managing_unit_reads_the_facts_of_its_subordinates(context):
    above, below = uuid7(), uuid7()
    subject = record("purchase.approved", below)
    seal_pending()

    found = pages(reader(Role.MANAGER, above, frozenset({below})), limit=10)

    assert [each["subject"]["id"] for each in found] == [str(subject)]


@pytest.mark.parametrize("role", [Role.POVERTY_OFFICE, Role.FINANCE_REVIEWER])
def test_the_offices_read_every_fact(context, role):
    other = uuid7()
    subject = record("order.cancel_asked", other)
    seal_pending()

    found = pages(reader(role, uuid7()), limit=100)

    assert str(subject) in [each["subject"]["id"] for each in found]


def test_the_market_regulator_reads_of_others_only_what_concerns_lots(context):
    own, other = uuid7(), uuid7()
    lot, order, inspection = (
        record(kind, party)
        for kind, party in (("lot.held", other), ("order.cancel_asked", other), ("inspection.added", own))
    )
    seal_pending()

    found = pages(reader(Role.MARKET_REGULATOR, own), limit=100)

    subjects = {each["subject"]["id"] for each in found}
    assert {str(lot), str(inspection)} <= subjects
    assert str(order) not in subjects
    assert {each["kind"].split(".")[0] for each in found} == {"lot", "inspection"}


@pytest.mark.parametrize("role", [Role.POVERTY_OFFICE, Role.FINANCE_REVIEWER])
def test_an_office_of_a_county_reads_what_concerns_the_county_and_the_rules_of_all(context, role):
    office, near, far = uuid7(), uuid7(), uuid7()
    own, here, rule, common = (
        record("document.stored", office), record("order.cancel_asked", far, near), record("policy.set"),
        record("period.closed"),
    )  # fmt: skip
    record("order.cancel_asked", far, number=CANARY)
    record("partner_key.created", far, number=CANARY)
    record("gateway_event.set_aside", number=CANARY)
    seal_pending()
    county = county_reader(role, office, frozenset({near}))

    found = pages(county, limit=2)

    subjects = [each["subject"]["id"] for each in found]
    assert [str(each) for each in (own, here, rule, common)] == [
        s for s in subjects if s in map(str, (own, here, rule, common))
    ]
    assert CANARY not in str(found)
    far_seq = next(e["seq"] for e in pages(reader(role, office), 100) if CANARY in str(e))
    for ask in (queries.proof, queries.sealed):
        with pytest.raises(NotFound):
            ask(db.session(), county, far_seq)


def test_the_regulator_of_a_county_reads_of_its_lots_alone(context):
    office, near, far = uuid7(), uuid7(), uuid7()
    here = record("lot.held", near)
    record("lot.held", far, number=CANARY)
    record("order.cancel_asked", near, number=CANARY)
    seal_pending()

    found = pages(county_reader(Role.MARKET_REGULATOR, office, frozenset({near})), limit=100)

    assert [each["subject"]["id"] for each in found] == [str(here)]


@pytest.mark.parametrize("role", [Role.SETTLEMENT_CLERK, Role.PLATFORM_ADMIN])
def test_the_other_offices_of_a_county_read_what_they_take_part_in(context, role):
    office, near = uuid7(), uuid7()
    own = record("document.stored", office)
    record("order.cancel_asked", near, number=CANARY)
    seal_pending()

    found = pages(county_reader(role, office, frozenset({near})), limit=100)

    assert [each["subject"]["id"] for each in found] == [str(own)]


def test_a_stranger_reads_no_fact(context):
    with pytest.raises(Unauthenticated):
        queries.events(db.session(), anonymous())


def test_a_proof_holds_against_the_newest_checkpoint(context, notary):
    mine = uuid7()
    for _ in range(4):
        record("order.cancel_asked", mine)
    seal_pending()
    notary.make_checkpoint()

    for event in pages(reader(Role.SELLER, mine), limit=10):
        proof = queries.proof(db.session(), reader(Role.SELLER, mine), event["seq"])

        leaf = leaf_hash(event["seq"], proof["text"])
        assert proof["leaf_hash"] == leaf.hex()
        path = [bytes.fromhex(each) for each in proof["path"]]
        top = bytes.fromhex(proof["root"])
        assert verify_inclusion(leaf, event["seq"] - 1, proof["tree_size"], path, top)
        assert proof["checkpoint"].split("\n")[1] == str(proof["tree_size"])


def test_a_fact_without_a_checkpoint_above_it_is_not_signed_yet(context, notary):
    mine = uuid7()
    record("order.cancel_asked", mine)
    seal_pending()
    [event] = pages(reader(Role.SELLER, mine), limit=10)

    with pytest.raises(queries.NotSignedYet) as refused:
        queries.proof(db.session(), reader(Role.SELLER, mine), event["seq"])

    assert refused.value.code == "not-signed-yet"
    notary.make_checkpoint()
    assert queries.proof(db.session(), reader(Role.SELLER, mine), event["seq"])["seq"] == event["seq"]


def test_the_proof_of_anothers_fact_is_not_found_as_an_absent_one(context, notary):
    other = uuid7()
    record("order.cancel_asked", other, number=CANARY)
    seal_pending()
    notary.make_checkpoint()
    [event] = pages(reader(Role.SELLER, other), limit=10)

    for seq in (event["seq"], event["seq"] + 1_000):
        with pytest.raises(NotFound) as refused:
            queries.proof(db.session(), reader(Role.SELLER, uuid7()), seq)
        assert refused.value.data == {}


def test_a_size_that_nobody_signed_is_not_found(context, notary):
    mine = uuid7()
    record("order.cancel_asked", mine)
    record("order.cancel_asked", mine)
    seal_pending()
    notary.make_checkpoint()
    signed = queries.checkpoints(db.session())["items"][0]["tree_size"]

    with pytest.raises(NotFound):
        queries.proof(db.session(), reader(Role.SELLER, mine), signed, size=signed - 1)
    with pytest.raises(NotFound):
        queries.consistency(db.session(), signed - 1, signed)
    with pytest.raises(NotFound):
        queries.consistency(db.session(), signed, signed + 1)


def test_a_later_checkpoint_is_proved_to_continue_an_earlier_one(context, notary):
    for _ in range(2):
        record("order.cancel_asked", uuid7())
        seal_pending()
        notary.make_checkpoint()
    newer, older = queries.checkpoints(db.session())["items"][:2]

    proof = queries.consistency(db.session(), older["tree_size"], newer["tree_size"])

    assert (proof["from_root"], proof["to_root"]) == (older["root"], newer["root"])
    assert verify_consistency(
        older["tree_size"],
        newer["tree_size"],
        bytes.fromhex(older["root"]),
        bytes.fromhex(newer["root"]),
        [bytes.fromhex(each) for each in proof["path"]],
    )


def sealed_leaves(size):
    """Seal rows until there are `size`; their leaf hashes in order."""
    seal_pending()
    have = db.session().execute(sa.text("select count(*) from seal")).scalar_one()
    with db.engine.begin() as connection:
        connection.execute(
            sa.text(
                "insert into fact (id, kind, recorded_at, door, subject_type, subject_id, parties, body)"
                " select gen_random_uuid(), 'test', now(), 'job', 'test', gen_random_uuid(), '{}', n::text"
                " from generate_series(1, :count) n"
            ),
            {"count": max(0, size - have)},
        )
    seal_pending()
    leaves = db.session().execute(sa.text("select leaf_hash from seal order by seq limit :n"), {"n": size})
    return [bytes(each) for each in leaves.scalars()]


def test_proofs_over_more_than_one_block_are_those_of_the_whole_tree(context):
    size = 2 * BLOCK + 77
    leaves = sealed_leaves(size)
    blocks, session = BlockRoots(), db.session()

    for at in (0, 1, BLOCK - 1, BLOCK, 2 * BLOCK, size - 1):
        assert blocks.inclusion(session, at, size) == inclusion_proof(leaves, at, size)
    for old in (1, BLOCK - 1, BLOCK, BLOCK + 1, size - 1):
        assert blocks.consistency(session, old, size) == consistency_proof(leaves, old, size)


def test_remembered_blocks_of_another_history_are_dropped(context):
    size = BLOCK + 5
    leaves = sealed_leaves(size)
    blocks = BlockRoots()
    blocks._tree.append(sha256(b"another").digest())
    blocks._last_leaf = sha256(b"another leaf").digest()

    assert blocks.inclusion(db.session(), size - 1, size) == inclusion_proof(leaves, size - 1, size)


def test_the_system_reads_every_fact(context):
    subject = record("user.added", name_given=True)
    seal_pending()
    last = db.session().execute(sa.text("select max(seq) from seal")).scalar_one()

    page = queries.events(db.session(), system(), after=last - 1)

    assert [each["subject"]["id"] for each in page["items"]] == [str(subject)]
    assert page["next"] is None


def test_a_rare_kind_is_found_without_reading_the_journal(context, owner):
    db.session.rollback()
    with owner.transaction(force_rollback=True):
        owner.execute(
            "insert into fact (id, kind, recorded_at, door, subject_type, subject_id, parties, body)"
            " select gen_random_uuid(), 'order.shipped', now(), 'api', 'order', gen_random_uuid(), '{}', '{}'"
            " from generate_series(1, 20000)"
        )
        owner.execute(
            "insert into seal (seq, fact_id, leaf_hash) select (select coalesce(max(seq), 0) from seal) + row_number()"
            " over (order by number), id, sha256('') from fact where id not in (select fact_id from seal)"
        )
        owner.execute("analyze fact, seal")
        asked = queries.newest_statement(system(Door.JOB), kind="period.closed").limit(51)
        text = str(asked.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
        plan = "\n".join(row[0] for row in owner.execute(f"explain {text}").fetchall())

    assert "ix_fact_kind" in plan, plan
    assert "Seq Scan on fact" not in plan
