"""Fewer packs of an order that goes on: what is taken away is freed, the newest allocations first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.catalog.models import MovementKind, Product
from marketplace.catalog.stock import Move, apply_moves, lock_stock
from marketplace.errors import RuleViolation, WrongState
from marketplace.orders.fulfilment import end_rest
from marketplace.orders.locking import left_to_ship, lock_lines, record
from marketplace.orders.models import Allocation, Order, OrderLine
from marketplace.orders.states import ORDER_MOVES, OrderState, move
from marketplace.unit_of_work import Transaction


def take_away(tx: Transaction, order: Order, wanted: Mapping[UUID, int], reason: str) -> None:
    """Take packs off the lines of a locked order; all that is left to ship makes it a cancellation.

    What stays of a line keeps its price, and is nothing, or at least the product's minimum in its multiples. Raises
    RuleViolation (`invalid`) with every wrong line, WrongState (`wrong-state`) when the order is past it.
    """
    lines = {line.id: line for line in lock_lines(tx, order.id)}
    check_wanted(tx, order, lines, wanted)
    confirmed = order.state is not OrderState.PLACED
    if all(left_to_ship(line) == wanted.get(line.id, 0) for line in lines.values()):
        state = move(ORDER_MOVES, order.state, "cancel")
        order.cancel_reason = reason
        end_rest(tx, order, state, "order.cancelled", confirmed=confirmed)
        return
    move(
        ORDER_MOVES, order.state, "cancel"
    )  # refused in the states where the rest could not be cancelled either
    moves = _free(tx, order, wanted)
    told = []
    for line_id, quantity in sorted(wanted.items()):
        lines[line_id].cancelled_quantity += quantity
        told.append(
            {
                "line": str(line_id),
                "quantity": quantity,
                "goods_fen": quantity * lines[line_id].unit_price_fen,
            }
        )
    order.version += 1
    record(tx, "order.reduced", order, confirmed=confirmed, lines=told, moves=moves)


def check_wanted(
    tx: Transaction, order: Order, lines: Mapping[UUID, OrderLine], wanted: Mapping[UUID, int]
) -> None:
    """Raises as `take_away`."""
    if not wanted:
        raise WrongState("没有可以取消的余量", state=order.state.value, event="cancel")
    rules = {
        row.id: row
        for row in tx.session.execute(
            sa.select(Product.id, Product.min_order_quantity, Product.order_multiple).where(
                Product.id.in_([line.product_id for line in lines.values()])
            )
        )
    }
    errors = []
    for n, (line_id, quantity) in enumerate(wanted.items()):
        line = lines.get(line_id)
        if line is None:
            errors.append({"pointer": f"#/lines/{n}/line_id", "detail": "这个订单没有这一行"})
            continue
        left, rule = left_to_ship(line), rules[line.product_id]
        stays = line.quantity - line.cancelled_quantity - quantity
        if quantity > left:
            detail = f"还没有发货的只有{left}{line.pack_unit}"
        elif stays and (stays < rule.min_order_quantity or stays % rule.order_multiple):
            detail = f"留下的数量要不少于{rule.min_order_quantity}，并且是{rule.order_multiple}的倍数"
        else:
            continue
        errors.append({"pointer": f"#/lines/{n}/quantity", "detail": detail})
    if errors:
        raise RuleViolation("有的行不能这样减", errors=errors)


def _free(tx: Transaction, order: Order, wanted: Mapping[UUID, int]) -> list[dict[str, Any]]:
    open_parts = tx.session.scalars(
        sa.select(Allocation)
        .where(
            Allocation.line_id.in_(list(wanted)), Allocation.quantity > Allocation.shipped + Allocation.freed
        )
        .order_by(Allocation.id.desc())
    ).all()
    left = dict(wanted)
    moves = []
    for part in open_parts:
        freed = min(left[part.line_id], part.quantity - part.shipped - part.freed)
        if freed:
            left[part.line_id] -= freed
            part.freed += freed
            moves.append(Move(part.stock_id, MovementKind.RELEASED, reserved=-freed, order_id=order.id))
    locked = lock_stock(tx.session, [m.stock_id for m in moves])
    return apply_moves(tx.session, locked, moves, tx.started_at)
