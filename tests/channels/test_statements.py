"""A statement from its issue to its payment: what it charges, disputes of lines, and the ledger to the fen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from marketplace.actors import Door, system
from marketplace.channels import jobs, statements
from marketplace.channels.statement_disputes import answer_dispute, raise_dispute, withdraw_dispute
from marketplace.channels.statement_paying import settle_statement
from marketplace.clock import today
from marketplace.errors import AlreadyThere, Forbidden, MarketplaceError, NotFound, RuleViolation, WrongState
from tests.channels.consigned import LAST_DAY, PERIOD, Shop, open_shop
from tests.channels.partner import channel_actor

CHANNEL = "tianjin.partner"


@pytest.fixture
def shop(fresh_app: Flask) -> Iterator[Shop]:
    url = fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as owner, fresh_app.app_context():
        yield open_shop(owner)


def verified(app: Flask) -> str:
    return str(app.test_cli_runner().invoke(args=["verify"]).output)


def issue(shop: Shop, period: str = PERIOD) -> Any:
    return statements.issue_statement(
        system(Door.JOB), channel_id=shop.channel, seller_id=shop.seller, period=period
    ).result


def sold_month(shop: Shop) -> int:
    """A month with spoilage, a loss that the seller bears and a red entry; what the channel owes for it."""
    shop.report(LAST_DAY - timedelta(days=9), (10, 4180), (2, 3900))
    shop.report(LAST_DAY - timedelta(days=5), (4, 4180))
    shop.report(LAST_DAY - timedelta(days=5), (-4, 4180), red=True, version=2)
    shop.report(LAST_DAY - timedelta(days=5), (3, 4180), version=3)
    shop.count(LAST_DAY, spoilage=2, loss=-1, price=4180)
    shop.count(LAST_DAY, spoilage=5, loss=1, price=4180, borne_by="seller")
    return 14 * 4180 + 2 * 3900


def test_a_month_is_disputed_corrected_agreed_and_settled_equal_to_the_ledger(
    fresh_app: Flask, shop: Shop
) -> None:
    total = sold_month(shop)
    issued = issue(shop)
    assert issued["total_fen"] == total == shop.ledger("receivable", shop.seller)
    assert [line["kind"] for line in issued["lines"]].count("red") == 1
    assert len(issued["lines"]) == 7

    key, channel, seller = issued["id"], channel_actor(CHANNEL), shop.seller_actor()
    line = next(row for row in issued["lines"] if row["quantity"] == 10)
    disputed = raise_dispute(channel, key, line["id"], quantity=8, reason="少收两箱").result
    assert (disputed["state"], disputed["total_fen"]) == ("disputed", total)
    dispute = disputed["disputes"][0]["id"]
    for act in (
        lambda: raise_dispute(channel, key, line["id"], quantity=7, reason="再提"),
        lambda: answer_dispute(channel, key, dispute, accept=True),
        lambda: statements.agree_statement(seller, key),
    ):
        with pytest.raises((WrongState, AlreadyThere)):
            act()
    corrected = answer_dispute(seller, key, dispute, accept=True).result
    assert corrected["total_fen"] == total - 2 * 4180 == shop.ledger("receivable", shop.seller)
    added = [(row["kind"], row["quantity"]) for row in corrected["lines"][7:]]
    assert added == [("adjustment", -10), ("sale", 8)]

    upheld = raise_dispute(seller, key, corrected["lines"][1]["id"], quantity=1, reason="再看看").result
    answered = answer_dispute(
        channel, key, upheld["disputes"][1]["id"], accept=False, answer="小票为证"
    ).result
    assert (answered["state"], answered["total_fen"]) == ("issued", total - 2 * 4180)
    assert statements.agree_statement(channel, key).result["state"] == "issued"
    assert statements.agree_statement(seller, key).result["state"] == "agreed"
    with pytest.raises(Forbidden):
        settle_statement(channel, key, paid_on=today(), bank_reference="BK0001")  # its seller says so
    settled = settle_statement(seller, key, paid_on=today(), bank_reference="BK0001").result

    assert settled["state"] == "settled"
    assert shop.ledger("receivable", shop.seller) == shop.ledger("payable", shop.channel) == 0
    assert shop.ledger("bank", shop.seller) == -shop.ledger("paid", shop.channel) == total - 2 * 4180
    assert "statement" not in verified(fresh_app)


def test_a_red_line_is_disputed_like_any_other_and_the_sum_is_right_in_every_state(
    fresh_app: Flask, shop: Shop
) -> None:
    # A report that was corrected to nothing leaves its seller no other line to say "three were sold" of.
    day = LAST_DAY - timedelta(days=5)
    shop.report(LAST_DAY - timedelta(days=9), (10, 1000))
    shop.report(day, (5, 800))
    shop.report(day, (-5, 800), red=True, version=2)
    made = issue(shop)
    key, channel, seller = made["id"], channel_actor(CHANNEL), shop.seller_actor()
    red = next(row for row in made["lines"] if row["kind"] == "red")
    assert (red["quantity"], made["total_fen"]) == (-5, 10_000)
    for wrong in (3, 5, -5):
        with pytest.raises(RuleViolation):
            raise_dispute(seller, key, red["id"], quantity=wrong, reason="卖了三件")

    raised = raise_dispute(seller, key, red["id"], quantity=-2, reason="卖了三件").result
    assert (raised["state"], raised["total_fen"]) == ("disputed", 10_000)
    back = withdraw_dispute(seller, key, raised["disputes"][0]["id"]).result
    assert (back["state"], back["total_fen"], back["sha256"]) == ("issued", 10_000, made["sha256"])
    again = raise_dispute(seller, key, red["id"], quantity=-2, reason="卖了三件").result
    taken = answer_dispute(channel, key, again["disputes"][1]["id"], accept=True).result

    assert [(r["kind"], r["quantity"], r["amount_fen"]) for r in taken["lines"][3:]] == [
        ("adjustment", 5, 4000), ("red", -2, -1600),
    ]  # fmt: skip
    assert taken["total_fen"] == 10_000 + 3 * 800 == shop.ledger("receivable", shop.seller)
    with pytest.raises(RuleViolation):
        raise_dispute(channel, key, taken["lines"][3]["id"], quantity=4, reason="再看看")
    with pytest.raises(WrongState):
        raise_dispute(channel, key, red["id"], quantity=-4, reason="再看看")
    last = raise_dispute(seller, key, taken["lines"][4]["id"], quantity=0, reason="五件都卖了").result
    done = answer_dispute(channel, key, last["disputes"][2]["id"], accept=True).result
    assert (done["total_fen"], [r["quantity"] for r in done["lines"][5:]]) == (14_000, [2])
    statements.agree_statement(channel, key)
    statements.agree_statement(seller, key)
    settled = settle_statement(seller, key, paid_on=today(), bank_reference="BK0007").result
    assert (settled["state"], shop.ledger("bank", shop.seller)) == ("settled", 14_000)
    assert "statement" not in verified(fresh_app)


def test_a_dispute_is_withdrawn_by_who_raised_it_until_it_is_answered(fresh_app: Flask, shop: Shop) -> None:
    total = sold_month(shop)
    made = issue(shop)
    key, channel, seller = made["id"], channel_actor(CHANNEL), shop.seller_actor()
    one, two = [row["id"] for row in made["lines"] if row["kind"] == "sale"][:2]
    statements.agree_statement(channel, key)
    raise_dispute(channel, key, one, quantity=8, reason="少收两箱")
    disputed = raise_dispute(seller, key, two, quantity=3, reason="再看看").result
    mine, theirs = (row["id"] for row in disputed["disputes"])

    with pytest.raises(WrongState, match="只有提出异议的一方能撤回"):
        withdraw_dispute(channel, key, theirs)
    with pytest.raises(NotFound):
        withdraw_dispute(channel_actor("tianjin2.partner"), key, mine)
    still = withdraw_dispute(channel, key, mine).result
    assert (still["state"], [row["state"] for row in still["disputes"]]) == (
        "disputed",
        ["withdrawn", "open"],
    )
    for act in (
        lambda: withdraw_dispute(channel, key, mine),
        lambda: answer_dispute(seller, key, mine, accept=True),
        lambda: statements.agree_statement(channel, key),
    ):
        with pytest.raises(WrongState):
            act()
    done = withdraw_dispute(seller, key, theirs).result

    assert (done["state"], done["total_fen"], done["sha256"]) == ("issued", total, made["sha256"])
    assert done["channel_agreed_at"] is None
    assert [row["answered_at"] is None for row in done["disputes"]] == [False, False]
    assert raise_dispute(channel, key, one, quantity=9, reason="又查了").result["state"] == "disputed"
    assert "statement" not in verified(fresh_app)


def test_what_comes_after_the_issue_stands_on_the_next_statement(shop: Shop) -> None:
    day = LAST_DAY.replace(day=1) - timedelta(days=3)
    shop.report(day, (5, 1000))
    first = issue(shop, day.isoformat()[:7])
    shop.report(day, (-5, 1000), red=True, version=2)
    shop.report(day, (6, 1000), version=3)

    with pytest.raises(AlreadyThere):
        issue(shop, day.isoformat()[:7])
    second = issue(shop)

    assert (first["total_fen"], second["total_fen"]) == (5000, 1000)
    assert [row["quantity"] for row in second["lines"] if row["kind"] == "red"] == [-5]
    assert {row["day"] for row in second["lines"]} == {day}


def test_the_worker_issues_each_ended_period_once(shop: Shop) -> None:
    total = sold_month(shop)
    due = statements.due_statements(statements_session(), today())
    if today() - LAST_DAY > statements.GRACE:
        assert due == [(shop.channel, shop.seller, PERIOD)]
        jobs.issue_statements()
        jobs.issue_statements()
        assert shop.ledger("receivable", shop.seller) == total
        assert shop.owner.execute("select count(*) from statement").fetchone() == (1,)
    else:
        assert due == []


def statements_session() -> Any:
    from marketplace.database import db

    return db.session()


def test_nothing_is_issued_before_the_end_or_without_sales(shop: Shop) -> None:
    refusals: list[tuple[type[MarketplaceError], str]] = [
        (RuleViolation, today().isoformat()[:7]), (WrongState, PERIOD),
    ]  # fmt: skip
    for refusal, period in refusals:
        with pytest.raises(refusal):
            issue(shop, period)
    assert shop.owner.execute("select count(*) from statement").fetchone() == (0,)


def test_another_channel_and_seller_find_no_statement(shop: Shop) -> None:
    sold_month(shop)
    key: UUID = issue(shop)["id"]
    with pytest.raises(NotFound):
        statements.agree_statement(channel_actor("tianjin2.partner"), key)


def test_verify_names_a_line_that_was_tampered_with(fresh_app: Flask, shop: Shop) -> None:
    sold_month(shop)
    issue(shop)
    assert "statement" not in verified(fresh_app)
    shop.owner.execute("alter table statement_line disable trigger user")
    shop.owner.execute("update statement_line set amount_fen = amount_fen + 1 where position = 1")

    assert "statement_line.amount_fen" in verified(fresh_app)


def test_verify_names_a_transfer_that_nobody_declared(fresh_app: Flask, shop: Shop) -> None:
    sold_month(shop)
    issue(shop)
    shop.owner.execute("update statement set paid_on = '2026-11-02'")

    assert "statement.paid_on" in verified(fresh_app)
