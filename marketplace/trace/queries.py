"""Lots as their seller, the offices and the regulator see them; growers; the papers that rules compare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, Region, Township
from marketplace.actors import Actor, Permission, Role
from marketplace.catalog.models import Lot, LotState, Place, Product, Stock, StockMovement
from marketplace.clock import today
from marketplace.documents.models import Document
from marketplace.errors import NotFound
from marketplace.paging import DEFAULT_LIMIT, paginate
from marketplace.trace import codes, rules
from marketplace.trace.elsewhere import packs_elsewhere
from marketplace.trace.keyring import code_address
from marketplace.trace.models import Grower, HoldCause, Inspection, LotCertificate, LotHold, Origin
from marketplace.trace.papers import lot_papers, papers_of


def lots_in_scope(actor: Actor) -> sa.ColumnElement[bool]:
    """The condition on `lot` (joined with `product`) that keeps the lots `actor` may see.

    A seller sees its own. Offices and the regulator see the counties of their region; a laboratory works for the
    whole city it sits in.
    """
    if actor.can(Permission.SYSTEM):
        return sa.true()
    if actor.role is Role.SELLER or actor.region_code is None:
        return Lot.seller_id == actor.organisation_id
    if actor.region_code.endswith("00") or actor.organisation_kind == "lab":
        return Product.county_code.startswith(actor.region_code[:4], autoescape=True)
    return Product.county_code == actor.region_code


def lot_for_update(session: Session, actor: Actor, lot_id: UUID) -> Lot:
    """The lot, locked. Raises NotFound (`not-found`) outside the actor's scope as for an absent one."""
    lot = session.scalars(
        sa.select(Lot)
        .join(Product, Product.id == Lot.product_id)
        .where(Lot.id == lot_id, lots_in_scope(actor))
        .with_for_update(of=Lot)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if lot is None:
        raise NotFound("找不到这个批次")
    return lot


def siblings(session: Session, lot: Lot) -> list[UUID]:
    """The other lots that grew on a plot of this one and were harvested on the same day, whoever sells them."""
    same = sa.select(Origin.township_code, Origin.village, Origin.plot).where(Origin.lot_id == lot.id)
    rows = session.scalars(
        sa.select(Origin.lot_id)
        .join(Lot, Lot.id == Origin.lot_id)
        .where(
            Lot.harvested_on == lot.harvested_on,
            Lot.id != lot.id,
            sa.tuple_(Origin.township_code, Origin.village, Origin.plot).in_(same),
        )
        .distinct()
    )
    return sorted(rows)


def open_holds(session: Session, lot_id: UUID) -> list[LotHold]:
    return list(
        session.scalars(
            sa.select(LotHold)
            .where(LotHold.lot_id == lot_id, LotHold.lifted_at.is_(None))
            .order_by(LotHold.held_at, LotHold.id)
        )
    )


def reserved_orders(session: Session, lot_ids: Iterable[UUID]) -> list[str]:
    """Ids of the orders that still hold packs of the lots, read from the movements."""
    held = sa.func.sum(StockMovement.reserved_delta)
    rows = session.scalars(
        sa.select(StockMovement.order_id)
        .join(Stock, Stock.id == StockMovement.stock_id)
        .where(Stock.lot_id.in_(sorted(set(lot_ids))), StockMovement.order_id.is_not(None))
        .group_by(StockMovement.order_id)
        .having(held > 0)
    )
    return sorted(str(order_id) for order_id in rows)


def _head() -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(
            Lot,
            Product.name.label("product_name"),
            Product.spec,
            Product.pack_unit,
            Organisation.name.label("seller_name"),
            sa.func.coalesce(
                sa.select(sa.func.sum(Stock.on_hand))
                .where(Stock.lot_id == Lot.id)
                .correlate(Lot)
                .scalar_subquery(),
                0,
            ).label("on_hand"),
            sa.func.coalesce(
                sa.select(sa.func.sum(Stock.reserved))
                .where(Stock.lot_id == Lot.id)
                .correlate(Lot)
                .scalar_subquery(),
                0,
            ).label("reserved"),
        )
        .join(Product, Product.id == Lot.product_id)
        .join(Organisation, Organisation.id == Lot.seller_id)
    )


