"""A market for property tests: two cooperatives, three buyers, and goods of their own for every example.

Rows of one database are shared by all examples; each example trades only with the goods that `goods_for_one` gave
it, so that a model of it need not know the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts.models import BankAccount, BankAccountState, Organisation, OrganisationKind
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Permission, Role, system
from marketplace.catalog.models import (
    Lot,
    LotState,
    MovementKind,
    Place,
    PlaceKind,
    PriceList,
    PriceTier,
    Product,
)
from marketplace.catalog.stock import Move, add_stock, apply_moves
from marketplace.database import db
from marketplace.documents.models import Document, DocumentKind, DocumentState
from marketplace.policies.models import CountyEligibility, Policy
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from tests.quota.world import HUATING, JINGNING, City, build

# Three days before the budget year turns, at nine in Shanghai.
BEGIN = datetime(2026, 12, 28, 1, 0, tzinfo=UTC)
BUYERS = ("school", "hospital", "company")
SELLERS = ("coop", "farm")


@dataclass(frozen=True)
class LotGoods:
    """A lot with its packs per place (the seller's own places, in the order of their stock rows)."""

    id: UUID
    trace_code: str
    best_before: date
    quantity: int
    stocks: tuple[tuple[int, UUID, int], ...]


@dataclass(frozen=True)
class Goods:
    """A product as the model sees it; `ladder` is (minimum quantity, fen)."""

    id: UUID
    seller: str
    eligible: bool
    ladder: tuple[tuple[int, int], ...]
    lots: tuple[LotGoods, ...]


@dataclass
class Market:
    city: City
    organisations: dict[str, UUID] = field(default_factory=dict)
    places: dict[str, tuple[UUID, UUID]] = field(default_factory=dict)
    papers: dict[str, UUID] = field(default_factory=dict)
    price_list: UUID = field(default_factory=uuid7)
    years: Iterator[int] = field(default_factory=lambda: count(2026))
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def actor(self, role: Role, organisation: str, kind: str) -> Actor:
        return Actor(
            self.city.users[role.value], role.value, self.organisations.get(organisation), kind, "620800", role,
            ROLE_PERMISSIONS[role], Door.API,
        )  # fmt: skip

    def buyer(self, name: str) -> Actor:
        return self.actor(Role.BUYER, name, "social_buyer" if name == "company" else "agency")

    def manager(self, name: str) -> Actor:
        return self.actor(Role.MANAGER, name, "agency")

    def seller(self, name: str) -> Actor:
        return self.actor(Role.SELLER, name, "seller")

    @property
    def office(self) -> Actor:
        return self.actor(Role.POVERTY_OFFICE, "office", "office")

    @property
    def finance(self) -> Actor:
        return self.actor(Role.FINANCE_REVIEWER, "office", "office")

    def set_policy(self, key: str, value: Any) -> None:
        """A newer revision of a rule, in force from 2019 on."""
        with transaction(system(), Permission.SYSTEM) as tx:
            _add_policy(tx.session, key, value, 1 + next(self.numbers))
            tx.record("policy.set", "policy", uuid7(), key=key)

    def goods_for_one(self) -> tuple[Goods, ...]:
        """New products with new lots: scarce, of different last days, one lot at two places."""
        return (
            self._product("coop", JINGNING, ((1, 1_000), (10, 901)), ((9, (7, 4)), (70, (12,)))),
            self._product("coop", HUATING, ((1, 703),), ((40, (8,)),)),
            self._product("farm", JINGNING, ((1, 333),), ((5, (6,)), (90, (5,)))),
        )

    def _product(
        self,
        seller: str,
        county: str,
        ladder: tuple[tuple[int, int], ...],
        lots: tuple[tuple[int, tuple[int, ...]], ...],
    ) -> Goods:
        """`lots` are (days that the lot still keeps, packs at each of the seller's places)."""
        number = next(self.numbers)
        seller_id = self.organisations[seller]
        with transaction(system(Door.IMPORT), Permission.SYSTEM) as tx:
            product = Product(
                id=uuid7(), seller_id=seller_id, sku=f"P-{number}", family="苹果", name="静宁苹果", spec="80#",
                category_code="010301", county_code=county, pack_unit="箱", net_g=5000, priced_by="pack",
                min_order_quantity=1, order_multiple=1, storage="冷藏", state="recognised",
                price_fen=ladder[0][1], search_name="-", search_pinyin="-", search_initials="-", tokens=[],
                card="{}", created_at=BEGIN,
            )  # fmt: skip
            tx.session.add(product)
            tx.session.flush()
            for minimum, fen in ladder:
                tx.session.add(
                    PriceTier(
                        product_id=product.id,
                        price_list_id=self.price_list,
                        min_quantity=minimum,
                        price_fen=fen,
                    )
                )
            made, told = [], []
            for keeps, packs in lots:
                tail = next(self.numbers)
                lot = Lot(
                    id=uuid7(), product_id=product.id, seller_id=seller_id, code=f"L-{tail}",
                    trace_code=f"1K7QM{tail:015}", quantity=sum(packs), harvested_on=BEGIN.date(),
                    best_before=BEGIN.date() + timedelta(days=keeps), state=LotState.RELEASED,
                    released_at=BEGIN, created_at=BEGIN,
                )  # fmt: skip
                tx.session.add(lot)
                tx.session.flush()
                stocks = []
                for place, quantity in zip(self.places[seller], packs, strict=False):
                    row = add_stock(tx.session, lot.id, place)
                    received = [Move(row.id, MovementKind.RECEIVED, on_hand=quantity)]
                    told += apply_moves(tx.session, {row.id: row}, received, BEGIN)
                    stocks.append((row.id, place, quantity))
                made.append(LotGoods(lot.id, lot.trace_code, lot.best_before, sum(packs), tuple(stocks)))
            tx.record("lot.added", "lot", uuid7(), moves=told)
            return Goods(product.id, seller, county == JINGNING, ladder, tuple(made))


def open_market() -> Market:
    """Everything that the examples share, on a migrated database without rows."""
    market = Market(build())
    market.organisations = {
        "school": market.city.agencies["school"],
        "hospital": market.city.agencies["hospital"],
        "coop": market.city.sellers[JINGNING],
    }
    with transaction(system(Door.IMPORT), Permission.SYSTEM) as tx:
        session = tx.session
        for name, kind in (
            ("farm", OrganisationKind.SELLER),
            ("company", OrganisationKind.SOCIAL_BUYER),
            ("office", OrganisationKind.OFFICE),
        ):
            row = Organisation(
                id=uuid7(), code=name, name=f"单位{name}", pinyin_key=name, kind=kind, region_code=JINGNING,
                created_at=BEGIN,
            )  # fmt: skip
            session.add(row)
            market.organisations[name] = row.id
        session.flush()
        session.add(PriceList(id=market.price_list, code="public", name="公开价"))
        for name in SELLERS:
            seller = session.get_one(Organisation, market.organisations[name])
            seller.admitted_on = BEGIN.date()
            _add_account(session, seller.id, name)
            places = [Place(organisation_id=seller.id, kind=PlaceKind.STORE, name=f"{n}号库") for n in (1, 2)]
            paper = Document(
                id=uuid7(), organisation_id=seller.id, kind=DocumentKind.INVOICE, filename="invoice.pdf",
                content_type="application/pdf", size=100, sha256=seller.id.hex * 2, storage_key=f"key/{name}",
                state=DocumentState.STORED, created_at=BEGIN,
            )  # fmt: skip
            session.add_all([*places, paper])
            session.flush()
            market.places[name] = (places[0].id, places[1].id)
            market.papers[name] = paper.id
        session.add(CountyEligibility(county_code=JINGNING, from_year=2021, source="test"))
        for key, value in (
            ("hold_hours", 72),
            ("confirm_hours", 48),
            ("evaluation_days", 30),
            ("inspectors_required", {"default": 1}),
            ("payment_due_days", {"days": 30, "maximum": 60}),
            ("invoice_before_payment", False),
            ("slip_silence_days", 10),
        ):
            _add_policy(session, key, value, 1)
        tx.record("test.opened", "market", uuid7())
    return market


def _add_policy(session: Any, key: str, value: Any, revision: int) -> None:
    session.add(
        Policy(
            key=key,
            value=value,
            valid_from=date(2019, 1, 1),
            revision=revision,
            title=key,
            source="test",
            recorded_at=BEGIN,
        )
    )


def _add_account(session: Any, seller_id: UUID, name: str) -> None:
    session.add(
        BankAccount(
            organisation_id=seller_id,
            account_name=name,
            bank_name="静宁农商银行",
            bank_branch_number="402000000000",
            account_number=f"6228{name}",
            state=BankAccountState.ACTIVE,
            effective_at=datetime(2020, 1, 1, tzinfo=UTC),
        )
    )


def rows(statement: str, **values: Any) -> list[Any]:
    """What the tables say, read on a connection of its own."""
    with db.engine.connect() as connection:
        return list(connection.execute(sa.text(statement), values))
