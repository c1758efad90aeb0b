"""A channel's own addresses for its events: made, tried, given new secrets, left alone and taken up again."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.actors import Actor, Permission, system
from marketplace.channels.addresses import Unsafe, refuse_inner
from marketplace.channels.signing import make_secret
from marketplace.channels.states import DeliveryState
from marketplace.channels.webhook_models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from marketplace.config import Settings
from marketplace.errors import Conflict, Forbidden, NotFound, WrongState, refuse_fields
from marketplace.journal.canonical import instant_text
from marketplace.paging import DEFAULT_LIMIT, paginate, sort_keys
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, housekeeping, transaction
from marketplace.values import uuid7

MOST_ENDPOINTS = 5
# How long the secret before stays good after a new one was made.
OLD_SECRET_FOR = timedelta(hours=24)
PING = "test.ping"
_UNSAFE_WORDS = {
    "not-https": "要以 https:// 开头",
    "port": "端口只能是443或8443",
    "private-address": "不能是内部网络的地址",
}


class EnoughEndpoints(Conflict):
    """A channel has five addresses at most: disable one first."""

    slug = "enough-webhooks"
    title = "已有五个推送地址，请先停用一个"


def create_endpoint(actor: Actor, settings: Settings, *, url: str, kinds: Sequence[str] = ()) -> Reply:
    """A channel names an address for its events from now on; `secret` is in this answer alone.

    `kinds`: names such as `order.shipped`, or `order.*`; none means all. Raises RuleViolation (`invalid`),
    EnoughEndpoints (`enough-webhooks`).
    """
    problem = None
    try:
        refuse_inner(url, local=settings.webhook_local)
    except Unsafe as unsafe:
        problem = _UNSAFE_WORDS.get(unsafe.reason, "不是可以推送的网址")
    refuse_fields([("url", problem)])
    with transaction(actor, Permission.CHANNEL_EVENTS) as tx:
        if actor.organisation_id is None:
            raise Forbidden
        tx.session.execute(
            sa.text("select pg_advisory_xact_lock(hashtextextended(:scope, 0))"),
            {"scope": f"webhooks:{actor.organisation_id}"},
        )
        if _live(tx.session, actor.organisation_id) >= MOST_ENDPOINTS:
            raise EnoughEndpoints
        secret, row_id = make_secret(), uuid7()
        row = WebhookEndpoint(
            id=row_id,
            channel_id=actor.organisation_id,
            url=url,
            kinds=sorted(set(kinds)),
            secret=seal_secret(settings.field_key, row_id, secret),
            created_by=actor.user_id,
            created_at=tx.started_at,
            watched_since=tx.started_at,
        )
        tx.session.add(row)
        tx.session.flush()
        _record(tx, "webhook.created", row, kinds=row.kinds)
        return tx.answer({**_shape(row), "secret": secret})


def renew_secret(actor: Actor, settings: Settings, endpoint_id: UUID) -> Reply:
    """A new secret, shown in this answer alone. For 24 hours events carry a signature of the one before, too."""
    with transaction(actor, Permission.CHANNEL_EVENTS) as tx:
        row = _locked(tx, actor, endpoint_id)
        secret = make_secret()
        row.previous_secret, row.previous_until = row.secret, tx.started_at + OLD_SECRET_FOR
        row.secret = seal_secret(settings.field_key, row.id, secret)
        row.version += 1
        _record(tx, "webhook.secret_renewed", row)
        return tx.answer({**_shape(row), "secret": secret})


def disable(actor: Actor, endpoint_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """The channel stops an address; what is not delivered waits. Raises WrongState (`wrong-state`)."""
    with transaction(actor, Permission.CHANNEL_EVENTS, once) as tx:
        row = _locked(tx, actor, endpoint_id)
        if row.disabled_at is not None:
            raise WrongState("这个推送地址已经停用")
        _disable(tx, row, "by-channel", 0)
        return tx.answer(_shape(row))


def enable(actor: Actor, endpoint_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """Take an address up again, with what waited. Events that came meanwhile stand in the feed alone.

    Raises WrongState (`wrong-state`), EnoughEndpoints (`enough-webhooks`).
    """
    with transaction(actor, Permission.CHANNEL_EVENTS, once) as tx:
        row = _locked(tx, actor, endpoint_id)
        if row.disabled_at is None:
            raise WrongState("这个推送地址没有停用")
        if _live(tx.session, row.channel_id) >= MOST_ENDPOINTS:
            raise EnoughEndpoints
        row.disabled_at = row.disabled_reason = None
        row.watched_since = tx.started_at
        row.version += 1
        _record(tx, "webhook.enabled", row)
        return tx.answer(_shape(row))


def leave_alone(endpoint_id: UUID, given_up: int) -> None:
    """The relay stops an address that took nothing of `given_up` events in a row; its channel is told by a notice.

    Raises WrongState (`wrong-state`) when it was stopped already.
    """
    with transaction(system(), Permission.SYSTEM) as tx:
        row = tx.session.scalars(
            sa.select(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).with_for_update()
        ).one()
        if row.disabled_at is not None:
            raise WrongState("这个推送地址已经停用")
        _disable(tx, row, "failing", given_up)


def ping(actor: Actor, endpoint_id: UUID) -> dict[str, Any]:
    """Send a `test.ping` that nothing happened for; the delivery says how it went."""
    actor.require(Permission.CHANNEL_EVENTS)
    with housekeeping(["webhook_delivery"]) as session:
        row = _own(session, actor, endpoint_id)
        if row.disabled_at is not None:
            raise WrongState("这个推送地址已经停用")
        at, event_id = clock.now(), uuid7()
        event = {
            "id": str(event_id), "seq": None, "kind": PING, "recorded_at": instant_text(at),
            "subject": {"type": "webhook", "id": str(row.id)}, "partner_order_no": None, "data": {},
        }  # fmt: skip
        delivery = new_delivery(row.id, event, event_id, row.id, at)
        session.add(delivery)
        session.flush()
        return _delivery_shape(delivery)


def redeliver(actor: Actor, endpoint_id: UUID, delivery_id: UUID) -> dict[str, Any]:
    """Send one event again, under its own id; three more days are tried. Raises WrongState while it still waits."""
    actor.require(Permission.CHANNEL_EVENTS)
    with housekeeping(["webhook_delivery"]) as session:
        row = _own(session, actor, endpoint_id)
        delivery = session.scalars(
            sa.select(WebhookDelivery)
            .where(WebhookDelivery.id == delivery_id, WebhookDelivery.endpoint_id == row.id)
            .with_for_update()
        ).one_or_none()
        if delivery is None:
            raise NotFound
        if delivery.state is DeliveryState.PENDING:
            raise WrongState("这条推送还在进行", state=delivery.state.value)
        delivery.state, delivery.attempts = DeliveryState.PENDING, 0
        delivery.made_at = delivery.next_at = clock.now()
        session.flush()
        return _delivery_shape(delivery)


def list_endpoints(session: Session, actor: Actor) -> dict[str, Any]:
    """The channel's addresses without their secrets, newest first."""
    actor.require(Permission.CHANNEL_EVENTS)
    rows = session.scalars(
        sa.select(WebhookEndpoint)
        .where(WebhookEndpoint.channel_id == actor.organisation_id)
        .order_by(WebhookEndpoint.id.desc())
    )
    return {"items": [_shape(row) for row in rows]}


