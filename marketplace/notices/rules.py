"""Who is waited for after which fact: a table, read by the follower. Pure.

A notice belongs to an organisation (or to all offices) and to those of its people who have the permission for the
next step. It stays open until a later fact ends the wait; news that ask for nothing end when they are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from marketplace.actors import Permission

P = Permission


class To(StrEnum):
    """Whose turn it is, seen from the subject of the fact."""

    BUYER = "buyer"
    SELLER = "seller"
    # The agency that decides a purchase: the buyer itself, or the one a contractor buys for.
    DECIDER = "decider"
    OWN = "own"
    CHANNEL = "channel"
    OTHER_SIDE = "other_side"
    OFFICES = "offices"
    HURT_BUYERS = "hurt_buyers"


@dataclass(frozen=True)
class Raise:
    """Open a notice of `topic`. `each` makes one for every order that the fact names, instead of for the subject."""

    topic: str
    to: To
    permission: Permission
    news: bool = False
    each_order: bool = False
    due: str = ""
    # A condition on the fact's data that must hold (a name of CONDITIONS).
    when: str = ""
    # The wait begins only when the day of `due` is over: nobody is told before.
    once_due: bool = False
    # Only about those of the orders that no payment covers.
    unpaid: bool = False


@dataclass(frozen=True)
class Close:
    """End the open notices of `topic` about the subject, or about every order that the fact names."""

    topic: str
    each_order: bool = False
    when: str = ""
    # Only about those of the orders that are paid in whole.
    paid: bool = False


Step = Raise | Close

_LOOK_AT_STATEMENT: tuple[Step, ...] = (
    Raise("statement_check", To.SELLER, P.PAYMENT_CONFIRM, when="seller_to_agree"),
    Raise("shop_statement_check", To.CHANNEL, P.CHANNEL_STATEMENTS, when="channel_to_agree"),
)
_NONE_DISPUTED: tuple[Step, ...] = (
    Close("statement_answer", when="none_disputed"), Close("shop_statement_answer", when="none_disputed"),
)  # fmt: skip
_DECIDED: tuple[Step, ...] = (
    Close("receipt"), Close("decide"), Close("decide_silent"), Close("slip_file"),
)  # fmt: skip
# An order may be paid before its invoice is checked, or by a charge that comes after its payment was called off.
_NOTHING_TO_PAY = Close("pay", each_order=True, paid=True)
_PAID: tuple[Step, ...] = (
    *_DECIDED,
    _NOTHING_TO_PAY,
    Raise("evaluate", To.BUYER, P.ORDER_EVALUATE, each_order=True),
)

STEPS: Mapping[str, Sequence[Step]] = {
    "purchase.submitted": (
        Raise("approve", To.DECIDER, P.PURCHASE_DECIDE, due="hold_until", when="awaiting_approval"),
        Raise("confirm", To.SELLER, P.ORDER_CONFIRM, each_order=True, due="confirm_by", when="approved_at_once"),
    ),
    "purchase.approved": (
        Close("approve"),
        Raise("approved", To.BUYER, P.PURCHASE_SUBMIT, news=True),
        Raise("confirm", To.SELLER, P.ORDER_CONFIRM, each_order=True, due="confirm_by"),
    ),
    "purchase.rejected": (Close("approve"), Raise("rejected", To.BUYER, P.PURCHASE_SUBMIT, news=True)),
    "purchase.expired": (Close("approve"), Raise("expired", To.BUYER, P.PURCHASE_SUBMIT, news=True)),
    "purchase.cancelled": (Close("approve"), Close("confirm", each_order=True)),
    "order.confirmed": (
        Close("confirm"),
        Raise("confirmed", To.BUYER, P.ORDER_ACCEPT, news=True),
        Raise("ship", To.SELLER, P.ORDER_SHIP, due="deliver_on"),
    ),
    "order.lapsed": (
        Close("confirm"),
        Raise("lapsed", To.BUYER, P.PURCHASE_SUBMIT, news=True),
        Raise("lapsed", To.SELLER, P.ORDER_CONFIRM, news=True),
    ),
    "order.cancel_asked": (Raise("agree_cancel", To.OTHER_SIDE, P.ORDER_CANCEL),),
    "order.cancelled": (
        Close("confirm"), Close("ship"), Close("agree_cancel"),
        Raise("cancelled", To.BUYER, P.ORDER_CANCEL, news=True),
        Raise("cancelled", To.SELLER, P.ORDER_CANCEL, news=True),
    ),
    # A channel asks after its cut-off; the seller answers.
    "change_request.asked": (Raise("change", To.SELLER, P.ORDER_CONFIRM, each_order=True),),
    "change_request.agreed": (
        Close("change", each_order=True), Raise("change_agreed", To.BUYER, P.CHANNEL_KEYS, each_order=True, news=True),
    ),
    "change_request.refused": (
        Close("change", each_order=True), Raise("change_refused", To.BUYER, P.CHANNEL_KEYS, each_order=True, news=True),
    ),
    # Goods on their way to a channel's shop wait to be counted there.
    "consignment.sent": (Raise("take_over", To.CHANNEL, P.CHANNEL_SALES),),
    "consignment.taken_over": (Close("take_over"), Raise("taken_over", To.SELLER, P.ORDER_SHIP, news=True)),
    "consignment.cancelled": (Close("take_over"),),
    # Each side looks at a statement and agrees; who did not dispute a line answers for it.
    "statement.issued": _LOOK_AT_STATEMENT,
    "statement.disputed": (
        Raise("statement_answer", To.SELLER, P.PAYMENT_CONFIRM, when="by_channel"),
        Raise("shop_statement_answer", To.CHANNEL, P.CHANNEL_STATEMENTS, when="by_seller"),
    ),
    "statement.answered": (*_NONE_DISPUTED, *_LOOK_AT_STATEMENT),
    "statement.dispute_withdrawn": _NONE_DISPUTED,
    "statement.agreed": (
        Close("statement_check", when="by_seller"), Close("shop_statement_check", when="by_channel"),
        Raise("statement_pay", To.CHANNEL, P.CHANNEL_STATEMENTS, due="due_on", when="agreed_and_owed"),
        Raise("statement_close", To.SELLER, P.PAYMENT_CONFIRM, when="agreed_and_not_owed"),
    ),
    # An agreed statement is paid; the seller looks for the money, or returns what the channel named.
    "statement.declared": (
        Close("statement_pay"), Close("statement_returned"),
        Raise("statement_receipt", To.SELLER, P.PAYMENT_CONFIRM),
    ),
    "statement.transfer_returned": (
        Close("statement_receipt"), Raise("statement_returned", To.CHANNEL, P.CHANNEL_STATEMENTS),
    ),
    "statement.settled": (
        Close("statement_receipt"), Close("statement_returned"), Close("statement_pay"), Close("statement_close"),
    ),
    "order.shipped": (Close("ship", when="all_shipped"), Raise("accept", To.BUYER, P.ORDER_ACCEPT)),
    "order.accepted": (
        Close("accept", when="complete"),
        Raise("invoice", To.SELLER, P.INVOICE_ISSUE, when="some_accepted"),
        Raise("returns", To.SELLER, P.ORDER_RETURN, when="some_refused"),
        Raise("allowance", To.SELLER, P.ORDER_RETURN, when="some_allowance"),
    ),
    "order.allowance_agreed": (Close("allowance"),),
    "order.returned": (Close("returns"),),
    "order.evaluated": (Close("evaluate"), Raise("evaluated", To.SELLER, P.ORDER_READ, news=True)),
    "invoice.issued": (Close("invoice", each_order=True), Raise("check", To.BUYER, P.INVOICE_CHECK)),
    "invoice.checked": (Close("check"), Raise("pay", To.BUYER, P.PAYMENT_OPEN, each_order=True, unpaid=True)),
    "invoice.returned": (Close("check"), Raise("invoice", To.SELLER, P.INVOICE_ISSUE, each_order=True)),
    "payment.opened": (Close("pay", each_order=True), Raise("slip", To.BUYER, P.PAYMENT_OPEN, due="due_on")),
    "payment.declared": (
        Close("slip"), Close("decide"), Close("decide_silent"),
        Raise("slip_file", To.BUYER, P.PAYMENT_OPEN, when="bare_slip"),
        Raise("receipt", To.SELLER, P.PAYMENT_CONFIRM, due="answer_by"),
        # A seller who stays silent leaves it to the office.
        Raise("decide_silent", To.OFFICES, P.PAYMENT_UPHOLD, due="answer_by", once_due=True),
    ),
    "payment.slip_completed": (Close("slip_file"),),
    "payment.disputed": (
        Close("receipt"), Close("decide_silent"),
        Raise("decide", To.OFFICES, P.PAYMENT_UPHOLD),
        Raise("disputed", To.BUYER, P.PAYMENT_OPEN, news=True),
    ),
    "payment.confirmed": _PAID,
    "payment.upheld": _PAID,
    "payment.captured": (
        Close("slip"), Close("compare"), _NOTHING_TO_PAY, Raise("evaluate", To.BUYER, P.ORDER_EVALUATE, each_order=True),
    ),
    # Another sum than was asked for, at the gateway: a person compares.
    "payment.quarantined": (Raise("compare", To.OFFICES, P.PAYMENT_UPHOLD),),
    "payment.attempt_resolved": (Close("compare"),),
    # A message of the gateway that agrees with nothing: whoever is quicker decides.
    "gateway_event.set_aside": (
        Raise("gateway_message", To.OFFICES, P.PAYMENT_UPHOLD),
        Raise("gateway_message_clerk", To.OFFICES, P.RECEIPT_RECORD),
    ),
    "gateway_event.decided": (Close("gateway_message"), Close("gateway_message_clerk")),
    "payment.refund_failed": (Raise("refund_again", To.SELLER, P.PAYMENT_CONFIRM),),
    "payment.refund_asked": (Close("refund_again"),),
    "payment.refunded": (Close("refund_again"), Raise("refunded", To.BUYER, P.PAYMENT_OPEN, news=True)),
    # What was to be paid still is.
    "payment.refused": (
        *_DECIDED, Raise("refused", To.BUYER, P.PAYMENT_OPEN, news=True),
        Raise("pay", To.BUYER, P.PAYMENT_OPEN, each_order=True),
    ),
    "payment.cancelled": (Close("slip"), Raise("pay", To.BUYER, P.PAYMENT_OPEN, each_order=True)),
    "declaration.submitted": (Raise("review", To.OFFICES, P.DECLARATION_REVIEW),),
    "declaration.approved": (Close("review"), Raise("declared", To.OWN, P.DECLARATION_FILE, news=True)),
    "declaration.returned": (Close("review"), Raise("declare_again", To.OWN, P.DECLARATION_FILE)),
    "declaration.withdrawn": (Close("review"),),
    "declaration.filed": (Close("declare_again"),),
    "product.submitted": (Raise("recognise", To.OFFICES, P.PRODUCT_RECOGNISE), Close("mend_product")),
    "product.recognised": (Close("recognise"), Raise("recognised", To.SELLER, P.PRODUCT_EDIT, news=True)),
    "product.refused": (Close("recognise"), Raise("mend_product", To.SELLER, P.PRODUCT_EDIT)),
    "product.withdrawn": (Close("recognise"), Close("mend_product")),
    "lot.held": (
        Raise("held", To.SELLER, P.LOT_EDIT, news=True),
        Raise("held_goods", To.HURT_BUYERS, P.ORDER_ACCEPT, news=True),
    ),
    # Two administrators reset a second factor.
    "user.second_factor_reset_asked": (Raise("second_factor_reset", To.OFFICES, P.USER_MANAGE),),
    "user.second_factor_reset": (Close("second_factor_reset"),),
    "user.second_factor_set": (Close("second_factor_reset"),),
    "lot.held_in_shops": (
        Raise("held_in_shop", To.CHANNEL, P.CHANNEL_SALES, news=True),
        Raise("held_at_channel", To.SELLER, P.LOT_EDIT, news=True),
    ),
    "lot.unheld_in_shops": (Raise("unheld_in_shop", To.CHANNEL, P.CHANNEL_SALES, news=True),),
    "bank_account.proposed": (Raise("approve_account", To.OWN, P.PAYMENT_CONFIRM),),
    "bank_account.approved": (Close("approve_account"),),
    "webhook.disabled": (Raise("webhook_disabled", To.OWN, P.CHANNEL_EVENTS, news=True, when="failing"),),
}  # fmt: skip
KINDS = frozenset(STEPS)
# Topics of waits that nobody sees before their day is over.
ONCE_DUE = frozenset(
    step.topic for steps in STEPS.values() for step in steps if isinstance(step, Raise) and step.once_due
)
# What only the subject's row knows; the follower puts it beside the fact's data.
OF_THE_ROW = frozenset({
    "all_shipped", "bare_slip", "by_channel", "by_seller", "none_disputed", "seller_to_agree", "channel_to_agree",
    "agreed_and_owed", "agreed_and_not_owed",
})  # fmt: skip


def holds(condition: str, data: Mapping[str, object]) -> bool:
    """Whether a step is taken, by the fact's own data."""
    lines = data.get("lines")
    rows = [row for row in lines if isinstance(row, Mapping)] if isinstance(lines, Sequence) else []
    match condition:
        case "":
            return True
        case "awaiting_approval":
            return data.get("state") == "awaiting_approval"
        case "approved_at_once":
            return data.get("state") == "approved"
        case "failing":
            return data.get("reason") == "failing"
        case "complete":
            return data.get("complete") is True
        case "some_accepted":
            return any(row.get("accepted_fen") for row in rows)
        case "some_refused":
            return any(row.get("refused") for row in rows)
        case "some_allowance":
            return any(row.get("allowance_fen") for row in rows)
        case _ if condition in OF_THE_ROW:
            return data.get(condition) is True
    raise KeyError(condition)
