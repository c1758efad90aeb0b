"""The shop window, for everybody: front page, catalogue, product, sellers, counties, trace search, how we count.

Without a session these pages hold nothing of the visitor, so that they may be kept by whoever stands in front.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app, jsonify, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from marketplace.catalog import listing, queries, rules
from marketplace.catalog import photos as pictures
from marketplace.catalog.listing import Filters
from marketplace.clock import today
from marketplace.config import Settings
from marketplace.database import db
from marketplace.desks import heads, shop_facets
from marketplace.desks import shop_house_views as house
from marketplace.desks import shop_views as views
from marketplace.desks.policy_text_pages import policy_text
from marketplace.desks.shop_list_pages import (
    SELLERS_BASIS,
    ignored_text,
    lots_sheet,
    sellers_sheet,
    sheet,
    tags,
    wish,
)
from marketplace.desks.signs import sign_of
from marketplace.desks.sources import public_source
from marketplace.errors import RuleViolation
from marketplace.orders.rules import tier_for
from marketplace.trace import codes, photos
from marketplace.web.edge import current_actor, public
from marketplace.web.forms import Shown, form, posted, uploaded
from marketplace.web.language import translated
from marketplace.web.pages import page
from marketplace.web.sheets import MAX_ROWS, wants_sheet
from marketplace.web.sorting import found_rows, page_of, sorted_rows

blp = Blueprint("shop", __name__)
# What the helper 按人数算 asks, and how much of it at most.
TABLE = {"heads": heads.MAX_HEADS, "grams": heads.MAX_GRAMS, "fed_days": heads.MAX_DAYS}
blueprints = [blp]

FIGURES_SECONDS = 60.0
FACETS_SECONDS = 5.0
_LISTED = 24
SELLERS_SHOWN = 100
_PICTURED = 6
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2014\u2212\uff0d]")


class MistypedCode(RuleViolation):
    """A text that can be no trace code, with what is wrong with it."""

    slug = "mistyped-code"
    title = "这不是完整的追溯码"

    def __init__(self, detail: str) -> None:
        super().__init__(errors=[{"pointer": "#/code", "detail": detail}])


def _seconds(most: float) -> float:
    """How long sums may be kept: not at all where the read cache is off."""
    settings: Settings = current_app.config["SETTINGS"]
    return most if settings.read_cache_seconds > 0 else 0.0


@blp.route("/")
@public
def home() -> str:
    """What this is, three doors, the counties, the harvest calendar and the figures of the year."""
    session, year, month = db.session(), today().year, today().month
    figures = house.lately(
        session, "figures", year, _seconds(FIGURES_SECONDS), lambda: house.year_figures(session, year)
    )
    calendar = house.lately(
        session, "calendar", month, _seconds(FIGURES_SECONDS), lambda: house.calendar(session, month)
    )
    counties = house.counties(session, year)
    pictured = views.pictured(session, _PICTURED)
    return page(
        "shop/home.html",
        year=year,
        figures=figures,
        calendar=[row for row in calendar if row["main"]],
        seasons=house.next_harvests(calendar),
        counties=counties,
        month=today().month,
        pictured=pictured,
        covers=pictures.covers(session, [goods["id"] for goods in pictured]),
    )


@blp.route("/products")
@public
def catalogue() -> Shown:
    """The catalogue: filters with counts, search, order, pages; `format=xlsx` gives all of it as a file."""
    wished, session = wish(), db.session()
    facets = shop_facets.facets(session, wished.filters, _groups(wished.filters))
    conditions = tags(wished, facets)
    if wants_sheet():
        everything = listing.list_products(session, wished.filters, limit=MAX_ROWS)
        return sheet(everything["items"], conditions)
    found = listing.list_products(session, wished.filters, after=wished.after)
    ids = [item["id"] for item in found["items"]]
    return page(
        "shop/catalogue.html",
        wished=wished,
        facets=facets,
        conditions=conditions,
        ignored=ignored_text(wished),
        products=found["items"],
        next=found["next"],
        briefs=views.lots_in_brief(session, ids, wished.filters.deliver_on or today()),
        places=views.places(session, wished.filters.q) if wished.filters.q else [],
        covers=pictures.covers(session, ids),
        sign_of=sign_of,
    )


def _groups(filters: Filters) -> Sequence[shop_facets.Group]:
    """Those who are signed in see groups of the last seconds; a page that is kept for others begins with fresh ones."""
    session, shared = db.session(), shop_facets.unfiltered(filters)
    seconds = 0.0 if current_actor().user_id is None else _seconds(FACETS_SECONDS)
    return house.lately(
        session, "facets", (shared, today()), seconds, lambda: shop_facets.groups(session, shared)
    )


@blp.route("/suggest")
@public
def suggest() -> Response:
    """What the beginning of a search may mean, for the search field; at most nine entries."""
    text = request.args.get("q", "").strip()[:60]
    if not text:
        return jsonify({"items": []})
    found = views.suggestions(db.session(), text)
    items = [
        {
            "label": f"{item['name']} {item['spec']}",
            "note": item["county"]["name"],
            "to": url_for(".product", product_id=item["id"]),
        }
        for item in found["products"]
    ]
    return jsonify({"items": items + [_place(place) for place in found["places"]]})


def _place(place: dict[str, Any]) -> dict[str, str]:
    if place["kind"] == "county":
        return {"label": place["name"], "note": gettext("产地"), "to": url_for(".county", code=place["key"])}
    to = url_for(".seller", seller_id=place["key"])
    return {"label": place["name"], "note": gettext("合作社和企业"), "to": to}


@blp.route("/products/<uuid:product_id>")
@public
def product(product_id: UUID) -> Shown:
    """A product with its ladder, its lots on sale (`format=xlsx`) and whether it counts; a word where it was taken down."""
    session, until = db.session(), _delivery_day()
    gone = views.withdrawn(session, product_id)
    if gone is not None:
        return page("shop/gone.html", product=gone, sign=sign_of(gone["category_code"], gone["family"]))
    found = queries.product_view(session, product_id, until)
    found["lots"] = sorted_rows(found["lots"], "harvested_on", "best_before", "quantity")
    if wants_sheet():
        return lots_sheet(found, views.lot_notes(session, [lot["trace_code"] for lot in found["lots"]]))
    brief = views.lots_in_brief(session, [product_id], until or today())
    pairs = [[step["min_quantity"], step["price_fen"]] for step in found["price_ladder"]]
    table = {name: request.args.get(name, "").strip() for name in TABLE}
    need = _need(found, table)
    return page(
        "shop/product.html",
        product=found,
        until=until,
        ladder=_ladder(found),
        ladder_pairs=pairs,
        table=table,
        need=need,
        need_sum=0
        if need is None
        else tier_for([(low, fen) for low, fen in pairs], need.quantity)[1] * need.quantity,
        lot_notes=views.lot_notes(session, [lot["trace_code"] for lot in found["lots"]]),
        proofs=brief.get(found["id"], {}).get("proofs", []),
        photos=pictures.shown(session, product_id),
        reason=views.why_not_counted(session, found),
        seller=house.seller(session, UUID(found["seller"]["id"])),
        sign=sign_of(found["category"]["code"], found["family"]),
        sign_of=sign_of,
    )


def _need(found: dict[str, Any], table: dict[str, str]) -> heads.Need | None:
    """Packs for the diners in the address (按人数算); None where they are not all named, or out of bounds."""
    numbers = {name: int(text) if re.fullmatch("[0-9]{1,6}", text) else 0 for name, text in table.items()}
    if not all(1 <= numbers[name] <= most for name, most in TABLE.items()):
        return None
    weight_g = heads.Table(numbers["heads"], numbers["fed_days"]).weight_g(numbers["grams"])
    return heads.need(
        weight_g,
        net_g=found["pack"]["net_g"],
        multiple=found["order_multiple"],
        minimum=found["min_order_quantity"],
    )


def _delivery_day() -> date | None:
    """The day that the reader chose in the catalogue; one that is over or unreadable is as none."""
    text = request.args.get("deliver_on", "")
    good = re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", text)
    if not good or text < today().isoformat():
        return None
    return wish().filters.deliver_on


def _ladder(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Steps with the quantity they end at, and the price of a pack, a 公斤 and a 斤."""
    steps, net_g = found["price_ladder"], found["pack"]["net_g"]
    ends = [step["min_quantity"] - 1 for step in steps[1:]] + [None]
    return [
        {
            **step,
            "last": last,
            "per_kg_fen": rules.price_per_kg(step["price_fen"], net_g),
            "per_jin_fen": rules.price_per_jin(step["price_fen"], net_g),
        }
        for step, last in zip(steps, ends, strict=True)
    ]


