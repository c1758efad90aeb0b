"""A small city for counting: agencies, sellers, lots, and trade told by exactly the facts of `docs/facts.md`.

Each act writes its rows and its fact in one transaction, as the services of orders and payments do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts.models import (
    CanteenMode,
    Organisation,
    OrganisationKind,
    Purpose,
    Region,
    Township,
    User,
)
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Permission, Role, system
from marketplace.catalog.models import Category, Lot, LotState, MovementKind, Place, PlaceKind, Product, Stock
from marketplace.catalog.stock import Move, add_stock, apply_moves, lock_stock
from marketplace.orders.models import Allocation, Order, OrderLine, Purchase, Shipment, ShipmentLine
from marketplace.orders.states import OrderState, PurchaseState
from marketplace.payments.models import Payment
from marketplace.payments.states import PaymentDocState, PaymentMethod
from marketplace.policies.models import Policy
from marketplace.trace.models import Origin
from marketplace.unit_of_work import Transaction, transaction
from marketplace.values import uuid7

STATES = "accepted,paid,evaluated"
JINGNING, HUATING, KONGTONG = "620826", "620881", "620802"
COUNTIES = {JINGNING: "静宁县", HUATING: "华亭市", KONGTONG: "崆峒区"}
DAY = date(2026, 11, 20)

_POLICIES: list[tuple[str, Any, str]] = [
    ("reserve_share_bp", {"minimum": 1000, "encouraged": 1500}, "2021-01-01"),
    ("reserve_base", {"canteen": True, "union": False}, "2021-01-01"),
    ("reserve_non_decreasing", False, "2019-01-01"),
    ("declaration_deadline", {"month": 3, "day": 24}, "2021-01-01"),
    ("counted_states", ["accepted", "paid", "evaluated"], "2019-01-01"),
]


@dataclass(frozen=True)
class Want:
    """One line to buy: packs of a product at 10.00 元, eligible by its county unless said otherwise."""

    quantity: int
    county: str = JINGNING
    category: str = "010301"
    price_fen: int = 1_000

    @property
    def eligible(self) -> bool:
        return self.county != HUATING


@dataclass
class Bought:
    """A purchase of one order: its ids in the order of the wanted lines."""

    purchase: UUID
    order: UUID
    number: str
    lines: list[UUID]
    wants: Sequence[Want]
    lots: list[UUID]
    stocks: list[int]

    def fen(self, place: int) -> int:
        return self.wants[place].quantity * self.wants[place].price_fen


@dataclass
class City:
    """Ids of a city that `build` made, and the acts of its trade."""

    agencies: dict[str, UUID] = field(default_factory=dict)
    sellers: dict[str, UUID] = field(default_factory=dict)
    users: dict[str, UUID] = field(default_factory=dict)
    contractor: UUID = field(default_factory=uuid7)
    lots: dict[tuple[str, str], tuple[UUID, UUID, int]] = field(default_factory=dict)
    drawn: int = 0

    def actor(self, role: Role, organisation: UUID | None = None, subordinates: Sequence[UUID] = ()) -> Actor:
        kind = "office" if role in (Role.POVERTY_OFFICE, Role.FINANCE_REVIEWER) else "agency"
        return Actor(
            self.users[role.value], role.value, organisation, kind, None, role, ROLE_PERMISSIONS[role],
            Door.API, frozenset(subordinates),
        )  # fmt: skip

    @property
    def poverty_office(self) -> Actor:
        return self.actor(Role.POVERTY_OFFICE)

    @property
    def finance(self) -> Actor:
        return self.actor(Role.FINANCE_REVIEWER)

    def manager(self, agency: str, *units: str) -> Actor:
        return self.actor(Role.MANAGER, self.agencies[agency], [self.agencies[u] for u in units])

    def buy(
        self,
        agency: str | None,
        *wants: Want,
        purpose: str = "canteen",
        states: str = STATES,
        day: date = DAY,
    ) -> Bought:
        """Submit and approve a purchase of one order; the stock of its lots is reserved."""
        self.drawn += 1
        number = f"CG-{day.year}-{self.drawn:06d}"
        buyer = self.agencies[agency] if agency else self.sellers[JINGNING]
        goods = sum(w.quantity * w.price_fen for w in wants)
        county = KONGTONG
        with transaction(system(), Permission.SYSTEM) as tx:
            found = tx.session.get_one(Organisation, buyer)
            county = found.region_code
            purchase, order = uuid7(), uuid7()
            tx.session.add(
                Purchase(
                    id=purchase, number=number, buyer_id=buyer, submitted_by=self.users["buyer"],
                    quota_agency_id=self.agencies[agency] if agency else None, purpose=Purpose(purpose),
                    buyer_county_code=county, policy_version="counted_states@2019-01-01.1",
                    counted_states=states, deliver_on=day, deliver_name="收货", deliver_phone="0933-0000000",
                    deliver_address="食堂", state=PurchaseState.APPROVED, goods_fen=goods, freight_fen=0,
                    total_fen=goods, submitted_at=tx.started_at,
                )
            )  # fmt: skip
            tx.session.flush()
            tx.session.add(
                Order(
                    id=order, number=f"{number}-1", purchase_id=purchase, seller_id=self.sellers[JINGNING],
                    buyer_id=buyer, quota_agency_id=self.agencies[agency] if agency else None,
                    state=OrderState.PLACED, goods_fen=goods,
                )
            )  # fmt: skip
            tx.session.flush()
            lines, lots, stocks, told, moves = [], [], [], [], []
            for place, want in enumerate(wants):
                line = uuid7()
                product, lot, stock = self.lots[want.county, want.category]
                tx.session.add(
                    OrderLine(
                        id=line, order_id=order, purchase_id=purchase, product_id=product, position=place,
                        product_name="静宁苹果", spec="80#", pack_unit="箱", net_g=5000, priced_by="pack",
                        category_code=want.category, county_code=want.county, price_list_code="public",
                        tier_min_quantity=1, unit_price_fen=want.price_fen, quantity=want.quantity,
                        goods_fen=want.quantity * want.price_fen, deliver_on=day, eligible=want.eligible,
                        ineligible_reason=None if want.eligible else "county_not_listed",
                    )
                )  # fmt: skip
                tx.session.flush()
                code = tx.session.get_one(Lot, lot).trace_code
                tx.session.add(
                    Allocation(
                        line_id=line, stock_id=stock, lot_id=lot, trace_code=code, quantity=want.quantity
                    )
                )
                moves.append(Move(stock, MovementKind.RESERVED, reserved=want.quantity, order_id=order))
                lines.append(line)
                lots.append(lot)
                stocks.append(stock)
                told.append(
                    {
                        "line": str(line), "product": str(product), "county": want.county,
                        "category": want.category, "quantity": want.quantity, "unit_price_fen": want.price_fen,
                        "goods_fen": want.quantity * want.price_fen, "eligible": want.eligible,
                        "reason": None if want.eligible else "county_not_listed", "deliver_on": day.isoformat(),
                    }
                )  # fmt: skip
            moved = apply_moves(tx.session, lock_stock(tx.session, stocks), moves, tx.started_at)
            tx.record(
                "purchase.submitted", "purchase", purchase, parties=[buyer],
                number=number, buyer=str(buyer), agency=str(self.agencies[agency]) if agency else None,
                buyer_county=county, canteen=None, payer_profile=None, purpose=purpose,
                occurred_on=day.isoformat(), deliver_on=day.isoformat(), hold_until=None,
                policy_version="counted_states@2019-01-01.1", counted_states=states, goods_fen=goods,
                freight_fen=0, moves=moved,
                orders=[{"order": str(order), "number": f"{number}-1", "seller": str(self.sellers[JINGNING]),
                         "goods_fen": goods, "lines": told}],
            )  # fmt: skip
        return Bought(purchase, order, f"{number}-1", lines, wants, lots, stocks)

    def confirm(self, bought: Bought, day: date = DAY) -> None:
        with transaction(system(), Permission.SYSTEM) as tx:
            self._set(tx, Order, bought.order, state=OrderState.CONFIRMED)
            lines = [{"line": str(x), "ordered_fen": bought.fen(n)} for n, x in enumerate(bought.lines)]
            self._tell(tx, "order.confirmed", bought, day, purchase=str(bought.purchase), lines=lines)

    def cancel(self, bought: Bought, day: date = DAY, *, confirmed: bool = True) -> None:
        """The whole order; nothing was shipped."""
        with transaction(system(), Permission.SYSTEM) as tx:
            self._set(tx, Order, bought.order, state=OrderState.CANCELLED)
            told, moves = [], []
            for n, line in enumerate(bought.lines):
                packs = bought.wants[n].quantity
                self._set(tx, OrderLine, line, cancelled_quantity=packs)
                told.append({"line": str(line), "quantity": packs, "goods_fen": bought.fen(n)})
                moves.append(
                    Move(bought.stocks[n], MovementKind.RELEASED, reserved=-packs, order_id=bought.order)
                )
            moved = apply_moves(tx.session, lock_stock(tx.session, bought.stocks), moves, tx.started_at)
            self._tell(tx, "order.cancelled", bought, day, confirmed=confirmed, lines=told, moves=moved)

    def ship(self, bought: Bought, day: date = DAY) -> None:
        with transaction(system(), Permission.SYSTEM) as tx:
            shipment = Shipment(
                id=uuid7(), number=f"FH-{bought.number}", order_id=bought.order, carrier="陇运", shipped_on=day,
                shipped_at=tx.started_at,
            )  # fmt: skip
            tx.session.add(shipment)
            tx.session.flush()
            told, moves = [], []
            for n, line in enumerate(bought.lines):
                packs, stock = bought.wants[n].quantity, bought.stocks[n]
                row = tx.session.get_one(Stock, stock)
                code = tx.session.get_one(Lot, bought.lots[n]).trace_code
                tx.session.add(
                    ShipmentLine(shipment_id=shipment.id, line_id=line, stock_id=stock, lot_id=bought.lots[n],
                                 trace_code=code, quantity=packs)
                )  # fmt: skip
                self._set(tx, OrderLine, line, shipped_quantity=packs)
                moves.append(
                    Move(stock, MovementKind.SHIPPED, on_hand=-packs, reserved=-packs, order_id=bought.order)
                )
                told.append({"line": str(line), "lot": str(row.lot_id), "place": str(row.place_id),
                             "trace_code": code, "quantity": packs, "substitution": False})  # fmt: skip
            moved = apply_moves(tx.session, lock_stock(tx.session, bought.stocks), moves, tx.started_at)
            self._tell(tx, "order.shipped", bought, day, shipment=shipment.number, lines=told, moves=moved)

    def accept(
        self, bought: Bought, day: date = DAY, packs: Sequence[int] | None = None, refused: int = 0
    ) -> None:
        """Take over `packs` of each line (all by default), and refuse some of the first."""
        with transaction(system(), Permission.SYSTEM) as tx:
            told, whole = [], 0
            for n, line in enumerate(bought.lines):
                want = bought.wants[n]
                taken = want.quantity if packs is None else packs[n]
                gone = refused if n == 0 else 0
                fen = taken * want.price_fen
                whole += fen
                row = tx.session.get_one(OrderLine, line)
                row.accepted_quantity += taken
                row.refused_quantity += gone
                row.accepted_fen += fen
                told.append({"line": str(line), "lot": str(bought.lots[n]), "accepted": taken, "refused": gone,
                             "allowance_fen": 0, "accepted_fen": fen})  # fmt: skip
            tx.session.get_one(Order, bought.order).accepted_fen += whole
            self._tell(tx, "order.accepted", bought, day, acceptance=str(uuid7()), complete=True, lines=told,
                       document=None)  # fmt: skip

    def allow(self, bought: Bought, place: int, fen: int, day: date = DAY) -> None:
        """The seller agrees to a lower price for a line."""
        with transaction(system(), Permission.SYSTEM) as tx:
            tx.session.get_one(Order, bought.order, with_for_update=True).accepted_fen -= fen
            tx.session.get_one(OrderLine, bought.lines[place], with_for_update=True).accepted_fen -= fen
            lines = [{"line": str(bought.lines[place]), "lot": str(bought.lots[place]), "accepted_fen": -fen}]
            self._tell(tx, "order.allowance_agreed", bought, day, lines=lines)

    def pay(self, bought: Bought, day: date = DAY, amounts: Sequence[int] | None = None) -> None:
        """The seller confirms money for `amounts` of each line (all by default)."""
        paid = [bought.fen(n) if amounts is None else amounts[n] for n in range(len(bought.lines))]
        with transaction(system(), Permission.SYSTEM) as tx:
            for line, fen in zip(bought.lines, paid, strict=True):
                tx.session.get_one(OrderLine, line).paid_fen += fen
            tx.session.get_one(Order, bought.order).paid_fen += sum(paid)
            tx.session.flush()
            payment = self._open_payment(tx, bought, sum(paid), day)
            tx.record(
                "payment.confirmed", "payment", payment, number=f"FK-{bought.number}",
                occurred_on=day.isoformat(), amount_fen=sum(paid),
                orders=[{"order": str(bought.order), "amount_fen": sum(paid)}],
                lines=[{"line": str(x), "order": str(bought.order), "paid_fen": fen}
                       for x, fen in zip(bought.lines, paid, strict=True)],
            )  # fmt: skip

    def _open_payment(self, tx: Transaction, bought: Bought, fen: int, day: date) -> UUID:
        order = tx.session.get_one(Order, bought.order)
        payment = Payment(
            id=uuid7(), number=f"FK-{uuid7()}", buyer_id=order.buyer_id, seller_id=order.seller_id,
            method=PaymentMethod.TRANSFER, payee_name="户名", payee_bank="银行", payee_account="1",
            transfer_code=str(uuid7()), amount_fen=fen, due_on=day, state=PaymentDocState.PAID,
            opened_at=tx.started_at,
        )  # fmt: skip
        tx.session.add(payment)
        tx.session.flush()
        tx.record(
            "payment.opened", "payment", payment.id, number=payment.number, method="transfer",
            buyer=str(order.buyer_id), seller=str(order.seller_id), amount_fen=fen, due_on=day.isoformat(),
            transfer_code=payment.transfer_code, orders=[{"order": str(bought.order), "amount_fen": fen}],
        )  # fmt: skip
        return payment.id

    def evaluate(self, bought: Bought, day: date = DAY) -> None:
        with transaction(system(), Permission.SYSTEM) as tx:
            lines = [str(x) for x in bought.lines]
            self._tell(tx, "order.evaluated", bought, day, score=5, automatic=False, lines=lines)

    def trade(self, agency: str | None, *wants: Want, purpose: str = "canteen", day: date = DAY) -> Bought:
        """From purchase to evaluation in one go: everything eligible counts."""
        bought = self.buy(agency, *wants, purpose=purpose, day=day)
        self.confirm(bought, day)
        self.ship(bought, day)
        self.accept(bought, day)
        self.pay(bought, day)
        self.evaluate(bought, day)
        return bought

    @staticmethod
    def _set(tx: Transaction, model: Any, key: UUID, **values: Any) -> None:
        tx.session.execute(sa.update(model).where(model.id == key).values(**values))

    @staticmethod
    def _tell(tx: Transaction, kind: str, bought: Bought, day: date, **data: Any) -> None:
        tx.session.flush()
        tx.record(kind, "order", bought.order, number=bought.number, occurred_on=day.isoformat(), **data)


# name, parent, county, canteen, counts in the city
AGENCIES = (
    ("edu", None, KONGTONG, CanteenMode.NONE, True),
    ("school", "edu", KONGTONG, CanteenMode.OWN, True),
    ("primary", "edu", KONGTONG, CanteenMode.SHARED, True),
    ("vocational", "edu", JINGNING, CanteenMode.OUTSOURCED, True),
    ("hospital", None, KONGTONG, CanteenMode.OWN, True),
    ("college", None, KONGTONG, CanteenMode.OWN, False),
)


def build() -> City:
    """A city of six agencies (one provincial, which does not count), one seller, and lots in three counties."""
    city = City()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    with transaction(system(Door.IMPORT), Permission.SYSTEM) as tx:
        session = tx.session
        session.add(Region(code="620800", name="平凉市", level="city", pinyin_key="pingliang"))
        for code, name in COUNTIES.items():
            session.add(Region(code=code, name=name, level="county", pinyin_key=code))
            session.add(Township(code=f"{code}100", name=f"{name}城关镇", county_code=code))
        for code, name in (("010301", "仁果类"), ("010103", "薯类")):
            session.add(Category(code=code, name=name, proofs=[]))
        session.flush()

        def organisation(code: str, kind: OrganisationKind, region: str, **more: Any) -> UUID:
            row = Organisation(
                id=uuid7(), code=code, name=f"单位{code}", pinyin_key=code, kind=kind, region_code=region,
                created_at=at, **more,
            )  # fmt: skip
            session.add(row)
            session.flush()
            return row.id

        for name, parent, county, mode, counts in AGENCIES:
            city.agencies[name] = organisation(
                name, OrganisationKind.AGENCY, county, canteen_mode=mode, counts_in_city=counts,
                parent_id=city.agencies[parent] if parent else None,
            )  # fmt: skip
        city.contractor = organisation("contractor", OrganisationKind.CONTRACTOR, KONGTONG)
        seller = city.sellers[JINGNING] = organisation("coop", OrganisationKind.SELLER, JINGNING)
        for role in (*Role,):
            user = User(
                id=uuid7(), username=role.value, name="测试", password_hash="-",
                organisation_id=city.agencies["edu"], role=role, created_at=at,
            )  # fmt: skip
            session.add(user)
            city.users[role.value] = user.id
        for key, value, begin in _POLICIES:
            session.add(
                Policy(key=key, value=value, valid_from=date.fromisoformat(begin), title=key, source="test",
                       recorded_at=at)
            )  # fmt: skip
        place = Place(organisation_id=seller, kind=PlaceKind.STORE, name="产地库")
        session.add(place)
        session.flush()
        told = []
        for county in COUNTIES:
            for category in ("010301", "010103"):
                product, lot = uuid7(), uuid7()
                session.add(
                    Product(
                        id=product, seller_id=seller, sku=f"{county}-{category}", family="苹果", name="静宁苹果",
                        spec="80#", category_code=category, county_code=county, pack_unit="箱", net_g=5000,
                        priced_by="pack", min_order_quantity=1, order_multiple=1, storage="冷藏",
                        state="recognised", price_fen=1_000, search_name="-", search_pinyin="-",
                        search_initials="-", tokens=[], card="{}", created_at=at,
                    )
                )  # fmt: skip
                session.flush()
                session.add(
                    Lot(
                        id=lot, product_id=product, seller_id=seller, code=f"L-{county}-{category}",
                        trace_code=f"1{county}{category}0000000"[:20], quantity=1_000_000, harvested_on=DAY,
                        best_before=DAY + timedelta(days=400), state=LotState.RELEASED, created_at=at,
                    )
                )  # fmt: skip
                session.flush()
                for position in (0, 1):
                    session.add(
                        Origin(lot_id=lot, position=position, township_code=f"{county}100",
                               village=f"村{position + 1}", plot=f"地块{county}-{position + 1}")
                    )  # fmt: skip
                stock = add_stock(session, lot, place.id)
                moves = [Move(stock.id, MovementKind.RECEIVED, on_hand=1_000_000)]
                told += apply_moves(session, {stock.id: stock}, moves, at)
                city.lots[county, category] = (product, lot, stock.id)
        tx.record("lot.added", "lot", uuid7(), moves=told)
    return city
