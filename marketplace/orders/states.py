"""The state machines of purchases and orders: tables of (from, event) -> to, and the derived headline.

Access is no matter of this file. `move()` refuses with the slug `wrong-state` and names both.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from marketplace.catalog.states import move as move


class PurchaseState(StrEnum):
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class OrderState(StrEnum):
    """Fulfilment. The seller does not see an order that awaits approval."""

    AWAITING_APPROVAL = "awaiting_approval"
    PLACED = "placed"
    CONFIRMED = "confirmed"
    PART_SHIPPED = "part_shipped"
    SHIPPED = "shipped"
    PART_ACCEPTED = "part_accepted"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    LAPSED = "lapsed"


class InvoiceState(StrEnum):
    NONE = "none"
    ISSUED = "issued"
    CHECKED = "checked"
    RETURNED = "returned"


class PaymentState(StrEnum):
    NONE = "none"
    OPEN = "open"
    DECLARED = "declared"
    PART_PAID = "part_paid"
    PAID = "paid"
    REFUND_DUE = "refund_due"
    REFUNDED = "refunded"


class EvaluationState(StrEnum):
    NONE = "none"
    GIVEN = "given"
    AUTOMATIC = "automatic"


P, O = PurchaseState, OrderState  # noqa: E741

PURCHASE_MOVES: Mapping[tuple[PurchaseState, str], PurchaseState] = {
    (P.AWAITING_APPROVAL, "approve"): P.APPROVED,
    (P.AWAITING_APPROVAL, "reject"): P.REJECTED,
    (P.AWAITING_APPROVAL, "cancel"): P.CANCELLED,
    (P.AWAITING_APPROVAL, "expire"): P.EXPIRED,
    # The buyer may still withdraw all orders while no seller has confirmed.
    (P.APPROVED, "cancel"): P.CANCELLED,
}

ORDER_MOVES: Mapping[tuple[OrderState, str], OrderState] = {
    (O.AWAITING_APPROVAL, "place"): O.PLACED,
    (O.AWAITING_APPROVAL, "cancel"): O.CANCELLED,
    (O.PLACED, "confirm"): O.CONFIRMED,
    (O.PLACED, "cancel"): O.CANCELLED,
    (O.PLACED, "lapse"): O.LAPSED,
    (O.CONFIRMED, "cancel"): O.CANCELLED,
    (O.CONFIRMED, "ship_part"): O.PART_SHIPPED,
    (O.CONFIRMED, "ship_all"): O.SHIPPED,
    (O.PART_SHIPPED, "ship_part"): O.PART_SHIPPED,
    (O.PART_SHIPPED, "ship_all"): O.SHIPPED,
    # After a partial shipment only the remainder is cancelled: what left is all there will be.
    (O.PART_SHIPPED, "cancel"): O.SHIPPED,
    (O.PART_SHIPPED, "accept_part"): O.PART_ACCEPTED,
    (O.SHIPPED, "accept_part"): O.PART_ACCEPTED,
    (O.SHIPPED, "accept_all"): O.ACCEPTED,
    (O.SHIPPED, "refuse_all"): O.REFUSED,
    (O.PART_ACCEPTED, "accept_part"): O.PART_ACCEPTED,
    (O.PART_ACCEPTED, "accept_all"): O.ACCEPTED,
    (O.PART_ACCEPTED, "refuse_all"): O.REFUSED,
    (O.PART_ACCEPTED, "ship_part"): O.PART_ACCEPTED,
    (O.PART_ACCEPTED, "ship_all"): O.PART_ACCEPTED,
    (O.PART_ACCEPTED, "cancel"): O.PART_ACCEPTED,
}


def headline(
    fulfilment: OrderState, invoice: InvoiceState, payment: PaymentState, evaluation: EvaluationState
) -> str:
    """The one word that a list shows for an order, derived from its four machines; never stored."""
    if fulfilment is not OrderState.ACCEPTED:
        return fulfilment.value
    if payment is PaymentState.PAID:
        return "completed" if evaluation is not EvaluationState.NONE else "awaiting_evaluation"
    if payment in (PaymentState.REFUND_DUE, PaymentState.REFUNDED):
        return payment.value
    if invoice is not InvoiceState.CHECKED:
        return "awaiting_invoice" if invoice is not InvoiceState.ISSUED else "awaiting_invoice_check"
    return (
        "awaiting_payment"
        if payment in (PaymentState.NONE, PaymentState.OPEN)
        else "payment_" + payment.value
    )