@blp.route("/sellers")
@public
def sellers() -> Shown:
    """Sellers with goods on the shelf, by county; `format=xlsx` gives them as a file."""
    session = db.session()
    whole = house.sellers(session)
    found = sorted_rows(found_rows(whole, "name", "families"), "name", "products", "lots", "admitted_on")
    if wants_sheet():
        return sellers_sheet(found)
    return page(
        "shop/sellers.html",
        sellers=page_of(found, limit=SELLERS_SHOWN),
        many=len(found),
        counties=house.counties(session, today().year),
        told=translated(SELLERS_BASIS),
    )


@blp.route("/sellers/<uuid:seller_id>")
@public
def seller(seller_id: UUID) -> str:
    """One seller and what it has on the shelf."""
    session = db.session()
    found = house.seller(session, seller_id)
    goods = listing.list_products(session, Filters(seller=seller_id), limit=_LISTED)
    return page(
        "shop/seller.html",
        seller=found,
        products=goods["items"],
        more=goods["next"] is not None,
        briefs=views.lots_in_brief(session, [item["id"] for item in goods["items"]], today()),
        covers=pictures.covers(session, [item["id"] for item in goods["items"]]),
        sign_of=sign_of,
    )


@blp.route("/counties/<code>")
@public
def county(code: str) -> str:
    """One county: whether its goods count, its partner district, its seasons, sellers and goods."""
    session = db.session()
    found = house.county(session, code, today().year)
    goods = listing.list_products(session, Filters(county=code), limit=_LISTED)
    return page(
        "shop/county.html",
        county=found,
        source=public_source(found["source"]),
        calendar=house.calendar(session, today().month, code),
        month=today().month,
        sellers=house.sellers(session, code),
        products=goods["items"],
        more=goods["next"] is not None,
        briefs=views.lots_in_brief(session, [item["id"] for item in goods["items"]], today()),
        covers=pictures.covers(session, [item["id"] for item in goods["items"]]),
        sign_of=sign_of,
    )


