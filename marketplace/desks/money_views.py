"""What the pages of money show beyond the lists: whose turn it is, and an invoice beside what it should say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import PayerProfile
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Category
from marketplace.clock import business_day
from marketplace.documents import queries as documents
from marketplace.documents import service as document_store
from marketplace.documents.storage import StoreFailure
from marketplace.payments import rules
from marketplace.payments.invoice_files import read_invoice
from marketplace.payments.models import Invoice
from marketplace.payments.states import PAYMENT_MOVES, PaymentDocState, PaymentMethod
from marketplace.policies.queries import policy_value


@dataclass(frozen=True)
class Turn:
    """Who has to act on a payment (`buyer`, `seller`, `office` or nobody) and until which day, if there is one."""

    who: str | None
    until: date | None = None
    late: bool = False


def turn(
    session: Session, state: PaymentDocState, due_on: date, declared_at: datetime | None, today: date
) -> Turn:
    """An open payment waits for the buyer, a slip for the seller, a silent or disputing seller's for the office."""
    if state is PaymentDocState.OPEN:
        return Turn("buyer", due_on, due_on < today)
    if state is PaymentDocState.DISPUTED:
        return Turn("office")
    if state is PaymentDocState.DECLARED and declared_at is not None:
        silence = policy_value(session, "slip_silence_days", today)
        until = rules.seller_answers_until(business_day(declared_at), silence)
        return Turn("seller", until) if today <= until else Turn("office", until, True)
    return Turn(None)


def payment_acts(payment: Mapping[str, Any], actor: Actor, whose: Turn) -> frozenset[str]:
    """The acts that this reader may do now: `slip complete_slip cancel confirm dispute uphold refuse`."""
    events = {event for state, event in PAYMENT_MOVES if state is payment["state"]}
    acts: set[str] = set()
    if actor.can(Permission.PAYMENT_OPEN) and actor.organisation_id == payment["buyer"]["id"]:
        acts |= {"slip"} if "declare" in events and payment["method"] is PaymentMethod.TRANSFER else set()
        acts |= events & {"cancel"}
        acts |= {"complete_slip"} if payment["missing"] else set()
    if actor.can(Permission.PAYMENT_CONFIRM) and actor.organisation_id == payment["seller"]["id"]:
        acts |= events & {"confirm", "dispute"}
    if actor.can(Permission.PAYMENT_UPHOLD) and whose.who == "office":
        acts |= events & {"uphold", "refuse"}
    return frozenset(acts)


def tax_names(session: Session, lines: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Category code -> its name, which stands in asterisks before the goods on an invoice."""
    codes = {line["category_code"] for line in lines}
    rows = session.execute(sa.select(Category.code, Category.name).where(Category.code.in_(codes)))
    return {row.code: row.name for row in rows}


@dataclass(frozen=True)
class Comparison:
    """One line of the check: what the file says, what the invoice was handed in with, what the payer's own words are."""

    what: str
    in_file: Any
    handed_in: Any
    wanted: Any

    @property
    def same(self) -> bool | None:
        """None where the file could not be read and nothing is known to differ."""
        if self.wanted is not None and not _equal(self.handed_in, self.wanted):
            return False
        if self.in_file in (None, ""):
            return None
        return _equal(self.in_file, self.handed_in)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return rules.plain_number(one) == rules.plain_number(other)
    return bool(one == other)


def comparisons(session: Session, actor: Actor, invoice: Mapping[str, Any]) -> list[Comparison]:
    """An invoice beside its file and the payer's registered words. Reads the file from the store."""
    profile = session.execute(
        sa.select(PayerProfile.invoice_title, PayerProfile.tax_number)
        .join(Invoice, Invoice.payer_profile_id == PayerProfile.id)
        .where(Invoice.id == invoice["id"])
    ).one_or_none()
    document = documents.readable_document(session, actor, invoice["document_id"])
    # No connection is held while the store is asked.
    session.close()
    try:
        read = read_invoice(document_store.content_of(document), document.content_type)
    except StoreFailure:
        # The check goes on by the words that were handed in; the reader is sent to the original.
        read = {}
    title = profile.invoice_title if profile else invoice["buyer_title"]
    tax_number = profile.tax_number if profile else invoice["buyer_tax_number"]
    accepted = sum(order["amount_fen"] for order in invoice["orders"])
    return [
        Comparison("buyer_title", read.get("buyer_title"), invoice["buyer_title"], title),
        Comparison("buyer_tax_number", read.get("buyer_tax_number"), invoice["buyer_tax_number"], tax_number),
        Comparison("amount_fen", read.get("amount_fen"), invoice["amount_fen"], accepted),
        Comparison("number", read.get("number"), invoice["number"], None),
        Comparison("issued_on", read.get("issued_on"), invoice["issued_on"], None),
    ]


def newest_bare_slip(payment: Mapping[str, Any]) -> UUID | None:
    """The slip whose file is still to be handed in."""
    slips: list[Any] = payment["slips"]
    bare = slips and slips[-1]["document_id"] is None
    return slips[-1]["id"] if bare else None
