"""JSON shapes of documents."""

from __future__ import annotations

from flask_smorest.fields import Upload
from marshmallow import Schema, fields

from marketplace.documents.models import DocumentKind
from marketplace.web.schemas import InSchema


class DocumentKindIn(InSchema):
    kind = fields.Enum(DocumentKind, by_value=True, required=True)


class DocumentFileIn(InSchema):
    """PDF, JPEG or PNG; for invoices also XML and OFD."""

    file = Upload(required=True)


class DocumentOut(Schema):
    id = fields.String(required=True)
    kind = fields.Enum(DocumentKind, by_value=True, required=True)
    filename = fields.String(required=True)
    content_type = fields.String(required=True)
    size = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    created_at = fields.AwareDateTime(required=True)