DELIVERY_SORTS: dict[str, sa.SQLColumnExpression[Any]] = {
    "kind": WebhookDelivery.__table__.c.kind,
    "attempts": WebhookDelivery.__table__.c.attempts,
}


def list_deliveries(
    session: Session,
    actor: Actor,
    endpoint_id: UUID,
    *,
    state: DeliveryState | None = None,
    kind: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """Deliveries of one address, each with its last try; what a receiver answered is not kept.

    The newest first, or by one of `DELIVERY_SORTS`.

    `kind` is that of an event, such as `order.shipped`.
    """
    actor.require(Permission.CHANNEL_EVENTS)
    row = _own(session, actor, endpoint_id)
    wanted = [WebhookDelivery.endpoint_id == row.id]
    if state is not None:
        wanted.append(WebhookDelivery.state == state)
    if kind is not None:
        wanted.append(WebhookDelivery.kind == kind)
    last = (
        sa.select(WebhookAttempt)
        .where(WebhookAttempt.delivery_id == WebhookDelivery.id)
        .order_by(WebhookAttempt.id.desc())
        .limit(1)
        .lateral()
    )
    return paginate(
        session,
        sa.select(WebhookDelivery, last.c.tried_at, last.c.status, last.c.failure, last.c.took_ms)
        .outerjoin(last, sa.true())
        .where(*wanted),
        sort_keys(DELIVERY_SORTS, sort, WebhookDelivery.__table__.c.id),
        limit=limit,
        after=after,
        shape=lambda found: {
            **_delivery_shape(found.WebhookDelivery),
            "last_try": None
            if found.tried_at is None
            else {n: getattr(found, n) for n in ("tried_at", "status", "failure", "took_ms")},
        },
    )


def new_delivery(
    endpoint_id: UUID, event: dict[str, Any], event_id: UUID, order_key: UUID, at: Any
) -> WebhookDelivery:
    """One event for one address; its body is fixed here, so that every try sends the same bytes."""
    return WebhookDelivery(
        id=uuid7(),
        endpoint_id=endpoint_id,
        event_id=event_id,
        seq=event["seq"] or 0,
        kind=event["kind"],
        order_key=order_key,
        body=json.dumps(event, ensure_ascii=False, separators=(",", ":")),
        state=DeliveryState.PENDING,
        attempts=0,
        next_at=at,
        made_at=at,
    )


def seal_secret(field_key: str, endpoint_id: UUID, secret: str) -> bytes:
    return _cipher(field_key, endpoint_id).encrypt(secret.encode())


def open_secret(field_key: str, endpoint_id: UUID, stored: bytes) -> str:
    return _cipher(field_key, endpoint_id).decrypt(stored).decode()


def _cipher(field_key: str, endpoint_id: UUID) -> Fernet:
    # The address stands in the derivation: a secret copied to another row does not open there.
    derived = HKDF(SHA256(), 32, salt=None, info=b"marketplace webhook secret" + endpoint_id.bytes)
    return Fernet(base64.urlsafe_b64encode(derived.derive(field_key.encode())))


def _live(session: Session, channel_id: UUID) -> int:
    return session.execute(
        sa.select(sa.func.count())
        .select_from(WebhookEndpoint)
        .where(WebhookEndpoint.channel_id == channel_id, WebhookEndpoint.disabled_at.is_(None))
    ).scalar_one()


def _own(session: Session, actor: Actor, endpoint_id: UUID) -> WebhookEndpoint:
    row = session.get(WebhookEndpoint, endpoint_id)
    if row is None or row.channel_id != actor.organisation_id:
        raise NotFound
    return row


def _locked(tx: Transaction, actor: Actor, endpoint_id: UUID) -> WebhookEndpoint:
    row = tx.session.scalars(
        sa.select(WebhookEndpoint)
        .where(WebhookEndpoint.id == endpoint_id, WebhookEndpoint.channel_id == actor.organisation_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFound
    return row


def _disable(tx: Transaction, row: WebhookEndpoint, reason: str, given_up: int) -> None:
    row.disabled_at, row.disabled_reason = tx.started_at, reason
    row.version += 1
    _record(tx, "webhook.disabled", row, reason=reason, given_up=given_up)


def _record(tx: Transaction, kind: str, row: WebhookEndpoint, **data: Any) -> None:
    tx.record(kind, "webhook", row.id, parties=[row.channel_id], channel=str(row.channel_id), **data)


def _shape(row: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": row.id,
        "url": row.url,
        "kinds": list(row.kinds),
        "created_at": row.created_at,
        "previous_secret_until": row.previous_until,
        "disabled_at": row.disabled_at,
        "disabled_reason": row.disabled_reason,
        "version": row.version,
    }


def _delivery_shape(row: WebhookDelivery) -> dict[str, Any]:
    return {
        "id": row.id,
        "event_id": row.event_id,
        "seq": row.seq or None,
        "kind": row.kind,
        "state": row.state.value,
        "attempts": row.attempts,
        "next_at": row.next_at if row.state is DeliveryState.PENDING else None,
        "delivered_at": row.delivered_at,
        "last_try": None,
    }