def _shape(row: Any) -> dict[str, Any]:
    lot: Lot = row.Lot
    return {
        "id": lot.id,
        "code": lot.code,
        "trace_code": lot.trace_code,
        "product": {
            "id": lot.product_id,
            "name": row.product_name,
            "spec": row.spec,
            "unit": row.pack_unit,
        },
        "seller": {"id": lot.seller_id, "name": row.seller_name},
        "quantity": lot.quantity,
        "on_hand": int(row.on_hand),
        "reserved": int(row.reserved),
        "harvested_on": lot.harvested_on,
        "best_before": lot.best_before,
        "state": lot.state,
        "released_at": lot.released_at,
        "hold_reason": lot.hold_reason,
        "created_at": lot.created_at,
        "version": lot.version,
    }


# How a list of lots may be sorted: a column of the lot, downwards with "-" before it.
LOT_SORTS = tuple(sign + name for name in ("harvested_on", "best_before", "quantity") for sign in ("", "-"))


def list_lots(
    session: Session,
    actor: Actor,
    *,
    state: LotState | None = None,
    product_id: UUID | None = None,
    county: str | None = None,
    q: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """A page of the lots in the actor's scope, newest first or by one of `LOT_SORTS`.

    `q` is a part of a trace code (at least its first five characters, dashes or not), of the lot's own code, or of
    the name of product or seller.
    """
    actor.require(Permission.LOT_READ)
    statement = _head().where(lots_in_scope(actor))
    if q:
        statement = statement.where(_named(q))
    if county is not None:
        statement = statement.where(Product.county_code == county)
    if state is not None:
        statement = statement.where(Lot.state == state)
    if product_id is not None:
        statement = statement.where(Lot.product_id == product_id)
    columns = Lot.__table__.c
    keys = [(columns.id, True)]
    if sort in LOT_SORTS:
        keys.insert(0, (columns[sort.removeprefix("-")], sort.startswith("-")))
    return paginate(session, statement, keys, limit=limit, after=after, shape=_shape)


def _named(q: str) -> sa.ColumnElement[bool]:
    code = "".join(c for c in q.upper() if c.isascii() and c.isalnum())
    named: list[sa.ColumnElement[bool]] = [
        Lot.code.contains(q, autoescape=True),
        Product.name.contains(q, autoescape=True),
        Organisation.name.contains(q, autoescape=True),
    ]
    if len(code) >= 5:
        named.append(Lot.trace_code.startswith(code, autoescape=True))
    return sa.or_(*named)


def count_lots(session: Session, actor: Actor) -> dict[str, int]:
    """How many lots of the actor's scope are in each state; states without one are left out."""
    actor.require(Permission.LOT_READ)
    rows = session.execute(
        sa.select(Lot.state, sa.func.count())
        .join(Product, Product.id == Lot.product_id)
        .where(lots_in_scope(actor))
        .group_by(Lot.state)
    )
    return {state.value: number for state, number in rows}


def blocking_of(session: Session, actor: Actor, lot_ids: Iterable[UUID]) -> dict[UUID, list[rules.Reason]]:
    """What stands against the sale today of each lot in the actor's scope; a constant number of queries."""
    lots = session.scalars(
        sa.select(Lot)
        .join(Product, Product.id == Lot.product_id)
        .where(Lot.id.in_(list(lot_ids)), lots_in_scope(actor))
    ).all()
    papers = papers_of(session, lots) if lots else {}
    return {lot_id: rules.blocking_reasons(found, today()) for lot_id, found in papers.items()}


def lot_view(session: Session, actor: Actor, lot_id: UUID) -> dict[str, Any]:
    """One lot with its origins, papers, samples, stock, packs elsewhere, open holds and what stands against its sale today.

    Raises NotFound (`not-found`) outside the actor's scope.
    """
    row = session.execute(_head().where(Lot.id == lot_id, lots_in_scope(actor))).one_or_none()
    if row is None:
        raise NotFound("找不到这个批次")
    lot: Lot = row.Lot
    return _shape(row) | {
        "trace_code_shown": codes.shown(lot.trace_code),
        "origins": origins(session, lot_id),
        "certificates": certificates(session, lot_id),
        "inspections": inspections(session, lot_id),
        "stock": stock(session, lot_id),
        "elsewhere": packs_elsewhere(session, lot_id),
        "holds": [
            {"cause": hold.cause, "reason": hold.reason, "held_at": hold.held_at}
            for hold in open_holds(session, lot_id)
        ],
        "blocking": rules.blocking_reasons(lot_papers(session, lot), today()),
    }


def private_view(session: Session, actor: Actor, lot_id: UUID) -> dict[str, Any]:
    """What stands behind the public story: plots, growers' codes, payments, ids of the original files.

    Raises Forbidden (`forbidden`), NotFound (`not-found`) outside the actor's scope.
    """
    actor.require(Permission.TRACE_PRIVATE)
    row = session.execute(_head().where(Lot.id == lot_id, lots_in_scope(actor))).one_or_none()
    if row is None:
        raise NotFound("找不到这个批次")
    return {
        "id": lot_id,
        "trace_code": row.Lot.trace_code,
        "origins": origins(session, lot_id),
        "certificates": certificates(session, lot_id),
        "inspections": inspections(session, lot_id),
    }


def origins(session: Session, lot_id: UUID) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(Origin, Township.name, Grower.code, Grower.poverty_household)
        .join(Township, Township.code == Origin.township_code)
        .outerjoin(Grower, Grower.id == Origin.grower_id)
        .where(Origin.lot_id == lot_id)
        .order_by(Origin.position)
    )
    return [
        {
            "township": {"code": origin.township_code, "name": township},
            "village": origin.village,
            "plot": origin.plot,
            "grower_id": origin.grower_id,
            "grower_code": grower_code,
            "poverty_household": household,
            "weight_g": origin.weight_g,
            "paid_fen": origin.paid_fen,
        }
        for origin, township, grower_code, household in rows
    ]


