"""A channel's daily file: every order, shipment, acceptance, refusal, consignment, sale, count and fen that a day
recorded."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Lot
from marketplace.channels.consignment_models import SalesReport, SalesReportLine, StockCount, StockCountLine
from marketplace.channels.models import PartnerOrder
from marketplace.channels.reconciliation_rules import (
    Entry,
    Row,
    bearers_in_file,
    entries_of,
    file_of,
    kinds_of_fact,
    summary_of,
)
from marketplace.channels.statement_models import Statement
from marketplace.channels.states import BorneBy
from marketplace.errors import NotFound, WrongState
from marketplace.journal.models import Fact
from marketplace.orders.models import Order, OrderLine

# A transaction keeps the time at which it began: by then the last one of a day has ended, far within its time limits.
CLOSES_AFTER = timedelta(minutes=10)
Keyed = tuple[tuple[datetime, str, int], Row]


def daily_file(session: Session, actor: Actor, day: date) -> tuple[bytes, dict[str, Any]]:
    """(the file, its sums and SHA-256) of a business day that is over: the same bytes whenever they are asked for.

    A constant number of queries. Raises WrongState (`wrong-state` with `closes_at`) until ten minutes after the day.
    """
    actor.require(Permission.CHANNEL_STATEMENTS)
    start, end = (_midnight(day), _midnight(day + timedelta(days=1)))
    closes_at = end + CLOSES_AFTER
    if clock.now() < closes_at:
        raise WrongState(
            "这一天还没有结束，过了零点十分再取对账文件", closes_at=closes_at.isoformat(), state="open"
        )
    found = [*_of_facts(session, actor, start, end), *_of_shops(session, actor, start, end)]
    rows = [row for _, row in sorted(found, key=lambda keyed: keyed[0])]
    content = file_of(rows)
    return content, {"day": day, **summary_of(rows, content)}


def day_of(text: str) -> date:
    """The day that an address names. Raises NotFound for any other text."""
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-11-24") else None
    except ValueError:
        day = None
    if day is None or not 2000 <= day.year <= 2100:
        raise NotFound("日期要写成 2026-11-24")
    return day


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=clock.SHANGHAI)


def _of_facts(session: Session, actor: Actor, start: datetime, end: datetime) -> list[Keyed]:
    own = Fact.parties.op("@>", is_comparison=True)(
        sa.literal([actor.organisation_id], ARRAY(PgUUID(as_uuid=True)))
    )
    facts = session.execute(
        sa.select(Fact.id, Fact.number, Fact.kind, Fact.recorded_at, Fact.body).where(
            own,
            Fact.recorded_at >= start,
            Fact.recorded_at < end,
            Fact.kind.in_(kinds_of_fact(clock.business_day(start))),
        )
    ).all()
    told: list[tuple[tuple[datetime, str, int], str, str, Entry]] = []
    for fact in facts:
        text = json.loads(fact.body)
        for n, entry in enumerate(entries_of(fact.kind, text["data"])):
            key = (fact.recorded_at, f"{fact.number:020d}", n)
            told.append((key, text["subject"]["id"], str(fact.id), entry))
    names = _Names(session, actor, told)
    return [(key, names.row(key[0], subject, fact_id, entry)) for key, subject, fact_id, entry in told]


class _Names:
    """The numbers and parties behind the ids of a day's facts; all of them lasting."""

    def __init__(self, session: Session, actor: Actor, told: list[Any]) -> None:
        entries = [entry for *_, entry in told]
        subjects = {subject for _, subject, _, _ in told}
        lines = {entry.line for entry in entries} - {""}
        orders = {entry.order for entry in entries} - {""}
        lots = {entry.lot for entry in entries} - {""}
        self.lines = {
            str(row.id): row
            for row in session.execute(
                sa.select(
                    OrderLine.id, OrderLine.order_id, OrderLine.product_id, OrderLine.unit_price_fen
                ).where(OrderLine.id.in_(lines))
            )
        }
        orders |= {str(row.order_id) for row in self.lines.values()}
        self.orders = {
            str(row.id): row
            for row in session.execute(
                sa.select(Order.id, Order.number, Order.seller_id, PartnerOrder.partner_order_no)
                .outerjoin(PartnerOrder, PartnerOrder.purchase_id == Order.purchase_id)
                .where(Order.id.in_(orders), Order.buyer_id == actor.organisation_id)
            )
        }
        self.lots = {
            str(row.id): row
            for row in session.execute(
                sa.select(Lot.id, Lot.trace_code, Lot.product_id).where(Lot.id.in_(lots))
            )
        }
        self.sellers = {
            str(row.id): str(row.seller_id)
            for row in session.execute(
                sa.select(Statement.id, Statement.seller_id).where(Statement.id.in_(subjects))
            )
        }

    def row(self, at: datetime, subject: str, fact_id: str, entry: Entry) -> Row:
        line = self.lines.get(entry.line)
        order = self.orders.get(entry.order if line is None else str(line.order_id))
        lot = self.lots.get(entry.lot)
        product = lot if line is None else line
        seller = entry.seller or self.sellers.get(subject, "")
        amount = entry.amount_fen
        if amount is None:
            amount = (entry.quantity or 0) * (0 if line is None else line.unit_price_fen)
        return Row(
            time=at,
            kind=entry.kind,
            partner_order_no="" if order is None else order.partner_order_no or "",
            order_number="" if order is None else order.number,
            reference=entry.reference,
            seller_id=seller if order is None else str(order.seller_id),
            product_id="" if product is None else str(product.product_id),
            trace_code=entry.trace_code or ("" if lot is None else lot.trace_code),
            business_day=clock.business_day(at).isoformat(),
            quantity=entry.quantity,
            unit_price_fen=None if line is None else line.unit_price_fen,
            amount_fen=amount,
            event_id=fact_id,
        )


