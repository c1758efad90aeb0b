"""Payments by transfer through the services on a real database."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from itertools import count
from threading import Barrier

import pytest
import sqlalchemy as sa

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.documents.models import DocumentKind
from marketplace.errors import Conflict, Forbidden, NotFound, RuleViolation, WrongState
from marketplace.orders.models import Order, OrderLine
from marketplace.orders.states import OrderState
from marketplace.payments import queries, rules, service
from marketplace.payments.models import PaymentLine
from marketplace.payments.service import OrderAmount
from marketplace.payments.states import PaymentDocState, PaymentMethod
from marketplace.quota.models import ReserveEntry
from marketplace.unit_of_work import transaction
from tests.payments.factory import counts, facts, line_paid, order_row, record_acceptance, rows

_serial = count(1)


def reference():
    return f"HX20261124{next(_serial):06d}"


def open_payment(world, *orders, actor="buyer", method=PaymentMethod.TRANSFER):
    asked = [o if isinstance(o, OrderAmount) else OrderAmount(o.id) for o in orders]
    return service.open_payment(world.actor(actor), orders=asked, method=method).result


def slip(world, payment, actor="buyer", **changes):
    values = {
        "amount_fen": payment["amount_fen"],
        "paid_on": date(2026, 11, 24),
        "bank_reference": reference(),
        "payer_name": "平凉市财政国库支付中心",
        **changes,
    }
    return service.file_slip(world.actor(actor), payment["id"], **values).result


def declared(world, *orders):
    payment = open_payment(world, *orders)
    slip(world, payment)
    return payment


def refused(kind, slug, act):
    """The act is refused with this slug, and nothing was written."""
    before = counts()
    with pytest.raises(kind) as caught:
        act()
    assert caught.value.code == slug
    assert counts() == before
    return caught.value


def state_of(payment):
    return queries.find_payment(db.session(), payment["id"]).state


def payment_lines(payment):
    statement = sa.select(PaymentLine.line_id, PaymentLine.amount_fen).where(
        PaymentLine.payment_id == payment["id"]
    )
    return dict(rows(statement))


def test_a_payment_names_payee_amount_due_day_and_code(world):
    order = world.order([(4500, 10)], freight_fen=1_200)
    payment = open_payment(world, order)
    assert payment["payee"] == {"name": "合作社账户", "bank": "静宁农商银行", "account": "6228480000001"}
    assert payment["amount_fen"] == 46_200
    assert payment["due_on"] == date(2026, 12, 20)
    assert payment["state"] is PaymentDocState.OPEN
    assert payment["number"].startswith("FK-2026-")
    assert rules.parse_transfer_code(payment["transfer_code"]) == payment["transfer_code"]
    assert (payment["missing"], payment["slips"], payment["overdue"]) == ([], [], False)
    assert order_row(order.id) == {
        "invoice_state": "none",
        "payment_state": "open",
        "accepted_fen": 45_000,
        "invoiced_fen": 0,
        "payment_opened_fen": 46_200,
        "paid_fen": 0,
        "version": 2,
    }
    (fact,) = facts(payment["id"])
    assert fact["kind"] == "payment.opened"
    assert fact["data"] == {
        "number": payment["number"],
        "method": "transfer",
        "buyer": str(world.organisations["buyer"]),
        "seller": str(world.organisations["seller"]),
        "amount_fen": 46_200,
        "due_on": "2026-12-20",
        "transfer_code": payment["transfer_code"],
        "orders": [{"order": str(order.id), "amount_fen": 46_200}],
    }


def test_the_payee_stays_what_it_was_when_the_payment_was_opened(world):
    payment = open_payment(world, world.order())
    assert payment["payee"]["account"] == "6228480000001"
    with db.engine.begin() as connection:
        connection.execute(sa.text("update bank_account set account_number = '999'"))
    try:
        seen = queries.payment_view(
            db.session(), payment["id"], world.actor("buyer"), today=date(2026, 11, 24)
        )
        assert seen["payee"]["account"] == "6228480000001"
    finally:
        with db.engine.begin() as connection:
            connection.execute(sa.text("update bank_account set account_number = '6228480000001'"))


def test_nothing_is_paid_before_acceptance(world):
    order = world.order(accepted=[0], state=OrderState.SHIPPED, accepted_on=None)
    refused(Conflict, "nothing-accepted", lambda: open_payment(world, order))
    assert order_row(order.id)["version"] == 1


def test_a_gateway_is_not_configured(world):
    order = world.order()
    refused(
        RuleViolation,
        "gateway-not-configured",
        lambda: open_payment(world, order, method=PaymentMethod.GATEWAY),
    )


def test_a_seller_without_an_account_can_not_be_paid(world):
    order = world.order(seller="seller2")
    refused(Conflict, "no-bank-account", lambda: open_payment(world, order))


def test_orders_of_two_sellers_or_two_payers_share_no_payment(world):
    order, other, union = world.order(), world.order(seller="seller2"), world.order(profile="union")
    refused(RuleViolation, "one-seller", lambda: open_payment(world, order, other))
    refused(RuleViolation, "one-payer", lambda: open_payment(world, order, union))


def test_no_more_is_opened_than_was_accepted(world):
    order = world.order([(4500, 10)])
    first = open_payment(world, OrderAmount(order.id, 20_000))
    error = refused(Conflict, "above-accepted", lambda: open_payment(world, OrderAmount(order.id, 25_001)))
    assert error.data == {"order": str(order.id), "asked_fen": 25_001, "left_fen": 25_000}
    assert open_payment(world, order)["amount_fen"] == 25_000
    refused(Conflict, "nothing-left", lambda: open_payment(world, order))
    service.cancel_payment(world.actor("buyer"), first["id"])
    assert order_row(order.id)["payment_opened_fen"] == 25_000
    assert open_payment(world, order)["amount_fen"] == 20_000


def test_a_checked_invoice_may_be_asked_for_before_payment(world):
    order = world.order()
    world.policy("invoice_before_payment", True)
    try:
        refused(Conflict, "invoice-not-checked", lambda: open_payment(world, order))
        with db.engine.begin() as connection:
            connection.execute(sa.update(Order).where(Order.id == order.id).values(invoice_state="checked"))
        assert open_payment(world, order)["amount_fen"] == 45_000
    finally:
        world.policy("invoice_before_payment", False)


def test_a_slip_declares_the_payment_and_names_what_is_missing(world):
    order = world.order()
    payment = open_payment(world, order)
    seen = slip(world, payment, bank_reference="hx 2026 00042", payer_name="国库支付中心 李四")
    assert (seen["state"], seen["missing"]) == (PaymentDocState.DECLARED, ["document"])
    assert [s["bank_reference"] for s in seen["slips"]] == ["HX202600042"]
    assert order_row(order.id)["payment_state"] == "declared"
    fact = facts(payment["id"])[-1]
    assert fact["kind"] == "payment.declared"
    assert fact["data"] == {
        "slip": str(seen["slips"][0]["id"]),
        "amount_fen": 45_000,
        "paid_on": "2026-11-24",
        "bank_reference": "HX202600042",
    }


def test_the_file_may_follow_the_slip(world):
    payment = open_payment(world, world.order())
    slip_id = slip(world, payment)["slips"][0]["id"]
    document = world.document("buyer", DocumentKind.SLIP)
    seen = service.complete_slip(world.actor("buyer"), payment["id"], slip_id, document_id=document).result
    assert (seen["state"], seen["missing"]) == (PaymentDocState.DECLARED, [])
    assert facts(payment["id"])[-1]["kind"] == "payment.slip_completed"
    assert facts(payment["id"])[-1]["data"] == {
        "slip": str(slip_id),
        "document": str(document),
        "sha256": f"{document.int:064x}",
    }
    another = world.document("buyer", DocumentKind.SLIP)
    refused(
        Conflict,
        "slip-complete",
        lambda: service.complete_slip(world.actor("buyer"), payment["id"], slip_id, document_id=another),
    )


def test_a_slip_with_its_file_lacks_nothing(world):
    payment = open_payment(world, world.order())
    document = world.document("buyer", DocumentKind.SLIP)
    assert slip(world, payment, document_id=document)["missing"] == []
    assert [f["kind"] for f in facts(payment["id"])] == [
        "payment.opened",
        "payment.declared",
        "payment.slip_completed",
    ]


def test_a_slip_of_another_amount_or_day_is_refused(world):
    payment = open_payment(world, world.order())
    error = refused(RuleViolation, "slip-amount-differs", lambda: slip(world, payment, amount_fen=44_999))
    assert error.data == {"expected_fen": 45_000, "given_fen": 44_999}
    refused(RuleViolation, "invalid", lambda: slip(world, payment, paid_on=date(2026, 11, 25)))
    refused(RuleViolation, "invalid", lambda: slip(world, payment, paid_on=date(2026, 9, 24)))
    refused(
        RuleViolation,
        "document-kind",
        lambda: slip(world, payment, document_id=world.document("buyer", DocumentKind.PHOTO)),
    )
    assert state_of(payment) is PaymentDocState.OPEN


def test_a_bank_reference_is_used_once_ever(world):
    used = reference()
    first, second = open_payment(world, world.order()), open_payment(world, world.order())
    slip(world, first, bank_reference=used)
    spaced = f" {used[:4]} {used[4:].lower()}"
    assert refused(Conflict, "slip-used", lambda: slip(world, second, bank_reference=spaced)).data == {
        "bank_reference": used
    }
    service.dispute_payment(world.actor("seller"), first["id"], reason="没有到账")
    service.refuse_payment(world.actor("office"), first["id"], reason="凭证无效")
    refused(Conflict, "slip-used", lambda: slip(world, second, bank_reference=used))
    assert state_of(second) is PaymentDocState.OPEN


def test_a_confirmed_payment_pays_the_accepted_lines(world):
    order = world.order([(100, 10), (250, 4), (33, 3)], accepted=[1_000, 500, 99], freight_fen=50)
    payment = declared(world, order)
    seen = service.confirm_payment(world.actor("seller"), payment["id"]).result
    assert seen["state"] is PaymentDocState.PAID
    assert line_paid(order.id) == [1_000, 500, 99]
    assert payment_lines(payment) == dict(zip(order.line_ids, [1_000, 500, 99], strict=True))
    row = order_row(order.id)
    assert (row["paid_fen"], row["payment_opened_fen"], row["payment_state"]) == (1_649, 1_649, "paid")
    fact = facts(payment["id"])[-1]
    assert fact["kind"] == "payment.confirmed"
    assert fact["data"] == {
        "number": payment["number"],
        "occurred_on": "2026-11-24",
        "amount_fen": 1_649,
        "orders": [{"order": str(order.id), "amount_fen": 1_649}],
        "lines": [
            {"line": str(line), "order": str(order.id), "paid_fen": fen}
            for line, fen in zip(order.line_ids, [1_000, 500, 99], strict=True)
        ],
    }


def test_partial_payments_add_up_to_the_fen(world):
    order = world.order([(1, 100), (1, 100), (1, 100)])
    for amount, paid, headline in (
        (1, [1, 0, 0], "part_paid"),
        (100, [34, 34, 33], "part_paid"),
        (199, [100, 100, 100], "paid"),
    ):
        payment = declared(world, OrderAmount(order.id, amount))
        service.confirm_payment(world.actor("seller"), payment["id"])
        assert line_paid(order.id) == paid
        assert order_row(order.id)["payment_state"] == headline
    assert order_row(order.id)["paid_fen"] == 300


def test_one_payment_settles_several_orders(world):
    first, second = world.order([(100, 10)]), world.order([(200, 10)])
    payment = declared(world, first, OrderAmount(second.id, 500))
    service.confirm_payment(world.actor("seller"), payment["id"])
    assert (line_paid(first.id), line_paid(second.id)) == ([1_000], [500])
    assert [order_row(o.id)["payment_state"] for o in (first, second)] == ["paid", "part_paid"]
    assert facts(payment["id"])[-1]["data"]["amount_fen"] == 1_500


def test_what_a_reduction_freed_meanwhile_is_due_back(world):
    order = world.order([(100, 10)])
    payment = declared(world, order)
    with db.engine.begin() as connection:
        connection.execute(sa.update(Order).where(Order.id == order.id).values(accepted_fen=900))
        connection.execute(
            sa.update(OrderLine).where(OrderLine.order_id == order.id).values(accepted_fen=900)
        )
    service.confirm_payment(world.actor("seller"), payment["id"])
    assert line_paid(order.id) == [900]
    assert order_row(order.id)["paid_fen"] == 1_000
    assert order_row(order.id)["payment_state"] == "refund_due"


def test_money_is_confirmed_only_after_a_slip_and_only_once(world):
    order = world.order()
    payment = open_payment(world, order)
    confirm = lambda: service.confirm_payment(world.actor("seller"), payment["id"])  # noqa: E731
    refused(WrongState, "wrong-state", confirm)
    slip(world, payment)
    confirm()
    refused(WrongState, "wrong-state", confirm)
    refused(WrongState, "wrong-state", lambda: slip(world, payment))
    refused(WrongState, "wrong-state", lambda: service.cancel_payment(world.actor("buyer"), payment["id"]))
    assert line_paid(order.id) == [45_000]


def in_parallel(app, acts):
    """The outcome of each act, started together on connections of their own: its state, or the slug."""
    barrier = Barrier(len(acts))

    def run(act):
        with app.app_context():
            barrier.wait(5)
            try:
                return act()["state"].value
            except Conflict as error:
                return error.code

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(run, acts))


def test_two_confirmations_at_once_have_one_effect(empty_app, world):
    order = world.order()
    payment = declared(world, order)
    act = lambda: service.confirm_payment(world.actor("seller"), payment["id"]).result  # noqa: E731
    assert in_parallel(empty_app, [act] * 4) == ["paid", "wrong-state", "wrong-state", "wrong-state"]
    assert line_paid(order.id) == [45_000]
    assert order_row(order.id)["paid_fen"] == 45_000
    assert [f["kind"] for f in facts(payment["id"])].count("payment.confirmed") == 1


def test_payments_opened_at_once_never_exceed_what_was_accepted(empty_app, world):
    order = world.order()
    act = lambda: open_payment(world, OrderAmount(order.id, 20_000))  # noqa: E731
    assert in_parallel(empty_app, [act] * 4) == ["above-accepted", "above-accepted", "open", "open"]
    assert order_row(order.id)["payment_opened_fen"] == 40_000


def test_crossing_payments_over_the_same_orders_do_not_deadlock(empty_app, world):
    first, second = world.order(), world.order()
    forth, back = declared(world, OrderAmount(first.id, 10), OrderAmount(second.id, 10)), None
    back = declared(world, OrderAmount(second.id, 20), OrderAmount(first.id, 20))
    acts = [lambda p=p: service.confirm_payment(world.actor("seller"), p["id"]).result for p in (forth, back)]
    assert in_parallel(empty_app, acts) == ["paid", "paid"]
    assert [line_paid(o.id) for o in (first, second)] == [[30], [30]]


def test_a_bank_reference_filed_twice_at_once_is_taken_once(empty_app, world):
    payments = [open_payment(world, world.order()) for _ in range(2)]
    used = reference()
    acts = [lambda p=p: slip(world, p, bank_reference=used) for p in payments]
    assert in_parallel(empty_app, acts) == ["declared", "slip-used"]
    assert sorted(state_of(p).value for p in payments) == ["declared", "open"]


def test_a_dispute_goes_to_the_office_which_upholds(world):
    order = world.order()
    payment = declared(world, order)
    seen = service.dispute_payment(world.actor("seller"), payment["id"], reason="王五说没到账").result
    assert (seen["state"], seen["state_reason"]) == (PaymentDocState.DISPUTED, "王五说没到账")
    assert order_row(order.id)["payment_state"] == "declared"
    assert facts(payment["id"])[-1]["data"] == {
        "number": payment["number"],
        "orders": [{"order": str(order.id), "amount_fen": 45_000}],
        "reason_given": True,
    }
    upheld = service.uphold_payment(world.actor("office"), payment["id"]).result
    assert upheld["state"] is PaymentDocState.PAID
    assert line_paid(order.id) == [45_000]
    assert facts(payment["id"])[-1]["kind"] == "payment.upheld"
    assert facts(payment["id"])[-1]["data"]["lines"] == [
        {"line": str(order.line_ids[0]), "order": str(order.id), "paid_fen": 45_000}
    ]
    assert "王五" not in json.dumps(facts(payment["id"]), ensure_ascii=False)


def test_a_refused_payment_is_owed_again(world):
    order = world.order()
    payment = declared(world, order)
    service.dispute_payment(world.actor("seller"), payment["id"], reason="没有到账")
    seen = service.refuse_payment(world.actor("office"), payment["id"], reason="凭证与流水不符").result
    assert (seen["state"], seen["missing"]) == (PaymentDocState.REFUSED, [])
    assert order_row(order.id)["payment_state"] == "none"
    assert order_row(order.id)["payment_opened_fen"] == 0
    assert line_paid(order.id) == [0]
    assert facts(payment["id"])[-1]["kind"] == "payment.refused"
    assert open_payment(world, order)["amount_fen"] == 45_000


def test_a_better_slip_answers_a_dispute(world):
    payment = declared(world, world.order())
    service.dispute_payment(world.actor("seller"), payment["id"], reason="流水号不对")
    seen = slip(world, payment)
    assert (seen["state"], len(seen["slips"]), seen["state_reason"]) == (PaymentDocState.DECLARED, 2, None)


def test_the_office_decides_alone_only_after_ten_working_days_of_silence(world, clock):
    order = world.order()
    payment = declared(world, order)
    # Tuesday 24 November and ten working days: until Tuesday 8 December the seller may answer.
    clock.move_to(datetime(2026, 12, 8, 15, 59, tzinfo=UTC))
    for act in (
        lambda: service.uphold_payment(world.actor("office"), payment["id"]),
        lambda: service.refuse_payment(world.actor("office"), payment["id"], reason="无效"),
    ):
        assert refused(Conflict, "seller-may-answer", act).data == {"until": "2026-12-08"}
    clock.move_to(datetime(2026, 12, 8, 16, 0, tzinfo=UTC))
    assert (
        service.uphold_payment(world.actor("office"), payment["id"]).result["state"] is PaymentDocState.PAID
    )
    assert facts(payment["id"])[-1]["data"]["occurred_on"] == "2026-12-09"
    assert line_paid(order.id) == [45_000]


def test_a_payment_confirmed_at_new_years_eve_in_greenwich_is_of_the_next_year(world, clock):
    payment = declared(world, world.order())
    clock.move_to(datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
    service.confirm_payment(world.actor("seller"), payment["id"])
    assert facts(payment["id"])[-1]["data"]["occurred_on"] == "2027-01-01"


def test_an_office_does_not_decide_before_a_slip(world):
    payment = open_payment(world, world.order())
    refused(WrongState, "wrong-state", lambda: service.uphold_payment(world.actor("office"), payment["id"]))


def test_no_name_of_a_person_reaches_the_journal(world):
    payment = open_payment(world, world.order())
    slip(world, payment, payer_name="赵六")
    service.confirm_payment(world.actor("seller"), payment["id"])
    assert "赵六" not in json.dumps(facts(payment["id"]), ensure_ascii=False)


@pytest.mark.parametrize("stranger", ["buyer2", "seller2", "far_office"])
def test_a_stranger_finds_no_payment(world, stranger):
    payment = declared(world, world.order())
    actor = world.actor(stranger)
    with pytest.raises(NotFound):
        queries.payment_view(db.session(), payment["id"], actor, today=date(2026, 11, 24))
    act = {
        "buyer2": lambda: service.cancel_payment(actor, payment["id"]),
        "seller2": lambda: service.confirm_payment(actor, payment["id"]),
        "far_office": lambda: service.uphold_payment(actor, payment["id"]),
    }[stranger]
    refused(NotFound, "not-found", act)
    assert state_of(payment) is PaymentDocState.DECLARED


def test_a_foreign_order_can_not_be_paid(world):
    order = world.order()
    refused(NotFound, "not-found", lambda: open_payment(world, order, actor="buyer2"))


@pytest.mark.parametrize(
    ("role", "act"),
    [
        ("buyer", lambda actor, p: service.confirm_payment(actor, p)),
        ("buyer", lambda actor, p: service.uphold_payment(actor, p)),
        ("seller", lambda actor, p: service.uphold_payment(actor, p)),
        ("seller", lambda actor, p: service.cancel_payment(actor, p)),
        ("manager", lambda actor, p: service.cancel_payment(actor, p)),
        ("finance", lambda actor, p: service.refuse_payment(actor, p, reason="不")),
        ("office", lambda actor, p: service.confirm_payment(actor, p)),
    ],
)
def test_a_role_without_the_permission_is_refused(world, role, act):
    payment = declared(world, world.order())
    refused(Forbidden, "forbidden", lambda: act(world.actor(role), payment["id"]))


def test_each_side_lists_its_payments_and_what_is_missing(world):
    order = world.order()
    bare = declared(world, OrderAmount(order.id, 1_000))
    complete = open_payment(world, OrderAmount(order.id, 2_000))
    slip(world, complete, document_id=world.document("buyer", DocumentKind.SLIP))
    untouched = open_payment(world, OrderAmount(order.id, 3_000))

    def listed(name, **filters):
        page = queries.list_payments(
            db.session(),
            world.actor(name),
            **{"today": date(2026, 11, 24), "order_id": order.id, **filters},
        )
        return [item["id"] for item in page["items"]]

    everything = [p["id"] for p in (untouched, complete, bare)]
    for name in ("buyer", "manager", "seller", "office", "county_office", "finance"):
        assert listed(name) == everything, name
    for name in ("buyer2", "seller2", "far_office"):
        assert listed(name) == [], name
    assert listed("buyer", missing=True) == [bare["id"]]
    assert listed("buyer", missing=False) == [untouched["id"], complete["id"]]
    assert listed("buyer", state=PaymentDocState.OPEN) == [untouched["id"]]
    assert listed("buyer", overdue=True) == []
    assert listed("buyer", overdue=True, today=date(2026, 12, 21)) == [untouched["id"]]
    first = queries.list_payments(
        db.session(), world.actor("buyer"), today=date(2026, 11, 24), order_id=order.id, limit=2
    )
    assert [item["missing"] for item in first["items"]] == [[], []]
    second = queries.list_payments(
        db.session(), world.actor("buyer"), today=date(2026, 11, 24), order_id=order.id, after=first["next"]
    )
    assert [(item["id"], item["missing"]) for item in second["items"]] == [(bare["id"], ["document"])]
    assert second["next"] is None


def test_an_order_that_is_accepted_further_owes_again(world):
    order = world.order([(100, 10)], accepted=[600], state=OrderState.PART_ACCEPTED)
    payment = declared(world, order)
    service.confirm_payment(world.actor("seller"), payment["id"])
    assert order_row(order.id)["payment_state"] == "paid"
    with transaction(world.actor("buyer"), Permission.ORDER_ACCEPT) as tx:
        tx.session.get_one(Order, order.id, with_for_update=True).accepted_fen += 400
        tx.session.get_one(OrderLine, order.line_ids[0]).accepted_fen += 400
        record_acceptance(tx, order, {order.line_ids[0]: 400})
    assert order_row(order.id)["payment_state"] == "part_paid"
    assert open_payment(world, order)["amount_fen"] == 400


def test_the_counting_knows_what_was_paid(world):
    order = world.order([(100, 10), (50, 4)])
    payment = declared(world, OrderAmount(order.id, 600))
    service.confirm_payment(world.actor("seller"), payment["id"])
    statement = (
        sa.select(ReserveEntry.line_id, ReserveEntry.amount_fen)
        .where(ReserveEntry.order_id == order.id, ReserveEntry.kind == "paid")
        .order_by(ReserveEntry.id)
    )
    assert dict(rows(statement)) == {order.line_ids[0]: 500, order.line_ids[1]: 100}
