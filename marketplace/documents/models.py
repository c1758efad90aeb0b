"""Files that people hand in; the bytes stand in the store, the row says what they are."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.database import Base, choice, uuid_pk


class DocumentKind(StrEnum):
    CERTIFICATE = "certificate"
    INSPECTION = "inspection"
    INVOICE = "invoice"
    SLIP = "slip"
    ACCEPTANCE = "acceptance"
    LICENCE = "licence"
    PHOTO = "photo"
    OTHER = "other"


class DocumentState(StrEnum):
    PENDING = "pending"
    STORED = "stored"


class Document(Base):
    """`storage_key` is server-made; `content_type` is what the bytes are, not what the client said."""

    __tablename__ = "document"

    id: Mapped[uuid_pk]
    organisation_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("organisation.id"), index=True)
    uploaded_by: Mapped[UUID | None] = mapped_column(sa.ForeignKey("app_user.id"))
    kind: Mapped[DocumentKind] = choice(DocumentKind, "document_kind")
    filename: Mapped[str]
    content_type: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(index=True)
    storage_key: Mapped[str] = mapped_column(unique=True)
    state: Mapped[DocumentState] = choice(DocumentState, "document_state")
    created_at: Mapped[datetime]


class DocumentReader(Base):
    """An organisation that may read a document of another one, because both take part in the same act."""

    __tablename__ = "document_reader"

    document_id: Mapped[UUID] = mapped_column(sa.ForeignKey("document.id"), primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("organisation.id"), primary_key=True, index=True
    )


class DocumentUpload(Base):
    """The intent to store a file, committed before the bytes travel; a repeat with the same key resumes it.

    A row without `finished_at` an hour after `started_at` marks bytes that no document names.
    """

    __tablename__ = "document_upload"
    __table_args__ = (sa.UniqueConstraint("principal_id", "key", "sha256", name="uq_document_upload_key"),)

    document_id: Mapped[uuid_pk]
    principal_id: Mapped[UUID | None]
    key: Mapped[str | None]
    sha256: Mapped[str]
    storage_key: Mapped[str]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
