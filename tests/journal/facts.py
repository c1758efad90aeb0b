"""Facts of a few organisations, recorded as services do, and the actors who read them."""

from dataclasses import replace
from uuid import UUID

from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Permission, Role, system
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7


def reader(role: Role, organisation: UUID, subordinates: frozenset[UUID] = frozenset()) -> Actor:
    return Actor(
        uuid7(),
        role.value,
        organisation,
        "seller",
        "620800",
        role,
        ROLE_PERMISSIONS[role],
        Door.API,
        subordinates,
    )


def county_reader(role: Role, organisation: UUID, of_the_county: frozenset[UUID]) -> Actor:
    """One of an office of 静宁, where the organisations `of_the_county` are."""
    return replace(
        reader(role, organisation, of_the_county), organisation_kind="office", region_code="620826"
    )


def record(kind: str, *parties: UUID, **data) -> UUID:
    """Commit one fact; the answer is its subject."""
    subject = uuid7()
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.record(kind, "test", subject, parties=parties, **data)
    return subject
