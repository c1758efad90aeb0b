"""Makes notices from the sealed journal, in its order: nothing is missed, nothing is told twice, no purchase waits.

The worker calls `follow` every second. The notices of a batch, the cursor and the jobs that send them are committed
together; a worker killed at any point leaves the batch to the next one. All rows may be thrown away and made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, User
from marketplace.actors import ROLE_PERMISSIONS, Permission
from marketplace.catalog.models import Lot, Product
from marketplace.channels.consignment_models import Consignment
from marketplace.channels.statement_models import Statement
from marketplace.channels.states import StatementState
from marketplace.channels.webhook_models import WebhookEndpoint
from marketplace.clock import SHANGHAI, now
from marketplace.journal.models import Fact, Seal
from marketplace.notices.models import Notice, NoticeAddress, NoticeCursor, NoticeSending
from marketplace.notices.rules import KINDS, STEPS, Close, Raise, To, holds
from marketplace.orders.models import Order, Purchase
from marketplace.orders.states import OrderState
from marketplace.payments import worklists
from marketplace.payments.models import Invoice, Payment
from marketplace.quota.models import Declaration
from marketplace.unit_of_work import housekeeping
from marketplace.values import uuid7

TABLES = ("notice", "notice_cursor", "notice_sending", "procrastinate_jobs")
CURSOR = "inbox"
BATCH = 200
# One follower at a time; the number is any that no other lock uses.
_LOCK = sa.text("select pg_try_advisory_xact_lock(7261150)")
_DEFER = sa.text(
    "select procrastinate_defer_jobs_v1(array[row('default', 'notices.send', 0, null, null,"
    " cast(:args as jsonb), cast(:at as timestamptz))::procrastinate_job_to_defer_v1])"
)
_SHIPPED = {OrderState.SHIPPED, OrderState.PART_ACCEPTED, OrderState.ACCEPTED, OrderState.REFUSED}


def follow(*, webhook: bool = False) -> int:
    """Look at the next sealed facts; returns how many. `webhook`: whether the installation has one."""
    with housekeeping(TABLES) as session:
        if not session.execute(_LOCK).scalar_one():
            return 0
        cursor = session.get(NoticeCursor, CURSOR)
        if cursor is None:
            cursor = NoticeCursor(name=CURSOR, seq=0)
            session.add(cursor)
        rows = session.execute(
            sa.select(Seal.seq, Fact.kind, Fact.subject_type, Fact.subject_id, Fact.body)
            .join(Fact, Fact.id == Seal.fact_id)
            .where(Seal.seq > cursor.seq)
            .order_by(Seal.seq)
            .limit(BATCH)
        ).all()
        for row in rows:
            if row.kind in KINDS:
                _take(session, row, webhook)
        if rows:
            cursor.seq = rows[-1].seq
        return len(rows)


def _take(session: Session, row: Any, webhook: bool) -> None:
    data = json.loads(row.body)["data"]
    known = _Subject(session, row, data)
    for step in STEPS[row.kind]:
        if not holds(step.when, known.data):
            continue
        if isinstance(step, Close):
            ids = known.order_ids() if step.each_order else [row.subject_id]
            session.execute(
                sa.update(Notice)
                .where(Notice.topic == step.topic, Notice.subject_id.in_(ids), Notice.done_at.is_(None))
                .values(done_at=now())
            )
            continue
        for subject_type, subject_id in known.targets(step):
            for organisation_id in known.receivers(step, subject_id):
                _open(session, row.seq, step, subject_type, subject_id, organisation_id, known, webhook)


def _open(
    session: Session, seq: int, step: Raise, subject_type: str, subject_id: UUID, organisation_id: UUID | None,
    known: _Subject, webhook: bool,
) -> None:  # fmt: skip
    same = sa.select(Notice.id).where(
        Notice.topic == step.topic,
        Notice.subject_id == subject_id,
        Notice.organisation_id.is_not_distinct_from(organisation_id),
        Notice.done_at.is_(None),
        Notice.news.is_(False),
    )
    if not step.news and session.execute(same).first() is not None:
        return
    notice = Notice(
        seq=seq,
        topic=step.topic,
        organisation_id=organisation_id,
        permission=step.permission.value,
        news=step.news,
        subject_type=subject_type,
        subject_id=subject_id,
        facts=known.words(subject_id),
        due_at=known.due(step.due, subject_id),
        made_at=now(),
        done_at=None,
    )
    session.add(notice)
    session.flush()
    sendings = [
        NoticeSending(id=uuid7(), notice_id=notice.id, channel="email", user_id=user_id, made_at=now())
        for user_id in _addressed(session, organisation_id, step.permission)
    ]
    if webhook:
        sendings.append(NoticeSending(id=uuid7(), notice_id=notice.id, channel="webhook", made_at=now()))
    at = notice.due_at if step.once_due else None
    for sending in sendings:
        session.add(sending)
        session.flush()
        session.execute(_DEFER, {"args": json.dumps({"sending_id": str(sending.id)}), "at": at})


def _addressed(session: Session, organisation_id: UUID | None, permission: Permission) -> Iterable[UUID]:
    """People of the receiver that may take the step and left an e-mail address."""
    roles = [role for role, permissions in ROLE_PERMISSIONS.items() if permission in permissions]
    statement = (
        sa.select(User.id)
        .join(NoticeAddress, NoticeAddress.user_id == User.id)
        .where(NoticeAddress.email.is_not(None), User.role.in_(roles), User.disabled_at.is_(None))
        .order_by(User.id)
    )
    if organisation_id is not None:
        statement = statement.where(User.organisation_id == organisation_id)
    return session.scalars(statement).all()


def statement_waits(row: Statement, data: dict[str, Any]) -> dict[str, bool]:
    """What the two sides of a statement have left to do, as the row stands now."""
    both = row.channel_agreed_at is not None and row.seller_agreed_at is not None
    return {
        "by_channel": data.get("by") == str(row.channel_id),
        "by_seller": data.get("by") == str(row.seller_id),
        "none_disputed": row.state is not StatementState.DISPUTED,
        "seller_to_agree": row.seller_agreed_at is None,
        "channel_to_agree": row.channel_agreed_at is None,
        "agreed_and_owed": both and row.total_fen > 0,
        "agreed_and_not_owed": both and row.total_fen <= 0,
    }


class _Subject:
    """What a fact is about: rows are read for the few things that its text does not say."""

    def __init__(self, session: Session, row: Any, data: dict[str, Any]) -> None:
        self.session, self.row = session, row
        self.data = data
        self.orders: dict[UUID, Order] = {}
        self.thing: Any = None
        table: Any = {
            "purchase": Purchase, "order": Order, "invoice": Invoice, "payment": Payment, "product": Product,
            "lot": Lot, "declaration": Declaration, "organisation": Organisation,
            "webhook": WebhookEndpoint, "consignment": Consignment, "statement": Statement, "user": User,
        }.get(row.subject_type)  # fmt: skip
        if table is not None:
            self.thing = session.get(table, row.subject_id)
        if isinstance(self.thing, Order):
            self.orders[self.thing.id] = self.thing
            self.data = {**data, "all_shipped": self.thing.state in _SHIPPED}
        elif isinstance(self.thing, Payment):
            self.data = {**data, "bare_slip": worklists.newest_slip_is_bare(session, self.thing.id)}
        elif isinstance(self.thing, Statement):
            self.data = {**data, **statement_waits(self.thing, data)}

    def order_ids(self) -> list[UUID]:
        named = self.data.get("orders") or []
        return [UUID(entry["order"]) if isinstance(entry, dict) else UUID(entry) for entry in named]

    def targets(self, step: Raise) -> list[tuple[str, UUID]]:
        """What the notice is about: the fact's subject, or each order that it names."""
        if not step.each_order:
            return [(self.row.subject_type, self.row.subject_id)]
        found = self.session.scalars(sa.select(Order).where(Order.id.in_(self.order_ids()))).all()
        self.orders.update({order.id: order for order in found})
        return [("order", order.id) for order in found]

    def receivers(self, step: Raise, subject_id: UUID) -> list[UUID | None]:
        thing = self.orders.get(subject_id, self.thing)
        match step.to:
            case To.OFFICES:
                return [None]
            case To.BUYER:
                return [thing.buyer_id]
            case To.SELLER:
                return [thing.seller_id]
            case To.CHANNEL:
                return [UUID(self.data["channel"]) if "channel" in self.data else thing.channel_id]
            case To.DECIDER:
                return [thing.for_agency_id or thing.buyer_id]
            case To.OWN:
                if isinstance(thing, WebhookEndpoint):
                    return [thing.channel_id]
                return [thing.agency_id if isinstance(thing, Declaration) else thing.id]
            case To.OTHER_SIDE:
                asked = UUID(self.data["by"])
                return [thing.seller_id if asked == thing.buyer_id else thing.buyer_id]
            case To.HURT_BUYERS:
                buyers = self.session.scalars(
                    sa.select(Order.buyer_id)
                    .where(Order.id.in_(self.order_ids()))
                    .distinct()
                    .order_by(Order.buyer_id)
                )
                return list(buyers)

    def words(self, subject_id: UUID) -> dict[str, Any]:
        """Number, name and amount for the text."""
        thing = self.orders.get(subject_id, self.thing)
        found: dict[str, Any] = {}
        for name in ("number", "trace_code", "year"):
            if getattr(thing, name, None) is not None:
                found[name] = getattr(thing, name)
        for name in ("total_fen", "amount_fen", "goods_fen"):
            if getattr(thing, name, None) is not None:
                found["amount_fen"] = getattr(thing, name)
                break
        if "packs" in self.data and "channel" in self.data:
            found["packs"] = self.data["packs"]
            found["name"] = self.session.get_one(Organisation, UUID(self.data["channel"])).name
        if isinstance(thing, Product):
            found["name"] = f"{thing.name} {thing.spec}"
        return found

    def due(self, name: str, subject_id: UUID) -> datetime | None:
        """The deadline of the step, as an instant; a day ends at its midnight in Shanghai."""
        if not name:
            return None
        thing = self.orders.get(subject_id, self.thing)
        value = getattr(thing, name, None)
        if value is None and name == "deliver_on" and isinstance(thing, Order):
            value = self.session.get_one(Purchase, thing.purchase_id).deliver_on
        if name == "answer_by" and thing.declared_at is not None:
            value = worklists.answer_by(self.session, thing.declared_at)
        if isinstance(value, date) and not isinstance(value, datetime):
            return datetime.combine(value, time(23, 59), SHANGHAI).astimezone(UTC)
        return value
