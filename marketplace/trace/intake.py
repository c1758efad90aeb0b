"""Growers are registered and lots come in, each with its origins, its trace code and its stock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Township
from marketplace.accounts.service import insert_row
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import (
    Category,
    Lot,
    LotState,
    MovementKind,
    Place,
    PlaceKind,
    Product,
    ProductState,
)
from marketplace.catalog.stock import Move, add_stock, apply_moves
from marketplace.clock import business_day
from marketplace.errors import NotFound, WrongState, refuse_fields
from marketplace.trace import codes, queries
from marketplace.trace.growers import grower_view
from marketplace.trace.guards import own_seller
from marketplace.trace.keyring import trace_keys
from marketplace.trace.models import Grower, Origin
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

DEFAULT_PLACE = "产地库"
MAX_ORIGINS = 50


def add_grower(
    actor: Actor,
    *,
    code: str,
    name: str,
    township_code: str,
    village: str,
    household_code: str | None = None,
    poverty_household: bool = False,
    seller_id: UUID | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """A household that supplies the seller. The name stays in its table: no fact and no public page has it.

    `poverty_household` is the office's word and only the import sets it. Raises RuleViolation (`invalid`) for an
    unknown township, Conflict (`already-there`) for a code that the seller uses already.
    """
    with transaction(actor, Permission.LOT_EDIT, once) as tx:
        seller = own_seller(actor, seller_id)
        if tx.session.get(Township, township_code) is None:
            refuse_fields([("township_code", "没有这个乡镇")])
        grower = Grower(
            id=uuid7(),
            seller_id=seller,
            code=code,
            name=name,
            household_code=household_code,
            poverty_household=poverty_household and actor.can(Permission.SYSTEM),
            township_code=township_code,
            village=village,
        )
        insert_row(tx, grower)
        tx.record(
            "grower.added",
            "grower",
            grower.id,
            parties=[seller],
            seller=str(seller),
            code=code,
            poverty_household=grower.poverty_household,
            township=township_code,
        )
        return tx.answer(grower_view(tx.session, grower.id))


def add_lot(
    actor: Actor,
    *,
    product_id: UUID,
    quantity: int,
    harvested_on: date,
    origins: Sequence[dict[str, Any]],
    best_before: date | None = None,
    code: str | None = None,
    seller_id: UUID | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """A batch of `quantity` packs (1 to 10,000,000) comes into the seller's store, with its trace code, as a draft.

    `origins`: 1 to 50 of {township_code, village, plot, grower_id?, weight_g?, paid_fen?}, all in the product's
    county. `best_before` defaults to the harvest plus the shelf life of the product or its category. Raises NotFound
    (`not-found`) for another seller's product, WrongState (`product-not-recognised`), RuleViolation (`invalid`) with
    every field that is wrong, Conflict (`already-there`) for a `code` that is used.
    """
    with transaction(actor, Permission.LOT_EDIT, once) as tx:
        seller = own_seller(actor, seller_id)
        product, shelf_life = _sellable_product(tx.session, product_id, seller)
        today = business_day(tx.started_at)
        errors: list[tuple[str, str]] = []
        if harvested_on > today:
            errors.append(("harvested_on", "采收日还没有到"))
        if best_before is None and shelf_life:
            best_before = harvested_on + timedelta(days=shelf_life)
        if best_before is None:
            errors.append(("best_before", "这个产品没有登记保质期，要写明食用期至哪一天"))
        elif best_before < harvested_on:
            errors.append(("best_before", "不能早于采收日"))
        errors += _origin_errors(tx.session, seller, product.county_code, origins)
        refuse_fields(errors)
        assert best_before is not None
        trace_code = _new_code(tx.session)
        lot = Lot(
            id=uuid7(),
            product_id=product.id,
            seller_id=seller,
            code=code or f"{harvested_on:%y%m%d}-{trace_code[1:7]}",
            trace_code=trace_code,
            quantity=quantity,
            harvested_on=harvested_on,
            best_before=best_before,
            state=LotState.DRAFT,
            created_at=tx.started_at,
            version=1,
        )
        insert_row(tx, lot)
        rows = _origin_rows(lot.id, origins)
        tx.session.add_all(rows)
        tx.session.flush()
        place = _default_place(tx, seller)
        stock = add_stock(tx.session, lot.id, place)
        moves = apply_moves(
            tx.session, {stock.id: stock}, [Move(stock.id, MovementKind.RECEIVED, quantity)], tx.started_at
        )
        tx.record(
            "lot.added",
            "lot",
            lot.id,
            parties=[seller],
            seller=str(seller),
            product=str(product.id),
            code=lot.code,
            trace_code=trace_code,
            quantity=quantity,
            harvested_on=harvested_on.isoformat(),
            best_before=best_before.isoformat(),
            origins=[_origin_fact(row) for row in rows],
            moves=moves,
        )
        return tx.answer(lambda: queries.lot_view(tx.session, actor, lot.id))


def _sellable_product(session: Session, product_id: UUID, seller: UUID) -> tuple[Product, int | None]:
    """The seller's recognised product, held against edits of its pack, and its shelf life in days."""
    row = session.execute(
        sa.select(Product, Category.shelf_life_days)
        .join(Category, Category.code == Product.category_code)
        .where(Product.id == product_id, Product.seller_id == seller)
        .with_for_update(read=True, of=Product)
    ).one_or_none()
    if row is None:
        raise NotFound("找不到这个产品")
    product: Product = row.Product
    if product.state is not ProductState.RECOGNISED:
        raise WrongState("产品认定以后才能报批次", slug="product-not-recognised", state=product.state.value)
    return product, product.shelf_life_days or row.shelf_life_days


