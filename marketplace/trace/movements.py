"""Stock of a lot that leaves otherwise than by an order, and counts of what is there."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor, Permission
from marketplace.catalog.models import MovementKind, Place, Stock, StockMovement
from marketplace.catalog.stock import InsufficientStock, LockedStock, Move, apply_moves, lock_stock_of_lots
from marketplace.clock import business_day
from marketplace.errors import RuleViolation, refuse_fields
from marketplace.trace import queries, rules
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction

SELLER_MOVES = frozenset(
    {
        MovementKind.SPOILAGE, MovementKind.SHRINKAGE, MovementKind.SOLD_ELSEWHERE, MovementKind.STOCKTAKE,
        MovementKind.OWN_USE,
    }
)  # fmt: skip


def move_stock(
    actor: Actor,
    lot_id: UUID,
    *,
    kind: str,
    quantity: int,
    reason: str,
    place_id: UUID | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """Packs leave otherwise than by an order, or are counted.

    `quantity` in packs: what leaves (1 or more), for `stocktake` what is there now (0 or more). Packs that orders
    hold are never taken: InsufficientStock (`insufficient-stock`). A count can't show more than was harvested and
    not shipped: RuleViolation (`more-than-the-lot`). Raises NotFound (`not-found`).
    """
    with transaction(actor, Permission.STOCK_MOVE, once) as tx:
        move_kind = MovementKind(kind)
        if move_kind not in SELLER_MOVES:
            refuse_fields([("kind", "这一项由订单来记")])
        if quantity < (0 if move_kind is MovementKind.STOCKTAKE else 1):
            refuse_fields([("quantity", "要在1以上")])
        lot = queries.lot_for_update(tx.session, actor, lot_id)
        locked = lock_stock_of_lots(tx.session, [lot.id])
        # What stands in a channel's shop is the shop's to count.
        own = tx.session.scalars(sa.select(Place.id).where(Place.organisation_id == lot.seller_id)).all()
        row = _stock_at([each for each in locked.values() if each.place_id in own], place_id)
        delta = quantity - row.on_hand if move_kind is MovementKind.STOCKTAKE else -quantity
        if row.free + delta < 0:
            told = (
                f"订单留着{row.reserved}件，点数不能再少；真的少了，先和买方改订单"
                if move_kind is MovementKind.STOCKTAKE
                else f"这一批能动的有{row.free}件，另外{row.reserved}件已留给订单；请改少，或换一批"
            )
            raise InsufficientStock(
                errors=[{"pointer": "#/quantity", "detail": told}],
                shortages=[{"product_id": str(lot.product_id), "asked": -delta, "available": row.free}],
                orders=queries.reserved_orders(tx.session, [lot.id]),
            )
        on_hand = sum(other.on_hand for other in locked.values()) + delta
        if delta > 0 and not rules.within_lot(lot.quantity, on_hand, _gone(tx, lot.id)):
            told = f"这一批一共采收{lot.quantity}件，点数不能更多；多出来的请报一批新货"
            raise RuleViolation(
                slug="more-than-the-lot",
                errors=[{"pointer": "#/quantity", "detail": told}],
                quantity=lot.quantity,
            )
        moves = apply_moves(
            tx.session, locked, [Move(row.id, move_kind, delta, reason=reason)], tx.started_at
        )
        fact = tx.record(
            "stock.moved",
            "lot",
            lot.id,
            parties=[lot.seller_id],
            occurred_on=business_day(tx.started_at).isoformat(),
            moves=moves,
            orders=[],
            reason_given=True,
        )
        fact.data["kind"] = move_kind.value
        return tx.answer(lambda: queries.lot_view(tx.session, actor, lot.id))


def _stock_at(locked: Sequence[LockedStock], place_id: UUID | None) -> LockedStock:
    """The row of the named place; without a name, the lot's only one at its seller's."""
    rows = [row for row in locked if place_id is None or row.place_id == place_id]
    if len(rows) != 1:
        refuse_fields([("place_id", "要写明是哪个库存点" if rows else "这一批不在这个库存点")])
    return rows[0]


def _gone(tx: Transaction, lot_id: UUID) -> int:
    """Packs of the lot that left for good by sale or use (spoiled and miscounted ones may turn up again)."""
    kinds = (MovementKind.SHIPPED, MovementKind.RETURNED, MovementKind.SOLD_ELSEWHERE, MovementKind.OWN_USE)
    gone = tx.session.scalar(
        sa.select(-sa.func.coalesce(sa.func.sum(StockMovement.on_hand_delta), 0))
        .join(Stock, Stock.id == StockMovement.stock_id)
        .where(Stock.lot_id == lot_id, StockMovement.kind.in_(kinds))
    )
    return int(gone or 0)
