"""People and organisations made the way production makes them: through the services."""

from __future__ import annotations

from uuid import UUID

from marketplace.accounts import service
from marketplace.accounts.regions import region_subject
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role, system

PASSWORD = "pingliang-demo-2026"
SYSTEM = system(Door.IMPORT)
CITY, COUNTY, DISTRICT = "620800", "620802", "120103"


def regions() -> None:
    service.add_region(SYSTEM, code=CITY, name="平凉市", level="city")
    service.add_region(SYSTEM, code=COUNTY, name="崆峒区", level="county", parent_code=CITY)
    service.add_region(SYSTEM, code="620823", name="崇信县", level="county", parent_code=CITY)
    service.add_region(SYSTEM, code="120000", name="天津市", level="city")
    service.add_region(SYSTEM, code=DISTRICT, name="河西区", level="district", parent_code="120000")


def organisation(code: str, kind: str = "seller", **fields: object) -> UUID:
    values = {"name": f"单位{code}", "region_code": COUNTY, **fields}
    return service.add_organisation(SYSTEM, code=code, kind=kind, **values).result["id"]


def user(username: str, organisation_id: UUID, role: str = "seller", password: str = PASSWORD) -> UUID:
    return service.add_user(
        SYSTEM,
        username=username,
        name=f"用户{username}",
        password=password,
        organisation_id=organisation_id,
        role=role,
    ).result["id"]


def actor(user_id: UUID, organisation_id: UUID, role: Role = Role.SELLER, kind: str = "seller") -> Actor:
    return Actor(
        user_id=user_id,
        username="someone",
        organisation_id=organisation_id,
        organisation_kind=kind,
        region_code=COUNTY,
        role=role,
        permissions=ROLE_PERMISSIONS[role],
        door=Door.API,
    )


__all__ = ["PASSWORD", "SYSTEM", "actor", "organisation", "region_subject", "regions", "user"]
