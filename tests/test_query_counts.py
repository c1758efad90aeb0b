"""Every list of the API, from the URL map: as many statements for many rows as for few, whoever reads it.

A new list is in this table by itself. The two tenants and their contractor trade once, everybody reads a row of each,
they trade twice more, and everybody reads longer pages.
"""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy as sa
from flask import Flask

from marketplace.database import db
from tests.matrix.acts_channels import change_request, consignment, ended_key, shop_sale
from tests.matrix.acts_statements import statement
from tests.matrix.players import PLAYERS
from tests.matrix.world import World
from tests.statements import sent_statements

PREFIX = "/api/v1"
# Lists of reference data, which trade does not make longer.
LASTING = {"/categories", "/policies", "/regions", "/channels"}
# Answers whose rows are groups of a fixed kind: they sum what grows.
SUMS = {"/quota/pace", "/quota/summary", "/me", "/declarations/missing", "/checkpoints"}
QUERIES: dict[str, dict[str, Any]] = {
    "/quota/summary": {"year": None, "by": "agency"},
    "/quota/entries": {"year": None, "by": "agency", "key": None},
    "/quota/pace": {"year": None, "agency_id": None},
    "/declarations/missing": {"year": None},
}
Reading = tuple[str, str | None]


def routes(app: Flask) -> list[tuple[str, Any]]:
    """(path, access) of every read without a parameter in its address."""
    return sorted(
        (rule.rule.removeprefix(PREFIX), app.view_functions[rule.endpoint].declared_access)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(f"{PREFIX}/") and "GET" in (rule.methods or ()) and not rule.arguments
        if not rule.rule.endswith(".xlsx")
    )


def size(answer: Any) -> int:
    return len(answer["items"]) if isinstance(answer, dict) and "items" in answer else 0


def read_everything(world: World, engine: sa.Engine, limit: int) -> dict[Reading, tuple[int, int]]:
    """(rows, statements) of every list for everybody who may read it."""
    year = world.one("select extract(year from now() at time zone 'Asia/Shanghai')::int")
    found: dict[Reading, tuple[int, int]] = {}
    for path, access in routes(world.app):
        known = {"year": year, "key": world.a.agency_id, "agency_id": world.a.agency_id}
        query = {name: known.get(name, value) for name, value in QUERIES.get(path, {}).items()}
        for player in PLAYERS:
            if access != "public" and not set(access) & player.permissions:
                continue
            longest = query | {"limit": limit}
            if world.call(player.name, "GET", path, query=longest).status_code != 200:
                longest = query
            with sent_statements(engine) as sent:
                answer = world.call(player.name, "GET", path, query=longest)
            if answer.status_code == 404:
                continue  # the agency is outside this reader's scope
            assert answer.status_code == 200, f"{path} {player.name}: {answer.get_data(as_text=True)}"
            found[path, player.name] = (size(answer.get_json()), len(sent))
    return found


def test_no_list_asks_more_of_the_database_for_more_rows(app: Flask, owner: psycopg.Connection) -> None:
    world = World(app, owner)
    with app.app_context():
        engine = db.engine

    def trade() -> None:
        for tenant in world.tenants:
            tenant.fill()
            tenant.product("submitted")
        for tenant in (world.a, world.b):
            change_request(tenant)
            consignment(tenant)
            statement(tenant)
            shop_sale(tenant)
        ended_key(world)
        world.seal()

    trade()
    few = read_everything(world, engine, limit=1)
    trade()
    trade()
    many = read_everything(world, engine, limit=100)

    assert set(few) == set(many)
    more = {reading: (few[reading], many[reading]) for reading in few if many[reading][1] > few[reading][1]}
    assert more == {}
    longer = {path for path, player in few if many[path, player][0] > few[path, player][0]}
    unproved = {path for path, _ in few} - longer - LASTING - SUMS
    assert unproved == set()
