"""销售日报: what a shop sold of the goods on consignment, lot by lot, once for each day.

A day is reported once. Sent again, the report that stands gets its first answer; one that was corrected since is refused
with the version that took its place; another one must name the version that it corrects: a red entry (冲红) takes that
version back, then the new one stands. Both move the shop's stock at once. What a statement has charged already is never
changed: red entry and new version stand on the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor, Permission
from marketplace.catalog.models import MovementKind
from marketplace.catalog.stock import InsufficientStock, Move, apply_moves, lock_stock
from marketplace.channels import sales_views
from marketplace.channels.consignment_models import SalesReport, SalesReportLine
from marketplace.channels.rules import body_text
from marketplace.channels.shops import (
    LotName,
    Shop,
    ShopLot,
    came_later,
    find_lots,
    line_errors,
    one_at_a_time,
    shop_on,
)
from marketplace.clock import business_day
from marketplace.errors import Conflict, Forbidden, RuleViolation
from marketplace.unit_of_work import NO_ONCE, Answer, Once, Replayed, Reply, Transaction, transaction
from marketplace.values import uuid7


class DayReported(Conflict):
    """`version` is the one that stands: a correction names it."""

    slug = "sales-day-reported"
    title = "这一天的销售已经上报过"


@dataclass(frozen=True)
class SoldLine:
    """Packs of one lot; `retail_fen` is what the customers paid for all of them, where the shop tells."""

    lot: LotName
    quantity: int
    retail_fen: int | None = None


@dataclass(frozen=True)
class SalesWish:
    """`body` is what was sent, for knowing it again; `corrects` the version that this one takes the place of."""

    body: Any
    business_day: date
    lines: Sequence[SoldLine]
    place_id: UUID | None = None
    corrects: int | None = None


def report_sales(actor: Actor, wish: SalesWish, *, once: Once = NO_ONCE) -> Reply:
    """Report what the channel's shop sold on a day: its packs leave the shop, and the channel owes for them.

    A pack costs the lowest step of the price list that the agreement in force on that day names. Raises Replayed with
    the first answer, DayReported (`sales-day-reported`) for another report of the day that corrects none or not the
    one that stands, also for one that was corrected since (its own version is `superseded`), NoAgreement
    (`no-agreement`), RuleViolation (`invalid`) with every wrong line, as of a lot that came to the shop later, or a day
    to come, InsufficientStock (`insufficient-stock`) with every line that is more than the shop holds.
    """
    with transaction(actor, Permission.CHANNEL_SALES, once) as tx:
        if actor.organisation_id is None:
            raise Forbidden("门店销售由渠道上报")
        if wish.business_day > business_day(tx.started_at):
            raise RuleViolation(errors=[{"pointer": "#/business_day", "detail": "这一天还没有到"}])
        shop = shop_on(tx.session, actor.organisation_id, wish.business_day, wish.place_id)
        one_at_a_time(tx.session, "sales-report", shop.place_id, wish.business_day)
        digest = sha256(body_text(wish.body).encode()).digest()
        before = _standing(tx, shop, wish, digest)
        lots, wrong = find_lots(tx.session, shop, [line.lot for line in wish.lines])
        if not wrong:
            unpriced = {"field": "trace_code", "detail": "这一天的价目表里没有这个产品"}
            wrong = {n: unpriced for n, lot in enumerate(lots) if lot.unit_price_fen is None}
        taken_back = [] if before is None else _red_lines(tx, before)
        if not wrong:
            known = {line.stock_id for line in taken_back}
            wrong = came_later(tx.session, shop, wish.business_day, lots, known)
        if wrong:
            raise RuleViolation("有的行不能这样报，请看每行的说明", errors=line_errors(wrong))
        sold = [
            _line(n, lot, line) for n, (lot, line) in enumerate(zip(lots, wish.lines, strict=True), start=1)
        ]
        moves = _move(tx, taken_back, sold)
        if before is not None:
            red = _add(tx, shop, wish.business_day, before.version + 1, taken_back, digest=b"", before=before)
            _record(tx, "sales.reversed", red, taken_back, moves[: len(taken_back)], before)
        version = 1 if before is None else before.version + 2
        report = _add(tx, shop, wish.business_day, version, sold, digest=digest, before=before)
        _record(tx, "sales.reported", report, sold, moves[len(taken_back) :], before)
        return tx.answer(sales_views.report_view(tx.session, report.id))


def _standing(tx: Transaction, shop: Shop, wish: SalesWish, digest: bytes) -> SalesReport | None:
    """The version of the day that stands and is to be corrected; None for a day without one."""
    known = tx.session.scalars(
        sa.select(SalesReport)
        .where(
            SalesReport.channel_id == shop.channel_id,
            SalesReport.place_id == shop.place_id,
            SalesReport.business_day == wish.business_day,
            SalesReport.red.is_(False),
        )
        .order_by(SalesReport.version)
    ).all()
    for row in known:
        if row.digest == digest and row is known[-1]:
            first = tx.render(sales_views.report_view(tx.session, row.id))
            raise Replayed(first or Answer(201, b""))
        if row.digest == digest:
            # The first answer would read as if these packs were still what the shop has reported.
            raise DayReported(
                f"这是第{row.version}版，已被更正；现在有效的是第{known[-1].version}版。"
                "要改回去，请在 corrects 里写明更正的是现在这一版",
                version=known[-1].version,
                superseded=row.version,
            )
    if not known:
        if wish.corrects is not None:
            raise RuleViolation(errors=[{"pointer": "#/corrects", "detail": "这一天还没有上报过"}])
        return None
    version = known[-1].version
    if wish.corrects is None:
        raise DayReported(
            f"这一天已有第{version}版；要更正，请在 corrects 里写明更正的是这一版", version=version
        )
    if wish.corrects != version:
        raise DayReported(f"现在有效的是第{version}版，请先读它再更正", version=version)
    return known[-1]


def _line(position: int, lot: ShopLot, line: SoldLine) -> SalesReportLine:
    price = lot.unit_price_fen or 0
    return SalesReportLine(
        position=position,
        product_id=lot.product_id,
        seller_id=lot.seller_id,
        stock_id=lot.stock_id,
        lot_id=lot.lot_id,
        quantity=line.quantity,
        unit_price_fen=price,
        amount_fen=line.quantity * price,
        retail_fen=line.retail_fen,
    )


def _red_lines(tx: Transaction, before: SalesReport) -> list[SalesReportLine]:
    """The lines of the version before, each with the opposite sign and at its own price."""
    rows = tx.session.scalars(
        sa.select(SalesReportLine)
        .where(SalesReportLine.report_id == before.id)
        .order_by(SalesReportLine.position)
    )
    return [
        SalesReportLine(
            position=row.position,
            product_id=row.product_id,
            seller_id=row.seller_id,
            stock_id=row.stock_id,
            lot_id=row.lot_id,
            quantity=-row.quantity,
            unit_price_fen=row.unit_price_fen,
            amount_fen=-row.amount_fen,
            retail_fen=None if row.retail_fen is None else -row.retail_fen,
        )
        for row in rows
    ]


def _move(
    tx: Transaction, taken_back: Sequence[SalesReportLine], sold: Sequence[SalesReportLine]
) -> list[dict[str, Any]]:
    """Move the shop's stock by both, checked together; returns the moves in the order of the lines."""
    locked = lock_stock(tx.session, [line.stock_id for line in (*taken_back, *sold)])
    free = {stock_id: row.free for stock_id, row in locked.items()}
    held = dict(free)
    for line in taken_back:
        held[line.stock_id] -= line.quantity
    short = {
        n: {
            "field": "quantity",
            "detail": too_many(free[line.stock_id], held[line.stock_id], line.quantity),
        }
        for n, line in enumerate(sold)
        if line.quantity > held[line.stock_id]
    }
    if short:
        raise InsufficientStock("报的销售比门店的库存多", errors=line_errors(short))
    wanted = [Move(line.stock_id, MovementKind.SOLD, on_hand=-line.quantity) for line in (*taken_back, *sold)]
    return apply_moves(tx.session, locked, wanted, tx.started_at)


