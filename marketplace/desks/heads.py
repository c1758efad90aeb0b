"""How much a kitchen orders for its diners: so many people, grams for each a day, for so many days. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from marketplace.desks import amounts
from marketplace.desks.basket_days import spread
from marketplace.desks.baskets import Line
from marketplace.orders.rules import Offer
from marketplace.values import kilograms

MAX_HEADS = 100_000
MAX_GRAMS = 5_000  # of one thing, a head and day
MAX_DAYS = 60


@dataclass(frozen=True)
class Table:
    """Who is fed: 1 to `MAX_HEADS` people on 1 to `MAX_DAYS` days."""

    heads: int
    days: int

    def weight_g(self, grams: int) -> int:
        return self.heads * grams * self.days


@dataclass(frozen=True)
class Need:
    """What is ordered for a weight: whole packs, in the multiple in which the product is sold, at least its minimum."""

    weight_g: int
    quantity: int
    ordered_g: int

    @property
    def extra_g(self) -> int:
        return self.ordered_g - self.weight_g


def need(weight_g: int, *, net_g: int, multiple: int, minimum: int) -> Need | None:
    """Packs for at least `weight_g` grams; None beyond the largest order."""
    found = amounts.packs(weight_g, amounts.KG, net_g=net_g, multiple=multiple)
    if found is None:
        return None
    quantity = max(found.quantity, minimum)
    return Need(weight_g, quantity, quantity * net_g)


def laid(
    lines: Sequence[Line], table: Table, offers: Mapping[UUID, Offer], usual: date
) -> tuple[list[Line], list[int]]:
    """The lines with the packs that `table` needs, and the places of those that would be too many.

    Lines without grams stay as they are. A product that comes on several days keeps its days: what all of them bring
    together is divided over them anew.
    """
    found: list[Line] = []
    beyond: list[int] = []
    done: set[tuple[UUID, str | None]] = set()
    for place, line in enumerate(lines):
        offer, key = offers.get(line.product_id), (line.product_id, line.funding_source)
        if line.grams is None or offer is None:
            found.append(line)
            continue
        if key in done:
            continue
        done.add(key)
        wanted = need(
            table.weight_g(line.grams),
            net_g=offer.net_g,
            multiple=offer.order_multiple,
            minimum=offer.min_order_quantity,
        )
        if wanted is None:
            beyond.append(place)
            continue
        same = [
            other
            for other in lines
            if (other.product_id, other.funding_source) == key and other.grams is not None
        ]
        days = {other.deliver_on or usual for other in same}
        if len(days) == 1:
            by_weight = wanted.extra_g < offer.net_g * offer.order_multiple
            typed, unit = (kilograms(wanted.weight_g), amounts.KG) if by_weight else ("", amounts.PACK)
            found.append(replace(line, quantity=wanted.quantity, amount=typed, unit=unit))
        else:
            whole = replace(line, quantity=wanted.quantity, deliver_on=None)
            found += spread([whole], sorted(days), usual, {offer.product_id: offer.order_multiple})
    return found, beyond
