"""A seller's own photos of a product: added, described, put in order, taken away and brought back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Product, ProductPhoto
from marketplace.catalog.pictures import Picture, pictures
from marketplace.catalog.queries import product_scope
from marketplace.catalog.states import ProductState
from marketplace.documents import queries as documents
from marketplace.documents.models import DocumentKind
from marketplace.documents.rules import JPEG, PNG, FileRefused
from marketplace.documents.service import content_of
from marketplace.documents.storage import Store, current_store
from marketplace.errors import Conflict, NotFound, RuleViolation
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

MAX_PHOTOS = 8
MAX_ALT = 100


def storage_key(digest: str) -> str:
    return f"photos/{digest[:2]}/{digest}.jpg"


def add_photo(
    actor: Actor,
    product_id: UUID,
    *,
    document_id: UUID,
    alt: str,
    session: Session,
    store: Store | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """Show a stored picture (a document of kind `photo`, JPEG or PNG) with a product of one's own, at the end.

    `alt` says what is to be seen, 1 to `MAX_ALT` characters, for those who can't see it. What is shown is encoded anew
    in two sizes; the document stays the seller's. Raises NotFound for a product or a document out of reach, FileRefused
    (`file-refused`) for what is no picture, Conflict (`conflict`) above `MAX_PHOTOS`.
    """
    actor.require(Permission.PRODUCT_EDIT)
    _own(session, actor, product_id)
    document = documents.readable_document(session, actor, document_id)
    if document.kind is not DocumentKind.PHOTO or document.content_type not in (JPEG, PNG):
        raise FileRefused("产品照片只接收 JPG、PNG，上传时种类选“照片”")
    content = content_of(document, store=store)
    # The connection goes back: decoding takes a while, and the store may.
    session.rollback()
    large, small = pictures(content)
    for picture in (large, small):
        # Named by content: a repeat writes the same bytes, and a refused act leaves nothing that another one lacks.
        (store or current_store()).put(storage_key(picture.digest), picture.content, JPEG)
    with transaction(actor, Permission.PRODUCT_EDIT, once) as tx:
        product = _locked(tx, product_id)
        shown = _live(tx, product.id)
        if len(shown) >= MAX_PHOTOS:
            raise Conflict(f"一个产品最多{MAX_PHOTOS}张照片，请先移除一张")
        photo = ProductPhoto(
            id=uuid7(),
            product_id=product.id,
            document_id=document_id,
            position=len(shown),
            alt=_described(alt),
            added_at=tx.started_at,
            **_columns("large", large),
            **_columns("small", small),
        )
        tx.session.add(photo)
        tx.session.flush()
        _record(tx, "product.photo_added", product, photo, document=str(document_id))
        return tx.answer(_view(tx.session, product.id, removed=True))


def edit_photo(
    actor: Actor,
    product_id: UUID,
    photo_id: UUID,
    *,
    alt: str | None = None,
    position: int | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """Say anew what a photo shows, or move it: at `position` 0 it stands for the product in lists."""
    with transaction(actor, Permission.PRODUCT_EDIT, once) as tx:
        product = _locked(tx, product_id)
        photo = _photo(tx, product, photo_id, removed=False)
        if alt is not None:
            photo.alt = _described(alt)
        if position is not None:
            others = [each for each in _live(tx, product.id) if each.id != photo.id]
            others.insert(position, photo)
            _number(others)
        tx.session.flush()
        _record(tx, "product.photo_edited", product, photo, alt_given=alt is not None)
        return tx.answer(_view(tx.session, product.id, removed=True))


def remove_photo(actor: Actor, product_id: UUID, photo_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """Show a photo no more, at once; it can be brought back."""
    with transaction(actor, Permission.PRODUCT_EDIT, once) as tx:
        product = _locked(tx, product_id)
        photo = _photo(tx, product, photo_id, removed=False)
        photo.removed_at = tx.started_at
        _number([each for each in _live(tx, product.id) if each.id != photo.id])
        tx.session.flush()
        _record(tx, "product.photo_removed", product, photo)
        return tx.answer(_view(tx.session, product.id, removed=True))


def restore_photo(actor: Actor, product_id: UUID, photo_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """Undo a removal: the photo stands at the end again. Raises Conflict (`conflict`) above `MAX_PHOTOS`."""
    with transaction(actor, Permission.PRODUCT_EDIT, once) as tx:
        product = _locked(tx, product_id)
        photo = _photo(tx, product, photo_id, removed=True)
        shown = _live(tx, product.id)
        if len(shown) >= MAX_PHOTOS:
            raise Conflict(f"一个产品最多{MAX_PHOTOS}张照片，请先移除一张")
        photo.removed_at, photo.position = None, len(shown)
        tx.session.flush()
        _record(tx, "product.photo_restored", product, photo)
        return tx.answer(_view(tx.session, product.id, removed=True))


def photos_view(session: Session, actor: Actor, product_id: UUID) -> dict[str, Any]:
    """The photos of a product of one's own (the office: any), in their order; those that were taken away at the end.

    Raises NotFound outside the scope.
    """
    _own(session, actor, product_id)
    return _view(session, product_id, removed=True)


def public_photos(session: Session, product_id: UUID) -> dict[str, Any]:
    """The photos of a product in their order. Raises NotFound for one that is not on the shelf."""
    if session.scalar(_public().where(Product.id == product_id)) is None:
        raise NotFound
    return _view(session, product_id, removed=False)


def shown(session: Session, product_id: UUID) -> list[dict[str, Any]]:
    """What everybody sees of a product that is on the shelf; one query."""
    found: list[dict[str, Any]] = _view(session, product_id, removed=False)["items"]
    return found


def covers(session: Session, product_ids: Sequence[UUID | str]) -> dict[str, dict[str, Any]]:
    """The first photo of each of some products, by the product's id as text; one query."""
    rows = session.scalars(
        sa.select(ProductPhoto).where(
            ProductPhoto.product_id.in_([UUID(str(each)) for each in product_ids]),
            ProductPhoto.removed_at.is_(None),
            ProductPhoto.position == 0,
        )
    )
    return {str(row.product_id): _shape(row) for row in rows}


