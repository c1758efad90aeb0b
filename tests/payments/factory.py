"""A small world of rows for tests of invoices and payments: two buyers, two sellers, offices, accepted orders.

Rows are written as they stand after an acceptance, so that these tests need none of the services before it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts.models import (
    BankAccount,
    BankAccountState,
    Organisation,
    OrganisationKind,
    PayerProfile,
    Purpose,
    Region,
    User,
)
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Permission, Role, system
from marketplace.catalog.models import Category, PricedBy, Product, ProductState
from marketplace.database import Base, db
from marketplace.documents.models import Document, DocumentKind, DocumentState
from marketplace.journal.models import Fact
from marketplace.orders.models import Order, OrderLine, Purchase
from marketplace.orders.states import OrderState, PurchaseState
from marketplace.payments.models import Invoice, Payment, PaymentLine, Slip
from marketplace.policies.models import Policy
from marketplace.unit_of_work import Transaction, transaction
from marketplace.values import uuid7

# A Tuesday, noon in Shanghai; tests stand at this moment unless they travel.
NOON = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
ORDERED = datetime(2026, 11, 10, 1, 0, tzinfo=UTC)
ACCEPTED_ON = date(2026, 11, 20)

_numbers = itertools.count(1)


def insert(model: type[Base], **values: Any) -> Any:
    """One row, committed; answers its primary key."""
    with db.engine.begin() as connection:
        result = connection.execute(sa.insert(model).values(**values))
    key = result.inserted_primary_key
    return key[0] if key is not None else None


def rows(statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
    with db.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(statement)]


def counts() -> dict[str, int]:
    """How many rows the tables of this package and the journal have: a refusal changes none."""
    with db.engine.connect() as connection:
        return {
            model.__tablename__: connection.execute(
                sa.select(sa.func.count()).select_from(model)
            ).scalar_one()
            for model in (Invoice, Payment, PaymentLine, Slip, Fact)
        }


def facts(subject_id: UUID) -> list[dict[str, Any]]:
    """The sealed texts of one subject, in the order in which they were recorded."""
    statement = sa.select(Fact.body).where(Fact.subject_id == subject_id).order_by(Fact.number)
    return [json.loads(body) for (body,) in rows(statement)]


def order_row(order_id: UUID) -> dict[str, Any]:
    names = (
        *("invoice_state", "payment_state", "accepted_fen", "invoiced_fen", "payment_opened_fen", "paid_fen"),
        "version",
    )
    (row,) = rows(sa.select(*[getattr(Order, name) for name in names]).where(Order.id == order_id))
    return {
        name: value.value if hasattr(value, "value") else value
        for name, value in zip(names, row, strict=True)
    }


def line_paid(order_id: UUID) -> list[int]:
    statement = (
        sa.select(OrderLine.paid_fen).where(OrderLine.order_id == order_id).order_by(OrderLine.position)
    )
    return [paid for (paid,) in rows(statement)]


def actor_of(
    organisation_id: UUID, role: Role, *, region: str, below: frozenset[UUID] = frozenset()
) -> Actor:
    number = next(_numbers)
    user_id = insert(
        User,
        username=f"user{number}",
        name=f"甲{number}",
        password_hash="x",
        organisation_id=organisation_id,
        role=role,
        created_at=ORDERED,
    )
    return Actor(
        user_id=user_id,
        username=f"user{number}",
        organisation_id=organisation_id,
        organisation_kind=None,
        region_code=region,
        role=role,
        permissions=ROLE_PERMISSIONS[role],
        door=Door.API,
        subordinate_ids=below,
    )


@dataclass(frozen=True)
class Ordered:
    id: UUID
    number: str
    line_ids: list[UUID]


def record_trade(ordered: Ordered, purchase_id: UUID, goods: Sequence[int], taken: Sequence[int]) -> None:
    """The facts of confirmation and acceptance, by which the counting knows the lines."""
    with transaction(system(Door.IMPORT), Permission.SYSTEM) as tx:
        tx.record(
            "order.confirmed",
            "order",
            ordered.id,
            number=ordered.number,
            purchase=str(purchase_id),
            occurred_on="2026-11-11",
            lines=[
                {"line": str(line), "ordered_fen": fen}
                for line, fen in zip(ordered.line_ids, goods, strict=True)
            ],
        )
        if any(taken):
            record_acceptance(tx, ordered, dict(zip(ordered.line_ids, taken, strict=True)))


def record_acceptance(tx: Transaction, ordered: Ordered, accepted: dict[UUID, int]) -> None:
    tx.record(
        "order.accepted",
        "order",
        ordered.id,
        number=ordered.number,
        acceptance=str(uuid7()),
        occurred_on=ACCEPTED_ON.isoformat(),
        complete=False,
        lines=[
            {"line": str(line), "accepted": 1, "refused": 0, "allowance_fen": 0, "accepted_fen": fen}
            for line, fen in accepted.items()
        ],
        document=None,
    )


@dataclass
class World:
    """Actors by name, and the ids that rows need."""

    organisations: dict[str, UUID] = field(default_factory=dict)
    actors: dict[str, Actor] = field(default_factory=dict)
    profiles: dict[str, UUID] = field(default_factory=dict)
    products: dict[str, UUID] = field(default_factory=dict)

    def actor(self, name: str) -> Actor:
        return self.actors[name]

    def order(
        self,
        lines: Sequence[tuple[int, int]] = ((4500, 10),),
        *,
        accepted: Sequence[int] | None = None,
        freight_fen: int = 0,
        seller: str = "seller",
        buyer: str = "buyer",
        profile: str | None = "canteen",
        state: OrderState = OrderState.ACCEPTED,
        accepted_on: date | None = ACCEPTED_ON,
        submitted_at: datetime = ORDERED,
    ) -> Ordered:
        """An order with lines of (unit price, packs); `accepted` are fen per line (default: all of it)."""
        goods = [price * quantity for price, quantity in lines]
        taken = goods if accepted is None else list(accepted)
        number = f"CG-2026-{next(_numbers):06d}"
        buyer_id, seller_id = self.organisations[buyer], self.organisations[seller]
        purchase_id = insert(
            Purchase,
            number=number,
            buyer_id=buyer_id,
            submitted_by=self.actors[buyer].user_id,
            payer_profile_id=None if profile is None else self.profiles[profile],
            quota_agency_id=buyer_id,
            purpose=Purpose.CANTEEN,
            buyer_county_code="620802",
            policy_version="counted_states@2026-01-01.1",
            counted_states="accepted,paid,evaluated",
            deliver_on=date(2026, 11, 19),
            deliver_name="收货人",
            deliver_phone="13800000000",
            deliver_address="地址",
            state=PurchaseState.APPROVED,
            goods_fen=sum(goods),
            freight_fen=freight_fen,
            total_fen=sum(goods) + freight_fen,
            submitted_at=submitted_at,
        )
        order_id = insert(
            Order,
            number=f"{number}-1",
            purchase_id=purchase_id,
            seller_id=seller_id,
            buyer_id=buyer_id,
            quota_agency_id=buyer_id,
            state=state,
            goods_fen=sum(goods),
            freight_fen=freight_fen,
            accepted_fen=sum(taken),
            accepted_on=accepted_on,
        )
        line_ids = [
            insert(
                OrderLine,
                order_id=order_id,
                purchase_id=purchase_id,
                product_id=self.products[seller],
                position=position,
                product_name="静宁苹果",
                spec="80#",
                pack_unit="箱",
                net_g=5000,
                priced_by=PricedBy.PACK,
                category_code="fruit",
                county_code="620826",
                price_list_code="public",
                tier_min_quantity=1,
                unit_price_fen=price,
                quantity=quantity,
                goods_fen=price * quantity,
                deliver_on=date(2026, 11, 19),
                eligible=True,
                shipped_quantity=quantity,
                accepted_fen=accepted_fen,
            )
            for position, ((price, quantity), accepted_fen) in enumerate(zip(lines, taken, strict=True), 1)
        ]
        ordered = Ordered(order_id, f"{number}-1", line_ids)
        record_trade(ordered, purchase_id, goods, taken)
        return ordered

    def document(self, owner: str, kind: DocumentKind = DocumentKind.INVOICE) -> UUID:
        document_id = uuid7()
        return insert(
            Document,
            id=document_id,
            organisation_id=self.organisations[owner],
            kind=kind,
            filename="file.pdf",
            content_type="application/pdf",
            size=100,
            sha256=f"{document_id.int:064x}",
            storage_key=f"key/{document_id}",
            state=DocumentState.STORED,
            created_at=ORDERED,
        )

    def policy(self, key: str, value: Any) -> None:
        """A newer revision of a rule, in force from 2019 on."""
        insert(
            Policy,
            key=key,
            value=value,
            valid_from=date(2019, 1, 1),
            revision=next(_numbers),
            title=key,
            source="estimate",
            recorded_at=ORDERED,
        )


def make_world() -> World:
    world = World()
    for code, name, level, parent in (
        ("620800", "平凉市", "city", None),
        ("620802", "崆峒区", "county", "620800"),
        ("620822", "灵台县", "county", "620800"),
        ("620826", "静宁县", "county", "620800"),
    ):
        insert(Region, code=code, name=name, level=level, parent_code=parent, pinyin_key=code)
    for name, kind, region, parent in (
        ("department", OrganisationKind.AGENCY, "620802", None),
        ("buyer", OrganisationKind.AGENCY, "620802", "department"),
        ("buyer2", OrganisationKind.AGENCY, "620802", None),
        ("seller", OrganisationKind.SELLER, "620826", None),
        ("seller2", OrganisationKind.SELLER, "620826", None),
        ("office", OrganisationKind.OFFICE, "620800", None),
        ("county_office", OrganisationKind.OFFICE, "620826", None),
        ("far_office", OrganisationKind.OFFICE, "620822", None),
        ("finance", OrganisationKind.OFFICE, "620800", None),
    ):
        world.organisations[name] = insert(
            Organisation,
            code=f"ORG-{name}",
            name=f"单位{name}",
            pinyin_key=name,
            kind=kind,
            credit_code=f"CREDIT{name}",
            region_code=region,
            parent_id=None if parent is None else world.organisations[parent],
            created_at=ORDERED,
        )
    regions = {"seller": "620826", "seller2": "620826", "office": "620800", "finance": "620800"}
    regions |= {"county_office": "620826", "far_office": "620822"}
    for name, role in (
        ("buyer", Role.BUYER),
        ("buyer2", Role.BUYER),
        ("seller", Role.SELLER),
        ("seller2", Role.SELLER),
        ("office", Role.POVERTY_OFFICE),
        ("county_office", Role.POVERTY_OFFICE),
        ("far_office", Role.POVERTY_OFFICE),
        ("finance", Role.FINANCE_REVIEWER),
    ):
        world.actors[name] = actor_of(world.organisations[name], role, region=regions.get(name, "620802"))
    world.actors["manager"] = actor_of(
        world.organisations["department"],
        Role.MANAGER,
        region="620802",
        below=frozenset({world.organisations["buyer"]}),
    )
    for name, organisation, purpose in (
        ("canteen", "buyer", Purpose.CANTEEN),
        ("union", "buyer", Purpose.UNION),
        ("canteen2", "buyer2", Purpose.CANTEEN),
    ):
        world.profiles[name] = insert(
            PayerProfile,
            code=f"PAYER-{name}",
            organisation_id=world.organisations[organisation],
            purpose=purpose,
            legal_name=f"付款单位{name}",
            credit_code="12620802MA00000000",
            invoice_title=f"抬头{name}",
            tax_number=f"TAX{name}".upper(),
            bank_name="建设银行",
            bank_branch_number="105000000000",
            bank_account="6200000000",
        )
    insert(Category, code="fruit", name="水果", proofs=[])
    for name in ("seller", "seller2"):
        world.products[name] = insert(
            Product,
            seller_id=world.organisations[name],
            sku="A1",
            family="apple",
            name="静宁苹果",
            spec="80#",
            category_code="fruit",
            county_code="620826",
            pack_unit="箱",
            net_g=5000,
            priced_by=PricedBy.PACK,
            min_order_quantity=1,
            order_multiple=1,
            storage="常温",
            state=ProductState.RECOGNISED,
            price_fen=4500,
            search_name="x",
            search_pinyin="x",
            search_initials="x",
            tokens=[],
            card="{}",
            created_at=ORDERED,
        )
    insert(
        BankAccount,
        organisation_id=world.organisations["seller"],
        account_name="合作社账户",
        bank_name="静宁农商银行",
        bank_branch_number="402000000000",
        account_number="6228480000001",
        state=BankAccountState.ACTIVE,
        effective_at=ORDERED,
    )
    world.policy("payment_due_days", {"days": 30, "maximum": 60})
    world.policy("invoice_before_payment", False)
    world.policy("slip_silence_days", 10)
    return world
