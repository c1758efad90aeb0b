"""Statements of consignment as partners, sellers and the office send and read them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.channels.states import DisputeState, StatementLineKind, StatementState
from marketplace.values import MAX_QUANTITY
from marketplace.web.schemas import InSchema, NamedIdOut, PageArgs, integer, text

_PERIOD = validate.Regexp(r"20[0-9]{2}-(0[1-9]|1[0-2])\Z", error="要写成 2026-11")
_SIDES = validate.OneOf(["channel", "seller"])


class StatementFilter(PageArgs):
    period = fields.String(load_default=None, validate=_PERIOD)
    state = fields.String(load_default=None, validate=validate.OneOf([s.value for s in StatementState]))


class StatementHeadOut(Schema):
    """What a channel owes one seller for the days of one period; below 0 the seller owes it."""

    id = fields.String(required=True)
    number = fields.String(required=True)
    channel = fields.Nested(NamedIdOut, required=True)
    seller = fields.Nested(NamedIdOut, required=True)
    period = fields.String(required=True, metadata={"description": "YYYY-MM"})
    from_day = fields.Date(required=True)
    to_day = fields.Date(required=True)
    due_on = fields.Date(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf([s.value for s in StatementState]),
        metadata={
            "description": "issued; disputed: a dispute is open; agreed: by both, waits for the money; settled: the"
            " seller has it"
        },
    )
    total_fen = fields.Integer(required=True)
    sha256 = fields.String(
        required=True, metadata={"description": "of the canonical text of all lines, in hex"}
    )
    issued_at = fields.AwareDateTime(required=True)
    channel_agreed_at = fields.AwareDateTime(allow_none=True, required=True)
    seller_agreed_at = fields.AwareDateTime(allow_none=True, required=True)
    agreed_at = fields.AwareDateTime(allow_none=True, required=True)
    # Of the transfer, as the channel declared it; the seller's word once it is settled.
    paid_on = fields.Date(allow_none=True, required=True)
    bank_reference = fields.String(allow_none=True, required=True)
    document_id = fields.String(
        allow_none=True, required=True, metadata={"description": "the bank's slip, where one was handed in"}
    )
    return_reason = fields.String(
        allow_none=True,
        required=True,
        metadata={"description": "why the seller returned the transfer; null once another one is named"},
    )
    returned_at = fields.AwareDateTime(allow_none=True, required=True)
    settled_at = fields.AwareDateTime(allow_none=True, required=True)
    version = fields.Integer(required=True)


class StatementLineOut(Schema):
    """`source_id`: the sales report or the stock count; a line of kind adjustment takes a disputed one back."""

    id = fields.String(required=True)
    position = fields.Integer(required=True)
    kind = fields.String(
        required=True,
        validate=validate.OneOf([k.value for k in StatementLineKind]),
        metadata={
            "description": "sale; red: a sale that a correction takes back; spoilage and loss: what a count says that"
            " the channel bears; adjustment: a disputed line taken back"
        },
    )
    day = fields.Date(required=True)
    source_id = fields.String(required=True)
    product_id = fields.String(required=True)
    sku = fields.String(required=True)
    partner_sku = fields.String(
        allow_none=True, required=True, metadata={"description": "the channel's own number of the product"}
    )
    name = fields.String(required=True)
    unit = fields.String(required=True)
    trace_code = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price_fen = fields.Integer(required=True)
    amount_fen = fields.Integer(required=True)


class StatementDisputeOut(Schema):
    id = fields.String(required=True)
    line_id = fields.String(required=True)
    side = fields.String(required=True, validate=_SIDES, metadata={"description": "who raised it"})
    quantity = fields.Integer(required=True, metadata={"description": "packs that are said to be right"})
    reason = fields.String(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf([s.value for s in DisputeState]),
        metadata={
            "description": "open; corrected: the proposed quantity was taken; upheld: the line stands; withdrawn: by"
            " who raised it"
        },
    )
    answer = fields.String(allow_none=True, required=True)
    raised_at = fields.AwareDateTime(required=True)
    answered_at = fields.AwareDateTime(
        allow_none=True, required=True, metadata={"description": "when it was answered or withdrawn"}
    )


class StatementOut(StatementHeadOut):
    lines = fields.List(fields.Nested(StatementLineOut), required=True)
    disputes = fields.List(fields.Nested(StatementDisputeOut), required=True)


class StatementIssueIn(InSchema):
    """`period` as YYYY-MM, once its last day is over."""

    channel_code = text(50)
    seller_id = fields.UUID(required=True)
    period = fields.String(required=True, validate=_PERIOD)


class StatementDisputeIn(InSchema):
    """`quantity` packs are right in the place of those of the line, with the same sign; 0: it should not be there."""

    line_id = fields.UUID(required=True)
    quantity = integer(-MAX_QUANTITY, MAX_QUANTITY)
    reason = text(500)


class StatementAnswerIn(InSchema):
    """`accept`: the proposed quantity is taken; else the line stands, and `answer` says why."""

    accept = fields.Boolean(required=True, truthy={True}, falsy={False})
    answer = text(500, required=False)


class StatementTransferIn(InSchema):
    """The one transfer of the whole amount; `document_id` is the bank's slip, handed in before."""

    paid_on = fields.Date(required=True)
    bank_reference = text(64)
    document_id = fields.UUID()


class StatementSettleIn(InSchema):
    """What is left out is taken from what the channel declared."""

    paid_on = fields.Date()
    bank_reference = text(64, required=False)
