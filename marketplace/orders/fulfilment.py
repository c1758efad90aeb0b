"""An order at its seller: confirm, ship, cancel, lapse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from marketplace import clock
from marketplace.actors import Actor, Permission
from marketplace.catalog.stock import apply_moves
from marketplace.errors import Conflict, NotFound, WrongState
from marketplace.numbering import Series, next_number
from marketplace.orders import queries, shipping
from marketplace.orders.holding import release_orders
from marketplace.orders.locking import (
    Side,
    is_complete,
    left_to_ship,
    lock_lines,
    lock_order,
    record,
    take_over,
)
from marketplace.orders.models import Order, OrderLine, Shipment, ShipmentLine
from marketplace.orders.shipping import LotNotShippable, ShipLine
from marketplace.orders.states import ORDER_MOVES, OrderState, move
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

__all__ = [
    "LotNotShippable",
    "ShipLine",
    "ShipWish",
    "cancel_order",
    "confirm_order",
    "end_rest",
    "lapse_order",
    "ship_order",
]


class ConfirmOverdue(Conflict):
    """The seller was silent too long; the order lapses, whether or not a sweep has ended it yet."""

    slug = "confirm-overdue"
    title = "接单时间已过"


class CancelAsked(Conflict):
    slug = "cancel-asked"
    title = "已经提出取消，等对方同意"


@dataclass(frozen=True)
class ShipWish:
    """One delivery: what goes for which lines, and who carries it. `driver` stays in the shipment's row."""

    lines: Sequence[ShipLine]
    carrier: str
    tracking: str | None = None
    vehicle: str | None = None
    driver: str | None = None


