"""Which documents an organisation may read: its own and those it was let read.

An office of the city reads all of them, a county's what an organisation of the county may read.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.documents.models import Document, DocumentReader, DocumentState
from marketplace.errors import NotFound


def readable_documents(actor: Actor) -> sa.Select[Document]:
    """The stored documents within the actor's scope; for the system all."""
    actor.require(Permission.DOCUMENT_READ)
    stored = sa.select(Document).where(Document.state == DocumentState.STORED)
    if actor.can(Permission.SYSTEM) or (actor.organisation_kind == "office" and not actor.of_county):
        return stored
    organisations = {actor.organisation_id, *actor.subordinate_ids}
    let_read = sa.select(DocumentReader.document_id).where(DocumentReader.organisation_id.in_(organisations))
    return stored.where(sa.or_(Document.organisation_id.in_(organisations), Document.id.in_(let_read)))


def readable_document(session: Session, actor: Actor, document_id: UUID) -> Document:
    """Raises NotFound (`not-found`), outside the scope as for absent ones."""
    found = session.execute(readable_documents(actor).where(Document.id == document_id)).one_or_none()
    if found is None:
        raise NotFound("找不到这个文件")
    document: Document = found[0]
    return document


def document_view(row: Document) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "filename": row.filename,
        "content_type": row.content_type,
        "size": row.size,
        "sha256": row.sha256,
        "created_at": row.created_at,
    }
