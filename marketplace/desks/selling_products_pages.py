"""A seller's products: list, form with ladder and certifications, the way to the office and off the shelf."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.catalog import photos, queries, service
from marketplace.catalog.queries import OWN_SORTS
from marketplace.catalog.rules import MAX_CERTIFICATIONS, MAX_STEPS
from marketplace.catalog.schemas import OwnFilter, ProductIn, ProductPatch
from marketplace.database import db
from marketplace.desks import selling_products_views as views
from marketplace.desks.selling_forms_pages import row_wanted, rows_shown
from marketplace.desks.selling_pages import blp
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.language import N_, translated
from marketplace.web.pages import page
from marketplace.web.schemas import ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response
from marketplace.web.words import word

blueprints: list[Blueprint] = []  # the routes stand on the blueprint of selling_pages

# How a product is taxed; the codes are those of the goods' own column.
TAXES = (
    ("exempt_own_produce", N_("自产农产品，免税")),
    ("agricultural_9", N_("农产品，9%")),
    ("goods_13", N_("一般货物，13%")),
)
# Fields that may be emptied: an empty one on the form takes the value away.
CLEARABLE = ("shelf_life_days", "tax_category", "gtin", "season", "description")


class ProductsView(OwnFilter):
    sort = fields.String(load_default=None, validate=validate.OneOf(OWN_SORTS))
    format = fields.String(load_default=None, validate=validate.OneOf(["xlsx"]))


@blp.route("/sell/products", methods=["GET"])
@requires(Permission.PRODUCT_EDIT)
def products() -> Shown:
    """The seller's products in any state."""
    wish, session, actor = read_query(ProductsView()), db.session(), current_actor()
    if wish.pop("format") == "xlsx":
        wish |= {"limit": MAX_ROWS, "after": None}
        return _sheet(queries.list_own(session, actor, **wish)["items"])
    found = queries.list_own(session, actor, **wish)
    return page(
        "selling/products.html",
        products=found["items"],
        next=found["next"],
        counts=queries.count_own(session, actor),
    )


def _sheet(products: list[dict[str, Any]]) -> Response:
    columns = [
        Column("sku", gettext("货号")), Column("name", gettext("产品")), Column("spec", gettext("规格"), width=28),
        Column("category.name", gettext("品类")), Column("county.name", gettext("产地县")),
        Column("state", gettext("状态")), Column("price_fen", gettext("起订价（元）"), "yuan"),
        Column("pack.unit", gettext("单位"), width=8), Column("pack.net_g", gettext("每件净重（公斤）"), "kg"),
        Column("min_order_quantity", gettext("起订件数"), "count"),
        Column("available_quantity", gettext("可售件数"), "count"),
    ]  # fmt: skip
    rows = [{**row, "state": word("product_state", row["state"])} for row in products]
    basis = [gettext("本单位的产品；起订价是起订量的每件价格，可售件数是今天能订的件数")]
    return sheet_response(gettext("产品"), columns, rows, basis)


@blp.route("/sell/products/new", methods=["GET", "POST"])
@requires(Permission.PRODUCT_EDIT)
@form
@retrying
def new_product() -> Shown:
    """List a product as a draft."""
    if posted() and not row_wanted():
        wish = service.ProductWish(**_fields(read_form(ProductIn())))
        once = page_once(".product", product_id=lambda product: product["id"])
        reply = service.add_product(current_actor(), wish, once=once)
        return done(reply, gettext("产品已存为草稿，核对后提交认定"))
    return _product_form(None)


@blp.route("/sell/products/<uuid:product_id>", methods=["GET"])
@requires(Permission.PRODUCT_EDIT)
def product(product_id: UUID) -> Shown:
    """One product, why the office sent it back, and what may be done with it."""
    view = views.product_page(db.session(), current_actor(), product_id)
    shown = [
        p
        for p in photos.photos_view(db.session(), current_actor(), product_id)["items"]
        if not p["removed_at"]
    ]
    return page("selling/product.html", product=view, taxes=_taxes(), photos=shown)


@blp.route("/sell/products/<uuid:product_id>/edit", methods=["GET", "POST"])
@requires(Permission.PRODUCT_EDIT)
@form
@retrying
def edit_product(product_id: UUID) -> Shown:
    """Change what may be changed in the product's state."""
    if posted() and not row_wanted():
        changes = _fields(read_form(ProductPatch(), **_emptied()))
        version = request.form.get("_version", "")
        reply = service.edit_product(
            current_actor(), product_id, changes, expected_version=int(version) if version.isdecimal() else None,
            once=page_once(".product", product_id=product_id),
        )  # fmt: skip
        return done(reply, gettext("已改好"))
    return _product_form(views.product_page(db.session(), current_actor(), product_id))


def _product_form(product: dict[str, Any] | None) -> str:
    known = product or {"price_ladder": (), "certifications": ()}
    return page(
        "selling/product_form.html",
        product=product,
        choice=views.product_choices(db.session(), current_actor()),
        taxes=_taxes(),
        steps=rows_shown("price_ladder", len(known["price_ladder"]), MAX_STEPS),
        marks=rows_shown("certifications", len(known["certifications"]), MAX_CERTIFICATIONS),
    )


def _taxes() -> list[tuple[str, str]]:
    return [(code, translated(text)) for code, text in TAXES]


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    if "price_ladder" in data:
        data["ladder"] = [(step["min_quantity"], step["price_fen"]) for step in data.pop("price_ladder")]
    return data


def _emptied() -> dict[str, Any]:
    """Values that were on the form and are empty now."""
    emptied: dict[str, Any] = {name: None for name in CLEARABLE if request.form.get(name) == ""}
    schemes = [value for name, value in request.form.items() if name.startswith("certifications-")]
    if schemes and not any(schemes):
        emptied["certifications"] = []
    return emptied


@blp.route("/sell/products/<uuid:product_id>/submit", methods=["GET", "POST"])
@requires(Permission.PRODUCT_EDIT)
@form
@retrying
def submit_product(product_id: UUID) -> Shown:
    """Hand the product to the office for recognition."""
    if posted():
        once = page_once(".product", product_id=product_id)
        reply = service.submit_product(current_actor(), product_id, once=once)
        return done(reply, gettext("已提交，等县里认定"))
    view = views.product_page(db.session(), current_actor(), product_id)
    return page("selling/submit_product.html", product=view)


@blp.route("/sell/products/<uuid:product_id>/withdraw", methods=["GET", "POST"])
@requires(Permission.PRODUCT_EDIT)
@form
@retrying
def withdraw_product(product_id: UUID) -> Shown:
    """Take the product off the shelf at once."""
    if posted():
        reason = read_form(ReasonIn())["reason"]
        once = page_once(".product", product_id=product_id)
        reply = service.withdraw_product(current_actor(), product_id, reason, once=once)
        return done(reply, gettext("已下架。要再卖，改好后重新提交认定"))
    view = views.product_page(db.session(), current_actor(), product_id)
    return page("selling/withdraw_product.html", product=view)
