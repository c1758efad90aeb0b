"""What partners send and read. Their document is their own: these shapes change on their notice period alone."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.channels.states import OPEN_PATTERNS, KeyMode
from marketplace.web.schemas import InSchema, NamedCodeOut, NamedIdOut, PageArgs, quantity, text

MAX_BATCH = 500
MAX_LINES = 200


class PartnerAgreementOut(Schema):
    id = fields.String(required=True)
    pattern = fields.String(required=True)
    price_list = fields.String(required=True)
    order_cut_off = fields.String(required=True, metadata={"description": "HH:MM, Asia/Shanghai"})
    lead_days = fields.Integer(required=True)
    confirm_within_h = fields.Integer(required=True)
    ship_within_h = fields.Integer(required=True)
    period_end_day = fields.Integer(required=True)
    due_days = fields.Integer(required=True)
    place_id = fields.String(allow_none=True)
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(allow_none=True)


class PartnerSelfOut(Schema):
    channel = fields.Nested(NamedIdOut, required=True)
    key = fields.String(required=True, metadata={"description": "the id of the key that was used"})
    mode = fields.String(
        required=True,
        validate=validate.OneOf([mode.value for mode in KeyMode]),
        metadata={"description": "of the key: live, or test (the sandbox)"},
    )
    today = fields.Date(
        required=True, metadata={"description": "Asia/Shanghai; the sandbox's own, whose clock may run ahead"}
    )
    counties = fields.List(fields.Nested(NamedCodeOut), required=True)
    agreements = fields.List(fields.Nested(PartnerAgreementOut), required=True)


def _pattern() -> fields.String:
    return fields.String(
        load_default=None,
        validate=validate.OneOf(sorted(p.value for p in OPEN_PATTERNS)),
        metadata={"description": "Whose prices: of wholesale where it is agreed today, else of what is."},
    )


class CatalogueFilter(PageArgs):
    changed_after = fields.AwareDateTime(load_default=None)
    pattern = _pattern()
    deliver_on = fields.Date(load_default=None)


class CatalogueItemArgs(InSchema):
    pattern = _pattern()


class PartnerStepOut(Schema):
    min_quantity = fields.Integer(required=True)
    price_fen = fields.Integer(required=True)


class PartnerPriceOut(Schema):
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(allow_none=True, required=True)
    ladder = fields.List(fields.Nested(PartnerStepOut), required=True)


class PartnerPackOut(Schema):
    unit = fields.String(required=True)
    net_g = fields.Integer(required=True)


class PartnerBoxOut(Schema):
    quantity = fields.Integer(required=True, metadata={"description": "packs in a box"})
    gross_g = fields.Integer(allow_none=True)
    length_mm = fields.Integer(allow_none=True)
    width_mm = fields.Integer(allow_none=True)
    height_mm = fields.Integer(allow_none=True)


class PartnerCertificationOut(Schema):
    scheme = fields.String(required=True)
    number = fields.String(allow_none=True)
    valid_until = fields.Date(allow_none=True)


class PartnerItemOut(Schema):
    product_id = fields.String(required=True)
    sku = fields.String(required=True)
    partner_sku = fields.String(allow_none=True)
    gtin = fields.String(allow_none=True)
    name = fields.String(required=True)
    spec = fields.String(required=True)
    category = fields.Nested(NamedCodeOut, required=True)
    county = fields.Nested(NamedCodeOut, required=True)
    seller = fields.Nested(NamedIdOut, required=True)
    tax_category = fields.String(allow_none=True)
    pack = fields.Nested(PartnerPackOut, required=True)
    priced_by = fields.String(required=True)
    box = fields.Nested(PartnerBoxOut, required=True)
    shelf_life_days = fields.Integer(allow_none=True)
    min_remaining_days = fields.Integer(required=True)
    storage = fields.String(required=True)
    min_order_quantity = fields.Integer(required=True)
    order_multiple = fields.Integer(required=True)
    prices = fields.List(fields.Nested(PartnerPriceOut), required=True)
    certifications = fields.List(fields.Nested(PartnerCertificationOut), required=True)
    state = fields.String(required=True, validate=validate.OneOf(["listed", "withdrawn"]))
    available_quantity = fields.Integer(required=True)
    listed_at = fields.AwareDateTime(required=True)
    withdrawn_at = fields.AwareDateTime(allow_none=True)
    changed_at = fields.AwareDateTime(required=True)
    version = fields.Integer(required=True)


class CataloguePageOut(Schema):
    items = fields.List(fields.Nested(PartnerItemOut), required=True)
    next = fields.String(allow_none=True, required=True)
    as_of = fields.AwareDateTime(required=True)


class PartnerDeliverToIn(InSchema):
    name = text(50)
    phone = text(30)
    address = text(200)


class PartnerLineIn(InSchema):
    """One of `product_id` and `partner_sku` names the product."""

    product_id = fields.UUID()
    partner_sku = text(100, required=False)
    quantity = quantity()


class PartnerOrderIn(InSchema):
    partner_order_no = fields.String(
        required=True,
        validate=validate.Regexp(
            r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z", error="要有1到64个字母、数字、点、横线或下划线"
        ),
    )
    deliver_on = fields.Date(required=True)
    deliver_to = fields.Nested(PartnerDeliverToIn, required=True)
    lines = fields.List(fields.Nested(PartnerLineIn), required=True, validate=validate.Length(1, MAX_LINES))
    note = text(500, required=False)


class PartnerOrderFilter(PageArgs):
    placed_after = fields.AwareDateTime(load_default=None)


class PartnerBatchIn(InSchema):
    """Each order is judged by itself, in this order."""

    orders = fields.List(fields.Dict(), required=True, validate=validate.Length(1, MAX_BATCH))


class PartnerAllocationOut(Schema):
    trace_code = fields.String(required=True)
    quantity = fields.Integer(required=True)


class PartnerLineOut(Schema):
    id = fields.String(required=True)
    product_id = fields.String(required=True)
    name = fields.String(required=True)
    spec = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price_fen = fields.Integer(required=True)
    goods_fen = fields.Integer(required=True)
    cancelled_quantity = fields.Integer(required=True)
    shipped_quantity = fields.Integer(required=True)
    accepted_quantity = fields.Integer(required=True)
    refused_quantity = fields.Integer(required=True)
    accepted_fen = fields.Integer(required=True)
    lots = fields.List(fields.Nested(PartnerAllocationOut), required=True)


class PartnerCertificateOut(Schema):
    trace_code = fields.String(required=True)
    kind = fields.String(required=True)
    number = fields.String(allow_none=True)
    issued_on = fields.Date(required=True)
    valid_until = fields.Date(allow_none=True)
    document_id = fields.String(
        required=True,
        metadata={"description": "its file: /orders/{partner_order_no}/certificates/{document_id}"},
    )


class PartnerShippedOut(Schema):
    line_id = fields.String(required=True)
    trace_code = fields.String(required=True)
    trace_url = fields.String(required=True)
    quantity = fields.Integer(required=True)
    best_before = fields.Date(required=True)


class PartnerShipmentOut(Schema):
    number = fields.String(required=True)
    carrier = fields.String(required=True)
    tracking = fields.String(allow_none=True)
    shipped_on = fields.Date(required=True)
    lines = fields.List(fields.Nested(PartnerShippedOut), required=True)


class PartnerChangeOut(Schema):
    id = fields.String(required=True)
    state = fields.String(required=True)
    order_number = fields.String(required=True)
    asked_at = fields.AwareDateTime(required=True)
    decided_at = fields.AwareDateTime(allow_none=True)
    decision_reason = fields.String(allow_none=True)


class PartnerSellerOrderOut(Schema):
    number = fields.String(required=True)
    seller = fields.Nested(NamedIdOut, required=True)
    state = fields.String(required=True)
    goods_fen = fields.Integer(required=True)
    accepted_fen = fields.Integer(required=True)
    paid_fen = fields.Integer(required=True)
    confirm_by = fields.AwareDateTime(allow_none=True)
    lines = fields.List(fields.Nested(PartnerLineOut), required=True)
    shipments = fields.List(fields.Nested(PartnerShipmentOut))
    certificates = fields.List(fields.Nested(PartnerCertificateOut))


class PartnerOrderOut(Schema):
    """A channel's order with its parts, one for each seller."""

    partner_order_no = fields.String(required=True)
    purchase_number = fields.String(required=True)
    state = fields.String(required=True)
    deliver_on = fields.Date(required=True)
    placed_at = fields.AwareDateTime(required=True)
    cut_off_at = fields.AwareDateTime(required=True)
    goods_fen = fields.Integer(required=True)
    orders = fields.List(fields.Nested(PartnerSellerOrderOut), required=True)
    changes = fields.List(fields.Nested(PartnerChangeOut))


