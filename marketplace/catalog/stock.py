"""Stock rows move here only: locked in the order of their ids, guarded, with a movement beside each change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.catalog.models import MovementKind, Stock, StockMovement
from marketplace.errors import Conflict


class InsufficientStock(Conflict):
    """`shortages` lists every product (or stock row) that is short: {product_id, asked, available}."""

    slug = "insufficient-stock"
    title = "库存不够"


@dataclass(frozen=True)
class Move:
    """A change of one stock row: deltas in packs. `order_id` is the order it serves, if any."""

    stock_id: int
    kind: MovementKind
    on_hand: int = 0
    reserved: int = 0
    order_id: UUID | None = None
    reason: str | None = None


@dataclass(frozen=True)
class LockedStock:
    id: int
    lot_id: UUID
    place_id: UUID
    on_hand: int
    reserved: int

    @property
    def free(self) -> int:
        return self.on_hand - self.reserved


def lock_stock(session: Session, stock_ids: Iterable[int]) -> dict[int, LockedStock]:
    """Lock the rows in the order of their ids and return their present values, keyed by id."""
    ids = sorted(set(stock_ids))
    if not ids:
        return {}
    rows = session.execute(
        sa.select(Stock.id, Stock.lot_id, Stock.place_id, Stock.on_hand, Stock.reserved)
        .where(Stock.id.in_(ids))
        .order_by(Stock.id)
        .with_for_update()
    )
    return {row.id: LockedStock(*row) for row in rows}


def lock_stock_of_lots(session: Session, lot_ids: Iterable[UUID]) -> dict[int, LockedStock]:
    """Lock all rows of the lots (every place), in the order of their ids."""
    rows = session.execute(
        sa.select(Stock.id, Stock.lot_id, Stock.place_id, Stock.on_hand, Stock.reserved)
        .where(Stock.lot_id.in_(sorted(set(lot_ids))))
        .order_by(Stock.id)
        .with_for_update()
    )
    return {row.id: LockedStock(*row) for row in rows}


def open_rows(session: Session, lot_ids: Iterable[UUID], place_id: UUID) -> dict[UUID, int]:
    """The row's id of each lot at a place, of zero where there was none; to be locked with others by `lock_stock`."""
    lots = sorted(set(lot_ids))
    session.execute(
        sa.text("insert into stock (lot_id, place_id, on_hand, reserved)"
                " select lot, :place, 0, 0 from unnest(cast(:lots as uuid[])) with ordinality as l(lot, n) order by n"
                " on conflict (lot_id, place_id) do nothing"),
        {"lots": lots, "place": place_id},
    )  # fmt: skip
    rows = session.execute(
        sa.select(Stock.lot_id, Stock.id).where(Stock.lot_id.in_(lots), Stock.place_id == place_id)
    )
    return {row.lot_id: row.id for row in rows}


def add_stock(session: Session, lot_id: UUID, place_id: UUID) -> LockedStock:
    """A row of zero for a lot at a place; returns the present one when it is there already, locked."""
    session.execute(
        sa.text("insert into stock (lot_id, place_id, on_hand, reserved) values (:lot, :place, 0, 0)"
                " on conflict (lot_id, place_id) do nothing"),
        {"lot": lot_id, "place": place_id},
    )  # fmt: skip
    row = session.execute(
        sa.select(Stock.id, Stock.lot_id, Stock.place_id, Stock.on_hand, Stock.reserved)
        .where(Stock.lot_id == lot_id, Stock.place_id == place_id)
        .with_for_update()
    ).one()
    return LockedStock(*row)


_GUARDED = sa.text(
    "update stock set on_hand = on_hand + :on_hand, reserved = reserved + :reserved where id = :id"
    " and on_hand + :on_hand >= 0 and reserved + :reserved >= 0"
    " and reserved + :reserved <= on_hand + :on_hand"
)


def apply_moves(
    session: Session, locked: dict[int, LockedStock], moves: Sequence[Move], at: datetime
) -> list[dict[str, Any]]:
    """Carry out `moves` on rows that are locked already; returns the `moves` part of the fact.

    Raises InsufficientStock (`insufficient-stock`) when a row cannot give what is asked; nothing of the
    transaction stands then.
    """
    told: list[dict[str, Any]] = []
    totals: dict[int, tuple[int, int]] = {}
    for move in moves:
        row = locked[move.stock_id]
        on_hand, reserved = totals.get(move.stock_id, (0, 0))
        totals[move.stock_id] = (on_hand + move.on_hand, reserved + move.reserved)
        told.append(
            {
                "lot": str(row.lot_id),
                "place": str(row.place_id),
                "kind": move.kind.value,
                "on_hand": move.on_hand,
                "reserved": move.reserved,
            }
        )
    for stock_id in sorted(totals):
        on_hand, reserved = totals[stock_id]
        if (on_hand, reserved) == (0, 0):
            continue
        done = session.execute(_GUARDED, {"id": stock_id, "on_hand": on_hand, "reserved": reserved})
        if done.rowcount != 1:  # type: ignore[attr-defined]
            row = locked[stock_id]
            raise InsufficientStock(
                stock=[{"lot_id": str(row.lot_id), "on_hand": row.on_hand, "reserved": row.reserved,
                        "asked_on_hand": on_hand, "asked_reserved": reserved}]
            )  # fmt: skip
    if moves:
        session.execute(
            sa.insert(StockMovement),
            [
                {
                    "stock_id": m.stock_id,
                    "kind": m.kind,
                    "on_hand_delta": m.on_hand,
                    "reserved_delta": m.reserved,
                    "order_id": m.order_id,
                    "reason": m.reason,
                    "moved_at": at,
                }
                for m in moves
            ],
        )
    return told
