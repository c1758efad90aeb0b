"""Lines and total of a statement, whatever was reported and counted and in whatever order."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.channels.statement_rules import (
    Charge,
    Counted,
    Sold,
    charges_of,
    corrected,
    last_ended,
    period_days,
    proposal_problem,
    total_of,
)
from marketplace.channels.states import (
    CONSIGNMENT_ADVICE,
    CONSIGNMENT_MOVES,
    DISPUTE_ADVICE,
    DISPUTE_MOVES,
    STATEMENT_ADVICE,
    STATEMENT_MOVES,
    BorneBy,
    ConsignmentState,
    DisputeState,
    StatementLineKind,
    StatementState,
)
from marketplace.errors import WrongState
from marketplace.orders.states import move

PRODUCT, LOT = UUID(int=1), UUID(int=2)
DAY = date(2026, 11, 1)
ids = st.builds(lambda n: UUID(int=n), st.integers(10, 30))
days = st.builds(lambda n: DAY + timedelta(days=n), st.integers(0, 29))
prices = st.integers(1, 10**6)


@st.composite
def sold_lines(draw: st.DrawFn) -> list[Sold]:
    """Reports of a period: each position of a report once, red ones negative."""
    places = draw(st.lists(st.tuples(ids, st.integers(1, 5)), unique=True, max_size=12))
    lines = []
    for source, position in places:
        red = source.int % 3 == 0
        packs = draw(st.integers(0, 500)) * (-1 if red else 1)
        day = DAY + timedelta(days=source.int % 30)
        lines.append(Sold(source, day, position, red, PRODUCT, LOT, packs, draw(prices)))
    return lines


@st.composite
def counted_lines(draw: st.DrawFn) -> list[Counted]:
    places = draw(st.lists(st.tuples(ids, st.integers(1, 5)), unique=True, max_size=12))
    return [
        Counted(
            UUID(int=source.int + 100), draw(st.just(DAY + timedelta(days=source.int % 30))), position,
            draw(st.sampled_from(BorneBy)), PRODUCT, LOT, draw(st.integers(0, 50)), draw(st.integers(-50, 50)),
            draw(prices),
        )
        for source, position in places
    ]  # fmt: skip


@given(sold_lines(), counted_lines(), st.randoms(use_true_random=False))
def test_the_total_is_what_was_sold_net_and_what_the_channel_bears(
    sold: list[Sold], counted: list[Counted], random: object
) -> None:
    charges = charges_of(sold, counted)

    net = sum(line.quantity * line.unit_price_fen for line in sold)
    borne = sum(
        (line.spoilage + line.loss) * line.unit_price_fen
        for line in counted
        if line.borne_by is BorneBy.CHANNEL
    )
    assert total_of(charges) == sum(c.amount_fen for c in charges) == net + borne
    assert all(c.quantity for c in charges)
    assert {c.kind for c in charges} <= set(StatementLineKind) - {StatementLineKind.ADJUSTMENT}
    random.shuffle(sold)  # type: ignore[attr-defined]
    random.shuffle(counted)  # type: ignore[attr-defined]
    assert charges_of(sold, counted) == charges


@given(st.integers(-500, 500).filter(bool), st.integers(0, 500), prices)
def test_a_correction_leaves_exactly_the_packs_that_were_proposed(
    present: int, packs: int, price: int
) -> None:
    proposed = -packs if present < 0 else packs
    line = Charge(StatementLineKind.SALE, DAY, UUID(int=9), PRODUCT, LOT, present, price)

    lines = [line, *corrected(line, proposed)]

    assert total_of(lines) == proposed * price
    assert sum(c.quantity for c in lines) == proposed
    assert len(lines) == (3 if proposed else 2)


@given(st.integers(1, 31), st.integers(2020, 2035), st.integers(1, 12))
def test_periods_follow_one_another_without_a_gap(end_day: int, year: int, month: int) -> None:
    period = f"{year:04d}-{month:02d}"
    first, last = period_days(period, end_day)
    following = f"{year + month // 12:04d}-{month % 12 + 1:02d}"

    assert first <= last
    assert period_days(following, end_day)[0] == last + timedelta(days=1)
    assert last_ended(last + timedelta(days=1), end_day) == period
    assert last_ended(last, end_day) < period


def test_a_month_ends_on_its_last_day_and_others_on_the_agreed_one() -> None:
    assert period_days("2026-02", 31) == (date(2026, 2, 1), date(2026, 2, 28))
    assert period_days("2026-01", 25) == (date(2025, 12, 26), date(2026, 1, 25))
    assert period_days("2028-03", 30) == (date(2028, 3, 1), date(2028, 3, 30))
    assert last_ended(date(2026, 12, 1), 31) == "2026-11"
    assert last_ended(date(2026, 1, 25), 25) == "2025-12"


@pytest.mark.parametrize(
    ("kind", "present", "proposed", "problem"),
    [
        ("sale", 5, 4, None),
        ("sale", 5, 0, None),
        ("red", -5, -4, None),
        ("sale", 5, 5, "提出的数量与结算单上的一样"),
        ("sale", 5, -1, "数量的正负要与原来一样"),
        ("red", -5, 1, "数量的正负要与原来一样"),
        ("adjustment", -5, -4, "更正冲回的一行不能再提异议，请对更正后的那一行提"),
    ],
)
def test_only_another_quantity_of_the_same_direction_can_be_proposed(
    kind: str, present: int, proposed: int, problem: str | None
) -> None:
    assert proposal_problem(StatementLineKind(kind), present, proposed) == problem


@pytest.mark.parametrize(
    ("states", "moves", "advice"),
    [
        (StatementState, STATEMENT_MOVES, STATEMENT_ADVICE),
        (DisputeState, DISPUTE_MOVES, DISPUTE_ADVICE),
        (ConsignmentState, CONSIGNMENT_MOVES, CONSIGNMENT_ADVICE),
    ],
)
def test_whatever_a_state_refuses_has_its_advice(states: Any, moves: Any, advice: Any) -> None:
    refused = {(state, event) for state in states for _, event in moves} - set(moves)

    assert set(advice) == refused
    for state, event in refused:
        with pytest.raises(WrongState) as caught:
            move(moves, state, event, advice)
        assert (caught.value.detail, caught.value.data) == (
            advice[state, event], {"state": state.value, "event": event},
        )  # fmt: skip
