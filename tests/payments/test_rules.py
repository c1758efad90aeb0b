"""Numbers, days, titles, codes and the spreading of money, without a database."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.orders.states import InvoiceState, PaymentState
from marketplace.payments import rules
from marketplace.payments.states import (
    INVOICE_MOVES,
    PAYMENT_FREED,
    PAYMENT_MOVES,
    InvoiceDocState,
    InvoiceKind,
    PaymentDocState,
    invoice_state,
    payment_state,
)

rests = st.lists(st.integers(-1_000, 10**12), min_size=1, max_size=12)


def said(**changes):
    values = {
        "number": "26622000000000000001",
        "kind": InvoiceKind.DIGITAL_ORDINARY,
        "issued_on": date(2026, 11, 23),
        "tax_free": True,
        "amount_fen": 45_000,
        "order_amounts": [40_000, 5_000],
        "ordered_on": date(2026, 11, 10),
        "today": date(2026, 11, 24),
        **changes,
    }
    return [error["pointer"] for error in rules.invoice_errors(**values)]


def test_a_right_invoice_has_no_errors():
    assert said() == []
    assert said(issued_on=date(2026, 11, 24)) == []
    assert said(issued_on=date(2026, 11, 10)) == []


@pytest.mark.parametrize(
    ("kind", "number", "fits"),
    [
        (InvoiceKind.DIGITAL_ORDINARY, "26622000000000000001", True),
        (InvoiceKind.DIGITAL_SPECIAL, "26622000000000000001", True),
        (InvoiceKind.DIGITAL_ORDINARY, "2662200000000000001", False),
        (InvoiceKind.DIGITAL_ORDINARY, "266220000000000000012", False),
        (InvoiceKind.DIGITAL_ORDINARY, "2662200000000000000A", False),
        (InvoiceKind.DIGITAL_ORDINARY, "062001900104-12345678", False),
        (InvoiceKind.ORDINARY, "062001900104-12345678", True),
        (InvoiceKind.SPECIAL, "6200191130-12345678", True),
        (InvoiceKind.ORDINARY, "06200190010-12345678", False),
        (InvoiceKind.ORDINARY, "062001900104-1234567", False),
        (InvoiceKind.ORDINARY, "06200190010412345678", False),
        (InvoiceKind.ORDINARY, "26622000000000000001", False),
    ],
)
def test_a_number_has_the_digits_of_its_kind(kind, number, fits):
    assert said(kind=kind, number=number, tax_free=False) == ([] if fits else ["#/number"])


def test_other_digits_than_ascii_become_plain_before_they_are_compared():
    assert rules.plain_number("２６６２ 2000 0000 0000 0001") == "26622000000000000001"
    assert said(number="٢" * 20) == ["#/number"]


def test_an_invoice_is_neither_of_the_future_nor_older_than_its_order():
    assert said(issued_on=date(2026, 11, 25)) == ["#/issued_on"]
    assert said(issued_on=date(2026, 11, 9)) == ["#/issued_on"]


def test_tax_free_goods_get_no_special_invoice():
    assert said(kind=InvoiceKind.DIGITAL_SPECIAL, tax_free=True) == ["#/tax_free"]
    assert said(kind=InvoiceKind.DIGITAL_SPECIAL, tax_free=False) == []


def test_the_amount_is_the_sum_of_the_orders_to_the_fen():
    assert said(amount_fen=45_001) == ["#/amount_fen"]
    assert said(amount_fen=44_999) == ["#/amount_fen"]


def test_all_errors_are_told_at_once():
    assert said(number="1", issued_on=date(2027, 1, 1), amount_fen=1) == [
        "#/number",
        "#/issued_on",
        "#/amount_fen",
    ]


def test_title_and_tax_number_are_the_payers():
    payer = {"payer_title": "平凉市第一中学", "payer_tax_number": "12620800438000001X"}
    assert rules.title_errors(None, None, **payer) == []
    assert rules.title_errors("平凉市 第一中学", "12620800438000001x", **payer) == []
    wrong = rules.title_errors("平凉市第二中学", "12620800438000002X", **payer)
    assert [e["pointer"] for e in wrong] == ["#/buyer_title", "#/buyer_tax_number"]


@pytest.mark.parametrize(
    ("paid_on", "right"),
    [
        (date(2026, 11, 24), True),
        (date(2026, 11, 25), False),
        (date(2026, 9, 21), True),
        (date(2026, 9, 20), False),
    ],
)
def test_a_slip_is_at_most_sixty_days_older_than_its_payment(paid_on, right):
    errors = rules.slip_errors(
        bank_reference="HX20261124001",
        paid_on=paid_on,
        opened_on=date(2026, 11, 20),
        today=date(2026, 11, 24),
    )
    assert [e["pointer"] for e in errors] == ([] if right else ["#/paid_on"])


def test_money_is_due_thirty_days_after_the_first_acceptance_and_never_after_sixty():
    days = [date(2026, 11, 20), date(2026, 11, 18)]
    assert rules.due_day(days, 30) == date(2026, 12, 18)
    assert rules.due_day(days, 60) == date(2027, 1, 17)
    assert rules.due_day(days, 90) == date(2027, 1, 17)


def test_the_seller_has_ten_working_days_to_answer():
    assert rules.seller_answers_until(date(2026, 11, 24), 10) == date(2026, 12, 8)


def test_one_fen_over_three_lines_goes_to_the_first():
    parts = rules.spread(1, [("a", 100), ("b", 100), ("c", 100)])
    assert parts == rules.Spread([("a", 1)], 0, 0)


def test_goods_come_first_and_then_freight():
    lines = [("a", 1_000), ("b", 500)]
    assert rules.spread(1_500, lines, 300) == rules.Spread([("a", 1_000), ("b", 500)], 0, 0)
    assert rules.spread(1_700, lines, 300) == rules.Spread([("a", 1_000), ("b", 500)], 200, 0)
    assert rules.spread(750, lines, 300) == rules.Spread([("a", 500), ("b", 250)], 0, 0)


def test_what_nobody_owes_any_more_is_named_as_excess():
    assert rules.spread(1_000, [("a", 700), ("b", -20)], 100) == rules.Spread([("a", 700)], 100, 200)


@given(rests=rests, freight=st.integers(-10, 10**6), data=st.data())
def test_parts_add_up_exactly_and_no_line_gets_more_than_its_rest(rests, freight, data):
    owed = sum(max(0, r) for r in rests) + max(0, freight)
    amount = data.draw(st.integers(0, owed + 1_000))
    parts = rules.spread(amount, list(enumerate(rests)), freight)
    assert sum(part for _, part in parts.lines) + parts.freight_fen + parts.excess_fen == amount
    assert all(0 < part <= rests[line] for line, part in parts.lines)
    assert 0 <= parts.freight_fen <= max(0, freight)
    assert parts.excess_fen == max(0, amount - owed)


@given(accepted=st.lists(st.integers(0, 10**9), min_size=1, max_size=8), data=st.data())
def test_any_row_of_partial_payments_ends_at_what_was_accepted(accepted, data):
    paid = [0] * len(accepted)
    left = sum(accepted)
    while left:
        amount = data.draw(st.integers(1, left)) if left < 1_000 else data.draw(st.integers(left // 3, left))
        parts = rules.spread(
            amount, [(n, a - p) for n, (a, p) in enumerate(zip(accepted, paid, strict=True))]
        )
        for line, part in parts.lines:
            paid[line] += part
        assert all(p <= a for p, a in zip(paid, accepted, strict=True))
        left -= amount
    assert paid == accepted


def test_freight_is_owed_only_once_something_was_accepted():
    assert rules.payable_fen(0, 500) == 0
    assert rules.payable_fen(1, 500) == 501


@given(st.text(rules.CROCKFORD, min_size=8, max_size=8), st.data())
def test_a_wrong_symbol_or_a_swap_of_neighbours_in_a_code_is_noticed(symbols, data):
    code = symbols + rules.check_symbol(symbols)
    assert rules.parse_transfer_code(code) == code
    place = data.draw(st.integers(0, 8))
    other = data.draw(st.sampled_from([s for s in rules.CROCKFORD if s != code[place]]))
    assert rules.parse_transfer_code(code[:place] + other + code[place + 1 :]) is None
    swap = data.draw(st.integers(0, 7))
    if code[swap] != code[swap + 1]:
        swapped = code[:swap] + code[swap + 1] + code[swap] + code[swap + 2 :]
        assert rules.parse_transfer_code(swapped) is None


def test_a_code_is_read_as_people_type_it():
    code = "0123456" + "7"
    code += rules.check_symbol(code)
    assert rules.parse_transfer_code(f" {code[:4].lower()}-{code[4:].lower()} ".replace("0", "o")) == code
    assert rules.parse_transfer_code("") is None
    assert rules.parse_transfer_code("转账" * 4) is None


def test_drawn_codes_are_nine_symbols_and_differ():
    codes = {rules.draw_transfer_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(rules.parse_transfer_code(code) == code for code in codes)


@pytest.mark.parametrize(
    ("amounts", "returned", "state"),
    [
        ((1_000, 0, 0), False, InvoiceState.NONE),
        ((1_000, 0, 0), True, InvoiceState.RETURNED),
        ((1_000, 400, 0), True, InvoiceState.ISSUED),
        ((1_000, 1_000, 400), False, InvoiceState.ISSUED),
        ((1_000, 400, 400), False, InvoiceState.ISSUED),
        ((1_000, 1_000, 1_000), False, InvoiceState.CHECKED),
        ((900, 1_000, 1_000), False, InvoiceState.CHECKED),
    ],
)
def test_an_orders_invoice_state_follows_from_its_amounts(amounts, returned, state):
    assert invoice_state(*amounts, any_returned=returned) is state


@pytest.mark.parametrize(
    ("amounts", "state"),
    [
        ((1_000, 0, 0, 0), PaymentState.NONE),
        ((1_000, 400, 0, 0), PaymentState.OPEN),
        ((1_000, 400, 400, 0), PaymentState.DECLARED),
        ((1_000, 1_000, 600, 400), PaymentState.PART_PAID),
        ((1_000, 1_000, 0, 1_000), PaymentState.PAID),
        ((900, 1_000, 0, 1_000), PaymentState.REFUND_DUE),
        ((0, 0, 0, 0), PaymentState.NONE),
        ((1_000, 0, 0, 0, 1_000), PaymentState.REFUNDED),
        ((1_000, 300, 0, 0, 1_000), PaymentState.OPEN),
        ((1_000, 600, 0, 600, 400), PaymentState.PART_PAID),
        ((900, 900, 0, 900, 100), PaymentState.PAID),
    ],
)
def test_an_orders_payment_state_follows_from_its_amounts(amounts, state):
    assert payment_state(*amounts) is state


def test_ended_papers_move_no_more():
    ended = {PaymentDocState.PAID, *PAYMENT_FREED}
    # But for money that a channel took after all: it came, whatever the paper said.
    assert {event for state, event in PAYMENT_MOVES if state in ended} <= {"capture"}
    assert {key[0] for key in INVOICE_MOVES} == {InvoiceDocState.ISSUED}
    assert {state for state, event in PAYMENT_MOVES if event == "cancel"} == {PaymentDocState.OPEN}
