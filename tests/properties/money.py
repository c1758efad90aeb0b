"""What invoices and payments must be, in plain Python, over the orders of `model`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from marketplace import clock
from tests.properties.declaring import require
from tests.properties.things import Order

SILENCE_DAYS = 10


@dataclass(eq=False)
class Invoice:
    amounts: dict[Order, int]
    state: str = "issued"
    id: UUID | None = None


@dataclass(eq=False)
class Payment:
    amounts: dict[Order, int]
    state: str = "open"
    id: UUID | None = None
    declared_on: date | None = None

    @property
    def amount_fen(self) -> int:
        return sum(self.amounts.values())


def spread(total: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder, the earlier line first."""
    whole = sum(weights)
    parts = [total * w // whole if whole else 0 for w in weights]
    for n in sorted(range(len(weights)), key=lambda n: -(total * weights[n] % whole) if whole else 0):
        if sum(parts) < min(total, whole):
            parts[n] += 1
    return parts


Asked = Sequence[tuple[Order, int | None]]


def _covered(asked: Asked, covered: dict[Order, int]) -> dict[Order, int]:
    """Amounts of a new paper, in the order in which the orders are locked."""
    amounts: dict[Order, int] = {}
    for order, wanted in sorted(asked, key=lambda a: str(a[0].id)):
        left = order.accepted_fen - covered[order]
        require(order.accepted_fen > 0, "nothing-accepted")
        require(left > 0, "nothing-left")
        require(wanted is None or wanted <= left, "above-accepted")
        amounts[order] = left if wanted is None else wanted
    return amounts


@dataclass
class Money:
    invoice_first: bool
    invoices: list[Invoice] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)

    def issue(self, asked: Asked) -> Invoice:
        require(all(order.state != "awaiting_approval" for order, _ in asked), "not-found")
        invoice = Invoice(_covered(asked, {order: order.invoiced_fen for order, _ in asked}))
        for order, fen in invoice.amounts.items():
            order.invoiced_fen += fen
        self.invoices.append(invoice)
        return invoice

    def check(self, invoice: Invoice) -> None:
        require(invoice.state == "issued", "wrong-state")
        invoice.state = "checked"

    def return_(self, invoice: Invoice) -> None:
        require(invoice.state == "issued", "wrong-state")
        invoice.state = "returned"
        for order, fen in invoice.amounts.items():
            order.invoiced_fen -= fen

    def invoice_state(self, order: Order) -> str:
        mine = [i for i in self.invoices if order in i.amounts]
        if order.invoiced_fen == 0:
            return "returned" if any(i.state == "returned" for i in mine) else "none"
        checked = sum(i.amounts[order] for i in mine if i.state == "checked")
        return "checked" if 0 < order.accepted_fen <= checked else "issued"

    def open(self, asked: Asked) -> Payment:
        require(all(order.state != "awaiting_approval" for order, _ in asked), "not-found")
        payment = Payment(_covered(asked, {order: order.opened_fen for order, _ in asked}))
        if self.invoice_first:
            checked = all(self.invoice_state(order) == "checked" for order in payment.amounts)
            require(checked, "invoice-not-checked")
        for order, fen in payment.amounts.items():
            order.opened_fen += fen
        self.payments.append(payment)
        return payment

    def declare(self, payment: Payment) -> None:
        require(payment.state in ("open", "disputed"), "wrong-state")
        payment.state, payment.declared_on = "declared", clock.today()

    def cancel(self, payment: Payment) -> None:
        require(payment.state == "open", "wrong-state")
        self._free(payment, "cancelled")

    def dispute(self, payment: Payment) -> None:
        require(payment.state == "declared", "wrong-state")
        payment.state = "disputed"

    def confirm(self, payment: Payment) -> None:
        require(payment.state in ("declared", "disputed"), "wrong-state")
        self._book(payment)

    def decide(self, payment: Payment, *, paid: bool) -> None:
        """The office upholds or refuses: after a dispute, or when the seller was silent for its days."""
        require(payment.state in ("declared", "disputed"), "wrong-state")
        if payment.state == "declared":
            assert payment.declared_on is not None
            until = clock.add_working_days(payment.declared_on, SILENCE_DAYS)
            require(clock.today() > until, "seller-may-answer")
        if paid:
            self._book(payment)
        else:
            self._free(payment, "refused")

    def _free(self, payment: Payment, state: str) -> None:
        payment.state = state
        for order, fen in payment.amounts.items():
            order.opened_fen -= fen

    def _book(self, payment: Payment) -> None:
        payment.state = "paid"
        for order, fen in payment.amounts.items():
            order.paid_fen += fen
            order.paid_on = clock.today()
            rests = [max(0, line.accepted_fen - line.paid_fen) for line in order.lines]
            for line, part in zip(order.lines, spread(min(fen, sum(rests)), rests), strict=True):
                line.paid_fen += part

    def payment_state(self, order: Order) -> str:
        owed, paid = order.accepted_fen, order.paid_fen
        if paid:
            return "refund_due" if paid > owed else "paid" if paid == owed else "part_paid"
        mine = [p for p in self.payments if order in p.amounts]
        if any(p.state in ("declared", "disputed") for p in mine):
            return "declared"
        return "open" if order.opened_fen else "none"
