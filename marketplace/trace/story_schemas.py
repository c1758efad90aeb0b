"""The JSON shape of what a trace code opens."""

from __future__ import annotations

from marshmallow import Schema, fields

from marketplace.catalog.models import LotState
from marketplace.trace.schemas import PublicCertificateOut, PublicInspectionOut
from marketplace.web.schemas import NamedCodeOut, NamedIdOut


class StoryPackOut(Schema):
    unit = fields.String(required=True)
    net_g = fields.Integer(required=True)


class StoryProductOut(NamedIdOut):
    spec = fields.String(required=True)
    category = fields.Nested(NamedCodeOut, required=True)
    pack = fields.Nested(StoryPackOut, required=True)
    storage = fields.String(required=True)


class PublicOriginOut(Schema):
    township = fields.String(required=True)
    village = fields.String(required=True)


class HouseholdsOut(Schema):
    count = fields.Integer(required=True)
    paid_fen = fields.Integer(required=True)


class RecallOut(Schema):
    advice = fields.String(required=True)


class OnHoldOut(Schema):
    cause = fields.String(required=True)


class BalanceOut(Schema):
    received = fields.Integer(required=True)
    shipped = fields.Integer(required=True)
    reserved = fields.Integer(required=True)
    available = fields.Integer(required=True)
    other = fields.Integer(required=True)


class StoryEventOut(Schema):
    day = fields.Date(required=True)
    kind = fields.String(required=True)
    said = fields.Boolean(required=True)
    title = fields.String(required=True)
    detail = fields.String(required=True)


class SignedTreeOut(Schema):
    tree_size = fields.Integer(required=True)
    root = fields.String(required=True)
    made_at = fields.AwareDateTime(required=True)


class StoryProofOut(Schema):
    sealed = fields.Boolean(required=True)
    seq = fields.Integer(allow_none=True)
    leaf_hash = fields.String(allow_none=True)
    checkpoint = fields.Nested(SignedTreeOut, allow_none=True)


class StoryOut(Schema):
    trace_code = fields.String(required=True)
    trace_code_shown = fields.String(required=True)
    state = fields.Enum(LotState, by_value=True, required=True)
    product = fields.Nested(StoryProductOut, required=True)
    seller = fields.Nested(NamedIdOut, required=True)
    county = fields.Nested(NamedCodeOut, required=True)
    origins = fields.List(fields.Nested(PublicOriginOut), required=True)
    households = fields.Nested(HouseholdsOut, allow_none=True)
    quantity = fields.Integer(required=True)
    harvested_on = fields.Date(required=True)
    best_before = fields.Date(required=True)
    certificates = fields.List(fields.Nested(PublicCertificateOut), required=True)
    inspections = fields.List(fields.Nested(PublicInspectionOut), required=True)
    recall = fields.Nested(RecallOut, allow_none=True)
    on_hold = fields.Nested(OnHoldOut, allow_none=True)
    stock = fields.Nested(BalanceOut, required=True)
    events = fields.List(fields.Nested(StoryEventOut), required=True)
    scans = fields.Integer(required=True)
    proof = fields.Nested(StoryProofOut, required=True)
