"""Every route of the API x everybody x own, another tenant's and absent objects, generated from the URL map.

Who never may gets 403 (a stranger 401). Another tenant's object answers byte for byte as an absent one does. No
refusal shows a word that another tenant typed, and none changes a row. Who may and reaches the object is not refused,
and the one the act is for succeeds. A new route without an entry in tests/matrix/acts_*.py fails here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from marketplace.actors import ROLE_PERMISSIONS, Role
from tests.matrix.acts import Prepared
from tests.matrix.players import PLAYERS, Player
from tests.matrix.pointers import leaves, normal
from tests.matrix.routes import ADD_HERE, PUBLIC_REFERENCES, Route, routes, tenants_of
from tests.matrix.table import ACTS
from tests.matrix.tenant import Tenant
from tests.matrix.world import World, slug

# Tables that a refused request may write, with the reason.
LOG_LIKE = {
    "throttle": "tries and requests are counted before anything is judged",
}
# A public read that is counted.
COUNTS_A_READ = {"trace.trace": "trace_scan"}


@pytest.fixture(scope="module")
def world(app: Flask) -> Iterator[World]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        made = World(app, owner)
        for tenant in made.tenants:
            tenant.fill()
        for player in PLAYERS:
            if player.name is not None:
                made.token(player.name)
        made.seal()
        yield made


@pytest.fixture(scope="module")
def table(app: Flask) -> list[Route]:
    return routes(app)


def endpoints() -> list[str]:
    """One test for each known endpoint; that all are known is a test of its own."""
    return sorted(ACTS)


def test_every_route_is_known_and_declares_its_access(table: list[Route]) -> None:
    missing = [r.endpoint for r in table if r.endpoint not in ACTS and (r.unsafe or r.params or r.references)]
    assert missing == [], ADD_HERE
    assert sorted(ACTS.keys() - {r.endpoint for r in table}) == [], "routes that are no more"
    assert [r.endpoint for r in table if r.access is None] == []


def test_everybody_of_the_roles_is_among_the_players() -> None:
    assert {p.role for p in PLAYERS} == {*Role, None}
    assert set(ROLE_PERMISSIONS) == set(Role)


def test_every_id_that_a_body_or_query_takes_is_tried(table: list[Route], world: World) -> None:
    """The bodies of the acts name every field with the format of an id, optional ones too."""
    forgotten = []
    for route in table:
        if not route.references:
            continue
        tried: set[str] = set()
        for tenant in tenants_of(route, world):
            prepared = route.act.made(tenant)
            tried |= {normal(p) for p in leaves(prepared.body)} | set(prepared.query or {})
        public = {place for endpoint, place in PUBLIC_REFERENCES if endpoint == route.endpoint}
        forgotten += [f"{route.endpoint} {place}" for place in sorted(route.references - tried - public)]
    assert forgotten == [], ADD_HERE


def test_reads_without_objects_show_no_words_of_other_tenants(table: list[Route], world: World) -> None:
    wrong = []
    for route in table:
        if route.unsafe or route.endpoint in ACTS:
            continue
        for player in PLAYERS:
            answer = route.call(world, player.name, Prepared())
            if status_of(player, route) is not None:
                wrong += complaints(player, route, answer, status_of(player, route))
            else:
                wrong += complaints(player, route, answer, 200)
    assert wrong == []


def test_a_number_beyond_any_column_is_absent_in_a_path_and_invalid_in_a_query(
    table: list[Route], world: World
) -> None:
    seen = []
    for route in table:
        for player in PLAYERS:
            if status_of(player, route) is not None:
                continue
            good = route.act.made(world.a)
            for number in (2**63, -(2**63) - 1, 10**30):
                for name in [
                    n for n, kind in route.params.items() if kind == "IntegerConverter" and number > 0
                ]:
                    answer = route.call(
                        world, player.name, replace(good, params={**good.params, name: number})
                    )
                    seen.append((route.rule, name, answer.status_code, 404))
                for name in route.numbers:
                    answer = route.call(
                        world, player.name, replace(good, query={**(good.query or {}), name: number})
                    )
                    seen.append((route.rule, name, answer.status_code, 422))
            break
    assert len(seen) > 50
    assert sorted({cell for cell in seen if cell[2] != cell[3]}) == []


def test_facts_hold_no_words_that_people_typed_of_each_other(world: World) -> None:
    """Names of products and plots are of the trade; names of people, reasons and notes stay in their tables."""
    kinds = world.owner.execute("select distinct kind from fact where body like '%canary-%'").fetchall()

    assert {kind for (kind,) in kinds} == {"lot.added", "product.added"}


@pytest.mark.parametrize("endpoint", endpoints())
def test_a_route_keeps_out_whom_it_should(endpoint: str, table: list[Route], world: World) -> None:
    for route in [r for r in table if r.endpoint == endpoint]:
        _Cells(world, route).run()


def status_of(player: Player, route: Route) -> int | None:
    """The status of a player who never may; None when the permission is his."""
    if route.access == "public" or any(p in player.permissions for p in route.access):
        return None
    return 401 if player.role is None else 403


def complaints(player: Player, route: Route, answer: TestResponse, expected: int) -> list[str]:
    """What is wrong with an answer that must have this status."""
    who = f"{player.name or 'a stranger'} {route.method} {route.rule}"
    wrong = [] if answer.status_code == expected else [f"{who}: {answer.status_code}, not {expected}"]
    return wrong + leaks(player, route, answer)


def leaks(player: Player, route: Route, answer: TestResponse) -> list[str]:
    text = answer.get_data()
    return [
        f"{player.name or 'a stranger'} {route.method} {route.rule} reads words of {tag}"
        for tag in sorted(player.blind_to)
        if f"canary-{tag}-".encode() in text
    ]


class _Cells:
    """The column of one route: first everything that must be refused, then what may be done."""

    def __init__(self, world: World, route: Route) -> None:
        self.world = world
        self.route = route
        self.tenants = tenants_of(route, world)
        self.prepared = {t.tag: route.act.made(t) for t in self.tenants}
        self.wrong: list[str] = []

    def run(self) -> None:
        world, route = self.world, self.route
        before = world.fingerprint()
        for player in PLAYERS:
            expected = status_of(player, route)
            if expected is not None:
                self._never(player, expected)
            else:
                self._out_of_reach(player)
        after = world.fingerprint()
        ignored = {*LOG_LIKE, COUNTS_A_READ.get(route.endpoint, "")}
        changed = sorted(t for t in after if after[t] != before.get(t) and t not in ignored)
        self._assert_right()
        assert changed == [], f"a refused {route.method} {route.rule} wrote to {changed}"
        self._within_reach()
        self._assert_right()

    def _assert_right(self) -> None:
        assert not self.wrong, "\n".join(self.wrong)

    def _reaches(self, player: Player, tenant: Tenant) -> bool:
        return bool(player.words(tenant.tag) & self.route.act.sees)

    def _never(self, player: Player, expected: int) -> None:
        first = self.prepared[self.tenants[0].tag]
        for prepared in (*self.prepared.values(), self.route.emptied(first)):
            answer = self.route.call(self.world, player.name, prepared)
            self.wrong += complaints(player, self.route, answer, expected)

    def _out_of_reach(self, player: Player) -> None:
        """Others' objects, alone and together, answer as absent ones do."""
        for tenant in self.tenants:
            prepared = self.prepared[tenant.tag]
            if not self._reaches(player, tenant):
                self._same(player, prepared, self.route.emptied(prepared))
                continue
            if self.route.act.personal:
                continue
            for other in self.tenants:
                if other is tenant or (other.tag in player.stands and self._reaches(player, other)):
                    continue
                for name in (*self.route.objects, *self.route.places(prepared)):
                    self._one_of_others(player, tenant, other, name)

    def _one_of_others(self, player: Player, tenant: Tenant, other: Tenant, name: str) -> None:
        prepared, theirs = self.prepared[tenant.tag], self.prepared[other.tag]
        if not theirs.holds(name):
            return
        self._same(
            player, self.route.put(prepared, name, theirs), self.route.put(prepared, name, None), f" {name}"
        )

    def _same(self, player: Player, theirs: Prepared, absent: Prepared, place: str = "") -> None:
        answers = [self.route.call(self.world, player.name, p) for p in (theirs, absent)]
        seen = [(a.status_code, a.mimetype, a.get_data(as_text=True)) for a in answers]
        if seen[0] != seen[1]:
            self.wrong.append(
                f"{player.name or 'a stranger'} {self.route.method} {self.route.rule}{place}: another tenant's is"
                f" {seen[0]}, an absent one {seen[1]}"
            )
        if self.route.unsafe and answers[0].status_code < 400:
            self.wrong.append(f"{player.name} {self.route.method} {self.route.rule}{place}: not refused")
        self.wrong += leaks(player, self.route, answers[0])

    def _within_reach(self) -> None:
        if not self.route.act.sees:
            return
        for tenant in self.tenants:
            prepared = self.prepared[tenant.tag]
            answer = self.route.call(self.world, prepared.user, prepared)
            if answer.status_code >= 300:
                self.wrong.append(
                    f"{prepared.user} {self.route.method} {self.route.rule}: {answer.status_code} {slug(answer)}"
                    f" {answer.get_data(as_text=True)[:300]}"
                )
            for player in PLAYERS:
                if status_of(player, self.route) is None:
                    self._not_refused(player, tenant, prepared)

    def _not_refused(self, player: Player, tenant: Tenant, prepared: Prepared) -> None:
        if self.route.act.personal and player.name is not None:
            if tenant is not self.tenants[0]:
                return
            prepared = self.route.act.made(tenant, player.name)
        elif not self._reaches(player, tenant) or prepared.user == player.name:
            return
        with self.world.sessions_kept(self.route.act.ends_session):
            answer = self.route.call(self.world, player.name, prepared)
        if answer.status_code in (401, 403, 404) or answer.status_code >= 500:
            self.wrong.append(
                f"{player.name or 'a stranger'} {self.route.method} {self.route.rule}: {answer.status_code}"
                f" {slug(answer)}, though he may ({tenant.tag})"
            )
        self.wrong += leaks(player, self.route, answer)
