"""代销送货: a seller sends lots to a channel's shop, which takes them over; they stay the seller's until they are sold.

Sent packs are held at the seller's place. Taking over moves those that arrived well to the shop's place, which is no
sale; the others are free again at the seller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Lot, LotState, MovementKind, Place, Stock
from marketplace.catalog.stock import Move, apply_moves, lock_stock, open_rows
from marketplace.channels import consignment_views
from marketplace.channels.agreements import agreement_on
from marketplace.channels.consignment_models import Consignment, ConsignmentLine
from marketplace.channels.models import ChannelItem
from marketplace.channels.states import CONSIGNMENT_ADVICE, CONSIGNMENT_MOVES, ConsignmentState, Pattern
from marketplace.clock import business_day
from marketplace.errors import Conflict, Forbidden, NotFound, RuleViolation
from marketplace.numbering import Series, next_number
from marketplace.orders.states import move
from marketplace.trace.codes import canonical_form
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7


class NoConsignment(Conflict):
    """The channel has no agreement of consignment in force today."""

    slug = "no-consignment"
    title = "今天没有生效的代销协议"


@dataclass(frozen=True)
class Packs:
    """Packs of one lot: what is sent, or what of it arrived well."""

    trace_code: str
    quantity: int


@dataclass(frozen=True)
class _Chosen:
    """A lot and the stock row at the seller's place with the most free packs of it."""

    lot: Lot
    stock_id: int
    place_id: UUID
    quantity: int


def send_goods(actor: Actor, *, channel_id: UUID, lines: Sequence[Packs], once: Once = NO_ONCE) -> Reply:
    """The seller sends lots to a channel's shop; from here on nobody else can buy these packs.

    A lot has to be on sale, of a product that the channel carries, and keep for the days that the channel asks for.
    Raises NoConsignment (`no-consignment`), RuleViolation (`invalid`) with every wrong line, InsufficientStock
    (`insufficient-stock`).
    """
    with transaction(actor, Permission.ORDER_SHIP, once) as tx:
        if actor.organisation_id is None:
            raise Forbidden
        today = business_day(tx.started_at)
        agreement = agreement_on(tx.session, channel_id, Pattern.CONSIGNMENT, today)
        if agreement is None or agreement.place_id is None:
            raise NoConsignment
        chosen = _choose(tx.session, actor.organisation_id, channel_id, lines, today)
        moves = apply_moves(
            tx.session,
            lock_stock(tx.session, [each.stock_id for each in chosen]),
            [Move(each.stock_id, MovementKind.RESERVED, reserved=each.quantity) for each in chosen],
            tx.started_at,
        )
        row = Consignment(
            id=uuid7(),
            number=next_number(tx.session, Series.CONSIGNMENT, today.year),
            channel_id=channel_id,
            seller_id=actor.organisation_id,
            agreement_id=agreement.id,
            place_id=agreement.place_id,
            state=ConsignmentState.SENT,
            sent_at=tx.started_at,
        )
        tx.session.add(row)
        tx.session.flush()
        told = []
        for position, each in enumerate(chosen, start=1):
            line = ConsignmentLine(
                id=uuid7(),
                consignment_id=row.id,
                position=position,
                product_id=each.lot.product_id,
                lot_id=each.lot.id,
                trace_code=each.lot.trace_code,
                stock_id=each.stock_id,
                quantity=each.quantity,
            )
            tx.session.add(line)
            product, place = str(line.product_id), str(each.place_id)
            told.append({**_told(line), "position": position, "product": product, "place": place})
        agreed = str(row.agreement_id)
        _record(tx, "consignment.sent", row, moves, told, agreement=agreed, shop=str(row.place_id))
        return tx.answer(consignment_views.consignment_view(tx.session, actor, row.id))


def take_over(
    actor: Actor, consignment_id: UUID, *, accepted: Sequence[Packs] = (), once: Once = NO_ONCE
) -> Reply:
    """The shop takes over: of each named lot the packs that arrived well; a lot that is not named arrived whole.

    A lot that went off sale meanwhile is taken over too: it stands where it stands, and stays off sale there.
    Raises NotFound, WrongState (`wrong-state`), RuleViolation (`invalid`) with every wrong line.
    """
    with transaction(actor, Permission.CHANNEL_SALES, once) as tx:
        row = _locked(tx, consignment_id, Consignment.channel_id == actor.organisation_id)
        row.state = move(CONSIGNMENT_MOVES, row.state, "take_over", CONSIGNMENT_ADVICE)
        lines = _lines(tx.session, row.id)
        arrived = _arrived(lines, accepted)
        shop = open_rows(tx.session, [line.lot_id for line in lines], row.place_id)
        locked = lock_stock(tx.session, [*(line.stock_id for line in lines), *shop.values()])
        wanted: list[Move] = []
        for line in lines:
            line.accepted = arrived.get(line.trace_code, line.quantity)
            refused = line.quantity - line.accepted
            if line.accepted:
                wanted.append(Move(line.stock_id, MovementKind.TRANSFER, -line.accepted, -line.accepted))
                wanted.append(Move(shop[line.lot_id], MovementKind.TRANSFER, line.accepted))
            if refused:
                wanted.append(Move(line.stock_id, MovementKind.RELEASED, reserved=-refused))
        moves = apply_moves(tx.session, locked, wanted, tx.started_at)
        told = [{**_told(line), "accepted": line.accepted} for line in lines]
        _end(tx, "consignment.taken_over", row, moves, told)
        return tx.answer(consignment_views.consignment_view(tx.session, actor, row.id))


