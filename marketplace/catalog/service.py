"""Listing: categories and price lists, and a product's way from draft to the shelf and off it again."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts.models import Organisation, OrganisationKind
from marketplace.accounts.service import insert_row
from marketplace.actors import Actor, Permission, Role
from marketplace.catalog import cards, queries, rules
from marketplace.catalog.models import (
    Category,
    Lot,
    PricedBy,
    Product,
    ProductCertification,
)
from marketplace.catalog.prices import add_price_list, set_ladder
from marketplace.catalog.states import PRODUCT_MOVES, ProductState, move
from marketplace.clock import business_day
from marketplace.errors import (
    AlreadyThere,
    Forbidden,
    NotFound,
    PreconditionFailed,
    RuleViolation,
    refuse_fields,
)
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

__all__ = [
    "ProductWish", "SellerNotAdmitted", "add_category", "add_price_list", "add_product",
    "edit_product", "recognise_product", "refuse_product", "submit_product", "withdraw_product",
]  # fmt: skip

WRONG_FIELDS = "产品信息有问题，请看每一项"

# Names made from codes: the subject of facts about rows that have no id of their own.
CODES = uuid.UUID("5f0c2f1e-6c0b-5d0e-9a57-1f3c6c1a8e20")


class SellerNotAdmitted(RuleViolation):
    slug = "seller-not-admitted"
    title = "供应商还没有准入"


@dataclass(frozen=True)
class ProductWish:
    """What a seller lists. Money in fen, weight in grams; `ladder` as (minimum quantity, price), rising."""

    sku: str
    family: str
    name: str
    spec: str
    category_code: str
    county_code: str
    pack_unit: str
    net_g: int
    min_order_quantity: int
    ladder: Sequence[tuple[int, int]]
    storage: str
    order_multiple: int = 1
    priced_by: str = "pack"
    weight_tolerance_bp: int = 0
    shelf_life_days: int | None = None
    tax_category: str | None = None
    gtin: str | None = None
    season: str | None = None
    description: str | None = None
    agent_for_id: UUID | None = None
    certifications: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def add_category(
    actor: Actor,
    *,
    code: str,
    name: str,
    parent_code: str | None = None,
    proofs: Sequence[str] = (),
    shelf_life_days: int | None = None,
    sampling_required: bool = False,
    once: Once = NO_ONCE,
) -> Reply:
    """A class of goods with the proofs its lots need. Raises AlreadyThere (`already-there`)."""
    with transaction(actor, Permission.POLICY_MANAGE, once) as tx:
        if tx.session.get(Category, code) is not None:
            raise AlreadyThere(code=code)
        tx.session.add(
            Category(
                code=code,
                name=name,
                parent_code=parent_code,
                proofs=list(proofs),
                shelf_life_days=shelf_life_days,
                sampling_required=sampling_required,
            )
        )
        tx.record(
            "category.added", "category", uuid.uuid5(CODES, code), code=code, name=name, parent=parent_code,
            proofs=list(proofs),
        )  # fmt: skip
        return tx.answer({"code": code, "name": name})


def add_product(
    actor: Actor, wish: ProductWish, *, seller_id: UUID | None = None, once: Once = NO_ONCE
) -> Reply:
    """List a product as a draft. Raises RuleViolation (`invalid`) with everything that is wrong, AlreadyThere."""
    with transaction(actor, Permission.PRODUCT_EDIT, once) as tx:
        owner_id = actor.organisation_id if actor.organisation_id is not None else seller_id
        owner = None if owner_id is None else tx.session.get(Organisation, owner_id)
        if owner is None or owner.kind is not OrganisationKind.SELLER:
            raise Forbidden("只有供应商可以上产品")
        values = _cleaned(vars(wish))
        found = _reference_problems(tx, wish.category_code, wish.county_code)
        refuse_fields([*rules.product_problems(values), *found], WRONG_FIELDS)
        known = sa.select(Product.id).where(Product.seller_id == owner.id, Product.sku == values["sku"])
        if tx.session.scalars(known).first() is not None:
            raise AlreadyThere("这个货号已经有了", sku=values["sku"])
        plain = {k: v for k, v in values.items() if k not in ("ladder", "certifications", "priced_by")}
        product = Product(
            id=uuid7(),
            seller_id=owner.id,
            priced_by=PricedBy(wish.priced_by),
            state=ProductState.DRAFT,
            price_fen=values["ladder"][0].price_fen,
            search_name="",
            search_pinyin="",
            search_initials="",
            tokens=[],
            card="{}",
            created_at=tx.started_at,
            version=1,
            **plain,
        )
        # Two requests with one article number: the constraint lets the second one down, with the same slug.
        insert_row(tx, product)
        set_ladder(tx, product, values["ladder"])
        _set_certifications(tx, product, wish.certifications)
        cards.rebuild(tx.session, [product])
        _record(tx, "product.added", product)
        return tx.answer(lambda: queries.own_product_view(tx.session, actor, product.id))


def edit_product(
    actor: Actor,
    product_id: UUID,
    changes: Mapping[str, Any],
    *,
    expected_version: int | None = None,
    once: Once = NO_ONCE,
) -> Reply:
    """Change fields of a product of one's own.

    Raises RuleViolation (`invalid`) where a lot exists (another pack is a new product) or the field was recognised
    by the office, WrongState (`wrong-state`) while the office has it before it, PreconditionFailed, NotFound for
    another seller's product.
    """
    with transaction(actor, Permission.PRODUCT_EDIT, once) as tx:
        product = _own_locked(tx, product_id)
        if expected_version is not None and expected_version != product.version:
            raise PreconditionFailed(version=product.version)
        if product.state is ProductState.SUBMITTED:
            # What is recognised must be what was looked at: the table knows no edit here.
            move(PRODUCT_MOVES, product.state, "edit")
        marks = cards.certifications(tx.session, [product.id]).get(product.id, [])
        steps = cards.ladders(tx.session, [product.id]).get(product.id, [])
        present = {
            name: getattr(product, name) for name in rules.EDITABLE_FIELDS - {"ladder", "certifications"}
        }
        present |= {"ladder": steps, "certifications": marks, "sku": product.sku}
        wished = _cleaned(changes)
        changed = {name for name, value in wished.items() if present.get(name) != value}
        problems = []
        # The row is locked, and a new lot needs a share of it: none can come between this look and the commit.
        if tx.session.scalars(sa.select(Lot.id).where(Lot.product_id == product.id).limit(1)).all():
            problems += rules.pack_changes(changed)
        if product.state is ProductState.RECOGNISED:
            problems += rules.shelf_changes(changed)
        problems += rules.product_problems({**present, **wished})
        problems += _reference_problems(
            tx,
            wished.get("category_code", product.category_code),
            wished.get("county_code", product.county_code),
        )
        refuse_fields(problems, WRONG_FIELDS)
        for name in changed - {"ladder", "certifications"}:
            setattr(product, name, PricedBy(wished[name]) if name == "priced_by" else wished[name])
        if "ladder" in changed:
            product.price_fen = wished["ladder"][0].price_fen
            set_ladder(tx, product, wished["ladder"])
        if "certifications" in changed:
            _set_certifications(tx, product, wished["certifications"])
        product.version += 1
        cards.rebuild(tx.session, [product])
        _record(tx, "product.edited", product, changed=sorted(changed))
        return tx.answer(lambda: queries.own_product_view(tx.session, actor, product.id))


def submit_product(actor: Actor, product_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """Hand a product to the office for recognition."""
    with transaction(actor, Permission.PRODUCT_EDIT, once) as tx:
        return _moved(tx, _own_locked(tx, product_id), "submit", "product.submitted", None)


def recognise_product(actor: Actor, product_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """Put a product on the shelf.

    Raises SellerNotAdmitted (`seller-not-admitted`), WrongState, NotFound for an office of another county.
    """
    with transaction(actor, Permission.PRODUCT_RECOGNISE, once) as tx:
        product = _own_locked(tx, product_id)
        seller = tx.session.get_one(Organisation, product.seller_id)
        admitted = seller.admitted_on is not None and seller.admitted_on <= business_day(tx.started_at)
        if not admitted or seller.disabled_at is not None:
            raise SellerNotAdmitted(seller_id=str(seller.id))
        product.recognised_at = tx.started_at
        return _moved(tx, product, "recognise", "product.recognised", None)


def refuse_product(actor: Actor, product_id: UUID, reason: str, *, once: Once = NO_ONCE) -> Reply:
    """Send a product back with a reason."""
    with transaction(actor, Permission.PRODUCT_RECOGNISE, once) as tx:
        return _moved(tx, _own_locked(tx, product_id), "refuse", "product.refused", reason)


def withdraw_product(actor: Actor, product_id: UUID, reason: str, *, once: Once = NO_ONCE) -> Reply:
    """Take a product off the shelf: its seller, or the office that recognised it. Live at once."""
    needed = Permission.PRODUCT_RECOGNISE if actor.role is Role.POVERTY_OFFICE else Permission.PRODUCT_EDIT
    with transaction(actor, needed, once) as tx:
        return _moved(tx, _own_locked(tx, product_id), "withdraw", "product.withdrawn", reason)


def _moved(tx: Transaction, product: Product, event: str, kind: str, reason: str | None) -> Reply:
    product.state = move(PRODUCT_MOVES, product.state, event)
    product.state_reason = reason
    product.version += 1
    cards.rebuild(tx.session, [product])
    _record(tx, kind, product, reason_given=reason is not None)
    return tx.answer(lambda: queries.own_product_view(tx.session, tx.actor, product.id))


def _own_locked(tx: Transaction, product_id: UUID) -> Product:
    product = tx.session.scalars(
        sa.select(Product).where(Product.id == product_id, queries.product_scope(tx.actor)).with_for_update()
    ).one_or_none()
    if product is None:
        raise NotFound
    return product


def _cleaned(given: Mapping[str, Any]) -> dict[str, Any]:
    """Texts without outer spaces, and the ladder as steps."""
    values = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
    if "ladder" in values:
        values["ladder"] = [rules.Step(*step) for step in values["ladder"]]
    return values


def _reference_problems(tx: Transaction, category_code: str, county_code: str) -> list[rules.Problem]:
    found = tx.session.execute(
        sa.text(
            "select exists (select 1 from category where code = :category) as category,"
            " exists (select 1 from category where parent_code = :category) as below,"
            " exists (select 1 from region where code = :county and level = 'county') as county"
        ),
        {"category": category_code, "county": county_code},
    ).one()
    problems = [] if found.category else [("category_code", "没有这个品类")]
    if found.below:
        problems.append(("category_code", "请选到最末一级品类"))
    return problems if found.county else [*problems, ("county_code", "没有这个县区")]


def _set_certifications(tx: Transaction, product: Product, marks: Sequence[Mapping[str, Any]]) -> None:
    tx.session.execute(sa.delete(ProductCertification).where(ProductCertification.product_id == product.id))
    for mark in marks:
        tx.session.add(
            ProductCertification(
                product_id=product.id,
                scheme=mark["scheme"],
                number=mark.get("number"),
                valid_until=mark.get("valid_until"),
            )
        )
    tx.session.flush()


def _record(tx: Transaction, kind: str, product: Product, **data: Any) -> None:
    steps = cards.ladders(tx.session, [product.id]).get(product.id, [])
    marks = cards.certifications(tx.session, [product.id]).get(product.id, [])
    tx.record(
        kind,
        "product",
        product.id,
        parties=[product.seller_id],
        seller=str(product.seller_id),
        sku=product.sku,
        name=product.name,
        spec=product.spec,
        category=product.category_code,
        county=product.county_code,
        pack_unit=product.pack_unit,
        net_g=product.net_g,
        state=product.state.value,
        ladder=[{"min_quantity": s.min_quantity, "price_fen": s.price_fen} for s in steps],
        certifications=[
            {"scheme": m["scheme"], "number": m["number"], "valid_until": _day(m["valid_until"])}
            for m in marks
        ],
        **data,
    )


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
