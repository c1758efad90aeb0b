"""The basket as its page shows it: priced, counted and checked by the rules that the purchase itself will meet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.accounts.models import Organisation
from marketplace.actors import Actor
from marketplace.catalog import cards, listing
from marketplace.catalog.models import Product
from marketplace.catalog.states import ProductState
from marketplace.desks import amounts, basket_days
from marketplace.desks.basket_head import agency_of, canteens_of, head_of, payers_of
from marketplace.desks.baskets import Basket, Line
from marketplace.desks.budgets import Told
from marketplace.desks.signs import sign_of
from marketplace.errors import RuleViolation
from marketplace.orders import rules
from marketplace.policies.queries import eligible_counties


@dataclass(frozen=True)
class Goods:
    """Products of a basket as they are sold now, and what is left of them."""

    names: dict[UUID, Any]
    offers: dict[UUID, rules.Offer]
    lots: dict[UUID, list[tuple[date, int]]]

    def free(self, product_id: UUID, until: date) -> int:
        """Packs that last to a day."""
        return sum(quantity for day, quantity in self.lots.get(product_id, ()) if day >= until)


def goods_of(session: Session, product_ids: Sequence[UUID]) -> Goods:
    """Two queries, however many products."""
    rows = session.execute(
        sa.select(
            *(Product.id, Product.seller_id, Product.name, Product.spec, Product.family, Product.pack_unit),
            *(Product.net_g, Product.priced_by, Product.category_code, Product.county_code, Product.state),
            *(Product.min_order_quantity, Product.order_multiple, Organisation.name.label("seller_name")),
            *(Organisation.admitted_on, Organisation.disabled_at),
            listing.lots_on_sale(clock.today()).label("lots"),
        )
        .join(Organisation, Organisation.id == Product.seller_id)
        .where(Product.id.in_(product_ids))
    ).all()
    ladders = cards.ladders(session, list(product_ids))
    offers = {
        row.id: rules.Offer(
            product_id=row.id,
            seller_id=row.seller_id,
            seller_name=row.seller_name,
            name=row.name,
            spec=row.spec,
            pack_unit=row.pack_unit,
            net_g=row.net_g,
            priced_by=str(row.priced_by),
            category_code=row.category_code,
            county_code=row.county_code,
            min_order_quantity=row.min_order_quantity,
            order_multiple=row.order_multiple,
            ladder=tuple((step.min_quantity, step.price_fen) for step in ladders[row.id]),
            price_list_code=cards.PUBLIC_LIST,
            seller_admitted=row.admitted_on is not None and row.disabled_at is None,
        )
        for row in rows
        if row.state is ProductState.RECOGNISED and row.id in ladders
    }
    lots = {
        row.id: [(date.fromisoformat(lot["best_before"]), lot["quantity"]) for lot in row.lots or ()]
        for row in rows
    }
    return Goods({row.id: row for row in rows}, offers, lots)


def unit_price(offer: rules.Offer, quantity: int) -> int:
    """Fen a pack at this quantity."""
    return rules.tier_for(offer.ladder, quantity)[1]


def price_mark(goods: Goods, lines: Sequence[Line]) -> str:
    """A short mark of all prices that a basket stands on; another mark means that a price has changed."""
    told = sorted((str(line.product_id), _ladder(goods, line)) for line in lines)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _ladder(goods: Goods, line: Line) -> tuple[tuple[int, int], ...]:
    offer = goods.offers.get(line.product_id)
    return () if offer is None else offer.ladder


def refuse_changed_prices(goods: Goods, basket: Basket, mark: str) -> None:
    """Raises RuleViolation (`invalid`) when prices are not those that the buyer has seen."""
    if mark and mark != price_mark(goods, basket.lines):
        raise RuleViolation("价格刚刚变了。请看过新的价格和合计，再交一次")


def basket_page(session: Session, actor: Actor, basket: Basket) -> dict[str, Any]:
    """All that the page of the basket shows; a constant number of queries.

    {groups: [{seller, lines, goods_fen}], goods_fen, counted_fen, budget, drops, mark, head, payers, canteens, agencies}. A line says
    its price, the step in force, what the next step would take, whether it counts, what is wrong with it and with
    which quantity it would be right.
    """
    goods = goods_of(session, sorted({line.product_id for line in basket.lines}))
    head = head_of(session, actor, basket)
    agency_id, agencies, has_agency = agency_of(session, actor, head)
    counties = eligible_counties(session, clock.budget_year(clock.today()))
    default_day = date.fromisoformat(head["deliver_on"])
    mistakes = _mistakes(basket, goods, default_day)
    short = shortages(basket, goods, default_day)
    totals: dict[UUID, int] = {}
    for line in basket.lines:
        totals[line.product_id] = totals.get(line.product_id, 0) + line.quantity
    groups: dict[Any, dict[str, Any]] = {}
    for place, line in enumerate(basket.lines):
        shown = _line(place, line, goods, totals[line.product_id], counties, has_agency=has_agency)
        shown["mistake"] = mistakes.get(place)
        shown["short"] = short.get(place)
        row = goods.names.get(line.product_id)
        key = None if row is None else row.seller_id
        group = groups.setdefault(
            key,
            {
                "seller": {"id": key, "name": "" if row is None else row.seller_name},
                "lines": [],
                "goods_fen": 0,
            },
        )
        group["lines"].append(shown)
        group["goods_fen"] += shown["goods_fen"]
    lines = [line for group in groups.values() for line in group["lines"]]
    goods_fen = sum(line["goods_fen"] for line in lines)
    owner = agency_id or actor.organisation_id
    return {
        "groups": list(groups.values()),
        "lines": len(lines),
        "kinds": len(totals),
        "goods_fen": goods_fen,
        "counted_fen": sum(line["goods_fen"] for line in lines if line["reason"] is None),
        "usual_day": default_day,
        "budget": Told(goods_fen, head["budget_fen"]) if head["budget_fen"] else None,
        "drops": basket_days.drops(lines, default_day),
        "mark": price_mark(goods, basket.lines),
        "head": head,
        "payers": payers_of(session, owner),
        "canteens": canteens_of(session, owner),
        "agencies": agencies,
    }


def _line(
    place: int, line: Line, goods: Goods, total: int, counties: frozenset[str], *, has_agency: bool
) -> dict[str, Any]:
    row = goods.names.get(line.product_id)
    offer = goods.offers.get(line.product_id)
    shown: dict[str, Any] = {
        "place": place,
        "product_id": line.product_id,
        "name": "" if row is None else row.name,
        "spec": "" if row is None else row.spec,
        "sign": "bowl" if row is None else sign_of(row.category_code, row.family),
        "pack_unit": "" if row is None else row.pack_unit,
        "net_g": 1 if row is None else row.net_g,
        "quantity": line.quantity,
        "amount": line.amount or str(line.quantity),
        "unit": line.unit if line.amount else amounts.PACK,
        "deliver_on": line.deliver_on,
        "grams": line.grams,
        "funding_source": line.funding_source,
        "on_sale": offer is not None,
        "unit_price_fen": 0,
        "goods_fen": 0,
        "ladder": (),
        "next_step": None,
        "reason": rules.COUNTY_NOT_LISTED,
        "rounding": None,
        "was_fen": None,
    }
    if offer is None:
        return shown
    step, price = rules.tier_for(offer.ladder, total)
    later = [(low, fen) for low, fen in offer.ladder if low > total and fen < price]
    if line.amount and line.unit != amounts.PACK:
        amount = amounts.thousandths(line.amount)
        found = amount and amounts.packs(amount, line.unit, net_g=offer.net_g, multiple=offer.order_multiple)
        shown["rounding"] = found if found and found.quantity == line.quantity else None
    return {
        **shown,
        "unit_price_fen": price,
        "goods_fen": price * line.quantity,
        "step": step,
        "ladder": offer.ladder,
        "next_step": None
        if not later
        else {
            "min_quantity": later[0][0],
            "price_fen": later[0][1],
            "more": later[0][0] - total,
            "saves_fen": (price - later[0][1]) * later[0][0],
        },
        "minimum": offer.min_order_quantity,
        "multiple": offer.order_multiple,
        "free": goods.free(line.product_id, clock.today()),
        "reason": rules.ineligibility(offer, counties, agency=has_agency),
        # Another step of the same ladder is no change of price.
        "was_fen": None if line.seen_fen in (None, *(fen for _, fen in offer.ladder)) else line.seen_fen,
    }


def _mistakes(basket: Basket, goods: Goods, day: date) -> dict[int, str]:
    """What the purchase's own rules say of each line."""
    wishes = rules.merge_lines(
        [
            rules.LineWish(n, line.product_id, line.quantity, line.deliver_on or day, line.funding_source)
            for n, line in enumerate(basket.lines)
        ]
    )
    found: dict[int, str] = {}
    try:
        rules.price_lines(wishes, goods.offers, eligible_counties=(), agency=False)
    except RuleViolation as refusal:
        for entry in refusal.data["errors"]:
            found.setdefault(int(entry["pointer"].split("/")[2]), entry["detail"])
    return found


def shortages(basket: Basket, goods: Goods, day: date) -> dict[int, dict[str, int]]:
    """Lines of products of which not enough lasts to their days: {place: {free, asked, take}}.

    Lots that last to a later day also serve an earlier one, so enough is there exactly when, for every day, what is
    wanted for it and later ones fits into what lasts to it. `take` is what this line could have instead.
    """
    found: dict[int, dict[str, int]] = {}
    by_day = sorted(
        enumerate(basket.lines), key=lambda pair: (pair[1].deliver_on or day, -pair[0]), reverse=True
    )
    wanted: dict[UUID, int] = {}
    for place, line in by_day:
        offer = goods.offers.get(line.product_id)
        if offer is None:
            continue
        until = line.deliver_on or day
        before = wanted.get(line.product_id, 0)
        free = goods.free(line.product_id, max(until, clock.today()))
        if before + line.quantity > free:
            left = max(0, free - before)
            take = left - left % offer.order_multiple
            found[place] = {"free": left, "asked": line.quantity, "take": take}
        wanted[line.product_id] = before + min(line.quantity, max(0, free - before))
    return found
