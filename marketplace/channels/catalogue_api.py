"""What a partner's program asks first: who it is, and what its channel carries at which price."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import catalogue
from marketplace.channels.schemas import (
    CatalogueFilter,
    CatalogueItemArgs,
    CataloguePageOut,
    PartnerItemOut,
    PartnerSelfOut,
)
from marketplace.channels.states import KeyMode
from marketplace.database import db
from marketplace.web.edge import current_actor, requires, shown

blp = Blueprint("partner_catalogue", __name__, url_prefix="/partner/v1", description="渠道目录")
blueprints = [blp]

ITEM, ITEMS, SELF = PartnerItemOut(), CataloguePageOut(), PartnerSelfOut()


@blp.route("/self")
@requires(
    Permission.CHANNEL_CATALOGUE, Permission.CHANNEL_ORDER, Permission.CHANNEL_SALES,
    Permission.CHANNEL_STATEMENTS, Permission.CHANNEL_EVENTS,
)  # fmt: skip
@blp.response(200, PartnerSelfOut)
def show_self() -> Response:
    """The channel of this key, and its agreements in force."""
    mode = KeyMode.TEST if current_app.config["SETTINGS"].sandbox else KeyMode.LIVE
    return shown(SELF, {**catalogue.self_view(db.session(), current_actor()), "mode": mode.value})


@blp.route("/catalogue")
@requires(Permission.CHANNEL_CATALOGUE)
@blp.arguments(CatalogueFilter, location="query")
@blp.response(200, CataloguePageOut)
def list_items(args: dict[str, Any]) -> Response:
    """The channel's items in the order of their last change, withdrawn ones too; ask on with `changed_after=as_of`."""
    return shown(ITEMS, catalogue.list_items(db.session(), current_actor(), **args))


@blp.route("/catalogue/<uuid:product_id>")
@requires(Permission.CHANNEL_CATALOGUE)
@blp.arguments(CatalogueItemArgs, location="query")
@blp.response(200, PartnerItemOut)
def show_item(args: dict[str, Any], product_id: UUID) -> Response:
    """One item of the channel."""
    return shown(ITEM, catalogue.item_view(db.session(), current_actor(), product_id, **args))
