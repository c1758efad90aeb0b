"""Which accounts a fact of money moves: double entry, each entry adds up to nothing. Pure; amounts in fen.

The platform never holds money: the accounts say where the money of buyers and sellers stands, as the facts tell it.
`verify` builds the same entries from the sealed texts alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Account(StrEnum):
    """Of one organisation each. A positive sum is what stands there, a negative one what came from there."""

    PAID = "paid"  # the buyer's: what he gave, as a negative sum, less what he got back
    BANK = "bank"  # the seller's own account
    GATEWAY = "gateway"  # held by the gateway for the seller until it is paid out
    FEE = "fee"  # what the gateway kept of a payout; the seller bears it
    DUE_BACK = (
        "due_back"  # taken from the buyer without a debt of his: it goes back, as a negative sum until then
    )
    RECEIVABLE = "receivable"  # the seller's: what a channel owes him by statements that are not settled
    PAYABLE = "payable"  # the channel's side of it, as a negative sum


@dataclass(frozen=True, slots=True)
class Posting:
    account: Account
    organisation: str
    amount_fen: int


# Kinds of fact that move money.
MONEY_FACTS = (
    "payment.confirmed",
    "payment.upheld",
    "payment.captured",
    "payment.refunded",
    "payment.settled",
)
# The same of consignment: a statement is owed from its issue on, a correction changes it, its payment ends it.
STATEMENT_FACTS = ("statement.issued", "statement.answered", "statement.settled")


def postings_of(kind: str, data: Mapping[str, Any], *, buyer: str, seller: str) -> list[Posting]:
    """The postings of one fact between `buyer` and `seller`; they add up to 0, and none is 0.

    A transfer that was confirmed, or upheld by the office, stands in the seller's bank. A captured payment stands at
    the gateway until its payout is settled (less the fee) or it is refunded. Money that was captured without being
    owed is due back. A statement is owed by the channel (`buyer`) until its payment stands in the seller's bank; below
    0 it is owed the other way. Raises ValueError for a kind that moves no money.
    """
    amount = data["amount_fen"]
    if kind in ("payment.confirmed", "payment.upheld"):
        moves = [(Account.BANK, seller, amount), (Account.PAID, buyer, -amount)]
    elif kind == "payment.captured":
        moves = [(Account.GATEWAY, seller, amount), (_of_buyer(data), buyer, -amount)]
    elif kind == "payment.refunded":
        moves = [(Account.GATEWAY, seller, -amount), (_of_buyer(data), buyer, amount)]
    elif kind == "payment.settled":
        fee = data["fee_fen"]
        moves = [
            (Account.GATEWAY, seller, -amount),
            (Account.BANK, seller, amount - fee),
            (Account.FEE, seller, fee),
        ]
    elif kind in ("statement.issued", "statement.answered"):
        moves = [(Account.RECEIVABLE, seller, amount), (Account.PAYABLE, buyer, -amount)]
    elif kind == "statement.settled":
        moves = [
            (Account.RECEIVABLE, seller, -amount),
            (Account.BANK, seller, amount),
            (Account.PAYABLE, buyer, amount),
            (Account.PAID, buyer, -amount),
        ]
    else:
        raise ValueError(f"{kind} moves no money")
    return [Posting(*move) for move in moves if move[2]]


def _of_buyer(data: Mapping[str, Any]) -> Account:
    return Account.PAID if data["booked"] else Account.DUE_BACK
