"""JSON of invoices and payments. Amounts in fen, days as YYYY-MM-DD (Shanghai)."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, post_load, validate

from marketplace.payments.ledger import OrderAmount
from marketplace.payments.states import (
    AttemptEnd,
    AttemptState,
    EventEnd,
    InvoiceDocState,
    InvoiceKind,
    PaymentDocState,
    PaymentMethod,
    RefundState,
)
from marketplace.values import MAX_LINES
from marketplace.web.schemas import InSchema, NamedIdOut, PageArgs, fen, text


class OrderAmountIn(InSchema):
    """An order and the amount of it; without one, all that is accepted and not covered yet."""

    order_id = fields.UUID(required=True)
    amount_fen = fen(low=1, required=False)

    @post_load
    def amount(self, data: dict[str, Any], **_: Any) -> OrderAmount:
        return OrderAmount(**data)


def _orders() -> fields.List[Any]:
    return fields.List(
        fields.Nested(OrderAmountIn),
        required=True,
        validate=validate.Length(1, MAX_LINES, error=f"要有1到{MAX_LINES}个订单"),
    )


class InvoiceIn(InSchema):
    number = text(40)
    kind = fields.Enum(InvoiceKind, by_value=True, required=True)
    issued_on = fields.Date(required=True)
    amount_fen = fen(low=1)
    tax_free = fields.Boolean(required=True, truthy={True}, falsy={False})
    orders = _orders()
    document_id = fields.UUID(required=True)
    buyer_title = text(200, required=False)
    buyer_tax_number = text(40, required=False)


class InvoiceArgs(PageArgs):
    state = fields.Enum(InvoiceDocState, by_value=True)
    order_id = fields.UUID()


class CoveredOrderOut(Schema):
    order_id = fields.UUID(required=True)
    number = fields.String(required=True)
    amount_fen = fields.Integer(required=True)


class InvoiceRowOut(Schema):
    id = fields.UUID(required=True)
    number = fields.String(required=True)
    kind = fields.Enum(InvoiceKind, by_value=True, required=True)
    state = fields.Enum(InvoiceDocState, by_value=True, required=True)
    issued_on = fields.Date(required=True)
    amount_fen = fields.Integer(required=True)
    tax_free = fields.Boolean(required=True)
    buyer = fields.Nested(NamedIdOut, required=True)
    seller = fields.Nested(NamedIdOut, required=True)


class InvoiceOut(InvoiceRowOut):
    buyer_title = fields.String(required=True)
    buyer_tax_number = fields.String(required=True)
    orders = fields.List(fields.Nested(CoveredOrderOut), required=True)
    document_id = fields.UUID(required=True)
    return_reason = fields.String(allow_none=True, required=True)
    recorded_at = fields.AwareDateTime(required=True)
    checked_at = fields.AwareDateTime(allow_none=True, required=True)
    version = fields.Integer(required=True)


class PaymentIn(InSchema):
    method = fields.Enum(PaymentMethod, by_value=True, load_default=PaymentMethod.TRANSFER)
    orders = _orders()


class PaymentArgs(PageArgs):
    """`missing`: whose newest slip has no file yet; `overdue`: past the due day without a slip."""

    state = fields.Enum(PaymentDocState, by_value=True)
    method = fields.Enum(PaymentMethod, by_value=True)
    order_id = fields.UUID()
    missing = fields.Boolean()
    overdue = fields.Boolean()


class PayeeOut(Schema):
    name = fields.String(required=True)
    bank = fields.String(required=True)
    account = fields.String(required=True)


class SlipIn(InSchema):
    """付款凭证: the amount must be the payment's own."""

    amount_fen = fen(low=1)
    paid_on = fields.Date(required=True)
    bank_reference = text(80)
    payer_name = text(200)
    document_id = fields.UUID()


class SlipFileIn(InSchema):
    document_id = fields.UUID(required=True)


class SlipOut(Schema):
    id = fields.UUID(required=True)
    amount_fen = fields.Integer(required=True)
    paid_on = fields.Date(required=True)
    bank_reference = fields.String(required=True)
    payer_name = fields.String(required=True)
    document_id = fields.UUID(allow_none=True, required=True)
    filed_at = fields.AwareDateTime(required=True)


class PaymentRowOut(Schema):
    id = fields.UUID(required=True)
    number = fields.String(required=True)
    method = fields.Enum(PaymentMethod, by_value=True, required=True)
    state = fields.Enum(PaymentDocState, by_value=True, required=True)
    amount_fen = fields.Integer(required=True)
    due_on = fields.Date(required=True)
    transfer_code = fields.String(required=True)
    overdue = fields.Boolean(required=True)
    # Input fields that are still to be handed in.
    missing = fields.List(fields.String(), required=True)
    buyer = fields.Nested(NamedIdOut, required=True)
    seller = fields.Nested(NamedIdOut, required=True)


class PayIn(InSchema):
    """`means`: one of those that the gateway is set up for; the first of them without one."""

    means = text(60, required=False)


class RefundIn(InSchema):
    """`order_id` where the payment covers several orders."""

    amount_fen = fen(low=1)
    order_id = fields.UUID()
    reason = text(500)


class ResolveIn(InSchema):
    """How the attempt that was put aside ends; the gateway's own account decides whether it may."""

    outcome = fields.Enum(AttemptEnd, by_value=True, required=True)
    reason = text(500)


class DecideEventIn(InSchema):
    """What becomes of a message of the gateway that was put aside."""

    outcome = fields.Enum(EventEnd, by_value=True, required=True)


class PayoutIn(InSchema):
    """What left the gateway for the seller; `fee_fen` of it the gateway kept."""

    amount_fen = fen(low=1)
    fee_fen = fen(low=0, required=False)


class AttemptOut(Schema):
    """One try at the gateway. While pending it is not known whether it charged: do not pay again."""

    id = fields.UUID(required=True)
    state = fields.Enum(AttemptState, by_value=True, required=True)
    amount_fen = fields.Integer(required=True)
    means = fields.String(required=True)
    # Where the payer goes on, while the state is `action`.
    next_url = fields.String(allow_none=True, required=True)
    failure_code = fields.String(allow_none=True, required=True)
    captured_fen = fields.Integer(required=True)
    refunded_fen = fields.Integer(required=True)
    booked = fields.Boolean(required=True)
    asked_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(allow_none=True, required=True)


class RefundOut(Schema):
    id = fields.UUID(required=True)
    order_id = fields.UUID(allow_none=True, required=True)
    amount_fen = fields.Integer(required=True)
    state = fields.Enum(RefundState, by_value=True, required=True)
    reason = fields.String(allow_none=True, required=True)
    failure_code = fields.String(allow_none=True, required=True)
    asked_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(allow_none=True, required=True)


class PaymentOut(PaymentRowOut):
    merchant_of_record = fields.String(allow_none=True, required=True)
    attempts = fields.List(fields.Nested(AttemptOut), required=True)
    refunds = fields.List(fields.Nested(RefundOut), required=True)
    payee = fields.Nested(PayeeOut, required=True)
    state_reason = fields.String(allow_none=True, required=True)
    orders = fields.List(fields.Nested(CoveredOrderOut), required=True)
    slips = fields.List(fields.Nested(SlipOut), required=True)
    opened_at = fields.AwareDateTime(required=True)
    declared_at = fields.AwareDateTime(allow_none=True, required=True)
    settled_at = fields.AwareDateTime(allow_none=True, required=True)
    version = fields.Integer(required=True)
