"""Shapes of the journal's API. Hashes are 64 hexadecimal digits."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from marketplace.paging import DEFAULT_LIMIT, MAX_LIMIT
from marketplace.web.schemas import InSchema

_PLACE = validate.Range(0, 2**63 - 1)


class EventArgs(InSchema):
    """`after` is the last `seq` that the reader has; `limit` 1 to 100."""

    after = fields.Integer(load_default=0, validate=_PLACE)
    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))


class SubjectOut(Schema):
    type = fields.String(required=True)
    id = fields.String(required=True)


class EventOut(Schema):
    seq = fields.Integer(required=True)
    id = fields.String(required=True)
    kind = fields.String(required=True)
    recorded_at = fields.String(required=True)
    subject = fields.Nested(SubjectOut, required=True)
    data = fields.Dict(keys=fields.String(), required=True)


class EventPageOut(Schema):
    items = fields.List(fields.Nested(EventOut), required=True)
    next = fields.Integer(required=True, allow_none=True)


class CheckpointOut(Schema):
    tree_size = fields.Integer(required=True)
    root = fields.String(required=True)
    made_at = fields.AwareDateTime(required=True)
    note = fields.String(required=True)


class ProofArgs(InSchema):
    """`size` names a checkpoint; without it the newest is meant."""

    size = fields.Integer(load_default=None, validate=_PLACE)


class ProofOut(Schema):
    seq = fields.Integer(required=True)
    leaf_hash = fields.String(required=True)
    tree_size = fields.Integer(required=True)
    root = fields.String(required=True)
    path = fields.List(fields.String(), required=True)
    text = fields.String(required=True)
    checkpoint = fields.String(required=True)


class ConsistencyArgs(InSchema):
    from_size = fields.Integer(required=True, data_key="from", validate=_PLACE)


class ConsistencyOut(Schema):
    from_size = fields.Integer(required=True)
    from_root = fields.String(required=True)
    to_size = fields.Integer(required=True)
    to_root = fields.String(required=True)
    path = fields.List(fields.String(), required=True)
