"""The bank's slips that a channel handed in for its statements, as its own programs read them back."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.documents.models import Document, DocumentKind, DocumentState
from marketplace.errors import NotFound


def own_slip(session: Session, actor: Actor, slip_id: UUID) -> Document:
    """A stored slip that the channel itself handed in.

    Raises NotFound (`not-found`) for another channel's, for a file of another kind and for an absent one alike.
    """
    actor.require(Permission.CHANNEL_STATEMENTS)
    found = session.scalars(
        sa.select(Document).where(
            Document.id == slip_id,
            Document.organisation_id == actor.organisation_id,
            Document.kind == DocumentKind.SLIP,
            Document.state == DocumentState.STORED,
        )
    ).one_or_none()
    if found is None:
        raise NotFound("找不到这个文件")
    return found
