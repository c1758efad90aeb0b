"""The basket, the lists that are ordered again, and the submission of a purchase."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import Blueprint, request, url_for
from flask_babel import gettext
from markupsafe import Markup
from marshmallow import Schema, ValidationError, fields, validate

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.desks import amounts, basket_views, baskets
from marketplace.desks.baskets import Basket, Line
from marketplace.desks.buying_pages import blp
from marketplace.errors import RuleViolation
from marketplace.orders import purchasing
from marketplace.orders.api import purchase_wish
from marketplace.orders.schemas import BUYING, FUNDS, PurchaseIn
from marketplace.unit_of_work import retrying
from marketplace.values import MAX_LINES, MAX_QUANTITY
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import (
    FormInvalid,
    Shown,
    current_form,
    done,
    form,
    page_once,
    posted,
    read_form,
    safe_next,
    went,
)
from marketplace.web.language import translated
from marketplace.web.pages import page
from marketplace.web.problems import validation_errors
from marketplace.web.schemas import InSchema, text
from marketplace.web.words import word

blueprints: list[Blueprint] = []  # the routes stand on the blueprint of buying_pages
HEAD = ("purpose", "payer_profile_id", "canteen_id", "for_agency_id", "reference", "note")


class DeliverToDraft(InSchema):
    name = fields.String(validate=validate.Length(max=50))
    phone = fields.String(validate=validate.Length(max=20))
    address = fields.String(validate=validate.Length(max=200))


class LineDraft(InSchema):
    """A line as it stands on the form; `quantity` is an amount of `unit`, as people type it."""

    product_id = fields.UUID(required=True)
    quantity = fields.String(load_default="", validate=validate.Length(max=20))
    unit = fields.String(load_default=amounts.PACK, validate=validate.OneOf(amounts.UNITS))
    deliver_on = fields.Date()
    funding_source = fields.String(validate=validate.OneOf(FUNDS))
    seen_fen = fields.String(validate=validate.Regexp(r"\d{1,15}"))


class BasketDraftIn(InSchema):
    """The whole form, complete or not: what is missing is the business of the submission."""

    purpose = fields.String(validate=validate.OneOf(BUYING))
    deliver_on = fields.Date()
    deliver_to = fields.Nested(DeliverToDraft)
    lines = fields.List(fields.Nested(LineDraft), load_default=list, validate=validate.Length(max=500))
    payer_profile_id = fields.UUID()
    canteen_id = fields.UUID()
    for_agency_id = fields.UUID()
    reference = text(64, required=False)
    note = text(500, required=False)
    template_name = text(50, required=False)


class AddIn(InSchema):
    product_id = fields.UUID(required=True)
    quantity = fields.String(required=True, validate=validate.Length(max=20))
    unit = fields.String(load_default=amounts.PACK, validate=validate.OneOf(amounts.UNITS))


def _line(given: dict[str, Any], goods: basket_views.Goods, place: int | None) -> Line:
    """Raises RuleViolation (`invalid`) at the quantity."""
    at = "#/quantity" if place is None else f"#/lines/{place}/quantity"
    offer = goods.offers.get(given["product_id"])
    amount = amounts.thousandths(given["quantity"])
    if amount is None:
        raise _wrong(at, "请填数量，如60或62.5；不要这一种就移除这一行")
    net_g, multiple = (1, 1) if offer is None else (offer.net_g, offer.order_multiple)
    found = amounts.packs(amount, given["unit"], net_g=net_g, multiple=multiple)
    if found is None:
        raise _wrong(at, "数量太大，一行最多10,000,000件")
    as_typed = given["unit"] != amounts.PACK or found.rounded
    return Line(
        product_id=given["product_id"],
        quantity=found.quantity,
        deliver_on=given.get("deliver_on"),
        funding_source=given.get("funding_source"),
        seen_fen=int(given["seen_fen"]) if given.get("seen_fen") else None,
        amount=given["quantity"] if as_typed else "",
        unit=given["unit"] if as_typed else amounts.PACK,
    )


def _wrong(pointer: str, detail: str) -> RuleViolation:
    return RuleViolation(detail, errors=[{"pointer": pointer, "detail": detail}])


def _typed_basket() -> tuple[Basket, str | None]:
    """The basket as it stands on the posted form, and the name for a list. Raises RuleViolation (`invalid`)."""
    given = read_form(BasketDraftIn())
    goods = basket_views.goods_of(db.session(), [line["product_id"] for line in given["lines"]])
    lines = [_line(line, goods, place) for place, line in enumerate(given["lines"])]
    head = {name: _plain(given[name]) for name in HEAD if name in given}
    if "deliver_on" in given:
        head["deliver_on"] = given["deliver_on"].isoformat()
    head["deliver_to"] = given.get("deliver_to", {})
    return Basket(tuple(lines), head), given.get("template_name")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def _purchase_content(basket: Basket) -> dict[str, Any]:
    """The basket as the API's own schema reads a purchase. Raises FormInvalid (`invalid`)."""
    content = {
        **{key: value for key, value in basket.head.items() if value},
        "lines": [
            {
                "product_id": str(line.product_id),
                "quantity": line.quantity,
                **({"deliver_on": line.deliver_on.isoformat()} if line.deliver_on else {}),
                **({"funding_source": line.funding_source} if line.funding_source else {}),
            }
            for line in basket.lines
        ],
    }
    return _loaded(PurchaseIn(), content)


