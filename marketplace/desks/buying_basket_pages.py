"""The basket, the lists that are ordered again, and the submission of a purchase."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from flask import Blueprint, request, url_for
from flask_babel import gettext
from markupsafe import Markup

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.desks import basket_views, baskets
from marketplace.desks.basket_forms_pages import (
    FIT,
    LAY,
    SPREAD,
    AddIn,
    TemplateIn,
    as_typed,
    changed_basket,
    purchase_content,
    typed_basket,
    typed_line,
    wrong,
)
from marketplace.desks.baskets import Basket, Line
from marketplace.desks.buying_pages import blp
from marketplace.errors import RuleViolation
from marketplace.orders import purchasing
from marketplace.orders.api import purchase_wish
from marketplace.orders.schemas import BUYING, FUNDS
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import (
    Shown,
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
from marketplace.web.words import word

blueprints: list[Blueprint] = []  # the routes stand on the blueprint of buying_pages


def _shown() -> Shown:
    actor = current_actor()
    kept = baskets.own_basket(db.session(), actor)
    if not kept.lines:
        kept = as_typed() or kept
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
        changed = changed_basket()
        baskets.keep(current_actor(), changed)
        return went(url_for(".basket"), _change_words(changed))
    return _shown()


def _change_words(basket: Basket) -> str | None:
    if LAY in request.form:
        return str(gettext("已按人数算好，取整件；请看每行的数量"))
    if FIT in request.form:
        return str(gettext("已按预算配好，取整件；合计和预算差多少写在最下面，请看每行的数量"))
    if SPREAD not in request.form:
        return None
    days = len({line.deliver_on for line in basket.lines})
    if days > 1:
        return str(gettext("已分成%(n)s次送货，请看每行的数量和日期", n=days))
    return str(gettext("各种货都在一天送：没有填别的日期，或者数量不够分"))


@blp.route("/buy/basket/add", methods=["GET", "POST"])
@requires(Permission.PURCHASE_SUBMIT)
@form
def add() -> Shown:
    """Put packs of a product into the basket, from the catalogue or its own page."""
    if posted():
        given = read_form(AddIn())
        actor, session = current_actor(), db.session()
        goods = basket_views.goods_of(session, [given["product_id"]])
        line = _priced(typed_line(given, goods, None), goods)
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
        typed, _ = typed_basket()
        with baskets.settling(actor, typed):
            goods = basket_views.goods_of(db.session(), [line.product_id for line in typed.lines])
            basket_views.refuse_changed_prices(goods, typed, request.form.get("_mark", ""))
            wish = purchase_wish(purchase_content(typed))
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
        typed, name = typed_basket()
        baskets.keep(actor, typed)
        if name is None:
            raise wrong("#/template_name", "给常用单起个名字，如“每周三蔬菜”")
        baskets.save_template(session, actor, name.strip(), typed)
        return went(url_for(".templates"), gettext("已存为常用单：%(name)s", name=name.strip()))
    given = read_form(TemplateIn())
    if act == "delete":
        baskets.delete_template(actor, given["template_id"])
        return went(url_for(".templates"), gettext("常用单已删除"))
    chosen = baskets.template(session, actor, given["template_id"])
    return _merged(chosen)


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
