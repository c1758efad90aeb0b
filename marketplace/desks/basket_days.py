"""The delivery days of a basket: one purchase may be delivered in parts, each line on a day of its own. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from marketplace.desks.amounts import PACK
from marketplace.desks.baskets import Line


def spread(
    lines: Sequence[Line], days: Sequence[date], usual: date, multiples: Mapping[UUID, int]
) -> list[Line]:
    """The same packs of every product, in equal parts on each of `days`; earlier days take what is left over.

    Lines of one product and fund are first put together, so that a second spreading replaces the first, and one day
    undoes it. Parts are whole multiples in which the product is sold; a day with none of a product has no line of it.
    A line for the `usual` day of the basket follows that day when it is changed.
    """
    together: dict[tuple[UUID, str | None], Line] = {}
    for line in lines:
        key = (line.product_id, line.funding_source)
        known = together.get(key)
        together[key] = line if known is None else replace(known, quantity=known.quantity + line.quantity)
    ordered = sorted(set(days))
    found = []
    for line in together.values():
        multiple = multiples.get(line.product_id, 1)
        whole, loose = divmod(line.quantity, multiple)
        each, more = divmod(whole, len(ordered))
        for place, day in enumerate(ordered):
            quantity = (each + (place < more)) * multiple + (loose if place == 0 else 0)
            if quantity:
                own = None if day == usual else day
                found.append(replace(line, quantity=quantity, deliver_on=own, amount="", unit=PACK))
    return found


@dataclass
class Drop:
    """What comes on one day: how many lines of goods, grams and fen."""

    day: date
    lines: int = 0
    weight_g: int = 0
    goods_fen: int = 0


def drops(shown: Sequence[Mapping[str, Any]], usual: date) -> list[Drop]:
    """The deliveries of a basket, by day, from its lines as the page shows them."""
    found: dict[date, Drop] = {}
    for line in shown:
        day = line["deliver_on"] or usual
        drop = found.setdefault(day, Drop(day))
        drop.lines += 1
        drop.weight_g += line["net_g"] * line["quantity"] if line["on_sale"] else 0
        drop.goods_fen += line["goods_fen"]
    return sorted(found.values(), key=lambda drop: drop.day)