def _origin_errors(
    session: Session, seller: UUID, county: str, origins: Sequence[dict[str, Any]]
) -> Iterable[tuple[str, str]]:
    if not 1 <= len(origins) <= MAX_ORIGINS:
        yield "origins", f"要有1到{MAX_ORIGINS}处产地"
        return
    townships = {o["township_code"] for o in origins}
    growers = {o["grower_id"] for o in origins if o.get("grower_id") is not None}
    rows = session.execute(sa.select(Township.code, Township.county_code).where(Township.code.in_(townships)))
    counties: dict[str, str] = {row.code: row.county_code for row in rows}
    own = set(session.scalars(sa.select(Grower.id).where(Grower.id.in_(growers), Grower.seller_id == seller)))
    for place, origin in enumerate(origins):
        found = counties.get(origin["township_code"])
        if found is None:
            yield f"origins/{place}/township_code", "没有这个乡镇"
        elif found != county:
            yield f"origins/{place}/township_code", "这个乡镇不在产品的产地县"
        if origin.get("grower_id") is not None and origin["grower_id"] not in own:
            yield f"origins/{place}/grower_id", "不是这个供应商登记的农户"


def _origin_rows(lot_id: UUID, origins: Sequence[dict[str, Any]]) -> list[Origin]:
    return [
        Origin(
            lot_id=lot_id,
            position=place,
            township_code=origin["township_code"],
            village=origin["village"],
            plot=origin["plot"],
            grower_id=origin.get("grower_id"),
            weight_g=origin.get("weight_g"),
            paid_fen=origin.get("paid_fen"),
        )
        for place, origin in enumerate(origins, 1)
    ]


def _origin_fact(row: Origin) -> dict[str, Any]:
    return {
        "township": row.township_code,
        "village": row.village,
        "plot": row.plot,
        "grower": None if row.grower_id is None else str(row.grower_id),
        "weight_g": row.weight_g,
        "paid_fen": row.paid_fen,
    }


def _new_code(session: Session) -> str:
    """A code that no lot has; with 50 random bits the second try is already rare."""
    while True:
        code = codes.make_trace_code(trace_keys())
        if session.scalar(sa.select(Lot.id).where(Lot.trace_code == code)) is None:
            return code


def _default_place(tx: Transaction, seller: UUID) -> UUID:
    """The seller's store, made with its first lot; two first lots at once make one."""
    made = uuid7()
    inserted = tx.session.execute(
        sa.text(
            "insert into place (id, organisation_id, kind, name) values (:id, :seller, :kind, :name)"
            " on conflict (organisation_id, name) do nothing returning id"
        ),
        {"id": made, "seller": seller, "kind": PlaceKind.STORE.value, "name": DEFAULT_PLACE},
    ).one_or_none()
    if inserted is not None:
        fact = tx.record(
            "place.added", "place", made, parties=[seller], organisation=str(seller), name=DEFAULT_PLACE
        )
        # `kind` of the place, set here since record() has an argument of that name.
        fact.data["kind"] = PlaceKind.STORE.value
        return made
    found: UUID = tx.session.execute(
        sa.select(Place.id).where(Place.organisation_id == seller, Place.name == DEFAULT_PLACE)
    ).scalar_one()
    return found
