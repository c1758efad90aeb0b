"""Photos of products over HTTP."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validates_schema
from marshmallow.exceptions import ValidationError

from marketplace.actors import Permission
from marketplace.catalog import photos
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, public, requires, sent, shown
from marketplace.web.schemas import InSchema, integer, text

blp = Blueprint("product_photos", __name__, url_prefix="/api/v1", description="产品照片")
blueprints = [blp]


class PhotoIn(InSchema):
    document_id = fields.UUID(required=True)
    alt = text(photos.MAX_ALT)


class PhotoPatch(InSchema):
    alt = text(photos.MAX_ALT, required=False)
    position = integer(0, photos.MAX_PHOTOS - 1, required=False)

    @validates_schema
    def something(self, data: dict[str, Any], **kwargs: Any) -> None:
        if not data:
            raise ValidationError("要写alt或position")


class SizeOut(Schema):
    path = fields.String(required=True)
    width = fields.Integer(required=True)
    height = fields.Integer(required=True)


class PhotoOut(Schema):
    id = fields.String(required=True)
    alt = fields.String(required=True)
    position = fields.Integer(required=True)
    removed_at = fields.AwareDateTime(required=True, allow_none=True)
    large = fields.Nested(SizeOut, required=True)
    small = fields.Nested(SizeOut, required=True)


class PhotosOut(Schema):
    items = fields.List(fields.Nested(PhotoOut), required=True)


OUT = PhotosOut()


@blp.route("/products/<uuid:product_id>/photos")
@public
@blp.response(200, PhotosOut)
def list_photos(product_id: UUID) -> Response:
    """The photos of a product on the shelf in their order; the first stands for it in lists."""
    return shown(OUT, photos.public_photos(db.session(), product_id))


@blp.route("/my/products/<uuid:product_id>/photos")
@requires(Permission.PRODUCT_EDIT, Permission.PRODUCT_RECOGNISE)
@blp.response(200, PhotosOut)
def list_my_photos(product_id: UUID) -> Response:
    """Photos of a product in any state, those that were taken away at the end, for its seller and the office."""
    return shown(OUT, photos.photos_view(db.session(), current_actor(), product_id))


@blp.route("/products/<uuid:product_id>/photos", methods=["POST"])
@requires(Permission.PRODUCT_EDIT)
@blp.arguments(PhotoIn)
@blp.response(201, PhotosOut)
@retrying
def add_photo(data: dict[str, Any], product_id: UUID) -> Response:
    """Show a stored picture (POST /documents, kind photo) with a product of one's own."""
    reply = photos.add_photo(current_actor(), product_id, session=db.session(), **data, once=once(OUT, 201))
    return sent(reply)


@blp.route("/products/<uuid:product_id>/photos/<uuid:photo_id>", methods=["PATCH"])
@requires(Permission.PRODUCT_EDIT)
@blp.arguments(PhotoPatch)
@blp.response(200, PhotosOut)
@retrying
def edit_photo(data: dict[str, Any], product_id: UUID, photo_id: UUID) -> Response:
    """Describe a photo anew, or move it."""
    return sent(photos.edit_photo(current_actor(), product_id, photo_id, **data, once=once(OUT)))


@blp.route("/products/<uuid:product_id>/photos/<uuid:photo_id>/remove", methods=["POST"])
@requires(Permission.PRODUCT_EDIT)
@blp.response(200, PhotosOut)
@retrying
def remove_photo(product_id: UUID, photo_id: UUID) -> Response:
    """Show a photo no more."""
    return sent(photos.remove_photo(current_actor(), product_id, photo_id, once=once(OUT)))


@blp.route("/products/<uuid:product_id>/photos/<uuid:photo_id>/restore", methods=["POST"])
@requires(Permission.PRODUCT_EDIT)
@blp.response(200, PhotosOut)
@retrying
def restore_photo(product_id: UUID, photo_id: UUID) -> Response:
    """Bring back a photo that was taken away."""
    return sent(photos.restore_photo(current_actor(), product_id, photo_id, once=once(OUT)))
