"""The poverty office recognises products: those that wait, each beside what was recognised before."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.catalog import photos, queries, service
from marketplace.catalog.states import ProductState
from marketplace.database import db
from marketplace.desks import recognition_views as views
from marketplace.desks.offices_pages import blp
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema, ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.words import word

blueprints: list[Any] = []


class ProductArgs(InSchema):
    state = fields.Enum(ProductState, by_value=True, load_default=ProductState.SUBMITTED)
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


@blp.route("/office/products", methods=["GET"])
@requires(Permission.PRODUCT_RECOGNISE)
def recognition() -> Shown:
    """Products that wait for recognition, and those in the other states by tab."""
    wishes = read_query(ProductArgs())
    session, actor = db.session(), current_actor()
    if wants_sheet():
        listed = queries.list_own(session, actor, **{**wishes, "after": None}, limit=MAX_ROWS)
        return _sheet(listed["items"])
    return page(
        "offices/recognition.html",
        list=queries.list_own(session, actor, **wishes),
        counts=queries.count_own(session, actor),
        state=wishes["state"],
        states=[state.value for state in ProductState],
    )


def _sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("name", gettext("产品"), width=24), Column("spec", gettext("规格"), width=20),
        Column("sku", gettext("货号"), width=18), Column("seller.name", gettext("供应商"), width=36),
        Column("category.name", gettext("品类")), Column("county.name", gettext("产地县")),
        Column("price_fen", gettext("起订价（元）"), "yuan"), Column("said", gettext("状态")),
    ]  # fmt: skip
    told = [{**row, "said": word("product_state", row["state"])} for row in rows]
    basis = [gettext("价格是最小起订量那一档，每件，含税")]
    return sheet_response(gettext("产品认定"), columns, told, basis)


def _question(product_id: UUID, act: str) -> str:
    product = queries.own_product_view(db.session(), current_actor(), product_id)
    now, before = views.as_compared(product), views.recognised_before(db.session(), product_id)
    return page(
        "offices/product.html",
        product=product,
        current=now,
        before=before,
        changed=views.changes(now, before),
        act=act,
        photos=[
            p
            for p in photos.photos_view(db.session(), current_actor(), product_id)["items"]
            if not p["removed_at"]
        ],
    )


@blp.route("/office/products/<uuid:product_id>/recognise", methods=["GET", "POST"])
@requires(Permission.PRODUCT_RECOGNISE)
@form
@retrying
def recognise(product_id: UUID) -> Shown:
    """What is on offer beside what was recognised before; the button puts it on the shelf."""
    if posted():
        reply = service.recognise_product(current_actor(), product_id, once=page_once(".recognition"))
        return done(reply, gettext("已认定，马上上架"))
    return _question(product_id, "recognise")


@blp.route("/office/products/<uuid:product_id>/refuse", methods=["GET", "POST"])
@requires(Permission.PRODUCT_RECOGNISE)
@form
@retrying
def refuse_product(product_id: UUID) -> Shown:
    """Send a product back with a reason."""
    if posted():
        reason = read_form(ReasonIn())["reason"]
        reply = service.refuse_product(current_actor(), product_id, reason, once=page_once(".recognition"))
        return done(reply, gettext("已退回，供应商会看到理由"))
    return _question(product_id, "refuse_product")