def confirm_order(
    actor: Actor, order_id: UUID, *, once: Once = NO_ONCE, expected_version: int | None = None
) -> Reply:
    """The seller takes the order (接单): from now on its lines count as ordered, and only both sides can cancel.

    Raises WrongState (`wrong-state`), ConfirmOverdue (`confirm-overdue`), PreconditionFailed
    (`precondition-failed`).
    """
    with transaction(actor, Permission.ORDER_CONFIRM, once) as tx:
        order = lock_order(tx, actor, order_id, Side.SELLER)
        queries.check_version(order.version, expected_version)
        state = move(ORDER_MOVES, order.state, "confirm")
        if _is_overdue(tx, order):
            raise ConfirmOverdue
        lines = lock_lines(tx, order.id)
        order.state = state
        order.version += 1
        record(
            tx,
            "order.confirmed",
            order,
            purchase=str(order.purchase_id),
            lines=[
                {
                    "line": str(line.id),
                    "ordered_fen": (line.quantity - line.cancelled_quantity) * line.unit_price_fen,
                }
                for line in lines
            ],
        )
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def lapse_order(actor: Actor, order_id: UUID) -> Reply:
    """End an order whose seller was silent until `confirm_by`; its stock returns to sale.

    Raises WrongState (`wrong-state`) when the order is not placed any more or its time still runs.
    """
    with transaction(actor, Permission.SYSTEM) as tx:
        order = lock_order(tx, actor, order_id)
        state = move(ORDER_MOVES, order.state, "lapse")
        if not _is_overdue(tx, order):
            raise WrongState(state=order.state.value, event="lapse")
        lock_lines(tx, order.id)
        end_rest(tx, order, state, "order.lapsed", confirmed=False)
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def cancel_order(actor: Actor, order_id: UUID, reason: str, *, once: Once = NO_ONCE) -> Reply:
    """Cancel what has not been shipped. Until the seller confirms, either side alone; then one asks, the other agrees.

    An order that awaits approval ends with its purchase. After a partial shipment only the remainder goes; if all
    that was shipped has been taken over or refused, the order is complete with it. Raises WrongState
    (`wrong-state`), also when nothing is left to cancel; CancelAsked (`cancel-asked`) for the same side's second call.
    """
    with transaction(actor, Permission.ORDER_CANCEL, once) as tx:
        order = lock_order(tx, actor, order_id)
        if actor.organisation_id is None or actor.organisation_id not in (order.buyer_id, order.seller_id):
            raise NotFound("找不到这个订单")
        if order.state is OrderState.AWAITING_APPROVAL:
            raise WrongState("待审批的订单随采购单一起取消", state=order.state.value, event="cancel")
        state = move(ORDER_MOVES, order.state, "cancel")
        lines = lock_lines(tx, order.id)
        if not any(left_to_ship(line) for line in lines):
            raise WrongState("没有可以取消的余量", state=order.state.value, event="cancel")
        confirmed = order.state is not OrderState.PLACED
        if confirmed and order.cancel_asked_by is None:
            order.cancel_asked_by = actor.organisation_id
            order.cancel_reason = reason
            order.version += 1
            record(tx, "order.cancel_asked", order, by=str(actor.organisation_id), reason_given=True)
        elif confirmed and order.cancel_asked_by == actor.organisation_id:
            raise CancelAsked
        else:
            # After both agreed, the reason of the one who asked stays.
            order.cancel_reason = order.cancel_reason or reason
            end_rest(tx, order, state, "order.cancelled", confirmed=confirmed)
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def ship_order(actor: Actor, order_id: UUID, wish: ShipWish, *, once: Once = NO_ONCE) -> Reply:
    """Send goods (发货), in one or more deliveries; the lots that really leave are named for trace and acceptance.

    Without named lots the planned ones go, first expired first. Another lot of the same product is a substitution:
    it must be on sale with free stock, and the planned packs return to sale. Quantities in packs. Raises WrongState
    (`wrong-state`), RuleViolation (`invalid`) with every wrong line, LotNotShippable (`lot-not-shippable`),
    InsufficientStock (`insufficient-stock`).
    """
    with transaction(actor, Permission.ORDER_SHIP, once) as tx:
        order = lock_order(tx, actor, order_id, Side.SELLER)
        move(ORDER_MOVES, order.state, "ship_part")
        lines = lock_lines(tx, order.id)
        plan = shipping.plan(tx, order, lines, wish.lines)
        today = clock.business_day(tx.started_at)
        moves = apply_moves(tx.session, plan.locked, plan.moves, tx.started_at)
        shipment = Shipment(
            id=uuid7(),
            number=next_number(tx.session, Series.SHIPMENT, today.year),
            order_id=order.id,
            carrier=wish.carrier,
            tracking=wish.tracking,
            vehicle=wish.vehicle,
            driver=wish.driver,
            shipped_on=today,
            shipped_at=tx.started_at,
        )
        tx.session.add(shipment)
        tx.session.flush()
        _write_sent(tx, shipment, lines, plan)
        everything = all(left_to_ship(line) == 0 for line in lines)
        order.state = move(ORDER_MOVES, order.state, "ship_all" if everything else "ship_part")
        if everything:
            # There is nothing left that the other side could agree to cancel.
            order.cancel_asked_by = order.cancel_reason = None
        order.version += 1
        record(
            tx,
            "order.shipped",
            order,
            shipment=str(shipment.id),
            lines=[
                {
                    "line": str(sent.line_id),
                    "lot": str(sent.lot_id),
                    "place": str(plan.locked[sent.stock_id].place_id),
                    "trace_code": sent.trace_code,
                    "quantity": sent.quantity,
                    "substitution": sent.substitution,
                }
                for sent in plan.sent
            ],
            moves=moves,
        )
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def _write_sent(
    tx: Transaction, shipment: Shipment, lines: Sequence[OrderLine], plan: shipping.ShipPlan
) -> None:
    by_id = {line.id: line for line in lines}
    for sent in plan.sent:
        by_id[sent.line_id].shipped_quantity += sent.quantity
        tx.session.add(
            ShipmentLine(
                shipment_id=shipment.id,
                line_id=sent.line_id,
                stock_id=sent.stock_id,
                lot_id=sent.lot_id,
                trace_code=sent.trace_code,
                substitution=sent.substitution,
                quantity=sent.quantity,
            )
        )


def _is_overdue(tx: Transaction, order: Order) -> bool:
    return order.confirm_by is not None and order.confirm_by <= tx.started_at


def end_rest(tx: Transaction, order: Order, state: OrderState, kind: str, *, confirmed: bool) -> None:
    """Cancel what has not left of a locked order, whose stock returns to sale; `kind` is the fact's."""
    tx.session.flush()
    released = release_orders(tx, [order.id])
    order.state = state
    order.cancel_asked_by = None
    order.version += 1
    tx.session.flush()
    # The release wrote the lines by statement: what the session holds of them is old.
    tx.session.expire_all()
    lines = lock_lines(tx, order.id)
    if order.state is OrderState.PART_ACCEPTED and is_complete(lines):
        take_over(tx, order, lines)
    record(tx, kind, order, confirmed=confirmed, lines=released.lines, moves=released.moves)