@blp.route("/trace", methods=["GET", "POST"])
@public
@form
def trace_search() -> Shown:
    """From what stands on a label to its lot: a typed code, or a photo of the QR code."""
    if posted():
        return _to_lot(_code_in_form())
    return page("shop/trace_search.html")


def _to_lot(code: str) -> AnyResponse:
    return redirect(url_for("trace_pages.trace_page", trace_code=code), 303)


def _code_in_form() -> str:
    """The canonical code of the posted photo or text. Raises MistypedCode (`mistyped-code`) or PhotoRefused."""
    photo = uploaded("photo")
    if photo is not None:
        found = photos.code_in_photo(photo[1])
        if found is None:
            raise photos.PhotoRefused(
                gettext("照片里没有看到追溯码。请把二维码拍满画面、对好焦，或直接输入20位码")
            )
        return found
    text = request.form.get("code", "").strip()
    found = photos.code_in_text(text)
    if found is None:
        raise MistypedCode(_what_is_wrong(text))
    return found


def _what_is_wrong(text: str) -> str:
    """Why a typed text is no trace code; never whether a lot exists."""
    typed = _SEPARATORS.sub("", text)
    strange = sorted({c for c in typed.upper() if c not in codes.ALPHABET and c not in "ILO"})
    why = gettext("最后一位校验对不上：有一位输错了，或相邻两位颠倒了，请对照标签逐组核对")
    if not typed:
        why = gettext("请输入标签上的20位追溯码，或选一张二维码的照片")
    elif strange and len(typed) <= codes.MAX_INPUT:
        signs = "".join(strange)[:10]
        why = gettext("追溯码里没有“%(signs)s”，只有数字和除I、L、O、U以外的字母", signs=signs)
    elif len(typed) != codes.LENGTH:
        why = gettext("追溯码是20位，现在是%(n)s位，请对照标签补齐", n=len(typed))
    return str(why)


@blp.route("/about/figures")
@public
def basis() -> str:
    """口径: how figures are counted, by which rules, since when, on what ground."""
    session, day = db.session(), today()
    return page(
        "shop/basis.html",
        policies=house.policy_history(session, day),
        counties=house.counties(session, day.year),
        year=day.year,
        public_source=public_source,
        policy_value=policy_text,
    )


@blp.route("/about/accessibility")
@public
def accessibility() -> str:
    """How the pages can be used, and what to do where they cannot."""
    return page("shop/accessibility.html")
