"""An item of a channel is new when its product is: edited, withdrawn, recognised again."""

from __future__ import annotations

import sqlalchemy as sa

from marketplace.channels.models import ChannelItem
from marketplace.unit_of_work import RecordedFact, Transaction, register_projection

KINDS = ("product.edited", "product.withdrawn", "product.recognised", "product.refused")


def touch_items(tx: Transaction, fact: RecordedFact) -> None:
    tx.session.execute(
        sa.update(ChannelItem)
        .where(ChannelItem.product_id == fact.subject_id)
        .values(changed_at=tx.started_at, version=ChannelItem.version + 1)
    )


def register() -> None:
    for kind in KINDS:
        register_projection(kind, touch_items)
