"""Every state and every fact against the table of notices: where somebody is waited for, somebody is told."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import pytest
from flask import Flask

from marketplace.catalog.states import ProductState
from marketplace.channels.states import ChangeState, ConsignmentState, StatementState
from marketplace.notices.rules import STEPS, Close, Raise
from marketplace.orders.states import EvaluationState, InvoiceState, OrderState, PurchaseState
from marketplace.payments.states import (
    AttemptState,
    EventState,
    InvoiceDocState,
    PaymentDocState,
    RefundState,
)
from marketplace.quota.states import DeclarationState
from marketplace.web.words import WORDS
from tests.notices.test_notices import catch_up, inbox
from tests.story import Teller, bearer

OVER = ("nobody: it is over",)
OWN_DESK = ("nobody else: whoever began it goes on at the own desk",)
OTHERS = ("nobody by it: another machine of the same thing says who",)
PROGRAM = ("nobody: the worker asks the gateway again",)
REASONS = (OVER, OWN_DESK, OTHERS, PROGRAM)

A, C, D, E, G = AttemptState, ConsignmentState, DeclarationState, EvaluationState, EventState
O, P, Q, R, S = OrderState, PaymentDocState, PurchaseState, ProductState, StatementState  # noqa: E741
WAITS: Mapping[type[StrEnum], Mapping[StrEnum, tuple[str, ...]]] = {
    PurchaseState: {
        Q.AWAITING_APPROVAL: ("approve",), Q.APPROVED: OTHERS, Q.REJECTED: OVER, Q.CANCELLED: OVER, Q.EXPIRED: OVER,
    },
    OrderState: {
        O.AWAITING_APPROVAL: OTHERS, O.PLACED: ("confirm", "change"), O.CONFIRMED: ("ship", "agree_cancel", "change"),
        O.PART_SHIPPED: ("ship", "accept"), O.SHIPPED: ("accept",), O.PART_ACCEPTED: ("ship", "accept", "returns"),
        O.ACCEPTED: ("returns", "allowance", "evaluate"), O.REFUSED: ("returns",), O.CANCELLED: OVER, O.LAPSED: OVER,
    },
    InvoiceState: {
        InvoiceState.NONE: ("invoice",), InvoiceState.ISSUED: ("check",), InvoiceState.CHECKED: ("pay",),
        InvoiceState.RETURNED: ("invoice",),
    },
    EvaluationState: {E.NONE: ("evaluate",), E.GIVEN: OVER, E.AUTOMATIC: OVER},
    InvoiceDocState: {
        InvoiceDocState.ISSUED: ("check",), InvoiceDocState.CHECKED: ("pay",), InvoiceDocState.RETURNED: ("invoice",),
    },
    PaymentDocState: {
        P.OPEN: ("slip",), P.DECLARED: ("receipt", "decide_silent", "slip_file"), P.DISPUTED: ("decide",),
        P.PAID: ("evaluate",), P.REFUSED: ("pay",), P.CANCELLED: ("pay",),
    },
    AttemptState: {
        A.PENDING: PROGRAM, A.ACTION: OWN_DESK, A.FAILED: OWN_DESK, A.QUARANTINED: ("compare",), A.CAPTURED: OVER,
    },
    RefundState: {
        RefundState.PENDING: PROGRAM, RefundState.REFUNDED: OVER, RefundState.FAILED: ("refund_again",),
    },
    EventState: {
        G.NEW: PROGRAM, G.WAITING: PROGRAM, G.APPLIED: OVER, G.IGNORED: OVER,
        G.QUARANTINED: ("gateway_message", "gateway_message_clerk"),
    },
    DeclarationState: {
        D.DRAFT: OWN_DESK, D.SUBMITTED: ("review",), D.APPROVED: OVER, D.RETURNED: ("declare_again",), D.WITHDRAWN: OWN_DESK,
    },
    ProductState: {
        R.DRAFT: OWN_DESK, R.SUBMITTED: ("recognise",), R.RECOGNISED: OVER, R.REFUSED: ("mend_product",), R.WITHDRAWN: OVER,
    },
    ChangeState: {ChangeState.OPEN: ("change",), ChangeState.AGREED: OVER, ChangeState.REFUSED: OVER},
    ConsignmentState: {C.SENT: ("take_over",), C.TAKEN_OVER: OVER, C.CANCELLED: OVER},
    StatementState: {
        S.ISSUED: ("statement_check", "shop_statement_check"),
        S.DISPUTED: ("statement_answer", "shop_statement_answer"),
        S.AGREED: ("statement_pay", "statement_receipt", "statement_returned", "statement_close"), S.SETTLED: OVER,
    },
}  # fmt: skip
# Facts after which nobody's turn has come or gone. A new kind of fact stands here or in STEPS.
ASK_FOR_NOTHING = {
    "masters, kept by whoever writes them": (
        "region.added", "township.added", "organisation.added", "organisation.edited", "canteen.added",
        "payer_profile.added", "bank_account.added", "policy.set", "eligibility.set", "category.added", "price_list.added",
        "place.added", "grower.added", "channel.paired", "channel.agreed", "channel.priced", "channel.listed",
        "channel.withdrawn", "product.added", "product.edited", "product.photo_added", "product.photo_edited",
        "product.photo_removed", "product.photo_restored", "document.stored", "notice.address_set",
    ),
    "sign-ins and keys of a person or a program": (
        "user.added", "user.password_changed", "user.password_renewed", "user.role_changed", "user.disabled",
        "user.enabled", "user.signed_out_everywhere", "user.second_factor_begun", "user.recovery_code_used",
        "partner_key.created", "partner_key.revoked", "webhook.created", "webhook.secret_renewed", "webhook.enabled",
    ),
    "a seller's own lots: what blocks one stands at the desk": (
        "lot.added", "lot.certified", "lot.inspected", "inspection.added", "lot.released", "lot.unheld", "stock.moved",
    ),
    "a part of something that has its notices": (
        "order.reduced", "payment.attempted", "payment.attempt_sent", "payment.attempt_failed", "payment.settled",
        "sales.reported", "sales.reversed", "stock.counted", "period.closed",
    ),
}  # fmt: skip


def test_every_kind_of_fact_either_tells_somebody_or_is_known_to_ask_for_nothing() -> None:
    silent = [kind for kinds in ASK_FOR_NOTHING.values() for kind in kinds]
    assert sorted([*STEPS, *silent]) == sorted(WORDS["fact_kind"])


@pytest.mark.parametrize("machine", WAITS, ids=lambda machine: machine.__name__)
def test_every_state_that_waits_for_somebody_has_its_notice(machine: type[StrEnum]) -> None:
    """Each state names the notices that are open in it, or the reason for which nobody is waited for."""
    waits = WAITS[machine]
    assert set(waits) == set(machine)
    topics = {
        step.topic for steps in STEPS.values() for step in steps if isinstance(step, Raise) and not step.news
    }
    named = {topic for each in waits.values() for topic in each if each not in REASONS}
    assert named <= topics


@pytest.mark.parametrize("kind", ["payment.captured", "payment.confirmed", "payment.upheld"])
def test_what_is_paid_is_waited_for_no_longer(kind: str) -> None:
    assert Close("pay", each_order=True, paid=True) in STEPS[kind]


def test_an_order_that_is_paid_before_its_invoice_is_checked_asks_for_no_payment(fresh_app: Flask) -> None:
    teller = Teller(fresh_app, bearer(fresh_app))
    story = teller.play("invoiced")
    teller._declare(story)
    teller._pay(story)
    teller._check(story)
    unpaid = teller.play("checked")
    catch_up(fresh_app)

    shown = inbox(fresh_app, "canteen.buyer")
    assert f"订单{unpaid.order['number']}的发票已核对，请付款" in shown
    assert f"订单{story.order['number']}的发票已核对，请付款" not in shown
