"""What each side does next with an order, by its states: the rule behind every desk's buttons."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from marketplace.desks.steps import Part, Standing, also_open, is_open, is_past, next_step, pending
from marketplace.orders.states import EvaluationState, InvoiceState, OrderState, PaymentState

NOW = datetime(2026, 11, 24, 6, 40, tzinfo=UTC)
TODAY = date(2026, 11, 24)
O, I, P, E = OrderState, InvoiceState, PaymentState, EvaluationState  # noqa: E741
ACCEPTED = Standing(
    O.ACCEPTED, accepted_fen=516_000, due_on=date(2026, 12, 19), evaluate_by=date(2026, 12, 30)
)
CASES = [
    # name, order, {side: (key, endpoint)}, side that is waited for
    ("awaiting approval", Standing(O.AWAITING_APPROVAL), "approve", "managing.approve", Part.MANAGER),
    ("placed", Standing(O.PLACED), "confirm", "selling.confirm", Part.SELLER),
    ("confirmed", Standing(O.CONFIRMED, to_ship=60), "ship", "selling.ship", Part.SELLER),
    ("shipped", Standing(O.SHIPPED, to_accept=60), "accept", "buying.accept", Part.BUYER),
    (
        "part shipped",
        Standing(O.PART_SHIPPED, to_ship=20, to_accept=40),
        "accept",
        "buying.accept",
        Part.BUYER,
    ),
    (
        "part accepted, rest to come",
        Standing(O.PART_ACCEPTED, to_ship=20),
        "ship",
        "selling.ship",
        Part.SELLER,
    ),
    (
        "cancel asked by the buyer",
        Standing(O.CONFIRMED, to_ship=60, cancel_asked_by=Part.BUYER),
        "answer_cancel",
        "trading.cancel_order",
        Part.SELLER,
    ),
    (
        "cancel asked by the seller",
        Standing(O.CONFIRMED, to_ship=60, cancel_asked_by=Part.SELLER),
        "answer_cancel",
        "trading.cancel_order",
        Part.BUYER,
    ),
    ("accepted", ACCEPTED, "invoice", "money.issue", Part.SELLER),
    (
        "accepted with a reduction asked",
        replace(ACCEPTED, allowance_open=True),
        "agree_allowance",
        "selling.agree_allowance",
        Part.SELLER,
    ),
    (
        "accepted with packs to return",
        replace(ACCEPTED, to_return=3),
        "return",
        "selling.return_goods",
        Part.SELLER,
    ),
    ("invoice returned", replace(ACCEPTED, invoice=I.RETURNED), "invoice", "money.issue", Part.SELLER),
    ("invoice issued", replace(ACCEPTED, invoice=I.ISSUED), "check_invoice", "money.invoice", Part.BUYER),
    ("invoice checked", replace(ACCEPTED, invoice=I.CHECKED), "pay", "money.open", Part.BUYER),
    ("payment open", replace(ACCEPTED, invoice=I.CHECKED, payment=P.OPEN), "slip", "money.slip", Part.BUYER),
    (
        "slip filed",
        replace(ACCEPTED, invoice=I.CHECKED, payment=P.DECLARED),
        "confirm_payment",
        "money.payment",
        Part.SELLER,
    ),
    ("part paid", replace(ACCEPTED, invoice=I.CHECKED, payment=P.PART_PAID), "pay", "money.open", Part.BUYER),
    ("paid", replace(ACCEPTED, invoice=I.CHECKED, payment=P.PAID), "evaluate", "buying.evaluate", Part.BUYER),
    (
        "refund due",
        replace(ACCEPTED, invoice=I.CHECKED, payment=P.REFUND_DUE),
        "refund",
        "money.payment",
        Part.SELLER,
    ),
    ("all refused", Standing(O.REFUSED, to_return=60), "return", "selling.return_goods", Part.SELLER),
]


@pytest.mark.parametrize(("name", "order", "key", "endpoint", "side"), CASES, ids=[c[0] for c in CASES])
def test_one_side_acts_and_the_others_read_who_is_waited_for(
    name: str, order: Standing, key: str, endpoint: str, side: Part
) -> None:
    step = next_step(order, side, NOW, TODAY)
    assert (step.key, step.endpoint, step.waits_for, step.mine) == (key, endpoint, side, True)
    assert step.chip == "act"
    for other in Part:
        seen = next_step(order, other, NOW, TODAY)
        if other is not side and not any(act.part is other for act in pending(order)):
            assert (seen.key, seen.endpoint, seen.waits_for, seen.mine) == (key, None, side, False)
            assert seen.label != step.label


def test_a_seller_with_goods_left_ships_while_the_buyer_takes_over_what_came() -> None:
    order = Standing(O.PART_SHIPPED, to_ship=20, to_accept=40)
    assert next_step(order, Part.SELLER, NOW, TODAY).endpoint == "selling.ship"
    assert next_step(order, Part.BUYER, NOW, TODAY).endpoint == "buying.accept"


def test_an_open_return_does_not_hide_that_the_invoice_is_due() -> None:
    order = replace(ACCEPTED, to_return=1)
    seller = next_step(order, Part.SELLER, NOW, TODAY)
    assert seller.key == "return"
    (invoice,) = also_open(order, Part.SELLER, seller, NOW, TODAY)
    assert (invoice.key, invoice.label, invoice.endpoint) == ("invoice", "开发票", "money.issue")
    (told,) = also_open(order, Part.BUYER, next_step(order, Part.BUYER, NOW, TODAY), NOW, TODAY)
    assert (told.label, told.endpoint, told.waits_for) == ("等供应商开票", None, Part.SELLER)


@pytest.mark.parametrize(("name", "order", "key", "endpoint", "side"), CASES, ids=[c[0] for c in CASES])
def test_what_is_open_besides_the_next_step_is_all_the_rest(
    name: str, order: Standing, key: str, endpoint: str, side: Part
) -> None:
    for part in Part:
        step = next_step(order, part, NOW, TODAY)
        besides = {other.key for other in also_open(order, part, step, NOW, TODAY)}
        assert besides == {act.key for act in pending(order)} - {step.key}


@pytest.mark.parametrize("state", [O.CANCELLED, O.LAPSED])
def test_an_order_that_ended_can_only_be_bought_again(state: OrderState) -> None:
    order = Standing(state)
    assert not is_open(order)
    buyer = next_step(order, Part.BUYER, NOW, TODAY)
    assert (buyer.key, buyer.endpoint, buyer.mine) == ("again", "buying.buy_again", False)
    for part in (Part.SELLER, Part.MANAGER, Part.OTHER):
        step = next_step(order, part, NOW, TODAY)
        assert (step.key, step.endpoint, step.waits_for) == ("none", None, None)


def test_a_finished_order_waits_for_nobody() -> None:
    order = replace(ACCEPTED, invoice=I.CHECKED, payment=P.PAID, evaluation=E.GIVEN)
    assert not is_open(order)
    assert next_step(order, Part.BUYER, NOW, TODAY).key == "again"


def test_a_payment_is_late_from_the_day_after_it_was_due() -> None:
    order = replace(ACCEPTED, invoice=I.CHECKED, payment=P.OPEN, due_on=TODAY)
    today = next_step(order, Part.BUYER, NOW, TODAY)
    assert (today.look, today.chip, today.late) == ("next", "act", False)
    tomorrow = next_step(order, Part.BUYER, NOW + timedelta(days=1), TODAY + timedelta(days=1))
    assert (tomorrow.look, tomorrow.chip, tomorrow.late) == ("late", "bad", True)


def test_goods_are_to_be_taken_over_within_three_days() -> None:
    order = Standing(O.SHIPPED, to_accept=60, shipped_on=date(2026, 11, 23))
    step = next_step(order, Part.BUYER, NOW, TODAY)
    assert (step.deadline, step.look) == (date(2026, 11, 26), "next")


def test_a_later_step_is_soft_and_an_instant_is_past_after_itself() -> None:
    order = replace(ACCEPTED, invoice=I.CHECKED)
    assert next_step(order, Part.BUYER, NOW, TODAY).look == "soft"
    assert not is_past(NOW, NOW, TODAY)
    assert is_past(NOW - timedelta(seconds=1), NOW, TODAY)
    assert not is_past(None, NOW, TODAY)


def test_the_manager_sees_until_when_the_stock_is_held() -> None:
    until = NOW + timedelta(hours=30)
    step = next_step(Standing(O.AWAITING_APPROVAL, hold_until=until), Part.MANAGER, NOW, TODAY)
    assert (step.endpoint, step.deadline, step.look) == ("managing.approve", until, "next")
