"""What a route needs to succeed, who reaches its object, and what another body would be: the words of the table.

The table itself stands in `acts_house`, `acts_goods` and `acts_trade`, and is whole in `table`. A new route under
/api/v1 is added there with `@act`; the tests that read the URL map fail until it is. An object is made in the state
in which the act succeeds, so that nothing but its scope can refuse somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.matrix.pointers import leaves, read
from tests.matrix.tenant import Json, Tenant

BUYING = frozenset({"buyer", "manager", "department"})
PRINCIPAL = frozenset({"principal", "principal_department"})
# Offices of the city; those of the county of tenants A and C; those of that county, asking for tenant B.
OFFICE = frozenset({"office", "county", "outside"})
COUNTY = frozenset({"office", "county"})
# The agencies are of another county than the sellers: no county office of `players` has their figures.
CITY = frozenset({"office"})
SELLER = frozenset({"seller"})
BUYER = frozenset({"buyer"})
AGENCY = frozenset({"manager", "department"}) | PRINCIPAL
TRADE = BUYING | PRINCIPAL | SELLER | COUNTY
PAPER = BUYING | SELLER | COUNTY
EVERYBODY = frozenset({"everybody"})


@dataclass(frozen=True)
class Prepared:
    """One request that succeeds for `user` (by default the tenant's, by the act)."""

    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    user: str = ""
    form: Json | None = None
    query: Json | None = None
    # By pointer: what stands for another tenant's object, where that of its own request is nobody's secret.
    others: Mapping[str, Any] = field(default_factory=dict)

    def value(self, place: str) -> Any:
        """What stands in a parameter, at a pointer of the body or under a name of the query, for others to try."""
        if place in self.others:
            return self.others[place]
        if place in self.params:
            return self.params[place]
        return read(self.body, place) if place.startswith("/") else (self.query or {})[place]

    def holds(self, place: str) -> bool:
        places = (*self.others, *self.params, *(self.query or {}))
        return place in places or place in leaves(self.body)


@dataclass(frozen=True)
class Act:
    """`sees`: who reaches the object, by the words of `players`. `changed` makes another valid body for a key."""

    prepare: Callable[[Tenant, str], Prepared]
    by: str
    sees: frozenset[str]
    personal: bool = False
    ends_session: bool = False
    changed: Callable[[Any], Any] | None = None
    after: Callable[[Tenant, Prepared, Any], object] | None = None

    def made(self, tenant: Tenant, user: str = "") -> Prepared:
        natural = user or getattr(tenant, self.by, self.by)
        prepared = self.prepare(tenant, natural)
        return prepared if prepared.user else replace(prepared, user=natural)


ACTS: dict[str, Act] = {}


def act(endpoint: str, by: str, sees: Iterable[str] = EVERYBODY, **more: Any) -> Any:
    def keep(prepare: Callable[[Tenant, str], Prepared]) -> Callable[[Tenant, str], Prepared]:
        ACTS[endpoint] = Act(prepare, by, frozenset(sees), **more)
        return prepare

    return keep


def given(**changes: Any) -> Callable[[Any], Any]:
    return lambda body: {**body, **changes}


REASON = {"reason": "写明原因"}
