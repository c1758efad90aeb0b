"""Everything that the facts alone say about stock, orders, lines, both ledgers, attempts to pay and declarations.

Pure: fed with the sealed texts in their order, it asks no table. `verify.py` compares the tables with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

from marketplace.payments.money_ledger import postings_of
from marketplace.quota.consignment_books import ConsignmentBooks
from marketplace.quota.ledger import LINE_FACTS, LineState, advance, book, states_of, steps_of
from marketplace.quota.message_books import MessageBooks
from marketplace.quota.shop_books import ShopBooks
from marketplace.quota.statement_books import StatementBooks

Text = dict[str, Any]


@dataclass(slots=True)
class LineSums:
    """Packs and fen of a line, as its facts add up."""

    order: str
    county: str
    category: str
    eligible: bool
    unit_price_fen: int
    quantity: int
    goods_fen: int
    cancelled: int = 0
    shipped: int = 0
    accepted: int = 0
    refused: int = 0
    accepted_fen: int = 0
    paid_fen: int = 0


@dataclass(slots=True)
class OrderSums:
    """Fen of an order; invoiced is issued minus returned."""

    number: str
    goods_fen: int
    accepted_fen: int = 0
    invoiced_fen: int = 0
    paid_fen: int = 0


@dataclass(slots=True)
class DeclarationSums:
    agency: str
    year: int
    state: str
    current: int
    approved: int | None = None
    # number -> (canteen, base_fen, share_bp, reserve_fen, represented_by, contractor, policy_version)
    versions: dict[int, tuple[Any, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A fact that cannot be replayed: its text contradicts the facts before it, or lacks what its kind needs."""

    fact: str
    why: str


