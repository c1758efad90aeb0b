"""Stock counts of shops, as channels send and read them and as sellers read their part."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.channels.counts import DifferenceKind
from marketplace.channels.sales_schemas import SellersGoodsOut
from marketplace.channels.states import BorneBy, CountCause
from marketplace.web.schemas import InSchema, quantity, text

MAX_COUNT_LINES = 500
MAX_DIFFERENCES = 10
# Between the shop and the seller; what a carrier bears is settled when goods are taken over.
BEARERS = [BorneBy.SELLER.value, BorneBy.CHANNEL.value]


class PartnerDifferenceIn(InSchema):
    """Packs that were spoilt, are missing, or were found beyond the books; why, and who bears them."""

    kind = fields.String(required=True, validate=validate.OneOf([k.value for k in DifferenceKind]))
    quantity = quantity()
    cause = fields.String(required=True, validate=validate.OneOf([c.value for c in CountCause]))
    borne_by = fields.String(required=True, validate=validate.OneOf(BEARERS))


class PartnerCountedLineIn(InSchema):
    """A lot: by `trace_code`, or by `partner_sku` with `lot_code`. Counted and differences give what the books hold."""

    trace_code = text(
        64, required=False, metadata={"description": "the lot's, as in /shop-stock; enough by itself"}
    )
    partner_sku = text(
        100, required=False, metadata={"description": "with `lot_code`, in the place of a trace code"}
    )
    lot_code = text(100, required=False, metadata={"description": "the seller's own number of the lot"})
    counted = quantity(low=0)
    differences = fields.List(
        fields.Nested(PartnerDifferenceIn), load_default=list, validate=validate.Length(0, MAX_DIFFERENCES)
    )


class PartnerCountIn(InSchema):
    """Lots that are not named were not counted and stay as they are."""

    counted_on = fields.Date(required=True)
    place_id = fields.UUID(metadata={"description": "the shop; may be left out"})
    lines = fields.List(
        fields.Nested(PartnerCountedLineIn), required=True, validate=validate.Length(1, MAX_COUNT_LINES)
    )


class PartnerDifferenceOut(Schema):
    kind = fields.String(required=True)
    quantity = fields.Integer(required=True)
    cause = fields.String(allow_none=True, required=True)
    borne_by = fields.String(required=True)
    amount_fen = fields.Integer(required=True, metadata={"description": "what the channel owes for it"})


class PartnerCountedLineOut(Schema):
    trace_code = fields.String(required=True)
    product_id = fields.String(required=True)
    seller_id = fields.String(required=True)
    expected = fields.Integer(required=True, metadata={"description": "what the books held before"})
    counted = fields.Integer(required=True)
    unit_price_fen = fields.Integer(required=True)
    amount_fen = fields.Integer(required=True)
    differences = fields.List(fields.Nested(PartnerDifferenceOut), required=True)


class PartnerCountSummaryOut(Schema):
    id = fields.String(required=True)
    place_id = fields.String(required=True)
    counted_on = fields.Date(required=True)
    version = fields.Integer(required=True, metadata={"description": "which count of the day"})
    reported_at = fields.AwareDateTime(required=True)


class PartnerCountOut(PartnerCountSummaryOut):
    lines = fields.List(fields.Nested(PartnerCountedLineOut), required=True)


class ChannelCountOut(SellersGoodsOut):
    """A row of a shop's count of the seller's own goods; a negative loss is packs found."""

    count_id = fields.String(required=True)
    counted_on = fields.Date(required=True)
    expected = fields.Integer(required=True)
    counted = fields.Integer(required=True)
    spoilage = fields.Integer(required=True)
    loss = fields.Integer(required=True)
    cause = fields.String(allow_none=True, required=True)
    borne_by = fields.String(required=True)
    amount_fen = fields.Integer(required=True)
