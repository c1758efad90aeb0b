"""The poverty office keeps pairs, agreements, prices and assortments of the channels."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.catalog import prices
from marketplace.channels import agreements, catalogue
from marketplace.channels.office_schemas import (
    ChannelAgreementIn,
    ChannelAgreementMadeOut,
    ChannelItemIn,
    ChannelItemMadeOut,
    ChannelItemOut,
    ChannelItemsArgs,
    ChannelOut,
    ChannelPairIn,
    ChannelPairOut,
    ChannelPriceListIn,
    ChannelPriceListOut,
    ChannelPricesIn,
    ChannelPricesOut,
)
from marketplace.channels.states import Pattern
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.schemas import page_of

blp = Blueprint("channel_office", __name__, url_prefix="/api/v1", description="渠道管理")
blueprints = [blp]

CHANNELS, ITEMS = page_of(ChannelOut), page_of(ChannelItemOut)
PAIR, AGREEMENT, ITEM = ChannelPairOut(), ChannelAgreementMadeOut(), ChannelItemMadeOut()
PRICE_LIST, PRICES = ChannelPriceListOut(), ChannelPricesOut()


def _channel(code: str) -> UUID:
    return agreements.channel_by_code(db.session(), code)


@blp.route("/channels")
@requires(Permission.CHANNEL_MANAGE)
@blp.response(200, CHANNELS)
def list_channels() -> Response:
    """All channels with their counties and agreements in force."""
    return shown(CHANNELS, {"items": catalogue.list_channels(db.session()), "next": None})


@blp.route("/channels/<channel_code>/items")
@requires(Permission.CHANNEL_MANAGE)
@blp.arguments(ChannelItemsArgs, location="query")
@blp.response(200, ITEMS)
def list_channel_items(args: dict[str, Any], channel_code: str) -> Response:
    """What a channel carries, at its own prices."""
    return shown(ITEMS, catalogue.channel_items(db.session(), _channel(channel_code), **args))


@blp.route("/channels/<channel_code>/pairs", methods=["POST"])
@requires(Permission.CHANNEL_MANAGE)
@blp.arguments(ChannelPairIn)
@blp.response(201, ChannelPairOut)
@retrying
def add_pair(data: dict[str, Any], channel_code: str) -> Response:
    """Pair the channel's district with a county."""
    wish = once(PAIR, 201)
    return sent(agreements.add_pair(current_actor(), channel_id=_channel(channel_code), once=wish, **data))


@blp.route("/channels/<channel_code>/price-lists", methods=["POST"])
@requires(Permission.CHANNEL_MANAGE)
@blp.arguments(ChannelPriceListIn)
@blp.response(201, ChannelPriceListOut)
@retrying
def add_price_list(data: dict[str, Any], channel_code: str) -> Response:
    """A list of prices of this channel, which an agreement may name."""
    wish = once(PRICE_LIST, 201)
    return sent(
        prices.add_price_list(current_actor(), organisation_id=_channel(channel_code), once=wish, **data)
    )


@blp.route("/channels/<channel_code>/agreements", methods=["POST"])
@requires(Permission.CHANNEL_MANAGE)
@blp.arguments(ChannelAgreementIn)
@blp.response(201, ChannelAgreementMadeOut)
@retrying
def make_agreement(data: dict[str, Any], channel_code: str) -> Response:
    """Agree on terms from a day on; the agreement of that pattern before ends the day before."""
    channel_id = _channel(channel_code)
    price_list = agreements.price_list_by_code(db.session(), channel_id, data.pop("price_list_code"))
    terms = {**data, "pattern": Pattern(data["pattern"]), "price_list_id": price_list}
    wish = once(AGREEMENT, 201)
    return sent(agreements.make_agreement(current_actor(), channel_id=channel_id, once=wish, **terms))


@blp.route("/channels/<channel_code>/prices", methods=["POST"])
@requires(Permission.CHANNEL_MANAGE)
@blp.arguments(ChannelPricesIn)
@blp.response(200, ChannelPricesOut)
@retrying
def set_prices(data: dict[str, Any], channel_code: str) -> Response:
    """Put a product's prices on one of the channel's lists, in the place of those before."""
    price_list = agreements.price_list_by_code(db.session(), _channel(channel_code), data["price_list_code"])
    ladder = [(step["min_quantity"], step["price_fen"]) for step in data["ladder"]]
    return sent(
        agreements.set_prices(
            current_actor(),
            price_list_id=price_list,
            product_id=data["product_id"],
            ladder=ladder,
            once=once(PRICES),
        )
    )


@blp.route("/channels/<channel_code>/items", methods=["POST"])
@requires(Permission.CHANNEL_MANAGE)
@blp.arguments(ChannelItemIn)
@blp.response(200, ChannelItemMadeOut)
@retrying
def carry_item(data: dict[str, Any], channel_code: str) -> Response:
    """Take a recognised product into the assortment, or list it again with other terms."""
    box = data.pop("box_mm", None)
    terms = data if box is None else {**data, "box_mm": tuple(box)}
    return sent(
        agreements.list_item(current_actor(), channel_id=_channel(channel_code), once=once(ITEM), **terms)
    )


@blp.route("/channels/<channel_code>/items/<uuid:product_id>/withdraw", methods=["POST"])
@requires(Permission.CHANNEL_MANAGE)
@blp.response(200, ChannelItemMadeOut)
@retrying
def withdraw_item(channel_code: str, product_id: UUID) -> Response:
    """Take a product out of the assortment; orders placed before stand."""
    return sent(
        agreements.withdraw_item(
            current_actor(), channel_id=_channel(channel_code), product_id=product_id, once=once(ITEM)
        )
    )
