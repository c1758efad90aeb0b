"""Makes notices from the sealed journal, in its order: nothing is missed, nothing is told twice, no purchase waits.

The worker calls `follow` every second. The notices of a batch, the cursor and the jobs that send them are committed
together; a worker killed at any point leaves the batch to the next one. All rows may be thrown away and made again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

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
from marketplace.notices.rules import KINDS, OF_THE_ROW, STEPS, Close, Raise, To, holds
from marketplace.orders.models import Order, Purchase
from marketplace.orders.states import OrderState, PaymentState
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
_END = sa.text(
    "update notice set done_at = :at from unnest(cast(:topics as text[]), cast(:subjects as uuid[])) as ended(topic, id)"
    " where notice.topic = ended.topic and notice.subject_id = ended.id and notice.done_at is null"
)
_TABLES: dict[str, Any] = {
    "purchase": Purchase, "order": Order, "invoice": Invoice, "payment": Payment, "product": Product,
    "lot": Lot, "declaration": Declaration, "organisation": Organisation,
    "webhook": WebhookEndpoint, "consignment": Consignment, "statement": Statement, "user": User,
}  # fmt: skip
_Office = aliased(Organisation)
_TO_PAY = {PaymentState.NONE, PaymentState.PART_PAID}
_PAID_UP = {PaymentState.PAID, PaymentState.REFUND_DUE, PaymentState.REFUNDED}
_SHIPPED = {OrderState.SHIPPED, OrderState.PART_ACCEPTED, OrderState.ACCEPTED, OrderState.REFUSED}


def follow(*, webhook: bool = False, most: int = BATCH) -> int:
    """Look at the next sealed facts, `most` at once; returns how many. `webhook`: whether the installation has one."""
    with housekeeping(TABLES) as session:
        if not session.execute(_LOCK).scalar_one():
            return 0
        cursor = session.get(NoticeCursor, CURSOR)
        if cursor is None:
            cursor = NoticeCursor(name=CURSOR, seq=0)
            session.add(cursor)
        rows = session.execute(
            sa.select(Seal.seq, Fact.kind, Fact.subject_type, Fact.subject_id, Fact.parties, Fact.body)
            .join(Fact, Fact.id == Seal.fact_id)
            .where(Seal.seq > cursor.seq)
            .order_by(Seal.seq)
            .limit(most)
        ).all()
        told = [(row, json.loads(row.body)["data"]) for row in rows if row.kind in KINDS]
        batch = _Batch(session, told, webhook)
        for row, data in told:
            _take(batch, row, data)
        batch.write()
        if rows:
            cursor.seq = rows[-1].seq
        return len(rows)


def _take(batch: _Batch, row: Any, data: dict[str, Any]) -> None:
    known = _Subject(batch.session, row, data)
    for step in STEPS[row.kind]:
        if not holds(step.when, known.data):
            continue
        if isinstance(step, Close):
            batch.close(step.topic, known.ended(step))
            continue
        for subject_type, subject_id in known.targets(step):
            for organisation_id in known.receivers(step, subject_id):
                batch.open(row.seq, step, subject_type, subject_id, organisation_id, known)


def _order_ids(data: dict[str, Any]) -> list[UUID]:
    named = data.get("orders") or []
    return [UUID(entry["order"]) if isinstance(entry, dict) else UUID(entry) for entry in named]


class _Batch:
    """What some hundred facts open and close, read and written together: one by one, the notice of a purchase would
    cost the database and the worker as much as the purchase itself.
    """

    def __init__(self, session: Session, told: list[tuple[Any, dict[str, Any]]], webhook: bool) -> None:
        self.session, self.webhook = session, webhook
        self.at = now()
        named = set(_named(told))
        # In the session's memory from here on: what is looked up by its id below is not asked for again.
        self._kept = [
            session.scalars(sa.select(table).where(table.id.in_(ids))).all()
            for kind, table in _TABLES.items()
            if (ids := {row.subject_id for row, _ in told if row.subject_type == kind} | (named if table is Order else set()))
        ]  # fmt: skip
        subjects = named | {row.subject_id for row, _ in told}
        waits = sa.select(Notice.topic, Notice.subject_id, Notice.organisation_id).where(
            Notice.subject_id.in_(subjects), Notice.done_at.is_(None), Notice.news.is_(False)
        )
        self._open = {tuple(row) for row in session.execute(waits)} if subjects else set()
        self._ended: set[tuple[str, UUID]] = set()
        self._made: list[tuple[Raise, dict[str, Any]]] = []
        self._addressed: dict[tuple[UUID | None, tuple[UUID, ...], Permission], list[UUID]] = {}

    def close(self, topic: str, subject_ids: list[UUID]) -> None:
        ended = set(subject_ids)
        self._ended.update((topic, subject_id) for subject_id in ended)
        self._open = {wait for wait in self._open if wait[0] != topic or wait[1] not in ended}
        for _, notice in self._made:
            if notice["topic"] == topic and notice["subject_id"] in ended and notice["done_at"] is None:
                notice["done_at"] = self.at

    def open(
        self, seq: int, step: Raise, subject_type: str, subject_id: UUID, organisation_id: UUID | None,
        known: _Subject,
    ) -> None:  # fmt: skip
        """One notice, but for a wait that is open already."""
        if not step.news:
            wait = (step.topic, subject_id, organisation_id)
            if wait in self._open:
                return
            self._open.add(wait)
        notice = {
            "seq": seq,
            "topic": step.topic,
            "organisation_id": organisation_id,
            "parties": known.row.parties,
            "permission": step.permission.value,
            "news": step.news,
            "subject_type": subject_type,
            "subject_id": subject_id,
            "facts": known.words(subject_id),
            "due_at": known.due(step.due, subject_id),
            "made_at": self.at,
            "done_at": None,
        }
        self._made.append((step, notice))

    def write(self) -> None:
        """End the waits of before first: one that a fact ended may have been begun anew by a later one."""
        if self._ended:
            topics, subjects = zip(*sorted(self._ended), strict=True)
            self.session.execute(
                _END, {"topics": list(topics), "subjects": list(map(str, subjects)), "at": self.at}
            )
        if not self._made:
            return
        ids = self.session.scalars(
            sa.insert(Notice).returning(Notice.id, sort_by_parameter_order=True),
            [notice for _, notice in self._made],
        ).all()
        for notice_id, (step, notice) in zip(ids, self._made, strict=True):
            for sending in self._sendings(notice_id, step, notice):
                self.session.add(sending)
                self.session.flush()
                at = notice["due_at"] if step.once_due else None
                self.session.execute(_DEFER, {"args": json.dumps({"sending_id": str(sending.id)}), "at": at})

    def _sendings(self, notice_id: int, step: Raise, notice: dict[str, Any]) -> list[NoticeSending]:
        # Whom a notice for all offices concerns says which of the counties' are told.
        near = tuple(notice["parties"]) if notice["organisation_id"] is None else ()
        key = (notice["organisation_id"], near, step.permission)
        if key not in self._addressed:
            self._addressed[key] = list(_addressed(self.session, *key))
        sendings = [
            NoticeSending(id=uuid7(), notice_id=notice_id, channel="email", user_id=user_id, made_at=self.at)
            for user_id in self._addressed[key]
        ]
        if self.webhook:
            sendings.append(
                NoticeSending(id=uuid7(), notice_id=notice_id, channel="webhook", made_at=self.at)
            )
        return sendings


def _named(told: list[tuple[Any, dict[str, Any]]]) -> Iterable[UUID]:
    """The orders about each of which a fact may open or close something."""
    for row, data in told:
        if any(
            step.each_order and (step.when in OF_THE_ROW or holds(step.when, data))
            for step in STEPS[row.kind]
        ):
            yield from _order_ids(data)


def _addressed(
    session: Session, organisation_id: UUID | None, parties: Sequence[UUID], permission: Permission
) -> Iterable[UUID]:
    """People of the receiver that may take the step and left an e-mail address.

    Of all offices: of the city's, and of the counties of `parties`.
    """
    roles = [role for role, permissions in ROLE_PERMISSIONS.items() if permission in permissions]
    statement = (
        sa.select(User.id)
        .join(NoticeAddress, NoticeAddress.user_id == User.id)
        .where(NoticeAddress.email.is_not(None), User.role.in_(roles), User.disabled_at.is_(None))
        .order_by(User.id)
    )
    if organisation_id is not None:
        return session.scalars(statement.where(User.organisation_id == organisation_id)).all()
    near = sa.select(Organisation.region_code).where(Organisation.id.in_(parties))
    statement = statement.join(_Office, _Office.id == User.organisation_id).where(
        sa.or_(_Office.region_code.is_(None), _Office.region_code.like("%00"), _Office.region_code.in_(near))
    )
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
        table = _TABLES.get(row.subject_type)
        if table is not None:
            self.thing = session.get(table, row.subject_id)
        if isinstance(self.thing, Order):
            self.orders[self.thing.id] = self.thing
            self.data = {**data, "all_shipped": self.thing.state in _SHIPPED}
        elif isinstance(self.thing, Payment):
            self.data = {**data, "bare_slip": worklists.newest_slip_is_bare(session, self.thing.id)}
        elif isinstance(self.thing, Statement):
            self.data = {**data, **statement_waits(self.thing, data)}

    def targets(self, step: Raise) -> list[tuple[str, UUID]]:
        """What the notice is about: the fact's subject, or each order that it names."""
        if not step.each_order:
            return [(self.row.subject_type, self.row.subject_id)]
        found = self._named()
        self.orders.update({order.id: order for order in found})
        return [("order", o.id) for o in found if not step.unpaid or o.payment_state in _TO_PAY]

    def ended(self, step: Close) -> list[UUID]:
        """What is waited for no longer: the fact's subject, or each order that it names."""
        if not step.each_order:
            return [self.row.subject_id]
        if not step.paid:
            return _order_ids(self.data)
        return [order.id for order in self._named() if order.payment_state in _PAID_UP]

    def _named(self) -> list[Order]:
        found = (self.session.get(Order, order_id) for order_id in sorted(_order_ids(self.data)))
        return [order for order in found if order is not None]

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
                    .where(Order.id.in_(_order_ids(self.data)))
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
