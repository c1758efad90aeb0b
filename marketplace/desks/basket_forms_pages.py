"""The form of the basket: what stands on it, how it is read, and what its buttons change."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, request
from marshmallow import Schema, ValidationError, fields, validate

from marketplace.clock import add_working_days, today
from marketplace.database import db
from marketplace.desks import amounts, basket_views
from marketplace.desks.basket_days import spread
from marketplace.desks.baskets import Basket, Line
from marketplace.desks.budgets import fitted
from marketplace.desks.heads import MAX_DAYS, MAX_GRAMS, MAX_HEADS, Table, laid
from marketplace.errors import RuleViolation
from marketplace.orders.rules import check_delivery_day
from marketplace.orders.schemas import BUYING, FUNDS, PurchaseIn
from marketplace.values import MAX_LINES, MAX_QUANTITY, yuan
from marketplace.web.forms import FormInvalid, current_form, read_form
from marketplace.web.problems import validation_errors
from marketplace.web.schemas import InSchema, fen, integer, text

blueprints: list[Blueprint] = []
LAY = "_lay"  # the button 按人数算
FIT = "_fit"  # the button 按预算配
SPREAD = "_spread"  # the button 分到这几天
MORE_DAYS = ("day_2", "day_3", "day_4")
DESK_ONLY = ("heads", "fed_days", "budget_fen")  # of the desk, no part of the purchase
HEAD = (
    *("purpose", "payer_profile_id", "canteen_id", "for_agency_id", "reference", "note"),
    *DESK_ONLY,
)


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
    seen_fen = fields.String(validate=validate.Regexp(r"\A[0-9]{1,15}\Z"))
    grams = integer(1, MAX_GRAMS, required=False)


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
    # Who is fed, for the packs of the lines with grams (`_lay`), and what all may cost (`_fit`).
    heads = integer(1, MAX_HEADS, required=False)
    fed_days = integer(1, MAX_DAYS, required=False)
    budget_fen = fen(low=1, required=False)
    # More days for every line, beside the basket's own (`_spread`).
    day_2 = fields.Date()
    day_3 = fields.Date()
    day_4 = fields.Date()


class AddIn(InSchema):
    product_id = fields.UUID(required=True)
    quantity = fields.String(required=True, validate=validate.Length(max=20))
    unit = fields.String(load_default=amounts.PACK, validate=validate.OneOf(amounts.UNITS))


def typed_line(given: dict[str, Any], goods: basket_views.Goods, place: int | None) -> Line:
    """Raises RuleViolation (`invalid`) at the quantity."""
    at = "#/quantity" if place is None else f"#/lines/{place}/quantity"
    offer = goods.offers.get(given["product_id"])
    amount = amounts.thousandths(given["quantity"])
    if amount is None:
        raise wrong(at, "请填数量，如60或62.5；不要这一种就移除这一行")
    net_g, multiple = (1, 1) if offer is None else (offer.net_g, offer.order_multiple)
    found = amounts.packs(amount, given["unit"], net_g=net_g, multiple=multiple)
    if found is None:
        raise wrong(at, "数量太大，一行最多10,000,000件")
    weighed = given["unit"] != amounts.PACK or found.rounded
    return Line(
        product_id=given["product_id"],
        quantity=found.quantity,
        deliver_on=given.get("deliver_on"),
        funding_source=given.get("funding_source"),
        seen_fen=int(given["seen_fen"]) if given.get("seen_fen") else None,
        amount=given["quantity"] if weighed else "",
        unit=given["unit"] if weighed else amounts.PACK,
        grams=given.get("grams"),
    )


def wrong(pointer: str, detail: str) -> RuleViolation:
    return RuleViolation(detail, errors=[{"pointer": pointer, "detail": detail}])


def typed_basket() -> tuple[Basket, str | None]:
    """The basket as it stands on the posted form, and the name for a list. Raises RuleViolation (`invalid`)."""
    given = read_form(BasketDraftIn())
    return _typed(given, _goods(given)), given.get("template_name")


def changed_basket() -> Basket:
    """The basket of the posted form after the button that was pressed. Raises RuleViolation (`invalid`)."""
    given = read_form(BasketDraftIn())
    goods = _goods(given)
    basket = changed(_typed(given, goods))
    if LAY in request.form:
        return _lay(basket, given, goods)
    if FIT in request.form:
        return _fit(basket, given, goods)
    return _spread(basket, given, goods) if SPREAD in request.form else basket


def _goods(given: dict[str, Any]) -> basket_views.Goods:
    return basket_views.goods_of(db.session(), [line["product_id"] for line in given["lines"]])


def _lay(basket: Basket, given: dict[str, Any], goods: basket_views.Goods) -> Basket:
    missing = [
        {"pointer": f"#/{name}", "detail": text}
        for name, text in (("heads", "请填用餐人数，如600"), ("fed_days", "请填吃几天，如5"))
        if name not in given
    ]
    if missing:
        raise RuleViolation(missing[0]["detail"], errors=missing)
    if all(line.grams is None for line in basket.lines):
        raise wrong("#/lines/0/grams", "请至少给一种货填每人每天多少克")
    usual = given.get("deliver_on") or today()
    lines, beyond = laid(basket.lines, Table(given["heads"], given["fed_days"]), goods.offers, usual)
    if beyond:
        raise wrong(f"#/lines/{beyond[0]}/grams", "数量太大，一行最多10,000,000件")
    return basket.with_lines(lines)


def _fit(basket: Basket, given: dict[str, Any], goods: basket_views.Goods) -> Basket:
    if "budget_fen" not in given:
        raise wrong("#/budget_fen", "请填这一单的预算，如3000")
    usual = given.get("deliver_on") or today()
    last: dict[UUID, date] = {}
    for line in basket.lines:
        last[line.product_id] = max(line.deliver_on or usual, last.get(line.product_id, usual))
    free = {product_id: goods.free(product_id, max(day, today())) for product_id, day in last.items()}
    lines, told = fitted(basket.lines, given["budget_fen"], goods.offers, free)
    if told.over and not told.near:
        least = f"每种货只按起订数也要{yuan(told.goods_fen)}元，超过预算；请移除几种，或提高预算"
        raise wrong("#/budget_fen", least)
    return basket.with_lines(lines)


def _spread(basket: Basket, given: dict[str, Any], goods: basket_views.Goods) -> Basket:
    usual = given.get("deliver_on")
    if usual is None:
        raise wrong("#/deliver_on", "请先填送货日期")
    days = [usual]
    for name in MORE_DAYS:
        if name in given:
            errors = check_delivery_day(given[name], today(), f"#/{name}")
            if errors:
                raise RuleViolation(errors[0]["detail"], errors=errors)
            days.append(given[name])
    multiples = {product_id: offer.order_multiple for product_id, offer in goods.offers.items()}
    return basket.with_lines(spread(basket.lines, days, usual, multiples))


def _typed(given: dict[str, Any], goods: basket_views.Goods) -> Basket:
    lines = [typed_line(line, goods, place) for place, line in enumerate(given["lines"])]
    head = {name: _plain(given[name]) for name in HEAD if name in given}
    if "deliver_on" in given:
        head["deliver_on"] = given["deliver_on"].isoformat()
    head["deliver_to"] = given.get("deliver_to", {})
    return Basket(tuple(lines), head)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, UUID) else value


def purchase_content(basket: Basket) -> dict[str, Any]:
    """The basket as the API's own schema reads a purchase. Raises FormInvalid (`invalid`)."""
    content = {
        **{key: value for key, value in basket.head.items() if value and key not in DESK_ONLY},
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


def changed(basket: Basket) -> Basket:
    """The basket after the button that was pressed: remove a line, split it over two days, take what is left."""
    lines = list(basket.lines)
    for name, act in (("_remove", _remove), ("_split", _split), ("_take", _take)):
        place, _, value = request.form.get(name, "").partition(":")
        if place.isdigit() and int(place) < len(lines):
            act(lines, int(place), value or basket.head.get("deliver_on", ""))
    return basket.with_lines(lines)


def _remove(lines: list[Line], place: int, _: str) -> None:
    del lines[place]


def _split(lines: list[Line], place: int, usual: str) -> None:
    """The second half comes on the next working day, until the buyer says another one."""
    line = replace(lines[place], amount="", unit=amounts.PACK)
    half = max(1, line.quantity // 2)
    first = line.deliver_on or (date.fromisoformat(usual) if usual else today())
    lines[place] = replace(line, quantity=max(1, line.quantity - half))
    lines.insert(place + 1, replace(line, quantity=half, deliver_on=add_working_days(first, 1)))


def _take(lines: list[Line], place: int, value: str) -> None:
    if value.isdigit() and 0 < int(value) <= 10_000_000:
        lines[place] = replace(lines[place], quantity=int(value), amount="", unit=amounts.PACK)
    elif value == "0":
        del lines[place]


def as_typed() -> Basket | None:
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


class TemplateIn(InSchema):
    template_id = fields.UUID(required=True)
