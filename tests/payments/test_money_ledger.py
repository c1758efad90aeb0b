"""The money ledger: which accounts each fact moves, that an entry adds up, and that nobody rewrites it."""

import psycopg
import pytest
import sqlalchemy as sa

from marketplace.database import db
from marketplace.payments import service
from marketplace.payments.models import MoneyEntry, MoneyPosting
from marketplace.payments.money_ledger import MONEY_FACTS, Account, Posting, postings_of
from tests.payments.factory import facts, rows
from tests.payments.test_payments import declared


def told(kind, **data):
    return postings_of(kind, data, buyer="b", seller="s")


def test_a_transfer_goes_from_the_buyer_to_the_sellers_bank():
    for kind in ("payment.confirmed", "payment.upheld"):
        assert told(kind, amount_fen=500) == [
            Posting(Account.BANK, "s", 500),
            Posting(Account.PAID, "b", -500),
        ]


def test_a_captured_payment_stands_at_the_gateway_and_what_was_not_owed_is_due_back():
    assert told("payment.captured", amount_fen=500, booked=True) == [
        Posting(Account.GATEWAY, "s", 500),
        Posting(Account.PAID, "b", -500),
    ]
    assert told("payment.captured", amount_fen=500, booked=False) == [
        Posting(Account.GATEWAY, "s", 500),
        Posting(Account.DUE_BACK, "b", -500),
    ]


def test_a_refund_goes_back_the_way_it_came():
    for booked in (True, False):
        captured = told("payment.captured", amount_fen=500, booked=booked)
        refunded = told("payment.refunded", amount_fen=500, booked=booked)
        assert [(p.account, p.organisation, -p.amount_fen) for p in captured] == [
            (p.account, p.organisation, p.amount_fen) for p in refunded
        ]


def test_a_payout_is_what_the_gateway_held_less_its_fee():
    assert told("payment.settled", amount_fen=500, fee_fen=3) == [
        Posting(Account.GATEWAY, "s", -500),
        Posting(Account.BANK, "s", 497),
        Posting(Account.FEE, "s", 3),
    ]
    assert len(told("payment.settled", amount_fen=500, fee_fen=0)) == 2


def test_every_entry_adds_up_and_other_facts_move_nothing():
    for kind in MONEY_FACTS:
        for booked in (True, False):
            assert sum(p.amount_fen for p in told(kind, amount_fen=7, fee_fen=2, booked=booked)) == 0
    with pytest.raises(ValueError, match="moves no money"):
        told("payment.opened", amount_fen=1)


def test_a_confirmed_transfer_is_posted_with_its_fact(world):
    payment = declared(world, world.order([(4500, 10)]))
    service.confirm_payment(world.actor("seller"), payment["id"])
    fact = facts(payment["id"])[-1]
    assert fact["kind"] == "payment.confirmed"
    entry = rows(
        sa.select(MoneyEntry.kind, sa.cast(MoneyEntry.fact_id, sa.Text)).where(
            MoneyEntry.payment_id == payment["id"]
        )
    )
    assert entry == [("payment.confirmed", fact["id"])]
    posted = rows(
        sa.select(MoneyPosting.account, MoneyPosting.organisation_id, MoneyPosting.amount_fen)
        .where(sa.cast(MoneyPosting.fact_id, sa.Text) == fact["id"])
        .order_by(MoneyPosting.amount_fen)
    )
    assert posted == [
        (Account.PAID, world.organisations["buyer"], -45_000),
        (Account.BANK, world.organisations["seller"], 45_000),
    ]


@pytest.fixture
def tables_owner(empty_app):
    with psycopg.connect(empty_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as connection:
        yield connection
        connection.rollback()


def entry_of(world, connection):
    payment = declared(world, world.order([(4500, 10)]))
    service.confirm_payment(world.actor("seller"), payment["id"])
    return payment["id"], world.organisations["buyer"]


def test_an_entry_that_does_not_add_up_is_refused_at_commit(world, tables_owner):
    payment, buyer = entry_of(world, tables_owner)
    fact = tables_owner.execute(
        "insert into money_entry values (gen_random_uuid(), 'payment.confirmed', %s, current_date, now())"
        " returning fact_id",
        [payment],
    ).fetchone()[0]
    tables_owner.execute("insert into money_posting values (%s, 'paid', %s, -5)", [fact, buyer])
    with pytest.raises(psycopg.errors.CheckViolation, match="add up to -5"):
        tables_owner.commit()
    assert rows(sa.select(sa.func.count()).where(MoneyEntry.fact_id == fact)) == [(0,)]


def test_an_entry_without_postings_is_refused_at_commit(world, tables_owner):
    payment, _ = entry_of(world, tables_owner)
    tables_owner.execute(
        "insert into money_entry values (gen_random_uuid(), 'payment.confirmed', %s, current_date, now())",
        [payment],
    )
    with pytest.raises(psycopg.errors.CheckViolation):
        tables_owner.commit()


def test_nobody_rewrites_the_ledger(world, tables_owner):
    entry_of(world, tables_owner)
    for statement in (
        "update money_posting set amount_fen = 1",
        "delete from money_entry",
        "truncate money_posting",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            tables_owner.execute(statement)
        tables_owner.rollback()
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), db.engine.begin() as connection:
        connection.execute(sa.update(MoneyPosting).values(amount_fen=1))
