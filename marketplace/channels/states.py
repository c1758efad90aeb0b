"""Closed sets of the channels: trade patterns, modes and scopes of keys, states of requests and statements. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from marketplace.actors import Permission


class Pattern(StrEnum):
    """Wholesale: title passes on acceptance. Consignment: stock stands in the shop and is settled as it is sold.

    The last three are named so that agreements of them fit later; none can be made yet.
    """

    WHOLESALE = "wholesale"
    CONSIGNMENT = "consignment"
    DROP_SHIP = "drop_ship"
    GROUP_PURCHASE = "group_purchase"
    CALL_OFF = "call_off"


OPEN_PATTERNS = frozenset({Pattern.WHOLESALE, Pattern.CONSIGNMENT})


class KeyMode(StrEnum):
    LIVE = "live"
    TEST = "test"


class Scope(StrEnum):
    """What a key may be used for; a key with none of them is refused."""

    CATALOGUE = "catalogue"
    ORDERS = "orders"
    SALES = "sales"
    STATEMENTS = "statements"
    EVENTS = "events"


_P = Permission
SCOPE_PERMISSIONS: Mapping[Scope, frozenset[Permission]] = {
    Scope.CATALOGUE: frozenset({_P.CHANNEL_CATALOGUE}),
    # A partner's order is a purchase of the channel, so that reading purchases and orders comes with it.
    Scope.ORDERS: frozenset({_P.CHANNEL_ORDER, _P.PURCHASE_READ, _P.ORDER_READ}),
    Scope.SALES: frozenset({_P.CHANNEL_SALES}),
    # A transfer is declared with the bank's slip, which is handed in and named.
    Scope.STATEMENTS: frozenset({_P.CHANNEL_STATEMENTS, _P.DOCUMENT_UPLOAD, _P.DOCUMENT_READ}),
    Scope.EVENTS: frozenset({_P.CHANNEL_EVENTS}),
}


class ChangeState(StrEnum):
    OPEN = "open"
    AGREED = "agreed"
    REFUSED = "refused"


C = ChangeState
CHANGE_MOVES: Mapping[tuple[ChangeState, str], ChangeState] = {
    (C.OPEN, "agree"): C.AGREED,
    (C.OPEN, "refuse"): C.REFUSED,
}


class ConsignmentState(StrEnum):
    """Sent: the packs are held at the seller's. Taken over: what arrived well stands in the shop."""

    SENT = "sent"
    TAKEN_OVER = "taken_over"
    CANCELLED = "cancelled"


CONSIGNMENT_MOVES: Mapping[tuple[ConsignmentState, str], ConsignmentState] = {
    (ConsignmentState.SENT, "take_over"): ConsignmentState.TAKEN_OVER,
    (ConsignmentState.SENT, "cancel"): ConsignmentState.CANCELLED,
}


class BorneBy(StrEnum):
    """Who bears goods that are missing or spoilt at a shop."""

    SELLER = "seller"
    CHANNEL = "channel"
    CARRIER = "carrier"


class CountCause(StrEnum):
    """Why packs at a shop are fewer, or more, than its books say."""

    ROTTEN = "rotten"
    EXPIRED = "expired"
    DAMAGED = "damaged"
    STOLEN = "stolen"
    MISCOUNTED = "miscounted"
    UNKNOWN = "unknown"


class StatementState(StrEnum):
    ISSUED = "issued"
    DISPUTED = "disputed"
    AGREED = "agreed"
    SETTLED = "settled"


S = StatementState
STATEMENT_MOVES: Mapping[tuple[StatementState, str], StatementState] = {
    (S.ISSUED, "dispute"): S.DISPUTED,
    (S.DISPUTED, "dispute"): S.DISPUTED,
    # The last open dispute decides; until then it stays disputed.
    (S.DISPUTED, "answer"): S.DISPUTED,
    (S.DISPUTED, "answer_last"): S.ISSUED,
    (S.DISPUTED, "withdraw"): S.DISPUTED,
    (S.DISPUTED, "withdraw_last"): S.ISSUED,
    (S.ISSUED, "agree"): S.ISSUED,
    (S.ISSUED, "agree_second"): S.AGREED,
    # The channel names another transfer only after the seller returned the one before.
    (S.AGREED, "declare"): S.AGREED,
    (S.AGREED, "return"): S.AGREED,
    (S.AGREED, "settle"): S.SETTLED,
}


class StatementLineKind(StrEnum):
    SALE = "sale"
    RED = "red"
    SPOILAGE = "spoilage"
    LOSS = "loss"
    ADJUSTMENT = "adjustment"


class DisputeState(StrEnum):
    OPEN = "open"
    CORRECTED = "corrected"
    UPHELD = "upheld"
    WITHDRAWN = "withdrawn"


D = DisputeState
DISPUTE_MOVES: Mapping[tuple[DisputeState, str], DisputeState] = {
    (D.OPEN, "correct"): D.CORRECTED,
    (D.OPEN, "uphold"): D.UPHELD,
    (D.OPEN, "withdraw"): D.WITHDRAWN,
}


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