def cancel_consignment(actor: Actor, consignment_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """The seller takes back what was sent and not taken over. Raises NotFound, WrongState (`wrong-state`)."""
    with transaction(actor, Permission.ORDER_SHIP, once) as tx:
        row = _locked(tx, consignment_id, Consignment.seller_id == actor.organisation_id)
        row.state = move(CONSIGNMENT_MOVES, row.state, "cancel", CONSIGNMENT_ADVICE)
        lines = _lines(tx.session, row.id)
        moves = apply_moves(
            tx.session,
            lock_stock(tx.session, [line.stock_id for line in lines]),
            [Move(line.stock_id, MovementKind.RELEASED, reserved=-line.quantity) for line in lines],
            tx.started_at,
        )
        _end(tx, "consignment.cancelled", row, moves, [_told(line) for line in lines])
        return tx.answer(consignment_views.consignment_view(tx.session, actor, row.id))


def _choose(
    session: Session, seller_id: UUID, channel_id: UUID, lines: Sequence[Packs], today: date
) -> list[_Chosen]:
    codes = [canonical_form(line.trace_code) for line in lines]
    found = {
        lot.trace_code: (lot, days)
        for lot, days in session.execute(
            sa.select(Lot, ChannelItem.min_remaining_days)
            .join(ChannelItem, ChannelItem.product_id == Lot.product_id)
            .where(
                Lot.trace_code.in_([code for code in codes if code]),
                Lot.seller_id == seller_id,
                ChannelItem.channel_id == channel_id,
                ChannelItem.withdrawn_at.is_(None),
            )
            .order_by(Lot.id)
            .with_for_update(of=Lot)
        )
    }
    rows = session.execute(
        sa.select(Stock.lot_id, Stock.id, Stock.place_id)
        .join(Place, Place.id == Stock.place_id)
        .where(Stock.lot_id.in_([lot.id for lot, _ in found.values()]), Place.organisation_id == seller_id)
        .order_by(Stock.on_hand - Stock.reserved, Stock.id)
    )
    stock = {lot_id: (stock_id, place_id) for lot_id, stock_id, place_id in rows}
    chosen, errors = [], []
    for n, (code, line) in enumerate(zip(codes, lines, strict=True)):
        lot, days = found.get(code or "", (None, 0))
        if lot is None or lot.id not in stock:
            errors.append(_error(f"#/lines/{n}/trace_code", "不是您能送到这个渠道的批次"))
        elif codes.index(code) != n:
            errors.append(_error(f"#/lines/{n}/trace_code", "同一批只能写一次"))
        elif lot.state is not LotState.RELEASED:
            errors.append(_error(f"#/lines/{n}/trace_code", "这一批现在不能卖"))
        elif lot.best_before < today + timedelta(days=days):
            errors.append(_error(f"#/lines/{n}/trace_code", f"剩下的保质期不到渠道要求的{days}天"))
        elif line.quantity < 1:
            errors.append(_error(f"#/lines/{n}/quantity", "至少1件"))
        else:
            chosen.append(_Chosen(lot, *stock[lot.id], line.quantity))
    if errors or not chosen:
        raise RuleViolation(errors=errors or [_error("#/lines", "至少写一行")])
    return chosen


def _arrived(lines: Sequence[ConsignmentLine], accepted: Sequence[Packs]) -> dict[str, int]:
    """Packs by trace code as the shop says. Raises RuleViolation with every line that can't be."""
    sent = {line.trace_code: line.quantity for line in lines}
    arrived: dict[str, int] = {}
    errors = []
    for n, said in enumerate(accepted):
        code = canonical_form(said.trace_code) or ""
        if code not in sent:
            errors.append(_error(f"#/lines/{n}/trace_code", "没有送来这一批"))
        elif code in arrived:
            errors.append(_error(f"#/lines/{n}/trace_code", "同一批只能写一次"))
        elif not 0 <= said.quantity <= sent[code]:
            errors.append(_error(f"#/lines/{n}/accepted_quantity", f"要在0到{sent[code]}之间"))
        else:
            arrived[code] = said.quantity
    if errors:
        raise RuleViolation(errors=errors)
    return arrived


def _locked(tx: Transaction, consignment_id: UUID, own: sa.ColumnElement[bool]) -> Consignment:
    row = tx.session.scalars(
        sa.select(Consignment).where(Consignment.id == consignment_id, own).with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound
    return row


def _lines(session: Session, consignment_id: UUID) -> Sequence[ConsignmentLine]:
    return session.scalars(
        sa.select(ConsignmentLine)
        .where(ConsignmentLine.consignment_id == consignment_id)
        .order_by(ConsignmentLine.position)
    ).all()


def _told(line: ConsignmentLine) -> dict[str, Any]:
    return {
        "line": str(line.id), "lot": str(line.lot_id), "trace_code": line.trace_code, "quantity": line.quantity,
    }  # fmt: skip


def _end(
    tx: Transaction, kind: str, row: Consignment, moves: list[dict[str, Any]], lines: list[dict[str, Any]]
) -> None:
    row.ended_at = tx.started_at
    row.version += 1
    _record(tx, kind, row, moves, lines)


def _record(
    tx: Transaction,
    kind: str,
    row: Consignment,
    moves: list[dict[str, Any]],
    lines: list[dict[str, Any]],
    **more: str,
) -> None:
    tx.session.flush()
    tx.record(
        kind, "consignment", row.id, parties=[row.channel_id, row.seller_id], number=row.number,
        channel=str(row.channel_id), seller=str(row.seller_id),
        occurred_on=business_day(tx.started_at).isoformat(), lines=lines, moves=moves, **more,
    )  # fmt: skip


def _error(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}
