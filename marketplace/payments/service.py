"""The acts of invoices and payments, in one place for callers."""

from marketplace.payments.comparing import resolve_attempt
from marketplace.payments.invoicing import check_invoice, issue_invoice, return_invoice
from marketplace.payments.ledger import OrderAmount
from marketplace.payments.online import pay_online
from marketplace.payments.paying import cancel_payment, complete_slip, file_slip, open_payment
from marketplace.payments.payouts import settle_payout
from marketplace.payments.refunding import refund_payment
from marketplace.payments.set_aside import end_set_aside
from marketplace.payments.settling import confirm_payment, dispute_payment, refuse_payment, uphold_payment

__all__ = [
    "OrderAmount",
    "cancel_payment",
    "check_invoice",
    "complete_slip",
    "confirm_payment",
    "dispute_payment",
    "end_set_aside",
    "file_slip",
    "issue_invoice",
    "open_payment",
    "pay_online",
    "refund_payment",
    "refuse_payment",
    "resolve_attempt",
    "return_invoice",
    "settle_payout",
    "uphold_payment",
]
