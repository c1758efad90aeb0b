"""The state machines of invoices and payments, and what an order's amounts say about both.

Kinds of papers stand here too, so that rules need no table. `move()` of the orders refuses an event that a state
does not know with the slug `wrong-state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from marketplace.orders.states import InvoiceState, PaymentState


class InvoiceKind(StrEnum):
    """数电票 has 20 digits; older kinds have a code and a number."""

    DIGITAL_ORDINARY = "digital_ordinary"
    DIGITAL_SPECIAL = "digital_special"
    ORDINARY = "ordinary"
    SPECIAL = "special"


class InvoiceDocState(StrEnum):
    ISSUED = "issued"
    CHECKED = "checked"
    RETURNED = "returned"


class PaymentMethod(StrEnum):
    TRANSFER = "transfer"
    GATEWAY = "gateway"


class PaymentDocState(StrEnum):
    OPEN = "open"
    DECLARED = "declared"
    DISPUTED = "disputed"
    PAID = "paid"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """One try to pay by the gateway. While it is unknown what became of it, nobody may try again."""

    PENDING = "pending"
    ACTION = "action"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    CAPTURED = "captured"


# News of an attempt only ever leads upwards here, so that any order of arrival ends in the same state.
ATTEMPT_RANK: Mapping[AttemptState, int] = {state: rank for rank, state in enumerate(AttemptState)}
# A payment has at most one of these. A quarantined one (the gateway names another sum) waits for a person.
ATTEMPT_LIVE = frozenset({AttemptState.PENDING, AttemptState.ACTION, AttemptState.QUARANTINED})


# Why an attempt that was put aside ended as void: the gateway took nothing, or gave all of it back. A charge of which
# all went back is over for good; one that was never made may still come, and is heard then.
VOID_UNCHARGED = "void-not-charged"
VOID_GIVEN_BACK = "void-given-back"


class AttemptEnd(StrEnum):
    """How a person ends an attempt that was put aside."""

    CAPTURED = "captured"
    VOID = "void"


class RefundState(StrEnum):
    PENDING = "pending"
    REFUNDED = "refunded"
    FAILED = "failed"


class EventState(StrEnum):
    """A signed message of the gateway: taken in at once, applied by the worker."""

    NEW = "new"
    WAITING = "waiting"  # names nothing that is known here yet
    APPLIED = "applied"
    IGNORED = "ignored"  # says nothing new
    QUARANTINED = "quarantined"


# A message that the worker still applies; every other state is an end, or waits for a person.
EVENT_OPEN = frozenset({EventState.NEW, EventState.WAITING})


class EventEnd(StrEnum):
    """What a person decides about a message that was put aside."""

    AGAIN = "again"  # the cause is gone: it is applied anew
    SETTLED = "settled"  # put right at the gateway or by a payment's own acts
    FOREIGN = "foreign"  # of a business that is not ours


I, P = InvoiceDocState, PaymentDocState  # noqa: E741

INVOICE_MOVES: Mapping[tuple[InvoiceDocState, str], InvoiceDocState] = {
    (I.ISSUED, "check"): I.CHECKED,
    (I.ISSUED, "return"): I.RETURNED,
}

PAYMENT_MOVES: Mapping[tuple[PaymentDocState, str], PaymentDocState] = {
    (P.OPEN, "declare"): P.DECLARED,
    (P.OPEN, "cancel"): P.CANCELLED,
    (P.OPEN, "capture"): P.PAID,
    # The gateway's answer came late, and the amount is still owed.
    (P.CANCELLED, "capture"): P.PAID,
    (P.DECLARED, "confirm"): P.PAID,
    (P.DECLARED, "dispute"): P.DISPUTED,
    # The seller stayed silent: the office decides by the slip.
    (P.DECLARED, "uphold"): P.PAID,
    (P.DECLARED, "refuse"): P.REFUSED,
    # A better slip answers a dispute, and a seller who finds the money after all needs no office.
    (P.DISPUTED, "declare"): P.DECLARED,
    (P.DISPUTED, "confirm"): P.PAID,
    (P.DISPUTED, "uphold"): P.PAID,
    (P.DISPUTED, "refuse"): P.REFUSED,
}

# Amounts of these are no longer asked for: the order's money is free for another paper.
INVOICE_FREED = frozenset({I.RETURNED})
PAYMENT_FREED = frozenset({P.REFUSED, P.CANCELLED})
# Said to be paid, not yet known to be.
PAYMENT_CLAIMED = frozenset({P.DECLARED, P.DISPUTED})


def invoice_state(payable_fen: int, live_fen: int, checked_fen: int, *, any_returned: bool) -> InvoiceState:
    """What a list says of an order's invoices.

    `payable_fen` is what the order owes in all, `live_fen` what invoices that were not returned cover,
    `checked_fen` the checked part of these. Checked only when checked invoices cover everything.
    """
    if live_fen == 0:
        return InvoiceState.RETURNED if any_returned else InvoiceState.NONE
    return InvoiceState.CHECKED if 0 < payable_fen <= checked_fen else InvoiceState.ISSUED


def payment_state(
    payable_fen: int, opened_fen: int, claimed_fen: int, paid_fen: int, refunded_fen: int = 0
) -> PaymentState:
    """What a list says of an order's payments, in fen.

    `opened_fen` is all that was asked for and not freed (paid amounts included), `claimed_fen` what slips say,
    `paid_fen` what arrived and is still there, `refunded_fen` what went back. More paid than is owed (a price
    reduction agreed afterwards) is due back. An order of which all went back rests as refunded, until somebody opens
    a payment of what it still owes.
    """
    if paid_fen > payable_fen:
        return PaymentState.REFUND_DUE
    if paid_fen > 0:
        return PaymentState.PAID if paid_fen == payable_fen else PaymentState.PART_PAID
    if claimed_fen > 0:
        return PaymentState.DECLARED
    if opened_fen > 0:
        return PaymentState.OPEN
    return PaymentState.REFUNDED if refunded_fen > 0 else PaymentState.NONE
