"""What follows from facts: an item is new when its product is, statements are owed in the money ledger, and channels are
told of lots that go off sale."""

from __future__ import annotations

import sqlalchemy as sa

from marketplace.channels import held_lots
from marketplace.channels.models import ChannelItem
from marketplace.channels.statement_models import Statement
from marketplace.payments.money_ledger import STATEMENT_FACTS, postings_of
from marketplace.payments.projections import write_entry
from marketplace.trace.elsewhere import register_elsewhere
from marketplace.unit_of_work import RecordedFact, Transaction, register_projection

KINDS = ("product.edited", "product.withdrawn", "product.recognised", "product.refused")


def touch_items(tx: Transaction, fact: RecordedFact) -> None:
    tx.session.execute(
        sa.update(ChannelItem)
        .where(ChannelItem.product_id == fact.subject_id)
        .values(changed_at=tx.started_at, version=ChannelItem.version + 1)
    )


def post_statement(tx: Transaction, fact: RecordedFact) -> None:
    """The entry of a statement; one that changes no fen has none."""
    row = tx.session.get_one(Statement, fact.subject_id)
    postings = postings_of(fact.kind, fact.data, buyer=str(row.channel_id), seller=str(row.seller_id))
    if postings:
        write_entry(tx, fact, postings, statement_id=row.id)


def register() -> None:
    for kind in KINDS:
        register_projection(kind, touch_items)
    for kind in held_lots.KINDS:
        register_projection(kind, held_lots.tell_channels)
    register_elsewhere(held_lots.packs_at_channels)
    for kind in STATEMENT_FACTS:
        register_projection(kind, post_statement)
