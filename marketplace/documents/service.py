"""Taking in documents: the intent is committed, the bytes travel, then the document and its fact are committed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from marketplace.actors import Actor, Permission
from marketplace.clock import now
from marketplace.documents import queries, rules
from marketplace.documents.models import Document, DocumentKind, DocumentReader, DocumentState, DocumentUpload
from marketplace.documents.storage import Store, StoreFailure, current_store
from marketplace.unit_of_work import NO_ONCE, InFlight, Once, Reply, Transaction, housekeeping, transaction
from marketplace.values import uuid7

MAX_BYTES = 10_000_000
ABANDONED_AFTER = timedelta(days=1)


class DocumentDamaged(StoreFailure):
    slug = "document-damaged"
    title = "存储里的文件与登记的不一致"


def store_document(
    actor: Actor,
    *,
    kind: str,
    filename: str,
    content: bytes,
    organisation_id: UUID | None = None,
    max_bytes: int = MAX_BYTES,
    store: Store | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """A file is handed in and can be named by certificates, invoices, slips and acceptances.

    `content`: 1 to `max_bytes` bytes; what they are is read from them. Raises FileRefused (`file-refused`),
    UpstreamFailure (`store-unavailable`): then nothing was stored, and a repeat with the same key resumes; InFlight
    (`in-flight`) while another call with the same key finishes it.
    """
    actor.require(Permission.DOCUMENT_UPLOAD)
    recognised = rules.recognise(content, kind=DocumentKind(kind), max_bytes=max_bytes)
    sha256 = hashlib.sha256(content).hexdigest()
    document_id, storage_key = _begin(actor, once, sha256, recognised.extension)
    (store or current_store()).put(storage_key, content, recognised.content_type)
    with transaction(actor, Permission.DOCUMENT_UPLOAD, once) as tx:
        owner = organisation_id or actor.organisation_id
        row = Document(
            id=document_id,
            organisation_id=owner,
            uploaded_by=actor.user_id,
            kind=DocumentKind(kind),
            filename=rules.display_name(filename, recognised.extension),
            content_type=recognised.content_type,
            size=len(content),
            sha256=sha256,
            storage_key=storage_key,
            state=DocumentState.STORED,
            created_at=tx.started_at,
        )
        tx.session.add(row)
        tx.session.execute(
            sa.update(DocumentUpload)
            .where(DocumentUpload.document_id == document_id)
            .values(finished_at=tx.started_at)
        )
        tx.record(
            "document.stored",
            "document",
            document_id,
            parties=[owner],
            organisation=None if owner is None else str(owner),
            sha256=sha256,
            size=len(content),
            content_type=recognised.content_type,
            kind=row.kind.value,
        )
        return tx.answer(queries.document_view(row))


def _begin(actor: Actor, once: Once, sha256: str, extension: str) -> tuple[UUID, str]:
    """Commit the intent. The same key and bytes name the same object again; others never meet."""
    document_id = uuid7()
    values = {
        "document_id": document_id,
        "principal_id": actor.user_id,
        "key": once.key,
        "sha256": sha256,
        "storage_key": f"documents/{sha256[:2]}/{sha256}/{document_id}{extension}",
        "started_at": now(),
    }
    begin = (
        insert(DocumentUpload)
        .values(**values)
        .on_conflict_do_nothing(constraint="uq_document_upload_key")
        .returning(DocumentUpload.document_id, DocumentUpload.storage_key)
    )
    begun = sa.select(DocumentUpload.document_id).where(
        DocumentUpload.principal_id == actor.user_id,
        DocumentUpload.key == once.key,
        DocumentUpload.sha256 == sha256,
    )
    resume = (
        sa.update(DocumentUpload)
        .where(DocumentUpload.document_id.in_(begun.with_for_update(skip_locked=True).scalar_subquery()))
        .values(started_at=values["started_at"])
        .returning(DocumentUpload.document_id, DocumentUpload.storage_key)
        .execution_options(synchronize_session=False)
    )
    with housekeeping(["document_upload"]) as session:
        # Whoever finishes the same upload, or clears it away, holds its row; an insert would wait for him too. To
        # wait would end in a lock timeout, where the answer is known already.
        again = once.key is not None and session.scalar(begun) is not None
        row = session.execute(resume if again else begin).one_or_none()
    if row is None:
        raise InFlight(retry_after=1)
    return row.document_id, row.storage_key


def content_of(row: Document, *, store: Store | None = None) -> bytes:
    """The bytes of a document, compared with what was registered.

    Raises UpstreamFailure (`store-unavailable`; `document-damaged` when the store gives other bytes).
    """
    content = (store or current_store()).get(row.storage_key)
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise DocumentDamaged
    return content


def let_read(tx: Transaction, document_id: UUID, organisation_ids: Iterable[UUID | None]) -> None:
    """Let the other parties of an act read a document that it names. Repeating is harmless."""
    rows = [
        {"document_id": document_id, "organisation_id": organisation_id}
        for organisation_id in sorted({o for o in organisation_ids if o is not None})
    ]
    if rows:
        tx.session.execute(insert(DocumentReader).on_conflict_do_nothing(), rows)


def remove_abandoned(*, store: Store | None = None, limit: int = 100) -> int:
    """Remove bytes of uploads that never became a document, a day after they began; the worker calls it."""
    abandoned = (
        sa.select(DocumentUpload.document_id)
        .where(DocumentUpload.finished_at.is_(None), DocumentUpload.started_at < now() - ABANDONED_AFTER)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    # Without its key no repeat can resume an upload while its bytes are being removed.
    disown = (
        sa.update(DocumentUpload)
        .where(DocumentUpload.document_id.in_(abandoned))
        .values(key=None)
        .returning(DocumentUpload.document_id, DocumentUpload.storage_key)
        .execution_options(synchronize_session=False)
    )
    with housekeeping(["document_upload"]) as session:
        rows = session.execute(disown).all()
    for row in rows:
        (store or current_store()).remove(row.storage_key)
    with housekeeping(["document_upload"]) as session:
        session.execute(
            sa.update(DocumentUpload)
            .where(DocumentUpload.document_id.in_([row.document_id for row in rows]))
            .values(finished_at=now())
        )
    return len(rows)
