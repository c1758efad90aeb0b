"""Quantities as people type them, in packs, 公斤 or 斤, turned into the whole packs that are ordered. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from marketplace.values import MAX_QUANTITY

PACK, KG, JIN = "pack", "kg", "jin"
UNITS = (PACK, KG, JIN)
# What is near what was asked: a difference of at most this share of it, in basis points.
NEAR_BP = 500
# Full-width digits and signs, as an input method types them.
_NARROW = str.maketrans("０１２３４５６７８９．，", "0123456789.,")
_AMOUNT = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,9})(?:\.(\d{1,3}))?")


@dataclass(frozen=True)
class Packs:
    """What a typed amount comes to. `exact_hundredths` are packs times 100, half up; weights in grams.

    `extra_g` is how much more than asked is ordered, because packs are whole and sold by the multiple. `fewer` is the
    quantity of one multiple less, where what then lacks (`lacking_g`) is at most `NEAR_BP` of what was asked.
    """

    quantity: int
    exact_hundredths: int
    asked_g: int
    ordered_g: int
    fewer: int | None = None
    lacking_g: int = 0

    @property
    def extra_g(self) -> int:
        return self.ordered_g - self.asked_g

    @property
    def rounded(self) -> bool:
        return self.extra_g != 0


def thousandths(text: str) -> int | None:
    """'1,250' or '62.5' as thousandths of its unit; None when it is no amount above 0."""
    found = _AMOUNT.fullmatch(text.strip().translate(_NARROW).replace(" ", ""))
    if found is None:
        return None
    value = int(found[1].replace(",", "")) * 1000 + int((found[2] or "").ljust(3, "0") or 0)
    return value or None


def packs(amount: int, unit: str, *, net_g: int, multiple: int) -> Packs | None:
    """Whole packs that hold at least `amount` (thousandths of `unit`); None beyond the largest order.

    A weight is rounded up to the multiple in which the product is sold. Packs that were typed are only made whole:
    that they miss the multiple is for the buyer to decide.
    """
    asked_g = {PACK: amount * net_g // 1000, KG: amount, JIN: (amount + 1) // 2}[unit]
    quantity = _up(amount, 1000) if unit == PACK else _up(_up(asked_g, net_g), multiple) * multiple
    if quantity > MAX_QUANTITY:
        return None
    exact = (asked_g * 200 + net_g) // (net_g * 2)
    fewer = quantity - multiple
    lacking_g = asked_g - fewer * net_g
    if unit == PACK or fewer < 1 or quantity * net_g == asked_g or lacking_g * 10_000 > asked_g * NEAR_BP:
        return Packs(quantity, exact, asked_g, quantity * net_g)
    return Packs(quantity, exact, asked_g, quantity * net_g, fewer, lacking_g)


def _up(number: int, by: int) -> int:
    return (number + by - 1) // by
