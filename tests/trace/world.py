"""Two sellers, an office, a regulator, a laboratory and their goods, made through the services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from marketplace.accounts import service as accounts
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role, system
from marketplace.catalog import service as catalog
from marketplace.documents.service import store_document
from marketplace.trace import service

PASSWORD = "pingliang-demo-2026"
NOON = datetime(2026, 11, 24, 4, tzinfo=UTC)
TODAY = date(2026, 11, 24)
HARVEST = date(2026, 10, 12)
SYSTEM = system(Door.IMPORT)
CODE, OTHER_CODE = "93620826MA70A0A67D", "93620825MA70A0A594"
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\nxref\n0 1\ntrailer\n<< >>\nstartxref\n50\n%%EOF\n"
GROWER_NAME = "甲不公开"
PLOT = "不公开的三号园"


@dataclass(frozen=True)
class World:
    seller: Actor
    other_seller: Actor
    office: Actor
    regulator: Actor
    far_office: Actor
    product: UUID
    other_product: UUID
    beef: UUID
    growers: tuple[UUID, ...]
    document: UUID
    lab_document: UUID

    def origins(self, plot: str = PLOT) -> list[dict[str, Any]]:
        return [
            {
                "township_code": "620826108", "village": "上塬村", "plot": f"{plot}{number}",
                "grower_id": grower, "weight_g": 1_000_000, "paid_fen": 700_000,
            }
            for number, grower in enumerate(self.growers)
        ]  # fmt: skip

    def lot(self, **changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "product_id": self.product,
            "quantity": 600,
            "harvested_on": HARVEST,
            "origins": self.origins(),
        }
        return service.add_lot(self.seller, **(values | changes)).result

    def certified(self, lot_id: UUID, **changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "kind": "commitment",
            "issued_on": date(2026, 10, 13),
            "quantity": 600,
            "document_id": self.document,
        }
        return service.certify_lot(self.seller, lot_id, **(values | changes)).result

    def sampled(self, lot_id: UUID, *, passed: bool = True, **changes: Any) -> dict[str, Any]:
        values: dict[str, Any] = {
            "sampled_on": date(2026, 10, 15),
            "items": [
                {"name": "毒死蜱", "value": "0.008" if passed else "0.03", "limit": "0.02", "unit": "mg/kg"}
            ],
            "passed": passed,
            "document_id": self.lab_document,
        }
        return service.inspect_lot(self.regulator, lot_id, **(values | changes)).result

    def released(self, **changes: Any) -> dict[str, Any]:
        lot = self.lot(**changes)
        self.certified(lot["id"], quantity=lot["quantity"])
        self.sampled(lot["id"])
        return service.release_lot(self.seller, lot["id"]).result


def _organisation(code: str, kind: str, region: str, name: str, **fields: Any) -> UUID:
    made: UUID = accounts.add_organisation(
        SYSTEM, code=code, kind=kind, region_code=region, name=name, **fields
    ).result["id"]
    return made


def _actor(username: str, organisation: UUID, role: Role, kind: str, region: str) -> Actor:
    user = accounts.add_user(
        SYSTEM,
        username=username,
        name=username,
        password=PASSWORD,
        organisation_id=organisation,
        role=role.value,
    ).result["id"]
    return Actor(user, username, organisation, kind, region, role, ROLE_PERMISSIONS[role], Door.API)


def _product(seller: UUID, sku: str, name: str, category: str, county: str) -> UUID:
    wish = catalog.ProductWish(
        sku=sku, family="苹果", name=name, spec="红富士 80#一级", category_code=category, county_code=county,
        pack_unit="箱", net_g=5000, min_order_quantity=1, ladder=[(1, 4500)], storage="0-4℃冷藏",
    )  # fmt: skip
    made: UUID = catalog.add_product(SYSTEM, wish, seller_id=seller).result["id"]
    catalog.submit_product(SYSTEM, made)
    catalog.recognise_product(SYSTEM, made)
    return made


def make_world() -> World:
    accounts.add_region(SYSTEM, code="620800", name="平凉市", level="city")
    for code, name in (("620826", "静宁县"), ("620825", "庄浪县")):
        accounts.add_region(SYSTEM, code=code, name=name, level="county", parent_code="620800")
    accounts.add_township(SYSTEM, code="620826108", name="城川镇", county_code="620826")
    accounts.add_township(SYSTEM, code="620825102", name="朱店镇", county_code="620825")
    catalog.add_price_list(SYSTEM, code="public", name="公开价")
    catalog.add_category(
        SYSTEM,
        code="010301",
        name="仁果类",
        proofs=["commitment"],
        shelf_life_days=210,
        sampling_required=True,
    )
    catalog.add_category(SYSTEM, code="020101", name="牛肉", proofs=["quarantine", "meat_inspection"])
    seller = _organisation(
        "S1", "seller", "620826", "静宁塬上合作社", credit_code=CODE, admitted_on=date(2026, 1, 1)
    )
    other = _organisation(
        "S2", "seller", "620825", "庄浪梯田合作社", credit_code=OTHER_CODE, admitted_on=date(2026, 1, 1)
    )
    office = _organisation("O1", "office", "620800", "平凉市乡村振兴局")
    samr = _organisation("O2", "office", "620800", "平凉市市场监督管理局")
    far = _organisation("O3", "office", "620825", "庄浪县乡村振兴局")
    sellers = [
        _actor("one.seller", seller, Role.SELLER, "seller", "620826"),
        _actor("two.seller", other, Role.SELLER, "seller", "620825"),
    ]
    regulator = _actor("regulator", samr, Role.MARKET_REGULATOR, "office", "620800")
    growers = tuple(
        service.add_grower(
            SYSTEM,
            seller_id=seller,
            code=f"GR-{number}",
            name=f"{GROWER_NAME}{number}",
            township_code="620826108",
            village="上塬村",
            poverty_household=True,
        ).result["id"]
        for number in range(3)
    )
    return World(
        seller=sellers[0],
        other_seller=sellers[1],
        office=_actor("office", office, Role.POVERTY_OFFICE, "office", "620800"),
        regulator=regulator,
        far_office=_actor("far.office", far, Role.POVERTY_OFFICE, "office", "620825"),
        product=_product(seller, "A1", "静宁苹果", "010301", "620826"),
        other_product=_product(other, "B1", "庄浪苹果", "010301", "620825"),
        beef=_product(seller, "C1", "静宁牛肉", "020101", "620826"),
        growers=growers,
        document=store_document(sellers[0], kind="certificate", filename="h.pdf", content=PDF).result["id"],
        lab_document=store_document(
            regulator, kind="inspection", filename="j.pdf", content=PDF + b"%report\n%%EOF\n"
        ).result["id"],
    )
