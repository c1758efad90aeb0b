"""Sales reports of shops, as channels send and read them and as sellers read their part."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.web.schemas import InSchema, NamedIdOut, PageArgs, fen, integer, quantity, text

MAX_REPORT_LINES = 500
MAX_VERSION = 10_000


class PartnerSoldLineIn(InSchema):
    """Packs of one lot: by `trace_code`, or by `partner_sku` with `lot_code` (the seller's own number of the lot)."""

    trace_code = text(
        64, required=False, metadata={"description": "the lot's, as in /shop-stock; enough by itself"}
    )
    partner_sku = text(
        100, required=False, metadata={"description": "with `lot_code`, in the place of a trace code"}
    )
    lot_code = text(100, required=False, metadata={"description": "the seller's own number of the lot"})
    quantity = quantity()
    retail_fen = fen(
        required=False, metadata={"description": "what the customers paid for all packs of this line"}
    )


class PartnerSalesIn(InSchema):
    """What a shop sold on a day; no lines when it sold nothing."""

    business_day = fields.Date(required=True)
    place_id = fields.UUID(metadata={"description": "the shop; may be left out"})
    corrects = integer(
        1, MAX_VERSION, required=False, metadata={"description": "the version that this one corrects"}
    )
    lines = fields.List(
        fields.Nested(PartnerSoldLineIn), required=True, validate=validate.Length(0, MAX_REPORT_LINES)
    )


class PartnerSoldLineOut(Schema):
    position = fields.Integer(required=True)
    trace_code = fields.String(required=True)
    product_id = fields.String(required=True)
    seller_id = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price_fen = fields.Integer(
        required=True, metadata={"description": "what the channel owes for a pack"}
    )
    amount_fen = fields.Integer(required=True)
    retail_fen = fields.Integer(allow_none=True)


class PartnerSalesSummaryOut(Schema):
    """One version. A red entry takes back the version that it corrects: all its numbers are negative."""

    id = fields.String(required=True)
    place_id = fields.String(required=True)
    business_day = fields.Date(required=True)
    version = fields.Integer(required=True)
    red = fields.Boolean(required=True)
    corrects = fields.Integer(allow_none=True, required=True)
    total_fen = fields.Integer(required=True)
    reported_at = fields.AwareDateTime(required=True)


class PartnerSalesOut(PartnerSalesSummaryOut):
    lines = fields.List(fields.Nested(PartnerSoldLineOut), required=True)


class DaysFilter(PageArgs):
    """Both ends within."""

    from_day = fields.Date(load_default=None)
    to_day = fields.Date(load_default=None)


class SellersGoodsOut(Schema):
    """Of which of the seller's goods a line is, and in whose shop."""

    channel = fields.Nested(NamedIdOut, required=True)
    place = fields.Nested(NamedIdOut, required=True)
    trace_code = fields.String(required=True)
    product_id = fields.String(required=True)
    sku = fields.String(required=True)
    name = fields.String(required=True)
    unit = fields.String(required=True)


class ChannelSaleOut(SellersGoodsOut):
    """A line of a shop's report of the seller's own goods."""

    report_id = fields.String(required=True)
    business_day = fields.Date(required=True)
    version = fields.Integer(required=True)
    red = fields.Boolean(required=True)
    quantity = fields.Integer(required=True)
    unit_price_fen = fields.Integer(required=True)
    amount_fen = fields.Integer(required=True)
    retail_fen = fields.Integer(allow_none=True)
