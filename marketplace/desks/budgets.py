"""A basket brought to a budget: the same goods in about the same proportions, in whole multiples. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from marketplace.desks.amounts import NEAR_BP, PACK
from marketplace.desks.baskets import Line
from marketplace.orders.rules import Offer, tier_for
from marketplace.values import MAX_QUANTITY, ratio_bp, split_by_largest_remainder

_FINEST = 1_000_000  # parts in which the common factor of all quantities is sought
_MOST_STEPS = 2_000


@dataclass(frozen=True)
class Told:
    """How goods for `goods_fen` stand to a budget; `bp` is the difference, either way, in basis points of it."""

    goods_fen: int
    budget_fen: int

    @property
    def over(self) -> bool:
        return self.goods_fen > self.budget_fen

    @property
    def bp(self) -> int:
        return ratio_bp(abs(self.goods_fen - self.budget_fen), self.budget_fen) or 0

    @property
    def near(self) -> bool:
        return abs(self.goods_fen - self.budget_fen) * 10_000 <= self.budget_fen * NEAR_BP


@dataclass
class _Goods:
    """One product of the basket: what was wanted of it, and what is now proposed; packs."""

    offer: Offer
    wanted: int
    most: int
    quantity: int = 0

    def scaled(self, millionths: int) -> int:
        by = self.offer.order_multiple
        packs = (2 * self.wanted * millionths + by * _FINEST) // (2 * by * _FINEST) * by
        return max(self.offer.min_order_quantity, min(packs, self.most))

    def sum_fen(self, quantity: int) -> int:
        return tier_for(self.offer.ladder, quantity)[1] * quantity

    @property
    def more_fen(self) -> int:
        """What one multiple more would add to the sum."""
        return self.sum_fen(self.quantity + self.offer.order_multiple) - self.sum_fen(self.quantity)

    @property
    def can_more(self) -> bool:
        return self.quantity + self.offer.order_multiple <= self.most


def fitted(
    lines: Sequence[Line], budget_fen: int, offers: Mapping[UUID, Offer], free: Mapping[UUID, int]
) -> tuple[list[Line], Told]:
    """The lines with quantities whose sum comes nearest to `budget_fen`, and how it stands to it.

    Never above the budget by more than `NEAR_BP`, unless the least that is sold of everything already is. Proportions
    between the goods stay as near as whole multiples, minimums and what is `free` (packs) allow; days and funds of one
    product share its packs as before. Lines of goods that are off the shelf stay as they are.
    """
    goods: dict[UUID, _Goods] = {}
    for line in lines:
        offer = offers.get(line.product_id)
        if offer is not None:
            known = goods.setdefault(line.product_id, _Goods(offer, 0, _most(offer, free)))
            known.wanted += line.quantity
    rows = list(goods.values())
    _scale(rows, budget_fen)
    _fill(rows, budget_fen)
    told = Told(sum(each.sum_fen(each.quantity) for each in rows), budget_fen)
    return _shared(lines, goods), told


def _most(offer: Offer, free: Mapping[UUID, int]) -> int:
    packs = min(free.get(offer.product_id, 0), MAX_QUANTITY)
    return max(packs - packs % offer.order_multiple, offer.min_order_quantity)


def _scale(rows: Sequence[_Goods], budget_fen: int) -> None:
    """Set all quantities by the largest common factor whose sum keeps to the budget; the least that is sold at least."""

    def total(millionths: int) -> int:
        return sum(each.sum_fen(each.scaled(millionths)) for each in rows)

    low, high = 0, _FINEST
    while total(high) <= budget_fen and any(each.scaled(high) < each.most for each in rows):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if total(middle) <= budget_fen else (low, middle)
    for each in rows:
        each.quantity = each.scaled(low)


def _fill(rows: Sequence[_Goods], budget_fen: int) -> None:
    """Spend what is left, one multiple after another, on what lags most behind its proportion."""
    left = budget_fen - sum(each.sum_fen(each.quantity) for each in rows)
    for _ in range(_MOST_STEPS):
        fits = [each for each in rows if each.can_more and each.more_fen <= left]
        if not fits:
            break
        behind = min(fits, key=lambda each: each.quantity / each.wanted)
        left -= behind.more_fen
        behind.quantity += behind.offer.order_multiple
    # One multiple beyond the budget, where that comes nearer to it.
    beyond = [each for each in rows if each.can_more and each.more_fen - left < left]
    for each in sorted(beyond, key=lambda each: each.more_fen)[:1]:
        if (each.more_fen - left) * 10_000 <= budget_fen * NEAR_BP:
            each.quantity += each.offer.order_multiple


def _shared(lines: Sequence[Line], goods: Mapping[UUID, _Goods]) -> list[Line]:
    """The packs of every product on its lines, in the proportions that these had."""
    found: list[Line] = []
    parts: dict[UUID, list[int]] = {}
    for product_id, each in goods.items():
        own = [line.quantity for line in lines if line.product_id == product_id]
        multiples = split_by_largest_remainder(each.quantity // each.offer.order_multiple, own)
        parts[product_id] = [number * each.offer.order_multiple for number in multiples]
    for line in lines:
        if line.product_id not in parts:
            found.append(line)
            continue
        quantity = parts[line.product_id].pop(0)
        if quantity == line.quantity:
            found.append(line)
        elif quantity:
            found.append(replace(line, quantity=quantity, amount="", unit=PACK))
    return found
