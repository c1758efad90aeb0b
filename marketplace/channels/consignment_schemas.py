"""What sellers and partners send and read of consignments and of the goods in a shop."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.channels.schemas import MAX_LINES
from marketplace.channels.states import ConsignmentState
from marketplace.web.schemas import InSchema, NamedIdOut, PageArgs, quantity, text

STATES = [state.value for state in ConsignmentState]


class ConsignmentFilter(PageArgs):
    state = fields.String(load_default=None, validate=validate.OneOf(STATES))


class ConsignmentLineIn(InSchema):
    trace_code = text(64)
    quantity = quantity()


class ConsignmentIn(InSchema):
    """The channel's shop is the one of its agreement."""

    channel_code = text(50)
    lines = fields.List(
        fields.Nested(ConsignmentLineIn), required=True, validate=validate.Length(1, MAX_LINES)
    )


class TakenOverLineIn(InSchema):
    trace_code = text(64)
    accepted_quantity = quantity(low=0)


class TakeOverIn(InSchema):
    """Packs of a lot that arrived well; a lot that is not named arrived whole."""

    lines = fields.List(
        fields.Nested(TakenOverLineIn), load_default=list, validate=validate.Length(0, MAX_LINES)
    )


class ConsignmentLineOut(Schema):
    product_id = fields.String(required=True)
    name = fields.String(required=True)
    spec = fields.String(required=True)
    pack_unit = fields.String(required=True)
    trace_code = fields.String(required=True)
    best_before = fields.Date(required=True)
    quantity = fields.Integer(required=True)
    accepted_quantity = fields.Integer(
        allow_none=True, metadata={"description": "null until it is taken over"}
    )


class ConsignmentSummaryOut(Schema):
    id = fields.String(required=True)
    number = fields.String(required=True)
    channel = fields.Nested(NamedIdOut, required=True)
    seller = fields.Nested(NamedIdOut, required=True)
    shop = fields.Nested(NamedIdOut, required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    sent_at = fields.AwareDateTime(required=True)
    ended_at = fields.AwareDateTime(allow_none=True)
    version = fields.Integer(required=True)


class ConsignmentOut(ConsignmentSummaryOut):
    lines = fields.List(fields.Nested(ConsignmentLineOut), required=True)


class PartnerConsignmentSummaryOut(ConsignmentSummaryOut):
    """The partners' own shape, which changes on their notice period alone."""


class PartnerConsignmentOut(PartnerConsignmentSummaryOut):
    lines = fields.List(fields.Nested(ConsignmentLineOut), required=True)


class ShopStockOut(Schema):
    shop = fields.Nested(NamedIdOut, required=True)
    seller = fields.Nested(NamedIdOut, required=True)
    product_id = fields.String(required=True)
    name = fields.String(required=True)
    spec = fields.String(required=True)
    pack_unit = fields.String(required=True)
    trace_code = fields.String(required=True)
    best_before = fields.Date(required=True)
    lot_state = fields.String(required=True, metadata={"description": "released; held or recalled: off sale"})
    quantity = fields.Integer(required=True, metadata={"description": "packs"})


class ShopStockListOut(Schema):
    items = fields.List(fields.Nested(ShopStockOut), required=True)
