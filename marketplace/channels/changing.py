"""Changing a channel's order: by itself until the cut-off, then by asking each seller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission
from marketplace.channels import order_views
from marketplace.channels.models import ChangeRequest, PartnerOrder
from marketplace.channels.states import CHANGE_MOVES, ChangeState
from marketplace.errors import Conflict, NotFound, RuleViolation, WrongState
from marketplace.orders.locking import Side, left_to_ship, lock_lines, lock_order
from marketplace.orders.models import Order
from marketplace.orders.reducing import check_wanted, take_away
from marketplace.orders.states import move
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7


class ChangeAsked(Conflict):
    """The seller has an open request for this order; another one would contradict it."""

    slug = "change-asked"
    title = "已经申请改单，等供应商答复"


def change_order(
    actor: Actor,
    partner_order_no: str,
    *,
    lines: Mapping[UUID, int] | None,
    reason: str,
    trace_base: str,
    once: Once = NO_ONCE,
) -> Reply:
    """Take packs off a channel's order; without lines, everything that has not been shipped.

    Until the cut-off it is done at once, confirmed or not; afterwards each seller is asked. Raises NotFound,
    RuleViolation (`invalid`), WrongState (`wrong-state`) when nothing is left, ChangeAsked (`change-asked`).
    """
    with transaction(actor, Permission.CHANNEL_ORDER, once) as tx:
        row = order_views.own_order(tx.session, actor, partner_order_no)
        wanted = _by_order(tx, row, lines)
        in_time = tx.started_at < row.cut_off_at
        for order_id, packs in sorted(wanted.items()):
            order = lock_order(tx, actor, order_id, Side.BUYER)
            if in_time:
                take_away(tx, order, packs, reason)
            else:
                _ask(tx, row, order, packs, reason)
        tx.session.flush()
        tx.session.expire_all()
        view = order_views.order_view(tx.session, actor, partner_order_no, trace_base)
        return tx.answer({"outcome": "done" if in_time else "asked", "order": view})


def agree_change(actor: Actor, request_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """The seller lets the packs go. Raises NotFound, WrongState (`wrong-state`) when more has been shipped since."""
    with transaction(actor, Permission.ORDER_CONFIRM, once) as tx:
        row, order = _locked_request(tx, request_id)
        row.state = move(CHANGE_MOVES, row.state, "agree")
        packs = {UUID(line["line_id"]): int(line["quantity"]) for line in row.lines}
        left = {line.id: left_to_ship(line) for line in lock_lines(tx, order.id)}
        if any(quantity > left.get(line_id, 0) for line_id, quantity in packs.items()):
            raise WrongState("申请之后已经发货，不能再减这么多", state=order.state.value, event="reduce")
        take_away(tx, order, packs, row.reason)
        return _decided(tx, row, order, "change_request.agreed", None)


def refuse_change(actor: Actor, request_id: UUID, reason: str, *, once: Once = NO_ONCE) -> Reply:
    """The seller holds to the order as it was cut off. Raises NotFound, WrongState (`wrong-state`)."""
    with transaction(actor, Permission.ORDER_CONFIRM, once) as tx:
        row, order = _locked_request(tx, request_id)
        row.state = move(CHANGE_MOVES, row.state, "refuse")
        return _decided(tx, row, order, "change_request.refused", reason)


def _by_order(
    tx: Transaction, row: PartnerOrder, lines: Mapping[UUID, int] | None
) -> dict[UUID, dict[UUID, int]]:
    """What goes from each order, the lines locked."""
    order_ids = tx.session.scalars(
        sa.select(Order.id).where(Order.purchase_id == row.purchase_id).order_by(Order.id).with_for_update()
    ).all()
    wanted: dict[UUID, dict[UUID, int]] = {}
    open_lines = [line for order_id in order_ids for line in lock_lines(tx, order_id)]
    if lines is not None:
        known = {line.id for line in open_lines}
        errors = [
            {"pointer": f"#/lines/{n}/line_id", "detail": "这个订单没有这一行"}
            for n, line_id in enumerate(lines)
            if line_id not in known
        ]
        if errors:
            raise RuleViolation("有的行不能这样减", errors=errors)
    for line in open_lines:
        packs = left_to_ship(line) if lines is None else lines.get(line.id, 0)
        if packs:
            wanted.setdefault(line.order_id, {})[line.id] = packs
    if not wanted:
        raise WrongState("没有可以取消的余量", event="cancel")
    return wanted


def _ask(tx: Transaction, row: PartnerOrder, order: Order, packs: Mapping[UUID, int], reason: str) -> None:
    check_wanted(tx, order, {line.id: line for line in lock_lines(tx, order.id)}, packs)
    asked = tx.session.scalar(
        sa.select(ChangeRequest.id).where(
            ChangeRequest.order_id == order.id, ChangeRequest.state == ChangeState.OPEN
        )
    )
    if asked is not None:
        raise ChangeAsked(order=order.number)
    request = ChangeRequest(
        id=uuid7(),
        partner_order_id=row.id,
        order_id=order.id,
        lines=[{"line_id": str(line_id), "quantity": quantity} for line_id, quantity in packs.items()],
        reason=reason,
        state=ChangeState.OPEN,
        asked_at=tx.started_at,
    )
    tx.session.add(request)
    _record(tx, "change_request.asked", request, order)


def _locked_request(tx: Transaction, request_id: UUID) -> tuple[ChangeRequest, Order]:
    """Order first, then its request: the order in which everybody locks them."""
    order_id = tx.session.scalar(
        sa.select(Order.id)
        .join(ChangeRequest, ChangeRequest.order_id == Order.id)
        .where(ChangeRequest.id == request_id, Order.seller_id == tx.actor.organisation_id)
    )
    if order_id is None:
        raise NotFound
    order = lock_order(tx, tx.actor, order_id, Side.SELLER)
    row = tx.session.scalars(
        sa.select(ChangeRequest).where(ChangeRequest.id == request_id).with_for_update()
    ).one()
    return row, order


def _decided(tx: Transaction, row: ChangeRequest, order: Order, kind: str, reason: str | None) -> Reply:
    row.decided_at = tx.started_at
    row.decided_by = tx.actor.user_id
    row.decision_reason = reason
    _record(tx, kind, row, order, **({} if reason is None else {"reason_given": True}))
    channel = tx.session.get_one(Organisation, order.buyer_id)
    return tx.answer(order_views.shape_request(row, order.number, channel.id, channel.name))


def _record(tx: Transaction, kind: str, row: ChangeRequest, order: Order, **more: Any) -> None:
    tx.session.flush()
    tx.record(
        kind,
        "change_request",
        row.id,
        parties=[order.buyer_id, order.seller_id],
        orders=[str(order.id)],
        number=order.number,
        lines=[{"line": line["line_id"], "quantity": line["quantity"]} for line in row.lines],
        **more,
    )
