"""Where the channels' events go, and what became of each."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.channels.states import DeliveryState
from marketplace.database import Base, choice, row_id, uuid_pk


class WebhookEndpoint(Base):
    """Where a channel wants its events. Secrets are encrypted; the one before stays good until `previous_until`."""

    __tablename__ = "webhook_endpoint"

    id: Mapped[uuid_pk]
    channel_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    url: Mapped[str]
    # Empty: all kinds of events.
    kinds: Mapped[list[str]] = mapped_column(ARRAY(sa.Text))
    secret: Mapped[bytes]
    previous_secret: Mapped[bytes | None]
    previous_until: Mapped[datetime | None]
    created_by: Mapped[UUID] = mapped_column(sa.ForeignKey("app_user.id"))
    created_at: Mapped[datetime]
    # Events given up before this are not held against it.
    watched_since: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]
    version: Mapped[int] = mapped_column(default=1)


class WebhookDelivery(Base):
    """One event for one endpoint. `order_key`: those of one key go out one after another, see `events.Told`."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        sa.UniqueConstraint("endpoint_id", "event_id"),
        sa.Index("ix_webhook_delivery_due", "next_at", "id", postgresql_where=sa.text("state = 'pending'")),
        sa.Index("ix_webhook_delivery_order", "endpoint_id", "order_key", "seq"),
    )

    id: Mapped[uuid_pk]
    endpoint_id: Mapped[UUID] = mapped_column(sa.ForeignKey("webhook_endpoint.id"))
    event_id: Mapped[UUID]
    seq: Mapped[int]
    kind: Mapped[str]
    order_key: Mapped[UUID]
    body: Mapped[str]
    state: Mapped[DeliveryState] = choice(DeliveryState, "webhook_delivery_state")
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]
    made_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One try: the status answered, or the kind of failure; never the body that came back."""

    __tablename__ = "webhook_attempt"

    id: Mapped[row_id]
    delivery_id: Mapped[UUID] = mapped_column(sa.ForeignKey("webhook_delivery.id"), index=True)
    tried_at: Mapped[datetime]
    status: Mapped[int | None]
    failure: Mapped[str | None]
    took_ms: Mapped[int]


class WebhookCursor(Base):
    """Up to which seal the events were handed out."""

    __tablename__ = "webhook_cursor"

    name: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int]