def _of_shops(session: Session, actor: Actor, start: datetime, end: datetime) -> list[Keyed]:
    """What shops reported as sold, and counted as spoilt or missing; what the channel does not bear has no price."""
    found: list[Keyed] = []
    report, sold, count, counted = SalesReport, SalesReportLine, StockCount, StockCountLine
    for head, line, code in session.execute(
        sa.select(report, sold, Lot.trace_code)
        .join(sold, sold.report_id == report.id)
        .join(Lot, Lot.id == sold.lot_id)
        .where(
            report.channel_id == actor.organisation_id, report.reported_at >= start, report.reported_at < end
        )
    ):
        key = (head.reported_at, str(head.id), line.position)
        found.append(
            (
                key,
                _shop_row(
                    "red" if head.red else "sold",
                    head,
                    head.business_day,
                    line,
                    code,
                    line.quantity,
                    line.unit_price_fen,
                ),
            )
        )
    for made, borne, code in session.execute(
        sa.select(count, counted, Lot.trace_code)
        .join(counted, counted.count_id == count.id)
        .join(Lot, Lot.id == counted.lot_id)
        .where(
            count.channel_id == actor.organisation_id,
            count.reported_at >= start,
            count.reported_at < end,
            counted.borne_by.in_(bearers_in_file(clock.business_day(start))),
        )
    ):
        owed = borne.borne_by is BorneBy.CHANNEL
        price = borne.unit_price_fen if owed else None
        for n, (kind, packs) in enumerate((("spoilage", borne.spoilage), ("loss", borne.loss))):
            if packs:
                name = kind if owed else f"{kind}_not_owed"
                key = (made.reported_at, str(made.id), borne.position * 2 + n)
                found.append((key, _shop_row(name, made, made.counted_on, borne, code, packs, price)))
    return found


def _shop_row(
    kind: str, head: Any, day: date, line: Any, trace_code: str, packs: int, price: int | None
) -> Row:
    return Row(
        time=head.reported_at,
        kind=kind,
        partner_order_no="",
        order_number="",
        reference=str(head.id),
        seller_id=str(line.seller_id),
        product_id=str(line.product_id),
        trace_code=trace_code,
        business_day=day.isoformat(),
        quantity=packs,
        unit_price_fen=price,
        amount_fen=packs * (price or 0),
        event_id="",
    )