def too_many(free: int, most: int, quantity: int) -> str:
    """Why `quantity` packs of a lot are refused: `most` are the free packs and those that the correction takes back."""
    if most == free:
        return f"门店只有{free}件，报了{quantity}件"
    return f"门店现有{free}件，加上被更正的{most - free}件，最多报{most}件，报了{quantity}件"


def _add(
    tx: Transaction,
    shop: Shop,
    day: date,
    version: int,
    lines: Sequence[SalesReportLine],
    *,
    digest: bytes,
    before: SalesReport | None,
) -> SalesReport:
    """One version with its lines; a red entry has no digest, since nobody sent it."""
    row = SalesReport(
        id=uuid7(),
        channel_id=shop.channel_id,
        place_id=shop.place_id,
        business_day=day,
        version=version,
        red=before is not None and not digest,
        corrects_id=None if before is None else before.id,
        digest=digest,
        total_fen=sum(line.amount_fen for line in lines),
        reported_by=tx.actor.user_id,
        reported_at=tx.started_at,
    )
    tx.session.add(row)
    tx.session.flush()
    for line in lines:
        line.report_id = row.id
        tx.session.add(line)
    tx.session.flush()
    return row


def _record(
    tx: Transaction,
    kind: str,
    row: SalesReport,
    lines: Sequence[SalesReportLine],
    moves: Sequence[dict[str, Any]],
    before: SalesReport | None,
) -> None:
    """One fact for each seller, with his lines alone; of a day on which nothing was sold one for the channel."""
    sellers: list[UUID | None] = [*sorted({line.seller_id for line in lines})]
    for seller_id in sellers or [None]:
        own = [(line, move) for line, move in zip(lines, moves, strict=True) if line.seller_id == seller_id]
        tx.record(
            kind,
            "sales_report",
            row.id,
            parties=[row.channel_id, seller_id],
            channel=str(row.channel_id),
            place=str(row.place_id),
            seller=None if seller_id is None else str(seller_id),
            business_day=row.business_day.isoformat(),
            version=row.version,
            corrects=None if before is None else str(before.id),
            occurred_on=business_day(tx.started_at).isoformat(),
            amount_fen=sum(line.amount_fen for line, _ in own),
            lines=[
                {
                    "position": line.position,
                    "product": str(line.product_id),
                    "lot": str(line.lot_id),
                    "quantity": line.quantity,
                    "unit_price_fen": line.unit_price_fen,
                    "amount_fen": line.amount_fen,
                    "retail_fen": line.retail_fen,
                }
                for line, _ in own
            ],
            moves=[move for _, move in own],
        )
