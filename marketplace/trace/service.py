"""A lot's papers are filed, and the lot goes on sale. The other use cases of lots stand in `intake` and `holding`."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import LotState, Product
from marketplace.clock import business_day
from marketplace.errors import RuleViolation, WrongState, refuse_fields
from marketplace.trace import queries, rules
from marketplace.trace.guards import NotReleasable, own_document
from marketplace.trace.holding import add_inspection, hold_lot, inspect_lot, unhold_lot
from marketplace.trace.intake import add_grower, add_lot
from marketplace.trace.models import CertificateKind, LotCertificate
from marketplace.trace.movements import move_stock
from marketplace.trace.papers import lot_papers
from marketplace.unit_of_work import NO_ONCE, Once, Reply, transaction
from marketplace.values import uuid7

__all__ = [
    "add_grower",
    "add_inspection",
    "add_lot",
    "certify_lot",
    "hold_lot",
    "inspect_lot",
    "move_stock",
    "release_lot",
    "unhold_lot",
]


def certify_lot(
    actor: Actor,
    lot_id: UUID,
    *,
    kind: str,
    issued_on: date,
    document_id: UUID,
    number: str | None = None,
    valid_until: date | None = None,
    quantity: int | None = None,
    product_name: str | None = None,
    holder_credit_code: str | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """A paper is filed for the lot, as it reads; whether it fits is compared at release.

    `product_name` and `holder_credit_code` default to the lot's own: the seller says that the paper names these.
    `quantity` in packs; absent, the paper names none. Raises NotFound (`not-found`), WrongState (`wrong-state`) for a
    recalled lot, RuleViolation (`invalid`) for a file that is not the seller's.
    """
    with transaction(actor, Permission.LOT_EDIT, once) as tx:
        lot = queries.lot_for_update(tx.session, actor, lot_id)
        if lot.state is LotState.RECALLED:
            raise WrongState("这一批正在召回", state=lot.state.value)
        document = own_document(tx.session, actor, document_id, lot.seller_id)
        if document is None:
            raise RuleViolation(errors=[{"pointer": "#/document_id", "detail": "没有这个文件，请先上传"}])
        if valid_until is not None and valid_until < issued_on:
            refuse_fields([("valid_until", "不能早于开具日")])
        name, holder = tx.session.execute(
            sa.select(Product.name, Organisation.credit_code)
            .join(Organisation, Organisation.id == Product.seller_id)
            .where(Product.id == lot.product_id)
        ).one()
        paper = LotCertificate(
            id=uuid7(),
            lot_id=lot.id,
            kind=CertificateKind(kind),
            number=number,
            product_name=product_name or name,
            holder_credit_code=holder_credit_code or holder or "",
            issued_on=issued_on,
            valid_until=valid_until,
            quantity=quantity,
            document_id=document.id,
            recorded_at=tx.started_at,
        )
        tx.session.add(paper)
        lot.version += 1
        tx.session.flush()
        fact = tx.record(
            "lot.certified",
            "lot",
            lot.id,
            parties=[lot.seller_id],
            certificate=str(paper.id),
            number=number,
            issued_on=issued_on.isoformat(),
            valid_until=None if valid_until is None else valid_until.isoformat(),
            quantity=quantity,
            document=str(document.id),
            sha256=document.sha256,
        )
        fact.data["kind"] = paper.kind.value
        return tx.answer(lambda: queries.lot_view(tx.session, actor, lot.id))


def release_lot(actor: Actor, lot_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """The lot goes on sale, when everything its category asks for is there and agrees.

    Raises NotFound (`not-found`), WrongState (`wrong-state`) unless it is a draft, NotReleasable
    (`lot-not-releasable`) with all `reasons`; nothing has changed then.
    """
    with transaction(actor, Permission.LOT_EDIT, once) as tx:
        lot = queries.lot_for_update(tx.session, actor, lot_id)
        if lot.state is not LotState.DRAFT:
            raise WrongState("只有待放行的批次能放行", state=lot.state.value)
        # Papers of one number on several lots: their releases wait for each other.
        _lock_numbers(tx.session, lot.id)
        reasons = rules.blocking_reasons(lot_papers(tx.session, lot), business_day(tx.started_at))
        if reasons:
            raise NotReleasable("；".join(r["detail"] for r in reasons), reasons=reasons)
        lot.state = LotState.RELEASED
        lot.released_at = tx.started_at
        lot.version += 1
        tx.session.flush()
        tx.record("lot.released", "lot", lot.id, parties=[lot.seller_id], state=lot.state.value, orders=[])
        return tx.answer(lambda: queries.lot_view(tx.session, actor, lot.id))


def _lock_numbers(session: Session, lot_id: UUID) -> None:
    numbers = session.execute(
        sa.select(LotCertificate.kind, LotCertificate.number)
        .where(LotCertificate.lot_id == lot_id, LotCertificate.number.is_not(None))
        .distinct()
    )
    for scope in sorted(f"certificate:{row.kind.value}:{row.number}" for row in numbers):
        session.execute(
            sa.text("select pg_advisory_xact_lock(hashtextextended(:scope, 0))"), {"scope": scope}
        )
