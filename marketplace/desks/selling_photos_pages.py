"""The photos of a seller's product: hand in, describe, put in order, take away, bring back. One page for all of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, g, request
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.catalog import photos
from marketplace.catalog.photos_api import PhotoIn, PhotoPatch
from marketplace.catalog.queries import own_product_view
from marketplace.database import db
from marketplace.desks.selling_forms_pages import filed_document
from marketplace.desks.selling_pages import blp
from marketplace.unit_of_work import Once, Reply, retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import FormInvalid, Shown, done, form, page_once, posted, read_form
from marketplace.web.pages import page

blueprints: list[Blueprint] = []  # the routes stand on the blueprint of selling_pages


def _shown(product_id: UUID) -> str:
    session, actor = db.session(), current_actor()
    product = own_product_view(session, actor, product_id)
    found = photos.photos_view(session, actor, product_id)["items"]
    return page(
        "selling/photos.html",
        product=product,
        photos=[photo for photo in found if photo["removed_at"] is None],
        removed=[photo for photo in found if photo["removed_at"] is not None],
        most=photos.MAX_PHOTOS,
        filed=g.get("filed"),
    )


def _back(product_id: UUID) -> Once:
    return page_once(".photos", product_id=product_id)


@blp.route("/sell/products/<uuid:product_id>/photos", methods=["GET", "POST"], endpoint="photos")
@requires(Permission.PRODUCT_EDIT)
@form
@retrying
def add_photo(product_id: UUID) -> Shown:
    """The photos in their order; a POST adds one."""
    if not posted():
        return _shown(product_id)
    given = filed_document("document_id", "photo")
    if not given:
        detail = gettext("请选一张照片")
        raise FormInvalid(errors=[{"pointer": "#/document_id", "detail": detail}])
    wish: dict[str, Any] = read_form(PhotoIn(), **given)
    reply = photos.add_photo(
        current_actor(), product_id, session=db.session(), **wish, once=_back(product_id)
    )
    return done(reply, gettext("照片已加上，买方现在就能看到"))


@blp.route("/sell/products/<uuid:product_id>/photos/<uuid:photo_id>", methods=["GET", "POST"])
@requires(Permission.PRODUCT_EDIT)
@form
@retrying
def edit_photo(product_id: UUID, photo_id: UUID) -> Shown:
    """Describe a photo anew, or move it one place."""
    if posted():
        place = request.form.get("_place", "")
        moved = place in map(str, range(photos.MAX_PHOTOS))
        wish: dict[str, Any] = {"position": int(place)} if moved else read_form(PhotoPatch())
        reply = photos.edit_photo(current_actor(), product_id, photo_id, **wish, once=_back(product_id))
        return done(reply, gettext("已改好"))
    return _shown(product_id)


@blp.route("/sell/products/<uuid:product_id>/photos/<uuid:photo_id>/remove", methods=["GET", "POST"])
@requires(Permission.PRODUCT_EDIT)
@form
@retrying
def remove_photo(product_id: UUID, photo_id: UUID) -> Shown:
    """Show a photo no more; it stays at hand to be brought back."""
    if posted():
        reply: Reply = photos.remove_photo(current_actor(), product_id, photo_id, once=_back(product_id))
        return done(reply, gettext("已移除，买方看不到了；在下面可以恢复"))
    return _shown(product_id)


@blp.route("/sell/products/<uuid:product_id>/photos/<uuid:photo_id>/restore", methods=["GET", "POST"])
@requires(Permission.PRODUCT_EDIT)
@form
@retrying
def restore_photo(product_id: UUID, photo_id: UUID) -> Shown:
    """Bring back a photo that was taken away."""
    if posted():
        reply = photos.restore_photo(current_actor(), product_id, photo_id, once=_back(product_id))
        return done(reply, gettext("已恢复，排在最后"))
    return _shown(product_id)
