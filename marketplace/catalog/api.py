"""Products over HTTP: the public list and detail, a seller's listing, the office's recognition."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.catalog import listing, photos_api, queries, service
from marketplace.catalog.schemas import (
    CategoriesOut,
    DayArgs,
    OwnFilter,
    OwnProductOut,
    ProductDetailOut,
    ProductFilter,
    ProductIn,
    ProductOut,
    ProductPatch,
)
from marketplace.database import db
from marketplace.unit_of_work import Answer, retrying
from marketplace.web.edge import (
    answer_response,
    current_actor,
    expected_version,
    once,
    public,
    rendered,
    requires,
    sent,
    shown,
)
from marketplace.web.quick import quick
from marketplace.web.schemas import PageArgs, ReasonIn, page_of

blp = Blueprint("catalog", __name__, url_prefix="/api/v1", description="产品")
blueprints = [blp, *photos_api.blueprints]

OWN, PAGE = OwnProductOut(), page_of(ProductOut)


FILTER, DAY = ProductFilter(), DayArgs()


def _list(_: object, args: dict[str, Any]) -> Answer:
    limit, after = args.pop("limit"), args.pop("after")
    return Answer(200, listing.list_json(listing.Filters(**args), limit=limit, after=after))


@blp.route("/products")
@public
@quick(_list, FILTER)
@blp.arguments(FILTER, location="query")
@blp.response(200, PAGE)
def list_products(args: dict[str, Any]) -> Response:
    """Recognised products, filtered, ranked and paged."""
    return answer_response(_list(None, args))


def _product(_: object, args: dict[str, Any], product_id: UUID) -> Answer:
    # The tag is for If-Match; it never answers 304, for the stock lives without it.
    body, version = queries.detail_json(product_id, args["deliver_on"])
    return Answer(200, body, (("ETag", f'"{version}"'),))


@blp.route("/products/<uuid:product_id>")
@public
@quick(_product, DAY)
@blp.arguments(DAY, location="query")
@blp.response(200, ProductDetailOut)
def show_product(args: dict[str, Any], product_id: UUID) -> Response:
    """One product with its lots on sale."""
    return answer_response(_product(None, args, product_id))


@blp.route("/categories")
@public
@blp.response(200, CategoriesOut)
def list_categories() -> Response:
    """All classes of goods with the proofs their lots need."""
    return shown(CategoriesOut(), {"items": queries.categories(db.session())})


@blp.route("/my/products")
@requires(Permission.PRODUCT_EDIT)
@blp.arguments(OwnFilter, location="query")
@blp.response(200, PAGE)
def list_my_products(args: dict[str, Any]) -> Response:
    """One's own products in any state."""
    return shown(PAGE, queries.list_own(db.session(), current_actor(), **args))


@blp.route("/products/submitted")
@requires(Permission.PRODUCT_RECOGNISE)
@blp.arguments(PageArgs, location="query")
@blp.response(200, PAGE)
def list_submitted(args: dict[str, Any]) -> Response:
    """Products that wait for recognition."""
    return shown(PAGE, queries.list_own(db.session(), current_actor(), state="submitted", **args))


@blp.route("/my/products/<uuid:product_id>")
@requires(Permission.PRODUCT_EDIT, Permission.PRODUCT_RECOGNISE)
@blp.response(200, OwnProductOut)
def show_my_product(product_id: UUID) -> Response:
    """A product in any state, for its seller and the office."""
    view = queries.own_product_view(db.session(), current_actor(), product_id)
    return answer_response(rendered(OWN, view))


def _fields(data: dict[str, Any]) -> dict[str, Any]:
    if "price_ladder" in data:
        data["ladder"] = [(s["min_quantity"], s["price_fen"]) for s in data.pop("price_ladder")]
    return data


@blp.route("/products", methods=["POST"])
@requires(Permission.PRODUCT_EDIT)
@blp.arguments(ProductIn)
@blp.response(201, OwnProductOut)
@retrying
def create_product(data: dict[str, Any]) -> Response:
    """List a product as a draft."""
    wish = service.ProductWish(**_fields(data))
    return sent(service.add_product(current_actor(), wish, once=once(OWN, 201)))


@blp.route("/products/<uuid:product_id>", methods=["PATCH"])
@requires(Permission.PRODUCT_EDIT)
@blp.arguments(ProductPatch)
@blp.response(200, OwnProductOut)
@retrying
def edit_product(data: dict[str, Any], product_id: UUID) -> Response:
    """Change a product of one's own."""
    reply = service.edit_product(
        current_actor(), product_id, _fields(data), expected_version=expected_version(), once=once(OWN)
    )
    return sent(reply)


@blp.route("/products/<uuid:product_id>/submit", methods=["POST"])
@requires(Permission.PRODUCT_EDIT)
@blp.response(200, OwnProductOut)
@retrying
def submit_product(product_id: UUID) -> Response:
    """Hand a product to the office."""
    return sent(service.submit_product(current_actor(), product_id, once=once(OWN)))


@blp.route("/products/<uuid:product_id>/recognise", methods=["POST"])
@requires(Permission.PRODUCT_RECOGNISE)
@blp.response(200, OwnProductOut)
@retrying
def recognise_product(product_id: UUID) -> Response:
    """Put a product on the shelf."""
    return sent(service.recognise_product(current_actor(), product_id, once=once(OWN)))


@blp.route("/products/<uuid:product_id>/refuse", methods=["POST"])
@requires(Permission.PRODUCT_RECOGNISE)
@blp.arguments(ReasonIn)
@blp.response(200, OwnProductOut)
@retrying
def refuse_product(data: dict[str, Any], product_id: UUID) -> Response:
    """Send a product back with a reason."""
    return sent(service.refuse_product(current_actor(), product_id, data["reason"], once=once(OWN)))


@blp.route("/products/<uuid:product_id>/withdraw", methods=["POST"])
@requires(Permission.PRODUCT_EDIT, Permission.PRODUCT_RECOGNISE)
@blp.arguments(ReasonIn)
@blp.response(200, OwnProductOut)
@retrying
def withdraw_product(data: dict[str, Any], product_id: UUID) -> Response:
    """Take a product off the shelf, at once."""
    return sent(service.withdraw_product(current_actor(), product_id, data["reason"], once=once(OWN)))
