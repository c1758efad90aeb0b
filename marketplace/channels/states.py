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


CONSIGNMENT_ADVICE: Mapping[tuple[ConsignmentState, str], str] = {
    (ConsignmentState.TAKEN_OVER, "take_over"): "门店已经接收过这张送货单；件数不对，请上报盘点",
    (ConsignmentState.TAKEN_OVER, "cancel"): "门店已经接收，不能再取消",
    (ConsignmentState.CANCELLED, "take_over"): "供应商已经取消这张送货单，没有货要接收",
    (ConsignmentState.CANCELLED, "cancel"): "这张送货单已经取消过",
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


_OPEN = "还有异议没有答复：先由对方答复，或者由提出的一方撤回"
_UNAGREED = "双方都同意这张结算单以后，才能登记和确认付款"
_CLOSED = "双方已经同意这张结算单，不能再提异议；要更正销售日报，会写在下一张结算单上"
_SETTLED = "这张结算单已经结清，没有要做的了"
_UNDISPUTED = "这张结算单没有等答复的异议"
_PAYING = ("declare", "return", "settle")
_ANSWERING = ("answer", "answer_last", "withdraw", "withdraw_last")
STATEMENT_ADVICE: Mapping[tuple[StatementState, str], str] = {
    **{(S.ISSUED, event): _UNAGREED for event in _PAYING},
    **{(S.DISPUTED, event): _OPEN for event in ("agree", "agree_second", *_PAYING)},
    **{(S.SETTLED, event): _SETTLED for event in ("agree", "agree_second", *_PAYING)},
    **{(S.AGREED, event): "双方已经同意过这张结算单" for event in ("agree", "agree_second")},
    **{(state, "dispute"): _CLOSED for state in (S.AGREED, S.SETTLED)},
    **{(state, event): _UNDISPUTED for state in (S.ISSUED, S.AGREED, S.SETTLED) for event in _ANSWERING},
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


_ENDED = "这条异议已经答复或撤回；还有不同意见，请对那一行提新的异议"
DISPUTE_ADVICE: Mapping[tuple[DisputeState, str], str] = {
    (state, event): _ENDED
    for state in (D.CORRECTED, D.UPHELD, D.WITHDRAWN)
    for event in ("correct", "uphold", "withdraw")
}


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