def _loaded(schema: Schema, content: dict[str, Any]) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(content)
    except ValidationError as error:
        raise FormInvalid(errors=list(validation_errors({"json": error.messages}))) from None
    return loaded


def _changed(basket: Basket) -> Basket:
    """The basket after the button that was pressed: remove a line, split it over two days, take what is left."""
    lines = list(basket.lines)
    for name, act in (("_remove", _remove), ("_split", _split), ("_take", _take)):
        place, _, value = request.form.get(name, "").partition(":")
        if place.isdigit() and int(place) < len(lines):
            act(lines, int(place), value)
    return basket.with_lines(lines)


def _remove(lines: list[Line], place: int, _: str) -> None:
    del lines[place]


def _split(lines: list[Line], place: int, _: str) -> None:
    half = max(1, lines[place].quantity // 2)
    lines.insert(
        place + 1, replace(lines[place], quantity=half, amount="", unit=amounts.PACK, deliver_on=None)
    )
    lines[place] = replace(
        lines[place], quantity=max(1, lines[place].quantity - half), amount="", unit=amounts.PACK
    )


def _take(lines: list[Line], place: int, value: str) -> None:
    if value.isdigit() and 0 < int(value) <= 10_000_000:
        lines[place] = replace(lines[place], quantity=int(value), amount="", unit=amounts.PACK)
    elif value == "0":
        del lines[place]


def _as_typed() -> Basket | None:
    """The lines of a form that was refused, though some may be wrong; None when there are none."""
    if current_form().refusal is None:
        return None
    lines: list[Line] = []
    while f"lines-{len(lines)}-product_id" in request.form and len(lines) < MAX_LINES:
        product_id = _uuid(request.form[f"lines-{len(lines)}-product_id"])
        if product_id is None:
            return None
        amount = amounts.thousandths(request.form.get(f"lines-{len(lines)}-quantity", ""))
        lines.append(Line(product_id, min(max(1, -(-(amount or 0) // 1000)), MAX_QUANTITY)))
    return Basket(tuple(lines)) if lines else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _shown() -> Shown:
    actor = current_actor()
    kept = baskets.own_basket(db.session(), actor)
    if not kept.lines:
        kept = _as_typed() or kept
    found = basket_views.basket_page(db.session(), actor, kept)
    payers = [(key, f"{title}（{word('purpose', purpose)}）") for key, title, purpose in found["payers"]]
    return page(
        "buying/basket.html",
        basket=found,
        buying=tuple(BUYING),
        funds_words=[(fund, translated(fund)) for fund in FUNDS],
        payer_words=payers,
    )


@blp.route("/buy/basket", methods=["GET", "POST"])
@requires(Permission.PURCHASE_SUBMIT)
@form
def basket() -> Shown:
    """The basket over all sellers; a POST keeps what was typed, without ordering anything."""
    if posted():
        typed, _ = _typed_basket()
        baskets.keep(current_actor(), _changed(typed))
        return went(url_for(".basket") + request.form.get("_at", ""), None)
    return _shown()


@blp.route("/buy/basket/add", methods=["GET", "POST"])
@requires(Permission.PURCHASE_SUBMIT)
@form
def add() -> Shown:
    """Put packs of a product into the basket, from the catalogue or its own page."""
    if posted():
        given = read_form(AddIn())
        actor, session = current_actor(), db.session()
        goods = basket_views.goods_of(session, [given["product_id"]])
        line = _priced(_line(given, goods, None), goods)
        key = request.form.get("_once", "")[:32]
        baskets.keep(actor, baskets.put_in_once(baskets.own_basket(session, actor), line, key))
        said = gettext("已放进采购单：%(name)s %(quantity)s%(unit)s", **_words(line, goods))
        target = safe_next(request.form.get("_next"), url_for(".basket"))
        if target != url_for(".basket"):
            link = Markup('<a href="{}">{}</a>').format(url_for(".basket"), gettext("去采购单"))
            said = Markup("{}　{}").format(said, link)
        return went(target, said)
    return _shown()


def _priced(line: Line, goods: basket_views.Goods) -> Line:
    """The line with the price at which it was put in. Raises RuleViolation (`invalid`) for goods off the shelf."""
    offer = goods.offers.get(line.product_id)
    if offer is None:
        raise RuleViolation("这个产品现在不在售")
    return replace(line, seen_fen=basket_views.unit_price(offer, line.quantity))


def _words(line: Line, goods: basket_views.Goods) -> dict[str, object]:
    offer = goods.offers[line.product_id]
    return {"name": offer.name, "quantity": f"{line.quantity:,}", "unit": offer.pack_unit}


@blp.route("/buy/basket/submit", methods=["GET", "POST"])
@requires(Permission.PURCHASE_SUBMIT)
@form
@retrying
def submit() -> Shown:
    """Order everything in the basket: one purchase, an order per seller; stock is held from now on."""
    if posted():
        actor = current_actor()
        typed, _ = _typed_basket()
        with baskets.settling(actor, typed):
            goods = basket_views.goods_of(db.session(), [line.product_id for line in typed.lines])
            basket_views.refuse_changed_prices(goods, typed, request.form.get("_mark", ""))
            wish = purchase_wish(_purchase_content(typed))
            db.session.rollback()
            once = page_once(".purchase", purchase_id=lambda purchase: purchase["id"])
            reply = purchasing.submit_purchase(actor, wish, once=once)
        return done(reply, gettext("采购单已提交，库存已经留住"))
    return _shown()


@blp.route("/buy/templates", methods=["GET", "POST"])
@requires(Permission.PURCHASE_SUBMIT)
@form
def templates() -> Shown:
    """常用单: the basket under a name, to be ordered again with one button."""
    actor = current_actor()
    if posted():
        return _template_act(request.form.get("_act", ""))
    found = baskets.list_templates(db.session(), actor)
    goods = basket_views.goods_of(
        db.session(), sorted({line.product_id for t in found for line in t["lines"]})
    )
    return page("buying/templates.html", templates=found, goods=goods)


def _template_act(act: str) -> Shown:
    actor, session = current_actor(), db.session()
    if act == "save":
        typed, name = _typed_basket()
        baskets.keep(actor, typed)
        if name is None:
            raise _wrong("#/template_name", "给常用单起个名字，如“每周三蔬菜”")
        baskets.save_template(session, actor, name.strip(), typed)
        return went(url_for(".templates"), gettext("已存为常用单：%(name)s", name=name.strip()))
    given = read_form(TemplateIn())
    if act == "delete":
        baskets.delete_template(actor, given["template_id"])
        return went(url_for(".templates"), gettext("常用单已删除"))
    chosen = baskets.template(session, actor, given["template_id"])
    return _merged(chosen)


class TemplateIn(InSchema):
    template_id = fields.UUID(required=True)


def _merged(chosen: Basket) -> Shown:
    """Put lines of earlier days into the basket, at the prices of now; what is off the shelf shows itself there."""
    actor, session = current_actor(), db.session()
    goods = basket_views.goods_of(session, [line.product_id for line in chosen.lines])
    lines = tuple(
        replace(line, seen_fen=basket_views.unit_price(offer, line.quantity)) if offer else line
        for line in chosen.lines
        for offer in [goods.offers.get(line.product_id)]
    )
    baskets.keep(actor, baskets.joined(baskets.own_basket(session, actor), replace(chosen, lines=lines)))
    return went(url_for(".basket"), gettext("已放进采购单，请看数量、价格和送货日期"))


@blp.route("/orders/<uuid:order_id>/again", methods=["GET", "POST"])
@requires(Permission.PURCHASE_SUBMIT)
@form
def buy_again(order_id: UUID) -> Shown:
    """The lines of an earlier order, into the basket."""
    chosen = baskets.from_order(db.session(), current_actor(), order_id)
    if posted():
        return _merged(chosen)
    goods = basket_views.goods_of(db.session(), [line.product_id for line in chosen.lines])
    return page("buying/again.html", lines=chosen.lines, goods=goods, order_id=order_id)
