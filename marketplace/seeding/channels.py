"""The Tianjin channels: their pairs, own price lists, agreements and assortments."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

from marketplace.catalog import prices
from marketplace.catalog.models import PriceList, PriceTier
from marketplace.channels import agreements
from marketplace.channels.models import ChannelAgreement, ChannelItem, ChannelPair
from marketplace.channels.states import Pattern
from marketplace.seeding.owned import own_products
from marketplace.seeding.reading import Act, Row, found, importer, keys, mapping, rows, text, whole
from marketplace.seeding.reference import organisation_ids


def pairs() -> list[Act]:
    ids = organisation_ids()
    known = {tuple(row) for row in found(ChannelPair.channel_id, ChannelPair.county_code)}
    return [
        partial(
            agreements.add_pair,
            importer(),
            channel_id=ids[text(row, "channel_code")],
            county_code=text(row, "county_code"),
            district_code=text(row, "district_code"),
            source=text(row, "source"),
        )
        for row in rows("channel_pairs")
        if (ids[text(row, "channel_code")], row["county_code"]) not in known
    ]


def price_lists() -> list[Act]:
    ids = organisation_ids()
    known = keys(PriceList.code)
    entries = {text(row, "price_list_code"): row for row in rows("channel_agreements")}
    return [
        partial(
            prices.add_price_list,
            importer(),
            code=code,
            name=text(row, "price_list_name"),
            organisation_id=ids[text(row, "channel_code")],
        )
        for code, row in entries.items()
        if code not in known
    ]


def terms() -> list[Act]:
    ids, lists = organisation_ids(), mapping(PriceList.code, PriceList.id)
    known = {(row[0], row[1].value) for row in found(ChannelAgreement.channel_id, ChannelAgreement.pattern)}
    return [
        partial(
            agreements.make_agreement,
            importer(),
            channel_id=ids[text(row, "channel_code")],
            pattern=Pattern(text(row, "pattern")),
            price_list_id=lists[text(row, "price_list_code")],
            order_cut_off=text(row, "order_cut_off"),
            valid_from=date.fromisoformat(text(row, "valid_from")),
            shop_name=row["shop_name"],
            lead_days=whole(row, "lead_days"),
            confirm_within_h=whole(row, "confirm_within_h"),
            ship_within_h=whole(row, "ship_within_h"),
            period_end_day=whole(row, "period_end_day"),
            due_days=whole(row, "due_days"),
        )
        for row in rows("channel_agreements")
        if (ids[text(row, "channel_code")], row["pattern"]) not in known
    ]


def channel_prices() -> list[Act]:
    lists, products = _lists(), _products()
    known = {tuple(row) for row in found(PriceTier.price_list_id, PriceTier.product_id)}
    return [
        partial(
            agreements.set_prices,
            importer(),
            price_list_id=lists[row["channel_code"]],
            product_id=products[text(row, "sku")],
            ladder=[(int(q), int(fen)) for q, fen in (s.split(":") for s in text(row, "ladder").split())],
        )
        for row in rows("channel_items")
        if (lists[row["channel_code"]], products[text(row, "sku")]) not in known
    ]


def assortments() -> list[Act]:
    ids, products = organisation_ids(), _products()
    known = {tuple(row) for row in found(ChannelItem.channel_id, ChannelItem.product_id)}
    return [
        partial(
            agreements.list_item,
            importer(),
            channel_id=ids[text(row, "channel_code")],
            product_id=products[text(row, "sku")],
            **_terms_of(row),
        )
        for row in rows("channel_items")
        if (ids[text(row, "channel_code")], products[text(row, "sku")]) not in known
    ]


def _terms_of(row: Row) -> dict[str, Any]:
    numbers = ("min_remaining_days", "box_quantity", "box_gross_g")
    return {"partner_sku": row["partner_sku"], **{name: whole(row, name) for name in numbers}}


def _lists() -> dict[str | None, UUID]:
    ids = mapping(PriceList.code, PriceList.id)
    return {row["channel_code"]: ids[row["price_list_code"]] for row in rows("channel_agreements")}


def _products() -> dict[str, UUID]:
    return {row.sku: row.id for row in own_products()}
