"""Which packs leave for which line: planned lots, substitutions, and the reservations that these set free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import sqlalchemy as sa

from marketplace.catalog.models import Lot, MovementKind, Place, Stock
from marketplace.catalog.stock import InsufficientStock, LockedStock, Move, lock_stock
from marketplace.errors import Conflict, RuleViolation
from marketplace.orders.locking import is_sellable, left_to_ship, share_lots
from marketplace.orders.models import Allocation, Order, OrderLine
from marketplace.trace.codes import canonical_form, shown
from marketplace.unit_of_work import Transaction


class LotNotShippable(Conflict):
    """`trace_codes` names the lots that are held, recalled or past their day: other lots must go instead."""

    slug = "lot-not-shippable"
    title = "批次已停售、召回或过期，不能发货"


@dataclass(frozen=True)
class ShipLine:
    """Packs for one line; `allocations` are (trace code, packs), None for the planned lots."""

    line_id: UUID
    quantity: int
    allocations: Sequence[tuple[str, int]] | None = None


@dataclass(frozen=True)
class Sent:
    line_id: UUID
    stock_id: int
    lot_id: UUID
    trace_code: str
    quantity: int
    substitution: bool


@dataclass
class ShipPlan:
    """What leaves, on stock rows that are locked; the allocations are changed already."""

    locked: dict[int, LockedStock]
    moves: list[Move] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)


def plan(tx: Transaction, order: Order, lines: Sequence[OrderLine], wishes: Sequence[ShipLine]) -> ShipPlan:
    """Decide the packs of a delivery of a locked order with locked lines, and lock the stock they come from.

    Planned packs of all lines are taken first, then the packs that substitutions replace are set free, then the
    substitutions are served: so two lines may exchange their lots. Raises as `ship_order` does.
    """
    by_id = {line.id: line for line in lines}
    _check(wishes, by_id)
    wishes = [_canonical(wish) for wish in wishes]
    allocations = list(
        tx.session.scalars(
            sa.select(Allocation)
            .where(Allocation.line_id.in_([w.line_id for w in wishes]))
            .order_by(Allocation.id)
            .with_for_update()
        )
    )
    codes = {code for wish in wishes for code, _ in wish.allocations or ()}
    lots = {
        lot.id: lot
        for lot in share_lots(
            tx,
            sa.or_(
                Lot.id.in_({a.lot_id for a in allocations}),
                sa.and_(Lot.trace_code.in_(codes), Lot.seller_id == order.seller_id),
            ),
        )
    }
    by_code = {lot.trace_code: lot for lot in lots.values()}
    _check_codes(wishes, by_id, by_code)
    named = [by_code[code].id for code in codes]
    # Only the seller's own places: packs that stand at a station or shop of another are not its to send.
    rows = list(
        tx.session.scalars(
            sa.select(Stock.id)
            .join(Place, Place.id == Stock.place_id)
            .where(Stock.lot_id.in_(named), Place.organisation_id == order.seller_id)
        )
    )
    result = ShipPlan(lock_stock(tx.session, [*(a.stock_id for a in allocations), *rows]))
    free = {stock_id: result.locked[stock_id].free for stock_id in sorted(rows)}
    substitutions: list[tuple[UUID, Lot, int]] = []
    for wish in wishes:
        planned = [a for a in allocations if a.line_id == wish.line_id]
        planned.sort(key=lambda a: (lots[a.lot_id].best_before, lots[a.lot_id].harvested_on, a.stock_id))
        for code, quantity in _asked(wish, planned):
            lot = by_code[code]
            for allocation, part in _parts([a for a in planned if a.lot_id == lot.id], quantity):
                allocation.shipped += part
                quantity -= part
                result.sent.append(Sent(wish.line_id, allocation.stock_id, lot.id, code, part, False))
                result.moves.append(
                    Move(allocation.stock_id, MovementKind.SHIPPED, -part, -part, order_id=order.id)
                )
            if quantity:
                substitutions.append((wish.line_id, lot, quantity))
    leaving = {sent.lot_id for sent in result.sent} | {lot.id for _, lot, _ in substitutions}
    barred = sorted(lots[lot_id].trace_code for lot_id in leaving if not is_sellable(tx, lots[lot_id]))
    if barred:
        raise LotNotShippable(
            f"不能发货的批次：{'、'.join(shown(code) for code in barred)}", trace_codes=barred
        )
    for line_id, _, quantity in substitutions:
        # Packs that could not leave anyway are given up first.
        planned = [a for a in allocations if a.line_id == line_id]
        planned.sort(key=lambda a: (is_sellable(tx, lots[a.lot_id]), lots[a.lot_id].best_before, a.stock_id))
        for allocation, part in _parts(planned, quantity):
            allocation.freed += part
            if allocation.stock_id in free:
                free[allocation.stock_id] += part
            result.moves.append(
                Move(allocation.stock_id, MovementKind.RELEASED, reserved=-part, order_id=order.id)
            )
    _substitute(result, order, substitutions, free)
    return result


def _substitute(
    result: ShipPlan, order: Order, substitutions: Sequence[tuple[UUID, Lot, int]], free: dict[int, int]
) -> None:
    shortages: list[dict[str, object]] = []
    for line_id, lot, asked in substitutions:
        left = asked
        for stock_id in free:
            part = min(left, free[stock_id]) if result.locked[stock_id].lot_id == lot.id else 0
            if part <= 0:
                continue
            free[stock_id] -= part
            left -= part
            result.sent.append(Sent(line_id, stock_id, lot.id, lot.trace_code, part, True))
            result.moves.append(Move(stock_id, MovementKind.SHIPPED, on_hand=-part, order_id=order.id))
        if left:
            shortages.append(
                {
                    "product_id": str(lot.product_id),
                    "trace_code": lot.trace_code,
                    "asked": asked,
                    "available": asked - left,
                }
            )
    if shortages:
        raise InsufficientStock("替换的批次库存不够", shortages=shortages)


def _canonical(wish: ShipLine) -> ShipLine:
    if wish.allocations is None:
        return wish
    return replace(wish, allocations=[(canonical_form(c) or c, quantity) for c, quantity in wish.allocations])


def _open(allocation: Allocation) -> int:
    return allocation.quantity - allocation.shipped - allocation.freed


def _parts(allocations: Sequence[Allocation], quantity: int) -> Iterator[tuple[Allocation, int]]:
    """`quantity` from the open parts of the allocations, in their order, as far as they reach."""
    for allocation in allocations:
        part = min(quantity, _open(allocation))
        if part > 0:
            quantity -= part
            yield allocation, part


def _asked(wish: ShipLine, planned: Sequence[Allocation]) -> list[tuple[str, int]]:
    """Packs by trace code, each code once."""
    asked: dict[str, int] = {}
    if wish.allocations is None:
        for allocation, part in _parts(planned, wish.quantity):
            asked[allocation.trace_code] = asked.get(allocation.trace_code, 0) + part
    else:
        for code, quantity in wish.allocations:
            asked[code] = asked.get(code, 0) + quantity
    return list(asked.items())


def _check(wishes: Sequence[ShipLine], lines: Mapping[UUID, OrderLine]) -> None:
    errors: list[dict[str, str]] = []
    seen: set[UUID] = set()
    if not wishes:
        errors.append({"pointer": "#/lines", "detail": "至少发一行"})
    for n, wish in enumerate(wishes):
        line = lines.get(wish.line_id)
        if line is None:
            errors.append({"pointer": f"#/lines/{n}/line_id", "detail": "订单里没有这一行"})
            continue
        if wish.line_id in seen:
            errors.append({"pointer": f"#/lines/{n}/line_id", "detail": "同一行只能写一次"})
            continue
        seen.add(wish.line_id)
        left = left_to_ship(line)
        if not 1 <= wish.quantity <= left:
            detail = (
                f"最多还可发{left}{line.pack_unit}，现在是{wish.quantity}{line.pack_unit}"
                if wish.quantity > left
                else "至少发1件"
            )
            errors.append({"pointer": f"#/lines/{n}/quantity", "detail": detail})
        if wish.allocations is None:
            continue
        if any(quantity < 1 for _, quantity in wish.allocations):
            errors.append({"pointer": f"#/lines/{n}/allocations", "detail": "每个批次至少1件"})
        total = sum(quantity for _, quantity in wish.allocations)
        if total != wish.quantity:
            detail = f"各批次合计{total}{line.pack_unit}，与本行的{wish.quantity}{line.pack_unit}不等"
            errors.append({"pointer": f"#/lines/{n}/allocations", "detail": detail})
    if errors:
        raise RuleViolation("有的行不能这样发货，请看每行的说明", errors=errors)


def _check_codes(
    wishes: Sequence[ShipLine], lines: Mapping[UUID, OrderLine], lots: Mapping[str, Lot]
) -> None:
    errors = [
        {"pointer": f"#/lines/{n}/allocations/{m}/trace_code", "detail": "这个追溯码不是本行产品的批次"}
        for n, wish in enumerate(wishes)
        for m, (code, _) in enumerate(wish.allocations or ())
        if code not in lots or lots[code].product_id != lines[wish.line_id].product_id
    ]
    if errors:
        raise RuleViolation("有的批次不能用于这一行", errors=errors)
