"""Events and webhooks as partners send and read them."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.paging import DEFAULT_LIMIT, MAX_LIMIT
from marketplace.web.schemas import InSchema

_KIND = validate.Regexp(r"\A[a-z_]+\.(\*|[a-z_]+)\Z", error="要写成 order.shipped 或 order.*")


class PartnerEventArgs(InSchema):
    """`after`: the `seq` of the last event that was read."""

    after = fields.Integer(load_default=0, validate=validate.Range(0, 2**62))
    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))


class PartnerSubjectOut(Schema):
    type = fields.String(required=True)
    id = fields.String(required=True)


class PartnerEventOut(Schema):
    """Something that happened to the channel's trade; `id` is the same in the feed and in every delivery."""

    id = fields.String(required=True)
    seq = fields.Integer(required=True)
    kind = fields.String(required=True)
    recorded_at = fields.String(required=True)
    subject = fields.Nested(PartnerSubjectOut, required=True)
    partner_order_no = fields.String(required=True, allow_none=True)
    data = fields.Dict(keys=fields.String(), required=True)


class PartnerEventPageOut(Schema):
    items = fields.List(fields.Nested(PartnerEventOut), required=True)
    next = fields.Integer(required=True, allow_none=True)


class WebhookIn(InSchema):
    url = fields.String(required=True, validate=validate.Length(1, 500))
    kinds = fields.List(fields.String(validate=_KIND), load_default=list, validate=validate.Length(0, 50))


class WebhookOut(Schema):
    id = fields.String(required=True)
    url = fields.String(required=True)
    kinds = fields.List(fields.String(), required=True)
    created_at = fields.AwareDateTime(required=True)
    previous_secret_until = fields.AwareDateTime(required=True, allow_none=True)
    disabled_at = fields.AwareDateTime(required=True, allow_none=True)
    disabled_reason = fields.String(required=True, allow_none=True)
    version = fields.Integer(required=True)


class WebhookSecretOut(WebhookOut):
    """`secret` is in this answer alone."""

    secret = fields.String(required=True)


class WebhookListOut(Schema):
    items = fields.List(fields.Nested(WebhookOut), required=True)


class WebhookTryOut(Schema):
    tried_at = fields.AwareDateTime(required=True)
    status = fields.Integer(required=True, allow_none=True)
    failure = fields.String(required=True, allow_none=True)
    took_ms = fields.Integer(required=True)


class WebhookDeliveryOut(Schema):
    id = fields.String(required=True)
    event_id = fields.String(required=True)
    seq = fields.Integer(required=True, allow_none=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    attempts = fields.Integer(required=True)
    next_at = fields.AwareDateTime(required=True, allow_none=True)
    delivered_at = fields.AwareDateTime(required=True, allow_none=True)
    last_try = fields.Nested(WebhookTryOut, required=True, allow_none=True)
