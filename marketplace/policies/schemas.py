"""JSON shapes of policies and regions."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.web.schemas import InSchema, NamedCodeOut, PageArgs, integer, text


class RegionOut(Schema):
    code = fields.String(required=True)
    name = fields.String(required=True)
    eligible_years = fields.List(fields.Integer(), required=True)
    tianjin_district = fields.Nested(NamedCodeOut, allow_none=True, required=True)


class RegionsOut(Schema):
    items = fields.List(fields.Nested(RegionOut), required=True)
    next = fields.String(allow_none=True, required=True)


class PolicyArgs(PageArgs):
    key = fields.String(load_default=None, validate=validate.Length(1, 60))


class PolicyIn(InSchema):
    """`value` has the shape of its key; a wrong one is refused with `policy-shape`."""

    key = fields.String(required=True, validate=validate.Length(1, 60))
    value = fields.Raw(required=True)
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(load_default=None, allow_none=True)
    scope = fields.String(load_default="", validate=validate.Regexp(r"\A(?:[0-9]{6})?\Z"))
    title = text(200)
    article = text(200, required=False, load_default=None, allow_none=True)
    source = text(500)


class PolicyOut(Schema):
    id = fields.String(required=True)
    key = fields.String(required=True)
    value = fields.Raw(required=True)
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(allow_none=True, required=True)
    scope = fields.String(attribute="scope_code", required=True)
    revision = fields.Integer(required=True)
    title = fields.String(required=True)
    article = fields.String(allow_none=True, required=True)
    source = fields.String(required=True)


class EligibilityIn(InSchema):
    county_code = fields.String(required=True, validate=validate.Regexp(r"\A[0-9]{6}\Z"))
    from_year = integer(2000, 2200)
    to_year = integer(2000, 2200, required=False, load_default=None, allow_none=True)
    source = text(500)


class EligibilityOut(Schema):
    county_code = fields.String(required=True)
    from_year = fields.Integer(required=True)
    to_year = fields.Integer(allow_none=True, required=True)
