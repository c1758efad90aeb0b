"""Where the yuan of orders and their lines stand in counting: what counts, and what the rest waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.orders.models import OrderLine
from marketplace.orders.states import OrderState
from marketplace.quota.explain import REASONS
from marketplace.quota.models import LineStanding
from marketplace.quota.projections import STANDING_COLUMNS, standing_state
from marketplace.quota.rules import uncounted_reasons

WAITS = ("not_accepted", "not_paid", "not_evaluated")
ENDED = frozenset({OrderState.CANCELLED, OrderState.LAPSED, OrderState.REFUSED})


def line_standings(session: Session, order_ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Of every confirmed line of these orders: counted fen, and the fen that wait by reason."""
    open_packs = (
        OrderLine.quantity
        - OrderLine.cancelled_quantity
        - OrderLine.accepted_quantity
        - OrderLine.refused_quantity
    )
    rows = session.execute(
        sa.select(*STANDING_COLUMNS, (open_packs * OrderLine.unit_price_fen).label("open_fen"))
        .join(OrderLine, OrderLine.id == LineStanding.line_id)
        .where(LineStanding.order_id.in_(order_ids))
    )
    return {
        row.line_id: {
            "counted_fen": row.counted_fen,
            "reasons": uncounted_reasons(standing_state(row), row.open_fen),
        }
        for row in rows
    }


def counting(
    state: OrderState, lines: Sequence[OrderLine], standings: dict[UUID, dict[str, Any]]
) -> dict[str, Any]:
    """{reason, counted_fen, waits_for, reasons}: why nothing counts, or what the rest waits for, the first and all.

    `waits_for` is approval, confirmation, not_accepted, not_paid, not_evaluated, "nothing" or "ended".
    """
    reasons = [line.ineligible_reason for line in lines if line.ineligible_reason]
    if lines and len(reasons) == len(lines):
        return {"reason": reasons[0], "counted_fen": 0, "waits_for": None, "reasons": ["not_eligible"]}
    known = [standings[line.id] for line in lines if line.id in standings]
    counted = sum(s["counted_fen"] for s in known)
    if state in ENDED:
        waits = "ended"
    elif not known:
        waits = "approval" if state is OrderState.AWAITING_APPROVAL else "confirmation"
    else:
        waits = next((name for name in WAITS if any(s["reasons"][name] for s in known)), "nothing")
    present = [name for name in REASONS if any(s["reasons"][name] for s in known)]
    return {"reason": None, "counted_fen": counted, "waits_for": waits, "reasons": present}
