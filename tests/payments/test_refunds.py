"""退款: guarded before the gateway is asked, booked when it says so, and never above what was captured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from marketplace.database import db
from marketplace.errors import Conflict, Forbidden, NotFound, RuleViolation
from marketplace.journal.sealing import Sealer
from marketplace.notices.following import follow
from marketplace.notices.models import Notice
from marketplace.orders.models import Order, OrderLine
from marketplace.payments import service
from marketplace.payments.models import MoneyEntry, MoneyPosting
from marketplace.payments.rules import Owed, take_back
from marketplace.quota.verify import verify
from tests.faults.gateway_double import running_double
from tests.payments.factory import World, facts, line_paid, order_row, rows
from tests.payments.paying_online import Payer, attempts, event_states, gateway, payment_state, refunds
from tests.payments.test_online import MONEY_TABLES, posted
from tests.payments.test_payments import declared, refused

AMOUNT = 45_000


@pytest.fixture
def payer(empty_app: Flask, world: World) -> Iterator[Payer]:
    with running_double() as double, gateway(empty_app, double):
        yield Payer(world, double)


def verified() -> None:
    db.session().rollback()
    found = [d.line() for d in verify(db.engine).differences if d.what.split(".")[0] in MONEY_TABLES]
    assert found == []


def owed(*lines: tuple[int, int]) -> list[Owed[int]]:
    return [Owed(place, paid, accepted) for place, (paid, accepted) in enumerate(lines)]


def test_what_nobody_owes_any_more_goes_back_first_then_the_lines_by_their_share():
    # 100 beside the lines are freight, 50 of it nobody owes; the second line was paid 30 above what was accepted.
    lines = owed((600, 600), (330, 300))
    assert take_back(50, lines, 150, 100) == []
    assert take_back(80, lines, 150, 100) == [(1, 30)]
    assert take_back(170, lines, 150, 100) == [(0, 60), (1, 60)]
    assert take_back(980, lines, 150, 100) == [(0, 600), (1, 330)]
    assert take_back(1080, lines, 150, 100) == [(0, 600), (1, 330)]
    for wrong in (1081, -1):
        with pytest.raises(ValueError):
            take_back(wrong, lines, 150, 100)


def test_a_refund_is_taken_from_lines_ledger_and_order_when_the_gateway_did_it(payer: Payer):
    order = payer.world.order([(4500, 8), (1000, 9)])
    payment = payer.paid(order)
    answer = payer.refund(payment, 5_000)
    assert [r["state"].value for r in answer["refunds"]] == ["pending"]
    assert refunds(payment["id"]) == [("refunded", 5_000)]
    assert attempts(payment["id"]) == [("captured", AMOUNT, 5_000, True)]
    assert line_paid(order.id) == [32_000, 8_000]
    row = order_row(order.id)
    assert (row["paid_fen"], row["payment_opened_fen"], row["payment_state"]) == (40_000, 40_000, "part_paid")
    assert posted("paid")[-2:] == [-4_000, -1_000]
    asked, done = facts(payment["id"])[-2:]
    assert (asked["kind"], asked["data"]["reason_given"]) == ("payment.refund_asked", True)
    assert (done["kind"], done["data"]["amount_fen"], done["data"]["booked"]) == (
        "payment.refunded",
        5_000,
        True,
    )
    assert "货损" not in str(facts(payment["id"]))
    verified()
    Sealer().seal_pending()
    while follow(webhook=False):
        pass
    told = sa.select(Notice.topic, Notice.organisation_id).where(
        Notice.subject_id == payment["id"], Notice.topic == "refunded"
    )
    buyer = payer.world.organisations["buyer"]
    assert db.session().execute(told).all() == [("refunded", buyer)]


def test_an_order_of_which_all_went_back_rests_as_refunded_and_may_be_paid_anew(payer: Payer):
    order = payer.world.order([(4500, 10)])
    payment = payer.paid(order)
    payer.refund(payment, 20_000)
    assert order_row(order.id)["payment_state"] == "part_paid"
    payer.refund(payment, 25_000)
    row = order_row(order.id)
    assert (row["paid_fen"], row["payment_opened_fen"], row["payment_state"]) == (0, 0, "refunded")
    verified()
    payer.paid(order)
    assert order_row(order.id)["payment_state"] == "paid"
    verified()


def test_twenty_refunds_at_once_never_exceed_what_was_captured(empty_app: Flask, payer: Payer):
    payment = payer.paid(payer.world.order([(4500, 10)]))
    barrier = threading.Barrier(20)

    def refund() -> str:
        with empty_app.app_context():
            barrier.wait()
            try:
                payer.refund(payment, 4_000)
            except Conflict as refusal:
                return refusal.code
            return "asked"

    with ThreadPoolExecutor(20) as pool:
        outcomes = [f.result() for f in [pool.submit(refund) for _ in range(20)]]
    assert sorted(outcomes) == ["above-captured"] * 9 + ["asked"] * 11
    payer.reconcile()
    (intent,) = payer.double.charges(payment["number"])
    assert payer.double.given_back(intent["id"]) == 44_000
    assert attempts(payment["id"]) == [("captured", AMOUNT, 44_000, True)]
    assert len([c for c in payer.double.calls if c.phase == "refund"]) == 11
    assert refunds(payment["id"]) == [("refunded", 4_000)] * 11
    verified()


def test_a_refund_whose_answer_was_lost_is_found_again_and_not_made_twice(payer: Payer):
    payer.double.keeps_keys = False
    payment = payer.paid(payer.world.order([(4500, 10)]))
    payer.double.fail("reset_after", "refund")
    payer.refund(payment, 5_000)
    assert refunds(payment["id"]) == [("pending", 5_000)]
    refused(Conflict, "above-captured", lambda: payer.refund(payment, 40_001))
    payer.reconcile()
    assert refunds(payment["id"]) == [("refunded", 5_000)]
    assert len(payer.double.refunds) == 1


def test_a_refused_refund_sets_its_amount_free_again(payer: Payer):
    payment = payer.paid(payer.world.order([(4500, 10)]))
    payer.double.fail("late_success", "refund")
    payer.double.keeps_keys = False
    payer.refund(payment, 5_000)
    assert refunds(payment["id"]) == [("failed", 5_000)]
    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]
    failed = facts(payment["id"])[-1]
    assert (failed["kind"], failed["data"]["code"]) == ("payment.refund_failed", "card_declined")
    verified()
    # The gateway did it all the same, and says so later.
    payer.deliver()
    assert refunds(payment["id"]) == [("refunded", 5_000)]
    assert attempts(payment["id"]) == [("captured", AMOUNT, 5_000, True)]
    verified()


def test_news_of_refunds_may_come_often_and_in_any_order(payer: Payer):
    payment = payer.paid(payer.world.order([(4500, 10)]))
    payer.deliver()
    payer.double.fail("500_after", "refund")
    payer.refund(payment, 5_000)
    told = [e for e in payer.double.events if e["type"].startswith("refund.")]
    known = len(event_states())
    payer.deliver([*reversed(told), *told])
    assert refunds(payment["id"]) == [("refunded", 5_000)]
    assert event_states()[known:] == [("applied", None), ("ignored", None)]
    assert [f["kind"] for f in facts(payment["id"])].count("payment.refunded") == 1


def test_a_refund_of_another_sum_is_put_aside(payer: Payer):
    payment = payer.paid(payer.world.order([(4500, 10)]))
    payer.double.fail("wrong_amount", "refund")
    payer.refund(payment, 5_000)
    assert refunds(payment["id"]) == [("pending", 5_000)]
    fact = facts(payment["id"])[-1]
    assert (fact["kind"], fact["data"]["seen_fen"]) == ("payment.quarantined", 5_001)
    assert order_row(facts(payment["id"])[0]["data"]["orders"][0]["order"])["paid_fen"] == AMOUNT


def test_the_office_gives_back_only_what_is_due_back(payer: Payer):
    order = payer.world.order([(4500, 10)])
    payment = payer.paid(order)
    refusal = refused(Conflict, "above-captured", lambda: payer.refund(payment, 1, by="county_office"))
    assert refusal.data["left_fen"] == 0
    # The seller agreed to a lower price afterwards.
    with db.engine.begin() as connection:
        connection.execute(Order.__table__.update().where(Order.id == order.id).values(accepted_fen=44_000))
        connection.execute(
            OrderLine.__table__.update().where(OrderLine.order_id == order.id).values(accepted_fen=44_000)
        )
    refused(Conflict, "above-captured", lambda: payer.refund(payment, 1_001, by="county_office"))
    payer.refund(payment, 1_000, by="county_office")
    assert (line_paid(order.id), order_row(order.id)["payment_state"]) == ([44_000], "paid")


def test_others_learn_nothing_of_a_payment_and_give_nothing_back(payer: Payer):
    payment = payer.paid(payer.world.order([(4500, 10)]))
    refused(NotFound, "not-found", lambda: payer.refund(payment, 1, by="seller2"))
    refused(NotFound, "not-found", lambda: payer.refund(payment, 1, by="far_office"))
    refused(Forbidden, "forbidden", lambda: payer.refund(payment, 1, by="buyer"))
    transfer = declared(payer.world, payer.world.order())
    refused(Conflict, "not-captured", lambda: payer.refund(transfer, 1))


def test_a_refund_of_several_orders_names_one_and_stays_within_its_part(payer: Payer):
    first, second = payer.world.order([(4500, 10)]), payer.world.order([(1000, 10)])
    payment = payer.paid(first, second)
    refused(RuleViolation, "which-order", lambda: payer.refund(payment, 1))
    refused(Conflict, "above-captured", lambda: payer.refund(payment, 10_001, order_id=second.id))
    payer.refund(payment, 10_000, order_id=second.id)
    assert (order_row(first.id)["paid_fen"], order_row(second.id)["paid_fen"]) == (45_000, 0)
    assert payment_state(payment["id"]) == "paid"
    verified()


def test_what_was_given_back_may_be_asked_for_again(payer: Payer):
    order = payer.world.order([(4500, 10)])
    payer.refund(payer.paid(order), 45_000)
    assert order_row(order.id)["payment_state"] == "refunded"
    again = payer.paid(order)
    assert attempts(again["id"]) == [("captured", AMOUNT, 0, True)]
    verified()


def test_a_payout_leaves_the_gateway_for_the_bank_and_never_more_than_is_held(payer: Payer):
    payment = payer.paid(payer.world.order([(4500, 10)]))
    payer.refund(payment, 5_000)

    def settle(fen: int, fee: int, by: str = "seller") -> None:
        service.settle_payout(payer.actor(by), payment["id"], amount_fen=fen, fee_fen=fee)

    refused(RuleViolation, "invalid", lambda: settle(100, 101))
    refused(NotFound, "not-found", lambda: settle(100, 0, by="seller2"))
    refused(Forbidden, "forbidden", lambda: settle(100, 0, by="buyer"))
    assert refused(Conflict, "above-held", lambda: settle(40_001, 0)).data == {"held_fen": 40_000}
    settle(30_000, 180)
    refused(Conflict, "above-held", lambda: settle(10_001, 0))
    settle(10_000, 0)
    sums = rows(
        sa.select(MoneyPosting.account, sa.func.sum(MoneyPosting.amount_fen))
        .join(MoneyEntry, MoneyEntry.fact_id == MoneyPosting.fact_id)
        .where(MoneyEntry.payment_id == payment["id"])
        .group_by(MoneyPosting.account)
        .order_by(MoneyPosting.account)
    )
    assert [(account.value, int(fen)) for account, fen in sums] == [
        ("bank", 39_820),
        ("fee", 180),
        ("gateway", 0),
        ("paid", -40_000),
    ]
    verified()


def test_with_the_gateway_away_a_refund_is_kept_and_made_later(payer: Payer):
    payment = payer.paid(payer.world.order([(4500, 10)]))
    payer.double.fail("500_after", "refunds", times=None)
    payer.refund(payment, 5_000)
    assert refunds(payment["id"]) == [("pending", 5_000)]
    payer.double.heal()
    payer.reconcile()
    assert refunds(payment["id"]) == [("refunded", 5_000)]
