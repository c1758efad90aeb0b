"""Sellers, an office and products, made through the services beside the seed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg

from marketplace.accounts import service as accounts
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role, system
from marketplace.catalog import service
from marketplace.values import uuid7

SYSTEM = system(Door.IMPORT)
CITY = "620800"
COUNTY = "620826"  # 静宁县: its goods count
FAR_COUNTY = "620823"  # 崇信县: its goods are sold, and do not count
APPLES = "010301"
_codes = iter(range(10_000))


def organisation(kind: str = "seller", **fields: Any) -> UUID:
    number = next(_codes)
    values = {
        "name": f"测试单位{number}",
        "region_code": COUNTY,
        "admitted_on": date(2020, 5, 1) if kind == "seller" else None,
        **fields,
    }
    made: UUID = accounts.add_organisation(SYSTEM, code=f"TEST-{number}", kind=kind, **values).result["id"]
    return made


def person(role: Role = Role.SELLER, kind: str = "seller", organisation_id: UUID | None = None) -> Actor:
    """Somebody who acts for an organisation, by default for a new one."""
    return Actor(
        user_id=uuid7(),
        username="somebody",
        organisation_id=organisation_id or organisation(kind),
        organisation_kind=kind,
        region_code=CITY if kind == "office" else COUNTY,
        role=role,
        permissions=ROLE_PERMISSIONS[role],
        door=Door.API,
    )


def wish(**changes: Any) -> service.ProductWish:
    values: dict[str, Any] = {
        "sku": f"SKU-{next(_codes)}",
        "family": "苹果",
        "name": "测试苹果",
        "spec": "80# 一级 5公斤",
        "category_code": APPLES,
        "county_code": COUNTY,
        "pack_unit": "箱",
        "net_g": 5000,
        "min_order_quantity": 2,
        "order_multiple": 2,
        "ladder": [(2, 4500), (50, 4200)],
        "storage": "0-4℃冷藏",
    }
    return service.ProductWish(**(values | changes))


def draft(seller: Actor, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = service.add_product(seller, wish(**changes)).result
    return made


def submitted(seller: Actor, **changes: Any) -> dict[str, Any]:
    product = draft(seller, **changes)
    made: dict[str, Any] = service.submit_product(seller, UUID(product["id"])).result
    return made


def recognised(seller: Actor, **changes: Any) -> dict[str, Any]:
    product = submitted(seller, **changes)
    made: dict[str, Any] = service.recognise_product(SYSTEM, UUID(product["id"])).result
    return made


def stock(
    owner: psycopg.Connection,
    product: dict[str, Any],
    on_hand: int,
    best_before: date,
    *,
    reserved: int = 0,
    state: str = "released",
    at: UUID | None = None,
) -> UUID:
    """Rows of a lot with stock at a place of the seller, or of the organisation `at`: as the lots' service leaves them."""
    lot, place, seller = uuid7(), uuid7(), UUID(product["seller"]["id"])
    code = lot.hex[-20:].upper()
    owner.execute(
        "insert into lot (id, product_id, seller_id, code, trace_code, quantity, harvested_on, best_before, state,"
        " created_at, version) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, now(), 1)",
        (
            lot,
            product["id"],
            seller,
            code,
            code,
            max(on_hand, 1),
            best_before - timedelta(90),
            best_before,
            state,
        ),
    )
    owner.execute(
        "insert into place (id, organisation_id, kind, name) values (%s, %s, 'store', %s)",
        (place, at or seller, code),
    )
    owner.execute(
        "insert into stock (lot_id, place_id, on_hand, reserved) values (%s, %s, %s, %s)",
        (lot, place, on_hand, reserved),
    )
    return lot


def place(owner: psycopg.Connection, organisation_id: UUID) -> UUID:
    """One more store of an organisation."""
    made = uuid7()
    owner.execute(
        "insert into place (id, organisation_id, kind, name) values (%s, %s, 'store', %s)",
        (made, organisation_id, made.hex),
    )
    return made
