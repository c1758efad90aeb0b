"""The plan of allocation: first expired first out, all shortages at once, as many packs as any plan could place."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from itertools import product as combinations

from hypothesis import given
from hypothesis import strategies as st

from marketplace.orders.allocation import Candidate, Shortage, Want, allocate

DAY = date(2026, 11, 24)
APPLES = uuid.UUID(int=1)
BEEF = uuid.UUID(int=2)


def row(stock_id: int, free: int, days: int = 30, product: uuid.UUID = APPLES) -> Candidate:
    return Candidate(
        stock_id, product, uuid.UUID(int=100 + stock_id), uuid.UUID(int=9), f"C{stock_id}",
        DAY + timedelta(days=days), DAY, free,
    )  # fmt: skip


def want(line: int, quantity: int, days: int = 0, product: uuid.UUID = APPLES) -> Want:
    return Want(line, product, quantity, DAY + timedelta(days=days))


def taken(plan: object) -> list[tuple[int, int, int]]:
    return [(t.line, t.candidate.stock_id, t.quantity) for t in plan.takes]  # type: ignore[attr-defined]


def test_the_lot_that_expires_first_leaves_first() -> None:
    plan = allocate([want(0, 7)], [row(1, 5, days=20), row(2, 5, days=10)])

    assert taken(plan) == [(0, 2, 5), (0, 1, 2)]


def test_a_lot_that_expires_before_the_delivery_day_serves_no_line_of_it() -> None:
    plan = allocate([want(0, 3, days=15)], [row(1, 5, days=14), row(2, 5, days=15)])

    assert taken(plan) == [(0, 2, 3)]


def test_every_product_that_is_short_is_told_at_once() -> None:
    plan = allocate([want(0, 7), want(1, 4, product=BEEF)], [row(1, 5), row(2, 1, product=BEEF)])

    assert plan.shortages == (Shortage(APPLES, 7, 5), Shortage(BEEF, 4, 1))


def test_a_later_drop_keeps_the_lots_that_last_to_it() -> None:
    plan = allocate([want(0, 5, days=1), want(1, 5, days=20)], [row(1, 5, days=30), row(2, 5, days=10)])

    assert taken(plan) == [(0, 2, 5), (1, 1, 5)]


@given(
    wants=st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=3),
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=0, max_size=3),
)
def test_no_other_plan_places_more_packs(wants: list[tuple[int, int]], rows: list[tuple[int, int]]) -> None:
    asked = [want(n, quantity, days) for n, (quantity, days) in enumerate(wants)]
    stock = [row(n + 1, free, days) for n, (free, days) in enumerate(rows)]

    plan = allocate(asked, stock)

    placed = sum(t.quantity for t in plan.takes)
    # Max flow equals min cut: over every set of lines, what they ask outside it plus what can reach it.
    cuts = []
    for chosen in combinations((False, True), repeat=len(asked)):
        inside = [a for a, c in zip(asked, chosen, strict=True) if c]
        outside = sum(a.quantity for a, c in zip(asked, chosen, strict=True) if not c)
        reach = sum(s.free for s in stock if any(s.best_before >= a.deliver_on for a in inside))
        cuts.append(outside + reach)
    assert placed == min(cuts)
    for candidate in stock:
        assert sum(t.quantity for t in plan.takes if t.candidate == candidate) <= candidate.free
    for take in plan.takes:
        assert take.candidate.best_before >= asked[take.line].deliver_on