@dataclass
class Rebuilt:
    """`feed` takes the texts of facts in their order. Amounts in fen, quantities in packs."""

    stock: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    lines: dict[str, LineSums] = field(default_factory=dict)
    orders: dict[str, OrderSums] = field(default_factory=dict)
    standing: dict[str, LineState] = field(default_factory=dict)
    # (fact, line, kind) -> the other columns of the entry, in the order that `verify` selects them
    entries: dict[tuple[str, str, str], tuple[Any, ...]] = field(default_factory=dict)
    # payment -> (buyer, seller)
    payments: dict[str, tuple[str, str]] = field(default_factory=dict)
    # fact -> (kind, payment, statement, occurred_on, recorded_at), and its postings by (fact, account, organisation)
    money: dict[str, tuple[str, str | None, str | None, str, str]] = field(default_factory=dict)
    postings: dict[tuple[str, str, str], int] = field(default_factory=dict)
    # attempt -> [captured_fen, refunded_fen (asked and not failed)]
    attempts: dict[str, list[int]] = field(default_factory=dict)
    declarations: dict[str, DeclarationSums] = field(default_factory=dict)
    books: StatementBooks = field(default_factory=StatementBooks)
    shops: ShopBooks = field(default_factory=ShopBooks)
    consignments: ConsignmentBooks = field(default_factory=ConsignmentBooks)
    messages: MessageBooks = field(default_factory=MessageBooks)
    closed: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)
    _attributes: dict[str, LineState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        booked = dict.fromkeys(LINE_FACTS, self._fold)
        self._readers: dict[str, tuple[Callable[[Text], None], ...]] = {
            "purchase.submitted": (self._purchase,),
            # Before a seller confirmed, goods were never ordered: packs are cancelled, the ledger has no entry.
            **{f"purchase.{end}": (self._cancel,) for end in ("rejected", "cancelled", "expired")},
            "order.confirmed": (self._confirm, booked["order.confirmed"]),
            "order.shipped": (self._ship,),
            "order.cancelled": (self._cancel, booked["order.cancelled"]),
            "order.reduced": (self._cancel, booked["order.reduced"]),
            "order.lapsed": (self._cancel, booked["order.lapsed"]),
            "order.accepted": (self._accept, booked["order.accepted"]),
            "order.allowance_agreed": (self._accept, booked["order.allowance_agreed"]),
            "order.evaluated": (booked["order.evaluated"],),
            "invoice.issued": (partial(self._invoice, 1),),
            "invoice.returned": (partial(self._invoice, -1),),
            "payment.opened": (self._open_payment,),
            "payment.confirmed": (self._post, self._pay, booked["payment.confirmed"]),
            "payment.upheld": (self._post, self._pay, booked["payment.upheld"]),
            "payment.attempted": (self._attempt,),
            "payment.captured": (self._capture, self._post, self._pay, booked["payment.captured"]),
            "payment.refund_asked": (partial(self._ask_back, 1),),
            "payment.refund_failed": (partial(self._ask_back, -1),),
            "payment.refunded": (self._post, self._give_back, booked["payment.refunded"]),
            "payment.settled": (self._post,),
            "gateway_event.set_aside": (self.messages.take,),
            "gateway_event.decided": (self.messages.take,),
            "statement.issued": (self.books.take, self._owe),
            "statement.answered": (self.books.take, self._owe),
            "statement.settled": (self.books.take, self._owe),
            "statement.disputed": (self.books.take,),
            "statement.declared": (self.books.take,),
            "statement.transfer_returned": (self.books.take,),
            "statement.dispute_withdrawn": (self.books.take,),
            "statement.agreed": (self.books.take,),
            **{
                f"consignment.{event}": (self.consignments.take,)
                for event in ("sent", "taken_over", "cancelled")
            },
            "sales.reported": (self.shops.take_sales,),
            "sales.reversed": (self.shops.take_sales,),
            "stock.counted": (self.shops.take_count,),
            "period.closed": (self._close,),
            **{f"declaration.{event}": (self._declare,) for event in _DECLARATION_STATES},
        }

    def feed(self, text: Text) -> None:
        """Take one fact. What contradicts the facts before it becomes a refusal, and the replay goes on."""
        try:
            moves = text["data"].get("moves")
            if moves:
                self._move(moves)
            for reader in self._readers.get(text["kind"], ()):
                reader(text)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.refusals.append(Refusal(str(text.get("id")), f"{type(error).__name__}: {error}"))

    def _move(self, moves: list[Text]) -> None:
        for move in moves:
            row = self.stock.setdefault((move["lot"], move["place"]), [0, 0])
            row[0] += move["on_hand"]
            row[1] += move["reserved"]

    def _purchase(self, text: Text) -> None:
        data = text["data"]
        states = states_of(data["counted_states"])
        for order in data["orders"]:
            self.orders[order["order"]] = OrderSums(order["number"], order["goods_fen"])
            for line in order["lines"]:
                self.lines[line["line"]] = LineSums(
                    order["order"],
                    line["county"],
                    line["category"],
                    line["eligible"],
                    line["unit_price_fen"],
                    line["quantity"],
                    line["goods_fen"],
                )
                self._attributes[line["line"]] = LineState(
                    line=line["line"],
                    order=order["order"],
                    order_number=order["number"],
                    agency=data["agency"],
                    purpose=data["purpose"],
                    county=line["county"],
                    buyer_county=data["buyer_county"],
                    category=line["category"],
                    eligible=line["eligible"],
                    policy_version=data["policy_version"],
                    states=states,
                )

    def _confirm(self, text: Text) -> None:
        for row in text["data"]["lines"]:
            self.standing[row["line"]] = self._attributes.pop(row["line"])

    def _fold(self, text: Text) -> None:
        kind, data, fact = text["kind"], text["data"], text["id"]
        steps = steps_of(kind, data)
        if not steps:
            return
        occurred_on = date.fromisoformat(data["occurred_on"])
        booking = book(occurred_on, self.closed)
        for line, step in steps.items():
            state, entries = advance(self.standing[line], step)
            self.standing[line] = state
            for entry in entries:
                self.entries[fact, line, entry.kind.value] = (
                    entry.amount_fen,
                    data["occurred_on"],
                    text["recorded_at"],
                    booking.year,
                    booking.period,
                    booking.adjusts,
                    "own",
                    state.agency,
                    state.purpose,
                    state.county,
                    state.buyer_county,
                    state.category,
                    state.eligible,
                    state.policy_version,
                    state.order,
                    state.order_number,
                )

    def _ship(self, text: Text) -> None:
        for row in text["data"]["lines"]:
            self.lines[row["line"]].shipped += row["quantity"]

    def _cancel(self, text: Text) -> None:
        for row in text["data"]["lines"]:
            self.lines[row["line"]].cancelled += row["quantity"]

    def _accept(self, text: Text) -> None:
        for row in text["data"]["lines"]:
            line = self.lines[row["line"]]
            line.accepted += row.get("accepted", 0)
            line.refused += row.get("refused", 0)
            line.accepted_fen += row["accepted_fen"]
            self.orders[line.order].accepted_fen += row["accepted_fen"]

    def _invoice(self, sign: int, text: Text) -> None:
        for row in text["data"]["orders"]:
            self.orders[row["order"]].invoiced_fen += sign * row["amount_fen"]

    def _pay(self, text: Text) -> None:
        for row in text["data"]["orders"]:
            self.orders[row["order"]].paid_fen += row["amount_fen"]
        for row in text["data"]["lines"]:
            self.lines[row["line"]].paid_fen += row["paid_fen"]

    def _open_payment(self, text: Text) -> None:
        self.payments[text["subject"]["id"]] = (text["data"]["buyer"], text["data"]["seller"])

    def _post(self, text: Text) -> None:
        fact, payment, data = text["id"], text["subject"]["id"], text["data"]
        buyer, seller = self.payments[payment]
        self.money[fact] = (text["kind"], payment, None, data["occurred_on"], text["recorded_at"])
        for each in postings_of(text["kind"], data, buyer=buyer, seller=seller):
            self.postings[fact, each.account.value, each.organisation] = each.amount_fen

    def _owe(self, text: Text) -> None:
        fact, statement, data = text["id"], text["subject"]["id"], text["data"]
        sums = self.books.statements[statement]
        for each in postings_of(text["kind"], data, buyer=sums.channel, seller=sums.seller):
            self.money[fact] = (text["kind"], None, statement, data["occurred_on"], text["recorded_at"])
            self.postings[fact, each.account.value, each.organisation] = each.amount_fen

    def _attempt(self, text: Text) -> None:
        self.attempts[text["data"]["attempt"]] = [0, 0]

    def _capture(self, text: Text) -> None:
        self.attempts[text["data"]["attempt"]][0] += text["data"]["amount_fen"]

    def _ask_back(self, sign: int, text: Text) -> None:
        self.attempts[text["data"]["attempt"]][1] += sign * text["data"]["amount_fen"]

    def _give_back(self, text: Text) -> None:
        for row in text["data"]["orders"]:
            self.orders[row["order"]].paid_fen -= row["amount_fen"]
        for row in text["data"]["lines"]:
            self.lines[row["line"]].paid_fen -= row["refunded_fen"]

    def _close(self, text: Text) -> None:
        self.closed.add(text["data"]["period"])

    def _declare(self, text: Text) -> None:
        data = text["data"]
        subject, event = text["subject"]["id"], text["kind"].removeprefix("declaration.")
        number = data["number"]
        known = self.declarations.get(subject)
        if known is None:
            known = self.declarations[subject] = DeclarationSums(
                data["agency"], data["year"], "draft", number
            )
        known.state = _DECLARATION_STATES[event]
        if event == "filed":
            known.current = number
            known.versions[number] = tuple(
                data[name]
                for name in (
                    "canteen",
                    "base_fen",
                    "share_bp",
                    "reserve_fen",
                    "represented_by",
                    "contractor",
                    "policy_version",
                )
            )
        elif event == "approved":
            known.approved = number


_DECLARATION_STATES = {
    "filed": "draft",
    "submitted": "submitted",
    "approved": "approved",
    "returned": "returned",
    "withdrawn": "withdrawn",
}
