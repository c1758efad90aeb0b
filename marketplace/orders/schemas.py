"""Shapes of purchases and orders as clients see them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.accounts.models import Purpose
from marketplace.orders.states import OrderState, PurchaseState
from marketplace.values import MAX_LINES
from marketplace.web.schemas import InSchema, NamedIdOut, PageArgs, fen, integer, quantity, text

BUYING = [p.value for p in Purpose if p is not Purpose.RESALE]
FUNDS = ["财政预算", "学生伙食费", "营养改善计划补助", "公用经费", "工会经费", "个人"]


class DeliverToIn(InSchema):
    name = text(50)
    phone = fields.String(
        required=True, validate=validate.Regexp(r"\A[0-9+\- ]{5,20}\Z", error="电话只写数字")
    )
    address = text(200)


class PurchaseLineIn(InSchema):
    product_id = fields.UUID(required=True)
    quantity = quantity()
    deliver_on = fields.Date()
    funding_source = fields.String(validate=validate.OneOf(FUNDS))


class PurchaseIn(InSchema):
    purpose = fields.String(required=True, validate=validate.OneOf(BUYING))
    deliver_on = fields.Date(required=True)
    deliver_to = fields.Nested(DeliverToIn, required=True)
    lines = fields.List(
        fields.Nested(PurchaseLineIn),
        required=True,
        validate=validate.Length(1, MAX_LINES, error=f"一单1到{MAX_LINES}行"),
    )
    payer_profile_id = fields.UUID()
    canteen_id = fields.UUID()
    for_agency_id = fields.UUID()
    reference = text(64, required=False)
    note = text(500, required=False)


class AllocationOut(Schema):
    trace_code = fields.String(required=True)
    quantity = fields.Integer(required=True)


class LineOut(Schema):
    id = fields.String(required=True)
    product_id = fields.String(required=True)
    product_name = fields.String(required=True)
    spec = fields.String(required=True)
    pack_unit = fields.String(required=True)
    net_g = fields.Integer(required=True)
    county_code = fields.String(required=True)
    quantity = fields.Integer(required=True)
    unit_price_fen = fields.Integer(required=True)
    goods_fen = fields.Integer(required=True)
    deliver_on = fields.Date(required=True)
    funding_source = fields.String(allow_none=True)
    eligible = fields.Boolean(required=True)
    ineligible_reason = fields.String(allow_none=True)
    cancelled_quantity = fields.Integer(required=True)
    shipped_quantity = fields.Integer(required=True)
    accepted_quantity = fields.Integer(required=True)
    refused_quantity = fields.Integer(required=True)
    accepted_fen = fields.Integer(required=True)
    paid_fen = fields.Integer(required=True)
    allocations = fields.List(fields.Nested(AllocationOut), required=True)


class OrderSummaryOut(Schema):
    id = fields.String(required=True)
    number = fields.String(required=True)
    purchase_id = fields.String(required=True)
    seller = fields.Nested(NamedIdOut, required=True)
    state = fields.String(required=True)
    fulfilment = fields.String(required=True)
    invoice = fields.String(required=True)
    payment = fields.String(required=True)
    evaluation = fields.String(required=True)
    goods_fen = fields.Integer(required=True)
    freight_fen = fields.Integer(required=True)
    accepted_fen = fields.Integer(required=True)
    paid_fen = fields.Integer(required=True)
    version = fields.Integer(required=True)
    lines = fields.List(fields.Nested(LineOut), required=True)


class PurchaseOut(Schema):
    id = fields.String(required=True)
    number = fields.String(required=True)
    state = fields.String(required=True)
    purpose = fields.String(required=True)
    reference = fields.String(allow_none=True)
    deliver_on = fields.Date(required=True)
    hold_until = fields.AwareDateTime(allow_none=True)
    quota_agency_id = fields.String(allow_none=True)
    goods_fen = fields.Integer(required=True)
    freight_fen = fields.Integer(required=True)
    total_fen = fields.Integer(required=True)
    decision_reason = fields.String(allow_none=True)
    version = fields.Integer(required=True)
    orders = fields.List(fields.Nested(OrderSummaryOut), required=True)


class DeliverToOut(Schema):
    name = fields.String(required=True)
    phone = fields.String(required=True)
    address = fields.String(required=True)


class ShipmentLineOut(Schema):
    line_id = fields.String(required=True)
    trace_code = fields.String(required=True)
    quantity = fields.Integer(required=True)
    substitution = fields.Boolean(required=True)
    accepted = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    restocked = fields.Integer(required=True)
    lost = fields.Integer(required=True)


class ShipmentOut(Schema):
    id = fields.String(required=True)
    number = fields.String(required=True)
    carrier = fields.String(required=True)
    tracking = fields.String(allow_none=True)
    shipped_on = fields.Date(required=True)
    lines = fields.List(fields.Nested(ShipmentLineOut), required=True)


class OrderOut(OrderSummaryOut):
    purchase_number = fields.String(required=True)
    buyer = fields.Nested(NamedIdOut, required=True)
    deliver_on = fields.Date(required=True)
    confirm_by = fields.AwareDateTime(allow_none=True)
    cancel_asked_by = fields.String(allow_none=True)
    deliver_to = fields.Nested(DeliverToOut)
    shipments = fields.List(fields.Nested(ShipmentOut), required=True)


class PurchaseFilter(PageArgs):
    state = fields.String(load_default=None, validate=validate.OneOf([s.value for s in PurchaseState]))


class OrderFilter(PageArgs):
    state = fields.String(load_default=None, validate=validate.OneOf([s.value for s in OrderState]))


class ShipAllocationIn(InSchema):
    trace_code = text(40)
    quantity = quantity()


class ShipLineIn(InSchema):
    line_id = fields.UUID(required=True)
    quantity = quantity()
    allocations = fields.List(fields.Nested(ShipAllocationIn), validate=validate.Length(1, 100))


class ShipIn(InSchema):
    lines = fields.List(fields.Nested(ShipLineIn), required=True, validate=validate.Length(1, MAX_LINES))
    carrier = text(100)
    tracking = text(100, required=False)
    vehicle = text(50, required=False)
    driver = text(50, required=False)


class AcceptLineIn(InSchema):
    line_id = fields.UUID(required=True)
    trace_code = text(40, required=False)
    accepted_quantity = quantity(low=0)
    refused_quantity = quantity(low=0, required=False, load_default=0)
    allowance_fen = fen(required=False, load_default=0)
    reason = text(500, required=False)


class AcceptIn(InSchema):
    lines = fields.List(fields.Nested(AcceptLineIn), required=True, validate=validate.Length(1, MAX_LINES))
    inspectors = fields.List(text(50), load_default=list, validate=validate.Length(0, 5))
    document_id = fields.UUID()


class ReturnLineIn(InSchema):
    line_id = fields.UUID(required=True)
    trace_code = text(40)
    quantity = quantity()
    disposition = fields.String(required=True, validate=validate.OneOf(["restock", "loss"]))


class ReturnsIn(InSchema):
    lines = fields.List(fields.Nested(ReturnLineIn), required=True, validate=validate.Length(1, MAX_LINES))


class EvaluateIn(InSchema):
    score = integer(1, 5)
    comment = text(1000, required=False)