def showable(session: Session, actor: Actor, digest: str) -> bool:
    """Whether the picture may be kept by everybody; False for one that only its seller and the office see.

    Raises NotFound where the reader sees no product that shows it.
    """
    of = sa.or_(ProductPhoto.large_sha256 == digest, ProductPhoto.small_sha256 == digest)
    shown = _public().join(ProductPhoto, ProductPhoto.product_id == Product.id)
    if session.scalar(shown.where(of, ProductPhoto.removed_at.is_(None)).limit(1)) is not None:
        return True
    inside = sa.select(Product.id).join(ProductPhoto, ProductPhoto.product_id == Product.id)
    if session.scalar(inside.where(of, product_scope(actor)).limit(1)) is None:
        raise NotFound
    return False


def _public() -> sa.Select[UUID]:
    return (
        sa.select(Product.id)
        .join(Organisation, Organisation.id == Product.seller_id)
        .where(Product.state == ProductState.RECOGNISED, Organisation.disabled_at.is_(None))
    )


def _columns(name: str, picture: Picture) -> dict[str, Any]:
    return {
        f"{name}_sha256": picture.digest,
        f"{name}_width": picture.width,
        f"{name}_height": picture.height,
    }


def _described(alt: str) -> str:
    text = " ".join(alt.split())
    if not 1 <= len(text) <= MAX_ALT:
        detail = f"请写照片上是什么，1到{MAX_ALT}个字"
        raise RuleViolation(detail, errors=[{"pointer": "#/alt", "detail": detail}])
    return text


def _own(session: Session, actor: Actor, product_id: UUID) -> None:
    if session.scalar(sa.select(Product.id).where(Product.id == product_id, product_scope(actor))) is None:
        raise NotFound


def _locked(tx: Transaction, product_id: UUID) -> Product:
    """The product, locked, so that its photos are numbered by one act at a time."""
    product = tx.session.scalars(
        sa.select(Product).where(Product.id == product_id, product_scope(tx.actor)).with_for_update()
    ).one_or_none()
    if product is None:
        raise NotFound
    return product


def _live(tx: Transaction, product_id: UUID) -> list[ProductPhoto]:
    return list(
        tx.session.scalars(
            sa.select(ProductPhoto)
            .where(ProductPhoto.product_id == product_id, ProductPhoto.removed_at.is_(None))
            .order_by(ProductPhoto.position, ProductPhoto.id)
        )
    )


def _photo(tx: Transaction, product: Product, photo_id: UUID, *, removed: bool) -> ProductPhoto:
    photo = tx.session.get(ProductPhoto, photo_id)
    if photo is None or photo.product_id != product.id:
        raise NotFound
    if (photo.removed_at is not None) is not removed:
        raise Conflict("这张照片还在展示" if removed else "这张照片已经移除")
    return photo


def _number(photos: Sequence[ProductPhoto]) -> None:
    for place, photo in enumerate(photos):
        photo.position = place


def _record(tx: Transaction, kind: str, product: Product, photo: ProductPhoto, **data: Any) -> None:
    tx.record(
        kind,
        "product",
        product.id,
        parties=[product.seller_id],
        seller=str(product.seller_id),
        photo=str(photo.id),
        position=photo.position,
        sha256=photo.large_sha256,
        **data,
    )


def _view(session: Session, product_id: UUID, *, removed: bool) -> dict[str, Any]:
    statement = sa.select(ProductPhoto).where(ProductPhoto.product_id == product_id)
    if not removed:
        statement = statement.where(ProductPhoto.removed_at.is_(None))
    rows = session.scalars(
        statement.order_by(ProductPhoto.removed_at.nulls_first(), ProductPhoto.position, ProductPhoto.id)
    )
    return {"items": [_shape(row) for row in rows]}


def _shape(row: ProductPhoto) -> dict[str, Any]:
    return {
        "id": row.id,
        "alt": row.alt,
        "position": row.position,
        "removed_at": row.removed_at,
        "large": _size(row.large_sha256, row.large_width, row.large_height),
        "small": _size(row.small_sha256, row.small_width, row.small_height),
    }


def _size(digest: str, width: int, height: int) -> dict[str, Any]:
    return {"path": f"/photos/{digest}.jpg", "width": width, "height": height}
