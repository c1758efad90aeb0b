"""Shapes of products as clients see and send them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.catalog.rules import MAX_CERTIFICATIONS, MAX_NET_G, MAX_STEPS, MAX_TOLERANCE_BP, SCHEMES
from marketplace.catalog.states import ProductState
from marketplace.values import MAX_QUANTITY
from marketplace.web.schemas import InSchema, NamedCodeOut, NamedIdOut, PageArgs, fen, integer, text


class StepIn(InSchema):
    min_quantity = integer(1, MAX_QUANTITY)
    price_fen = fen(low=1)


class CertificationIn(InSchema):
    scheme = fields.String(required=True, validate=validate.OneOf(list(SCHEMES)))
    number = text(64, required=False, allow_none=True)
    valid_until = fields.Date(allow_none=True)


class ProductPatch(InSchema):
    """Any part of a product; what may change depends on its state and lots."""

    family = text(60, required=False)
    name = text(60, required=False)
    spec = text(60, required=False)
    category_code = text(12, required=False)
    county_code = text(6, required=False)
    pack_unit = text(8, required=False)
    net_g = integer(1, MAX_NET_G, required=False)
    priced_by = fields.String(validate=validate.OneOf(["pack", "weight"]))
    weight_tolerance_bp = integer(0, MAX_TOLERANCE_BP, required=False)
    min_order_quantity = integer(1, MAX_QUANTITY, required=False)
    order_multiple = integer(1, MAX_QUANTITY, required=False)
    price_ladder = fields.List(fields.Nested(StepIn), validate=validate.Length(1, MAX_STEPS))
    shelf_life_days = integer(1, 36_500, required=False, allow_none=True)
    storage = text(60, required=False)
    tax_category = text(60, required=False, allow_none=True)
    gtin = text(14, required=False, allow_none=True)
    season = text(60, required=False, allow_none=True)
    description = text(2000, required=False, allow_none=True)
    certifications = fields.List(
        fields.Nested(CertificationIn), validate=validate.Length(0, MAX_CERTIFICATIONS)
    )


class ProductIn(ProductPatch):
    """A whole product."""

    sku = text(40)
    family = text(60)
    name = text(60)
    spec = text(60)
    category_code = text(12)
    county_code = text(6)
    pack_unit = text(8)
    net_g = integer(1, MAX_NET_G)
    min_order_quantity = integer(1, MAX_QUANTITY)
    price_ladder = fields.List(fields.Nested(StepIn), required=True, validate=validate.Length(1, MAX_STEPS))
    storage = text(60)


class PriceStepOut(Schema):
    min_quantity = fields.Integer(required=True)
    price_fen = fields.Integer(required=True)


class ProductPackOut(Schema):
    unit = fields.String(required=True)
    net_g = fields.Integer(required=True)


class SellerOut(NamedIdOut):
    agent_for = fields.Nested(NamedIdOut)


class CertificationOut(Schema):
    scheme = fields.String(required=True)
    number = fields.String(allow_none=True)
    valid_until = fields.String(allow_none=True)


class ProductOut(Schema):
    id = fields.String(required=True)
    sku = fields.String(required=True)
    family = fields.String(required=True)
    name = fields.String(required=True)
    spec = fields.String(required=True)
    category = fields.Nested(NamedCodeOut, required=True)
    county = fields.Nested(NamedCodeOut, required=True)
    seller = fields.Nested(SellerOut, required=True)
    pack = fields.Nested(ProductPackOut, required=True)
    priced_by = fields.String(required=True)
    weight_tolerance_bp = fields.Integer(required=True)
    price_ladder = fields.List(fields.Nested(PriceStepOut), required=True)
    price_fen = fields.Integer(required=True)
    price_per_kg_fen = fields.Integer(required=True)
    price_per_jin_fen = fields.Integer(required=True)
    min_order_quantity = fields.Integer(required=True)
    order_multiple = fields.Integer(required=True)
    certifications = fields.List(fields.Nested(CertificationOut), required=True)
    shelf_life_days = fields.Integer(allow_none=True)
    storage = fields.String(required=True)
    season = fields.String(allow_none=True)
    state = fields.String(required=True)
    version = fields.Integer(required=True)
    available_quantity = fields.Integer(required=True)
    eligible = fields.Boolean(required=True)


class LotOnSaleOut(Schema):
    trace_code = fields.String(required=True)
    harvested_on = fields.String(required=True)
    best_before = fields.String(required=True)
    quantity = fields.Integer(required=True)


class ProductDetailOut(ProductOut):
    description = fields.String(allow_none=True)
    lots = fields.List(fields.Nested(LotOnSaleOut), required=True)


class OwnProductOut(ProductDetailOut):
    state_reason = fields.String(allow_none=True)


class ProductFilter(PageArgs):
    """Filters of the public list; prices in fen at the minimum quantity."""

    q = fields.String(load_default=None, validate=validate.Length(1, 60))
    category = fields.String(load_default=None, validate=validate.Length(1, 12))
    county = fields.String(load_default=None, validate=validate.Length(6, 6))
    certification = fields.String(load_default=None, validate=validate.OneOf(list(SCHEMES)))
    seller = fields.UUID(load_default=None)
    available = fields.Boolean(load_default=None)
    eligible = fields.Boolean(load_default=None)
    min_price_fen = fields.Integer(load_default=None, validate=validate.Range(0, 2**53))
    max_price_fen = fields.Integer(load_default=None, validate=validate.Range(0, 2**53))
    deliver_on = fields.Date(load_default=None)
    sort = fields.String(
        load_default="relevance", validate=validate.OneOf(["relevance", "price", "-price", "newest"])
    )


class OwnFilter(PageArgs):
    state = fields.String(load_default=None, validate=validate.OneOf([s.value for s in ProductState]))


class DayArgs(InSchema):
    deliver_on = fields.Date(load_default=None)


class CategoryOut(Schema):
    code = fields.String(required=True)
    name = fields.String(required=True)
    parent_code = fields.String(allow_none=True)
    proofs = fields.List(fields.String(), required=True)


class CategoriesOut(Schema):
    items = fields.List(fields.Nested(CategoryOut), required=True)
