"""An order at its buyer: take goods over or refuse them, agree on reductions, book returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace import clock
from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Lot, MovementKind
from marketplace.catalog.stock import Move, apply_moves, lock_stock
from marketplace.documents.queries import readable_document
from marketplace.documents.service import let_read
from marketplace.errors import Conflict, Forbidden, RuleViolation
from marketplace.orders import queries, receiving
from marketplace.orders.locking import (
    Side,
    is_sellable,
    lock_lines,
    lock_order,
    lock_shipment_lines,
    record,
    share_lots,
    take_over,
)
from marketplace.orders.models import (
    Acceptance,
    AcceptanceLine,
    Order,
    ShipmentLine,
)
from marketplace.orders.receiving import AcceptLine, LotNeeded, ReturnLine
from marketplace.orders.rules import inspectors_needed
from marketplace.orders.states import ORDER_MOVES, move
from marketplace.trace.codes import shown
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

__all__ = [
    "AcceptLine",
    "AcceptWish",
    "LotNeeded",
    "ReturnLine",
    "accept_order",
    "agree_allowance",
    "return_goods",
]

DEFAULT_INSPECTORS = {"school": 2, "default": 1}


class InspectorsNeeded(RuleViolation):
    """School canteens take goods over by two people (双人验收); `needed` and `named` are counts."""

    slug = "inspectors-needed"
    title = "验收人不够"


class NoAllowance(Conflict):
    slug = "no-allowance"
    title = "没有待同意的降价"


class LotNotRestockable(Conflict):
    """Refused packs of a lot that is held, recalled or past its day can only be booked as loss."""

    slug = "lot-not-restockable"
    title = "批次已停售、召回或过期，退货只能报损"


@dataclass(frozen=True)
class AcceptWish:
    """One act of taking goods over. Inspectors' names stay in the acceptance's row."""

    lines: Sequence[AcceptLine]
    inspectors: tuple[str, ...] = ()
    document_id: UUID | None = None


def accept_order(actor: Actor, order_id: UUID, wish: AcceptWish, *, once: Once = NO_ONCE) -> Reply:
    """Take goods over (验收) per line and lot, in one or more acts; what is accepted is owed.

    Quantities in packs; accepted_fen = accepted packs times the line's unit price. A reduction (降价接收) lowers it
    only when the seller agrees. No act takes it back (README, "No undo of an acceptance"): what was wrong is put right
    by an act of its own. Raises WrongState (`wrong-state`), RuleViolation (`invalid`) with every wrong line,
    LotNeeded (`lot-needed`), InspectorsNeeded (`inspectors-needed`), NotFound for a document out of reach.
    """
    with transaction(actor, Permission.ORDER_ACCEPT, once) as tx:
        if actor.user_id is None:
            raise Forbidden("验收由单位的账号办理")
        order = lock_order(tx, actor, order_id, Side.BUYER)
        move(ORDER_MOVES, order.state, "accept_part")
        lines = lock_lines(tx, order.id)
        sent = lock_shipment_lines(tx, [line.id for line in lines])
        portions = receiving.portions(wish.lines, lines, sent)
        inspectors = list(dict.fromkeys(name.strip() for name in wish.inspectors if name.strip()))
        _check_inspectors(tx, order, len(inspectors))
        if wish.document_id is not None:
            readable_document(tx.session, actor, wish.document_id)
            let_read(tx, wish.document_id, [order.seller_id])
        acceptance = Acceptance(
            id=uuid7(),
            order_id=order.id,
            accepted_by=actor.user_id,
            inspectors=inspectors,
            document_id=wish.document_id,
            accepted_on=clock.business_day(tx.started_at),
            accepted_at=tx.started_at,
        )
        tx.session.add(acceptance)
        tx.session.flush()
        told = [_take_portion(tx, acceptance, order, portion) for portion in portions]
        complete = take_over(tx, order, lines)
        order.version += 1
        record(
            tx,
            "order.accepted",
            order,
            acceptance=str(acceptance.id),
            complete=complete,
            lines=told,
            document=None if wish.document_id is None else str(wish.document_id),
        )
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def _check_inspectors(tx: Transaction, order: Order, named: int) -> None:
    rule = queries.policy_json(tx.session, "inspectors_required", tx.started_at, DEFAULT_INSPECTORS)
    needed = inspectors_needed(rule, tx.session.get_one(Organisation, order.buyer_id).subkind)
    # One inspector is the account that accepts; more must be named.
    if needed > 1 and named < needed:
        detail = f"本单位验收要有{needed}名验收人，现在写了{named}名。请补上姓名"
        raise InspectorsNeeded(
            detail, errors=[{"pointer": "#/inspectors", "detail": detail}], needed=needed, named=named
        )


def _take_portion(
    tx: Transaction, acceptance: Acceptance, order: Order, portion: receiving.Portion
) -> dict[str, Any]:
    line, wish = portion.line, portion.wish
    accepted_fen = wish.accepted_quantity * line.unit_price_fen
    accepted, refused = wish.accepted_quantity, wish.refused_quantity
    for row in portion.sent:
        part = min(accepted, row.quantity - row.accepted - row.refused)
        row.accepted += part
        accepted -= part
        part = min(refused, row.quantity - row.accepted - row.refused)
        row.refused += part
        refused -= part
    line.accepted_quantity += wish.accepted_quantity
    line.refused_quantity += wish.refused_quantity
    line.accepted_fen += accepted_fen
    order.accepted_fen += accepted_fen
    lot_id = portion.sent[0].lot_id
    tx.session.add(
        AcceptanceLine(
            acceptance_id=acceptance.id,
            line_id=line.id,
            lot_id=lot_id,
            accepted_quantity=wish.accepted_quantity,
            refused_quantity=wish.refused_quantity,
            allowance_fen=wish.allowance_fen,
            allowance_agreed_at=None,
            accepted_fen=accepted_fen,
            reason=wish.reason,
        )
    )
    return {
        "line": str(line.id),
        "lot": str(lot_id),
        "accepted": wish.accepted_quantity,
        "refused": wish.refused_quantity,
        "allowance_fen": wish.allowance_fen,
        "accepted_fen": accepted_fen,
        "reason_given": wish.reason is not None,
    }


def agree_allowance(actor: Actor, order_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """The seller agrees to every open reduction of the order: what is owed falls by their sum, in fen.

    Raises NoAllowance (`no-allowance`).
    """
    with transaction(actor, Permission.ORDER_RETURN, once) as tx:
        order = lock_order(tx, actor, order_id, Side.SELLER)
        lines = {line.id: line for line in lock_lines(tx, order.id)}
        pending = list(
            tx.session.scalars(
                sa.select(AcceptanceLine)
                .where(
                    AcceptanceLine.line_id.in_(lines),
                    AcceptanceLine.allowance_fen > 0,
                    AcceptanceLine.allowance_agreed_at.is_(None),
                )
                .order_by(AcceptanceLine.id)
                .with_for_update()
            )
        )
        if not pending:
            raise NoAllowance
        for row in pending:
            row.allowance_agreed_at = tx.started_at
            row.accepted_fen -= row.allowance_fen
            lines[row.line_id].accepted_fen -= row.allowance_fen
            order.accepted_fen -= row.allowance_fen
        order.version += 1
        record(
            tx,
            "order.allowance_agreed",
            order,
            lines=[
                {"line": str(row.line_id), "lot": str(row.lot_id), "accepted_fen": -row.allowance_fen}
                for row in pending
            ],
        )
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def return_goods(actor: Actor, order_id: UUID, lines: Sequence[ReturnLine], *, once: Once = NO_ONCE) -> Reply:
    """The seller books refused packs that came back: into stock again (`restock`) or as `loss`.

    Raises RuleViolation (`invalid`) with every wrong line, LotNotRestockable (`lot-not-restockable`).
    """
    with transaction(actor, Permission.ORDER_RETURN, once) as tx:
        order = lock_order(tx, actor, order_id, Side.SELLER)
        order_lines = lock_lines(tx, order.id)
        sent = lock_shipment_lines(tx, [line.id for line in order_lines])
        parts = receiving.returned_parts(lines, order_lines, sent)
        _check_restock(tx, parts)
        restocked = [(row, quantity) for row, wish, quantity in parts if wish.disposition == "restock"]
        locked = lock_stock(tx.session, [row.stock_id for row, _ in restocked])
        moves = apply_moves(
            tx.session,
            locked,
            [Move(r.stock_id, MovementKind.RETURNED, on_hand=q, order_id=order.id) for r, q in restocked],
            tx.started_at,
        )
        order.version += 1
        record(
            tx,
            "order.returned",
            order,
            lines=[
                {
                    "line": str(row.line_id),
                    "lot": str(row.lot_id),
                    "quantity": quantity,
                    "disposition": wish.disposition,
                }
                for row, wish, quantity in parts
            ],
            moves=moves,
        )
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def _check_restock(tx: Transaction, parts: Sequence[tuple[ShipmentLine, ReturnLine, int]]) -> None:
    lot_ids = {row.lot_id for row, wish, _ in parts if wish.disposition == "restock"}
    barred = sorted(lot.trace_code for lot in share_lots(tx, Lot.id.in_(lot_ids)) if not is_sellable(tx, lot))
    if barred:
        codes = "、".join(shown(code) for code in barred)
        raise LotNotRestockable(f"这些批次的退货只能报损：{codes}", trace_codes=barred)
