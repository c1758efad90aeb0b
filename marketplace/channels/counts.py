"""盘点: what stands in a shop is counted, and every pack that is missing or found is accounted for.

The shop says of each lot how many good packs it counted, and of the others what became of them and who bears it.
Counted and accounted packs together are what the books hold: a pack that nobody explains is refused, by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Lot, MovementKind
from marketplace.catalog.stock import LockedStock, Move, apply_moves, lock_stock
from marketplace.channels import count_views
from marketplace.channels.consignment_models import SalesReport, StockCount, StockCountLine
from marketplace.channels.rules import body_text
from marketplace.channels.shops import (
    LotName,
    Shop,
    ShopLot,
    find_lots,
    last_shop,
    line_errors,
    one_at_a_time,
)
from marketplace.channels.states import BorneBy, CountCause
from marketplace.clock import business_day
from marketplace.errors import Forbidden, RuleViolation, WrongState
from marketplace.unit_of_work import NO_ONCE, Answer, Once, Replayed, Reply, Transaction, transaction
from marketplace.values import uuid7


class DifferenceKind(StrEnum):
    """Spoilt packs lie there and are thrown away, lost ones are not there; found ones the books didn't hold."""

    SPOILAGE = "spoilage"
    LOSS = "loss"
    FOUND = "found"


@dataclass(frozen=True)
class Difference:
    """Packs (1 or more) that are not among the counted ones, or are found beyond the books."""

    kind: DifferenceKind
    quantity: int
    cause: CountCause
    borne_by: BorneBy


@dataclass(frozen=True)
class CountedLine:
    """One lot: good packs that were counted, and the packs that explain the rest."""

    lot: LotName
    counted: int
    differences: Sequence[Difference] = ()


@dataclass(frozen=True)
class CountWish:
    """`body` is what was sent, for knowing it again."""

    body: Any
    counted_on: date
    lines: Sequence[CountedLine]
    place_id: UUID | None = None


_MOVES = {
    DifferenceKind.SPOILAGE: MovementKind.SPOILAGE,
    DifferenceKind.LOSS: MovementKind.SHRINKAGE,
    DifferenceKind.FOUND: MovementKind.STOCKTAKE,
}


def count_stock(actor: Actor, wish: CountWish, *, once: Once = NO_ONCE) -> Reply:
    """Report a count of the channel's shop; afterwards the shop holds of each counted lot what was counted.

    The channel owes for spoilt and lost packs that it bears, at the day's price, less found ones. A day may have
    several counts. Raises Replayed with the first answer, NoAgreement (`no-agreement`), WrongState (`wrong-state`)
    when sales of a later day are reported already, RuleViolation (`invalid`) with every wrong line: a lot that was
    never there, packs that nobody explains, more than the lot ever had.
    """
    with transaction(actor, Permission.CHANNEL_SALES, once) as tx:
        if actor.organisation_id is None:
            raise Forbidden("门店盘点由渠道上报")
        if wish.counted_on > business_day(tx.started_at):
            raise RuleViolation(errors=[{"pointer": "#/counted_on", "detail": "这一天还没有到"}])
        shop = last_shop(tx.session, actor.organisation_id, wish.counted_on, wish.place_id)
        one_at_a_time(tx.session, "stock-count", shop.place_id, wish.counted_on)
        digest = sha256(body_text(wish.body).encode()).digest()
        version = _next_version(tx, shop, wish.counted_on, digest)
        _no_later_sales(tx, shop, wish.counted_on)
        lots, wrong = find_lots(tx.session, shop, [line.lot for line in wish.lines])
        if wrong:
            raise RuleViolation("有的行不能这样盘，请看每行的说明", errors=line_errors(wrong))
        locked = lock_stock(tx.session, [lot.stock_id for lot in lots])
        _explained(tx, wish.lines, lots, locked)
        rows, moves = _rows(wish.lines, lots, locked)
        told = apply_moves(tx.session, locked, moves, tx.started_at)
        count = StockCount(
            id=uuid7(),
            channel_id=shop.channel_id,
            place_id=shop.place_id,
            counted_on=wish.counted_on,
            version=version,
            digest=digest,
            reported_by=actor.user_id,
            reported_at=tx.started_at,
        )
        tx.session.add(count)
        tx.session.flush()
        for row in rows:
            row.count_id = count.id
            tx.session.add(row)
        tx.session.flush()
        _record(tx, count, rows, told)
        return tx.answer(count_views.count_view(tx.session, count.id))


def _next_version(tx: Transaction, shop: Shop, day: date, digest: bytes) -> int:
    known = tx.session.scalars(
        sa.select(StockCount).where(
            StockCount.channel_id == shop.channel_id,
            StockCount.place_id == shop.place_id,
            StockCount.counted_on == day,
        )
    ).all()
    for row in known:
        if row.digest == digest:
            raise Replayed(tx.render(count_views.count_view(tx.session, row.id)) or Answer(201, b""))
    return len(known) + 1


def _no_later_sales(tx: Transaction, shop: Shop, day: date) -> None:
    """What was sold afterwards has left the books already: the count would find it missing."""
    later = tx.session.scalar(
        sa.select(sa.func.max(SalesReport.business_day)).where(
            SalesReport.place_id == shop.place_id, SalesReport.business_day > day
        )
    )
    if later is not None:
        raise WrongState(f"{later.isoformat()}的销售已经上报，请盘点现在的库存")


