"""The routes as the application registers them, and requests built from them with objects put in and out."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from tests.matrix.acts import Act, Prepared
from tests.matrix.pointers import leaves, normal, write
from tests.matrix.table import ACTS
from tests.matrix.tenant import Json, Tenant
from tests.matrix.world import World

PREFIX = "/api/v1"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
ABSENT = {"UUIDConverter": "01890a5d-ac96-774b-bcce-b302099a8057", "IntegerConverter": 999_999_999}
ABSENT_ID = ABSENT["UUIDConverter"]
# Parameters that name no object: nothing of another tenant can stand there.
NO_OBJECT = {
    "period": "a month", "trace_code": "codes are public", "size": "checkpoints are public",
    "channel_code": "organisations are public",
}  # fmt: skip
# Named objects that are nobody's secret: organisations stand on public pages and in public lists.
PUBLIC_REFERENCES = {
    ("accounts.add_user", "/organisation_id"),
    ("catalog.list_products", "seller"),
    ("channel_office.carry_item", "/product_id"),
    ("channel_office.set_prices", "/product_id"),
    ("quota.file_declaration", "/represented_by"),
    ("quota.file_declaration", "/contractor_id"),
}
ADD_HERE = "add it to tests/matrix/acts_*.py (@act): what it needs to succeed, and who reaches its object"


@dataclass(frozen=True)
class Route:
    """One endpoint and method under the prefix."""

    endpoint: str
    method: str
    rule: str
    params: Mapping[str, str]
    access: Any
    # Pointers of the body, and names of the query, that hold ids.
    references: frozenset[str]
    # Headers that OpenAPI names.
    headers: frozenset[str]
    # Names of the query that hold whole numbers.
    numbers: frozenset[str]

    @property
    def unsafe(self) -> bool:
        return self.method not in SAFE

    @cached_property
    def act(self) -> Act:
        if self.endpoint in ACTS:
            return ACTS[self.endpoint]
        if self.unsafe or self.params:
            raise AssertionError(f"{self.endpoint} is not known: {ADD_HERE}")
        return Act(lambda t, user: Prepared(), "buyer", frozenset({"everybody"}))

    @property
    def objects(self) -> list[str]:
        return [name for name in self.params if name not in NO_OBJECT]

    def call(
        self, world: World, user: str | None, prepared: Prepared, key: str | None = None
    ) -> TestResponse:
        path = self.rule
        for name, value in prepared.params.items():
            path = re.sub(rf"<(?:[a-z]+:)?{name}>", str(value), path)
        assert "<" not in path, f"{self.endpoint}: no value for a parameter of {path}: {ADD_HERE}"
        return world.call(
            user, self.method, path, prepared.body, form=prepared.form, query=prepared.query, key=key
        )

    def emptied(self, prepared: Prepared) -> Prepared:
        """The request with an absent object in every place."""
        for name in (*self.objects, *self.places(prepared)):
            prepared = self.put(prepared, name, None)
        return prepared

    def put(self, prepared: Prepared, name: str, other: Prepared | None) -> Prepared:
        """The request with one object replaced by the `other` request's, or by an absent one."""
        if name in self.params:
            value = ABSENT[self.params[name]] if other is None else other.value(name)
            return replace(prepared, params={**prepared.params, name: value})
        if name.startswith("/"):
            body = copy.deepcopy(prepared.body)
            write(body, name, ABSENT_ID if other is None else other.value(name))
            return replace(prepared, body=body)
        value = ABSENT_ID if other is None else other.value(name)
        return replace(prepared, query={**(prepared.query or {}), name: value})

    def places(self, prepared: Prepared) -> list[str]:
        """Pointers of the body and names of the query of this request that name somebody's objects."""
        named = [p for p in leaves(prepared.body) if normal(p) in self.references]
        named += [n for n in prepared.query or {} if n in self.references]
        return [n for n in named if (self.endpoint, normal(n)) not in PUBLIC_REFERENCES]


def routes(app: Flask) -> list[Route]:
    """All routes under the prefix, in the order of their rules."""
    described = app.test_client().get("/api/openapi.json").get_json()
    found = []
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith(f"{PREFIX}/"):
            continue
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            operation = described["paths"][re.sub(r"<(?:[a-z]+:)?(\w+)>", r"{\1}", rule.rule)][method.lower()]
            found.append(
                Route(
                    rule.endpoint,
                    method,
                    rule.rule.removeprefix(PREFIX),
                    {name: type(converter).__name__ for name, converter in rule._converters.items()},
                    getattr(view, "declared_access", None),
                    frozenset(references(operation, described)),
                    frozenset(p["name"] for p in operation.get("parameters", []) if p.get("in") == "header"),
                    frozenset(
                        p["name"]
                        for p in operation.get("parameters", [])
                        if p.get("in") == "query" and "integer" in p.get("schema", {}).get("type", "")
                    ),
                )
            )
    return sorted(found, key=lambda r: (r.rule, r.method))


def references(operation: Json, described: Json) -> Iterator[str]:
    """Pointers of the body and names of the query whose format is that of an id, as OpenAPI says."""
    for parameter in operation.get("parameters", []):
        if parameter.get("in") == "query" and parameter.get("schema", {}).get("format") == "uuid":
            yield parameter["name"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield from _ids(content.get("schema", {}), described, "")


def _ids(schema: Json, described: Json, pointer: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema.get("format") == "uuid":
        yield pointer
    if "items" in schema:
        yield from _ids(schema["items"], described, f"{pointer}/*")
    for name, below in schema.get("properties", {}).items():
        yield from _ids(below, described, f"{pointer}/{name}")


def tenants_of(route: Route, world: World) -> list[Tenant]:
    """A and B; the contractor's trade too, where its buyer acts (its seller is A's)."""
    by_seller = route.act.by in ("seller", "second")
    return [world.a, world.b] if by_seller else [world.a, world.b, world.c]
