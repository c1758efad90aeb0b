"""Giving held stock back: the open part of allocations is freed, line by line, with its movements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.catalog.models import MovementKind
from marketplace.catalog.stock import Move, apply_moves, lock_stock
from marketplace.orders.models import Allocation, OrderLine
from marketplace.unit_of_work import Transaction


@dataclass(frozen=True)
class Released:
    """`moves` and `lines` of the fact: {line, quantity, goods_fen} of what is cancelled."""

    moves: list[dict[str, Any]]
    lines: list[dict[str, Any]]


def release_orders(tx: Transaction, order_ids: Sequence[UUID]) -> Released:
    """Free everything of these orders that has not left; the lines' rest counts as cancelled.

    The orders are locked by the caller. Stock rows are locked in the order of their ids.
    """
    rows = tx.session.execute(
        sa.select(Allocation.id, Allocation.stock_id, OrderLine.order_id,
                  (Allocation.quantity - Allocation.shipped - Allocation.freed).label("open"))
        .join(OrderLine, OrderLine.id == Allocation.line_id)
        .where(OrderLine.order_id.in_(order_ids), Allocation.quantity > Allocation.shipped + Allocation.freed)
        .order_by(Allocation.stock_id, Allocation.id)
    ).all()  # fmt: skip
    locked = lock_stock(tx.session, [row.stock_id for row in rows])
    moves = apply_moves(
        tx.session,
        locked,
        [Move(r.stock_id, MovementKind.RELEASED, reserved=-r.open, order_id=r.order_id) for r in rows],
        tx.started_at,
    )
    if rows:
        tx.session.execute(
            sa.text("update allocation set freed = quantity - shipped where id = any(:ids)"),
            {"ids": [row.id for row in rows]},
        )
    cancelled = tx.session.execute(
        sa.text(
            # Packs that were cancelled before are told by the fact of then.
            "update order_line l set cancelled_quantity = l.quantity - l.shipped_quantity"
            " from order_line before"
            " where before.id = l.id and l.order_id = any(:orders)"
            " and l.quantity > l.shipped_quantity + l.cancelled_quantity"
            " returning l.id, l.quantity - l.shipped_quantity - before.cancelled_quantity as cancelled,"
            " l.unit_price_fen"
        ),
        {"orders": list(order_ids)},
    ).all()
    lines = [
        {"line": str(r.id), "quantity": r.cancelled, "goods_fen": r.cancelled * r.unit_price_fen}
        for r in sorted(cancelled, key=lambda r: r.id)
    ]
    return Released(moves, lines)
