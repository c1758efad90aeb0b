"""What the poverty office sends and reads of channels."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.channels.schemas import PartnerAgreementOut, PartnerItemOut
from marketplace.channels.states import OPEN_PATTERNS
from marketplace.web.schemas import InSchema, NamedCodeOut, NamedIdOut, PageArgs, fen, integer, quantity, text


class ChannelOut(Schema):
    code = fields.String(required=True)
    channel = fields.Nested(NamedIdOut, required=True)
    counties = fields.List(fields.Nested(NamedCodeOut), required=True)
    agreements = fields.List(fields.Nested(PartnerAgreementOut), required=True)
    items = fields.Integer(required=True, metadata={"description": "products it carries now"})


class ChannelItemsArgs(PageArgs):
    pattern = fields.String(
        load_default="wholesale", validate=validate.OneOf(sorted(p.value for p in OPEN_PATTERNS))
    )


class ChannelPairIn(InSchema):
    county_code = text(12)
    district_code = text(12)
    source = text(200)


class ChannelPairOut(Schema):
    channel_id = fields.String(required=True)
    county_code = fields.String(required=True)


class ChannelPriceListIn(InSchema):
    code = text(40)
    name = text(60)


class ChannelPriceListOut(Schema):
    id = fields.String(required=True)
    code = fields.String(required=True)


class ChannelAgreementIn(InSchema):
    pattern = fields.String(required=True, validate=validate.OneOf(sorted(p.value for p in OPEN_PATTERNS)))
    price_list_code = text(40)
    order_cut_off = fields.String(
        required=True,
        validate=validate.Regexp(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z", error="要是 HH:MM 的时间"),
    )
    lead_days = integer(0, 30)
    confirm_within_h = integer(1, 720)
    ship_within_h = integer(1, 720)
    period_end_day = integer(1, 31)
    due_days = integer(0, 365)
    shop_name = text(60, required=False)
    valid_from = fields.Date(required=True)
    valid_to = fields.Date()


class ChannelAgreementMadeOut(Schema):
    id = fields.String(required=True)
    place_id = fields.String(allow_none=True)


class ChannelStepIn(InSchema):
    min_quantity = quantity()
    price_fen = fen(low=1)


class ChannelPricesIn(InSchema):
    price_list_code = text(40)
    product_id = fields.UUID(required=True)
    ladder = fields.List(fields.Nested(ChannelStepIn), required=True, validate=validate.Length(1, 20))


class ChannelPricesOut(Schema):
    price_list_id = fields.String(required=True)
    product_id = fields.String(required=True)


class ChannelItemIn(InSchema):
    """Sizes of the box in mm, its weight in grams; `box_mm` is length, width, height."""

    product_id = fields.UUID(required=True)
    partner_sku = text(100, required=False)
    gtin = fields.String(validate=validate.Regexp(r"[0-9]{8,14}\Z", error="要有8到14位数字"))
    min_remaining_days = integer(0, 3650, required=False, load_default=0)
    box_quantity = integer(1, 10_000, required=False, load_default=1)
    box_gross_g = integer(1, 1_000_000_000, required=False)
    box_mm = fields.List(integer(1, 20_000), validate=validate.Length(3, 3))


class ChannelItemMadeOut(Schema):
    id = fields.String(required=True)
    product_id = fields.String(required=True)


ChannelItemOut = PartnerItemOut
