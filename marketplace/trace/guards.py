"""Refusals and scopes that the use cases of lots share."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.documents.models import Document, DocumentState
from marketplace.errors import NotFound, RuleViolation


class NotReleasable(RuleViolation):
    """`reasons` lists everything that stands against the sale: {code, detail, kind?}."""

    slug = "lot-not-releasable"
    title = "这一批还不能卖"


def own_seller(actor: Actor, seller_id: UUID | None) -> UUID:
    """The seller that an act is for: the actor's organisation; the system names one.

    Raises NotFound (`not-found`) for another's.
    """
    if actor.can(Permission.SYSTEM):
        if seller_id is None:
            raise RuleViolation("要写明供应商")
        return seller_id
    if actor.organisation_id is None or seller_id not in (None, actor.organisation_id):
        raise NotFound("找不到这个供应商")
    return actor.organisation_id


def own_document(
    session: Session, actor: Actor, document_id: UUID, organisation_id: UUID | None
) -> Document | None:
    """A stored file of the organisation; the system may also name one that belongs to nobody."""
    owned = Document.organisation_id == organisation_id
    if actor.can(Permission.SYSTEM):
        owned = sa.or_(owned, Document.organisation_id.is_(None))
    return session.scalars(
        sa.select(Document).where(Document.id == document_id, Document.state == DocumentState.STORED, owned)
    ).one_or_none()