def _explained(
    tx: Transaction,
    lines: Sequence[CountedLine],
    lots: Sequence[ShopLot],
    locked: dict[int, LockedStock],
) -> None:
    """Raises RuleViolation with every line whose packs and differences are not what the books hold."""
    sizes = {
        row.id: row.quantity
        for row in tx.session.execute(
            sa.select(Lot.id, Lot.quantity).where(Lot.id.in_([lot.lot_id for lot in lots]))
        )
    }
    wrong: dict[int, dict[str, str]] = {}
    for n, (line, lot) in enumerate(zip(lines, lots, strict=True)):
        row = locked[lot.stock_id]
        problem = _line_problem(line, lot, row, sizes[lot.lot_id])
        if problem is not None:
            wrong[n] = problem
    if wrong:
        raise RuleViolation("有的行不能这样盘，请看每行的说明", errors=line_errors(wrong))


def _line_problem(line: CountedLine, lot: ShopLot, row: LockedStock, size: int) -> dict[str, str] | None:
    lost = sum(d.quantity for d in line.differences if d.kind is not DifferenceKind.FOUND)
    found = sum(d.quantity for d in line.differences if d.kind is DifferenceKind.FOUND)
    left = row.on_hand + found - lost - line.counted
    if left and line.differences:
        told = found - lost
        detail = f"账上{row.on_hand}件，点到{line.counted}件，说明的差异合计{told}件，三个数对不上"
        return {"field": "counted", "detail": detail}
    if left > 0:
        detail = f"账上有{row.on_hand}件，还有{left}件没有说明是损耗还是短少"
        return {"field": "counted", "detail": detail}
    if left < 0:
        detail = f"账上有{row.on_hand}件，多出的{-left}件没有说明"
        return {"field": "counted", "detail": detail}
    if line.counted > size:
        return {"field": "counted", "detail": f"比这一批采收的{size}件还多"}
    if line.counted < row.reserved:
        return {"field": "counted", "detail": f"有{row.reserved}件已经留给订单"}
    owed = any(d.borne_by is BorneBy.CHANNEL for d in line.differences)
    if owed and lot.unit_price_fen is None:
        return {"field": "trace_code", "detail": "这一天的价目表里没有这个产品"}
    return None


def _rows(
    lines: Sequence[CountedLine], lots: Sequence[ShopLot], locked: dict[int, LockedStock]
) -> tuple[list[StockCountLine], list[Move]]:
    """A row for each difference, one after the other, so that each says who bears it; a move beside each.

    A lot without differences has one row and a move of nothing, so that rows and moves stay side by side.
    """
    rows: list[StockCountLine] = []
    moves: list[Move] = []
    for line, lot in zip(lines, lots, strict=True):
        held = locked[lot.stock_id].on_hand
        for each in line.differences or (None,):
            spoilt = each.quantity if each and each.kind is DifferenceKind.SPOILAGE else 0
            lost = each.quantity if each and each.kind is DifferenceKind.LOSS else 0
            found = each.quantity if each and each.kind is DifferenceKind.FOUND else 0
            gone, price = spoilt + lost - found, lot.unit_price_fen or 0
            borne_by = each.borne_by if each else BorneBy.SELLER
            rows.append(
                StockCountLine(
                    position=len(rows) + 1,
                    product_id=lot.product_id,
                    seller_id=lot.seller_id,
                    stock_id=lot.stock_id,
                    lot_id=lot.lot_id,
                    expected=held,
                    counted=held - gone,
                    spoilage=spoilt,
                    loss=lost - found,
                    borne_by=borne_by,
                    cause=each.cause if each else None,
                    unit_price_fen=price,
                    amount_fen=gone * price if borne_by is BorneBy.CHANNEL else 0,
                )
            )
            kind = _MOVES[each.kind] if each else MovementKind.STOCKTAKE
            moves.append(Move(lot.stock_id, kind, on_hand=-gone))
            held -= gone
    return rows, moves


def _record(
    tx: Transaction, count: StockCount, rows: Sequence[StockCountLine], moves: Sequence[dict[str, Any]]
) -> None:
    """One fact for each seller, with his lots alone."""
    for seller_id in sorted({row.seller_id for row in rows}):
        own = [(row, move) for row, move in zip(rows, moves, strict=True) if row.seller_id == seller_id]
        tx.record(
            "stock.counted",
            "stock_count",
            count.id,
            parties=[count.channel_id, seller_id],
            channel=str(count.channel_id),
            place=str(count.place_id),
            seller=str(seller_id),
            counted_on=count.counted_on.isoformat(),
            version=count.version,
            occurred_on=business_day(tx.started_at).isoformat(),
            amount_fen=sum(row.amount_fen for row, _ in own),
            lines=[
                {
                    "position": row.position,
                    "product": str(row.product_id),
                    "lot": str(row.lot_id),
                    "expected": row.expected,
                    "counted": row.counted,
                    "spoilage": row.spoilage,
                    "loss": row.loss,
                    "borne_by": row.borne_by.value,
                    "cause": None if row.cause is None else row.cause.value,
                    "unit_price_fen": row.unit_price_fen,
                    "amount_fen": row.amount_fen,
                }
                for row, _ in own
            ],
            moves=[move for _, move in own],
        )