class PartnerOrderSummaryOut(Schema):
    partner_order_no = fields.String(required=True)
    purchase_number = fields.String(required=True)
    state = fields.String(required=True)
    deliver_on = fields.Date(required=True)
    placed_at = fields.AwareDateTime(required=True)
    cut_off_at = fields.AwareDateTime(required=True)
    goods_fen = fields.Integer(required=True)


class PartnerResultOut(Schema):
    """What became of one order of a call: `status` as it would be alone, with its order or its problem."""

    partner_order_no = fields.String(allow_none=True, required=True)
    status = fields.Integer(required=True)
    order = fields.Raw()
    problem = fields.Raw()


class PartnerBatchOut(Schema):
    results = fields.List(fields.Nested(PartnerResultOut), required=True)


class PartnerReduceLineIn(InSchema):
    line_id = fields.UUID(required=True)
    quantity = quantity()


class PartnerCancelIn(InSchema):
    reason = text(500)


class PartnerReduceIn(PartnerCancelIn):
    """Packs that are to go from each line."""

    lines = fields.List(
        fields.Nested(PartnerReduceLineIn), required=True, validate=validate.Length(1, MAX_LINES)
    )


class PartnerChangedOut(Schema):
    """`done`: the order was changed. `asked`: the cut-off has passed, each seller was asked."""

    outcome = fields.String(required=True, validate=validate.OneOf(["done", "asked"]))
    order = fields.Nested(PartnerOrderOut, required=True)


class ChangeRequestLineOut(Schema):
    line_id = fields.String(required=True)
    quantity = fields.Integer(required=True)


class ChangeRequestOut(Schema):
    """A channel's wish that its seller decides on."""

    id = fields.String(required=True)
    order_id = fields.String(required=True)
    order_number = fields.String(required=True)
    channel = fields.Nested(NamedIdOut, required=True)
    lines = fields.List(fields.Nested(ChangeRequestLineOut), required=True)
    reason = fields.String(required=True)
    state = fields.String(required=True)
    asked_at = fields.AwareDateTime(required=True)
    decided_at = fields.AwareDateTime(allow_none=True)


class ChangeRequestFilter(PageArgs):
    state = fields.String(load_default="open", validate=validate.OneOf(["open", "agreed", "refused"]))