def certificates(session: Session, lot_id: UUID) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(LotCertificate, Document.sha256)
        .join(Document, Document.id == LotCertificate.document_id)
        .where(LotCertificate.lot_id == lot_id)
        .order_by(LotCertificate.recorded_at, LotCertificate.id)
    )
    names = "id kind number product_name holder_credit_code issued_on valid_until quantity document_id recorded_at"
    return [
        {name: getattr(paper, name) for name in names.split()}
        | {"name": rules.PROOF_NAMES[paper.kind.value], "sha256": sha256}
        for paper, sha256 in rows
    ]


def inspections(session: Session, lot_id: UUID) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(Inspection, Organisation.name, Document.sha256)
        .outerjoin(Organisation, Organisation.id == Inspection.recorded_by_id)
        .outerjoin(Document, Document.id == Inspection.document_id)
        .where(Inspection.lot_id == lot_id)
        .order_by(Inspection.sampled_on, Inspection.id)
    )
    names = "id campaign sample_number sampled_on items passed document_id recorded_at"
    return [
        {name: getattr(sample, name) for name in names.split()} | {"recorded_by": by, "sha256": sha256}
        for sample, by, sha256 in rows
    ]


def stock(session: Session, lot_id: UUID) -> list[dict[str, Any]]:
    rows = session.execute(
        sa.select(Place.id, Place.name, Stock.on_hand, Stock.reserved)
        .join(Place, Place.id == Stock.place_id)
        .where(Stock.lot_id == lot_id)
        .order_by(Stock.id)
    )
    return [
        {"place": {"id": place_id, "name": name}, "on_hand": on_hand, "reserved": reserved}
        for place_id, name, on_hand, reserved in rows
    ]


def may_lift(actor: Actor, hold: LotHold) -> bool:
    """The regulator lifts every hold; a seller only its own."""
    return actor.can(Permission.LOT_HOLD) or (
        hold.cause is HoldCause.SELLER and hold.organisation_id == actor.organisation_id
    )


def label_row(session: Session, actor: Actor, lot_id: UUID) -> dict[str, Any]:
    """What stands on the lot's labels. Raises NotFound (`not-found`) outside the actor's scope."""
    actor.require(Permission.LOT_READ)
    row = session.execute(
        _head()
        .add_columns(Region.name.label("county"))
        .join(Region, Region.code == Product.county_code)
        .where(Lot.id == lot_id, lots_in_scope(actor))
    ).one_or_none()
    if row is None:
        raise NotFound("找不到这个批次")
    return {
        "product": row.product_name,
        "spec": row.spec,
        "county": row.county,
        "seller": row.seller_name,
        "code": codes.shown(row.Lot.trace_code),
        "harvested_on": row.Lot.harvested_on,
        "address": code_address(row.Lot.trace_code),
    }
