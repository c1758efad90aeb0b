"""One key, one effect, on every unsafe route of the URL map: replays, two at once, other bodies, refusals.

The answer to a repeated key is the stored one, byte for byte, also after the object has moved on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.matrix.acts import Prepared
from tests.matrix.routes import ADD_HERE, Route, routes
from tests.matrix.table import ACTS
from tests.matrix.tenant import Tenant
from tests.matrix.world import World, slug

# Routes that declare `without_key`; the reason stands there.
WITHOUT_KEY = {
    "accounts.add_user",
    "accounts.change_password",
    "accounts.confirm_second_factor",
    "accounts.create_token",
    "accounts.end_token",
    "accounts.enrol_second_factor",
    "accounts.propose_bank_account",
    "partner_keys.create_key",
}
# Asks the gateway before it claims the key; a process has one place for that, and the other is sent away from it.
ASKS_FIRST = {"payments.resolve_attempt"}
# Tables that a replay or a refusal may write, with the reason.
LOG_LIKE = {
    "throttle": "tries and requests are counted before anything is judged",
    "document_upload": "the intent of an upload is committed before its bytes travel, and a repeat renews it",
}


@pytest.fixture(scope="module")
def world(app: Flask) -> Iterator[World]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        yield World(app, owner)


@pytest.fixture(scope="module")
def table(app: Flask) -> dict[str, Route]:
    return {route.endpoint: route for route in routes(app) if route.unsafe}


@dataclass(frozen=True)
class Done:
    """An act that was done once with a key, and what that changed."""

    prepared: Prepared
    key: str
    answer: TestResponse
    effect: Counter[str]


@pytest.fixture(scope="module")
def once() -> dict[str, Done]:
    """The acts done so far, each made once for the tests of this module."""
    return {}


def unsafe_endpoints() -> list[str]:
    """The acts of the table that change something: those whose route is not a read, known before an application is."""
    reads = ("show_", "list_", "get_", "send_", "labels_", "missing_", "quota_")
    return sorted(
        endpoint
        for endpoint in ACTS
        if not endpoint.partition(".")[2].startswith(reads) and endpoint not in ("trace.trace",)
    )


KEYED = [endpoint for endpoint in unsafe_endpoints() if endpoint not in WITHOUT_KEY]


def test_every_unsafe_route_is_tried_here(table: dict[str, Route]) -> None:
    assert sorted(table.keys() - set(KEYED) - WITHOUT_KEY) == [], ADD_HERE
    assert sorted((set(KEYED) | WITHOUT_KEY) - table.keys()) == [], "routes that are no more, or reads"


def test_routes_without_keys_say_so_and_the_others_describe_the_header(
    app: Flask, table: dict[str, Route]
) -> None:
    declared = {name for name in table if hasattr(app.view_functions[name], "takes_no_key")}
    described = {name for name, route in table.items() if "Idempotency-Key" in route.headers}

    assert declared == WITHOUT_KEY
    assert described == table.keys() - WITHOUT_KEY


def new_key(world: World) -> str:
    return f"key-{world.number()}"


def state(world: World) -> dict[str, tuple[int, int]]:
    return {name: rows for name, rows in world.fingerprint().items() if name not in LOG_LIKE}


def tally(world: World) -> Counter[str]:
    """Rows of each table and facts of each kind."""
    rows = {name: count for name, (count, _) in state(world).items()}
    return Counter(rows) + Counter({f"fact {kind}": count for kind, count in world.fact_kinds.items()})


def done(world: World, route: Route, known: dict[str, Done]) -> Done:
    if route.endpoint not in known:
        prepared, key = route.act.made(world.a), new_key(world)
        world.token(prepared.user)
        before = tally(world)
        answer = route.call(world, prepared.user, prepared, key)
        assert answer.status_code in (200, 201, 202), answer.get_data(as_text=True)
        known[route.endpoint] = Done(prepared, key, answer, tally(world) - before)
    return known[route.endpoint]


def essence(answer: TestResponse) -> tuple[Any, ...]:
    return answer.status_code, answer.get_data(), answer.mimetype, answer.headers.get("ETag")


def another(route: Route, tenant: Tenant, prepared: Prepared) -> Prepared:
    """The same request with another body that the route's schema takes."""
    if prepared.form is not None:
        return replace(prepared, form={**prepared.form, "file": tenant.world.file("another file")})
    if route.act.changed is not None:
        return replace(prepared, body=route.act.changed(prepared.body))
    if prepared.body is None:
        return replace(prepared, body={"other": 1})
    assert "reason" in prepared.body, f"{route.endpoint}: `changed` makes another valid body: {ADD_HERE}"
    return replace(prepared, body={**prepared.body, "reason": "另一个原因"})


@pytest.mark.parametrize("endpoint", KEYED)
def test_a_repeat_gets_the_same_bytes_after_the_object_moved_on(
    endpoint: str, world: World, table: dict[str, Route], once: dict[str, Done]
) -> None:
    route = table[endpoint]
    first = done(world, route, once)
    assert first.effect["idempotency_key"] == 1
    assert first.effect["fact"] >= 1
    if route.act.ends_session:
        world.forget_token(first.prepared.user)
        world.token(first.prepared.user)
    if route.act.after is not None:
        route.act.after(world.a, first.prepared, first.answer.get_json())
    before = state(world)

    again = route.call(world, first.prepared.user, first.prepared, first.key)

    assert essence(again) == essence(first.answer)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.answer.headers
    assert state(world) == before


@pytest.mark.parametrize("endpoint", KEYED)
def test_a_used_key_with_another_body_is_refused(
    endpoint: str, world: World, table: dict[str, Route], once: dict[str, Done]
) -> None:
    route = table[endpoint]
    first = done(world, route, once)
    if route.act.ends_session:
        world.forget_token(first.prepared.user)
        world.token(first.prepared.user)
    before = state(world)

    refused = route.call(world, first.prepared.user, another(route, world.a, first.prepared), first.key)

    assert (refused.status_code, slug(refused)) == (422, "idempotency-key-reused")
    assert state(world) == before


@pytest.mark.parametrize("endpoint", KEYED)
def test_a_key_in_flight_and_a_refused_request_change_nothing_and_use_up_no_key(
    endpoint: str, world: World, table: dict[str, Route]
) -> None:
    route = table[endpoint]
    prepared, key = route.act.made(world.a), new_key(world)
    principal = world.one("select id from app_user where username = %s", prepared.user)
    world.token(prepared.user)
    scope = f"{principal}:{key}"
    before = state(world)

    if route.objects:
        absent = route.call(world, prepared.user, route.emptied(prepared), key)
        assert absent.status_code == 404
    world.owner.execute("select pg_advisory_lock(hashtextextended(%s, 0))", (scope,))
    try:
        busy = route.call(world, prepared.user, prepared, key)
    finally:
        world.owner.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (scope,))

    assert (busy.status_code, slug(busy), busy.headers["Retry-After"]) == (409, "in-flight", "1")
    assert state(world) == before
    assert route.call(world, prepared.user, prepared, key).status_code in (200, 201, 202)


@pytest.mark.parametrize("endpoint", KEYED)
def test_of_two_at_once_with_one_key_one_acts_and_the_other_is_told_to_wait(
    endpoint: str, world: World, table: dict[str, Route], once: dict[str, Done]
) -> None:
    route = table[endpoint]
    expected = done(world, route, once).effect
    prepared, key = route.act.made(world.a), new_key(world)
    world.token(prepared.user)
    before = tally(world)

    # The first to claim the key waits until it may store its answer, so that the second surely comes meanwhile.
    with ThreadPoolExecutor(2) as pool, world.owner.transaction():
        world.owner.execute("lock table idempotency_key in share mode")
        sent = [pool.submit(route.call, world, prepared.user, prepared, key) for _ in range(2)]
        early, late = wait(sent, timeout=60, return_when=FIRST_COMPLETED)
        assert (len(early), len(late)) == (1, 1)
    lost, won = (future.result() for future in (*early, *late))

    told = {(409, "in-flight")} | ({(503, "gateway-unavailable")} if endpoint in ASKS_FIRST else set())
    assert (lost.status_code, slug(lost)) in told
    assert won.status_code in (200, 201, 202)
    assert tally(world) - before == expected


@pytest.mark.parametrize("endpoint", sorted(WITHOUT_KEY))
def test_a_route_without_keys_stores_none(endpoint: str, world: World, table: dict[str, Route]) -> None:
    route = table[endpoint]
    prepared, key = route.act.made(world.a), new_key(world)
    world.token(prepared.user)
    before = world.one("select count(*) from idempotency_key")

    answer = route.call(world, prepared.user, prepared, key)

    assert answer.status_code in (200, 201, 204)
    assert world.one("select count(*) from idempotency_key") == before
    assert "Idempotent-Replayed" not in answer.headers


def test_a_key_belongs_to_the_one_who_used_it(
    world: World, table: dict[str, Route], once: dict[str, Done]
) -> None:
    route = table["orders.confirm_order"]
    first = done(world, route, once)
    mine = route.act.made(world.b)

    answer = route.call(world, mine.user, mine, first.key)

    assert answer.status_code == 200
    assert answer.get_json()["id"] == mine.params["order_id"]
    assert "Idempotent-Replayed" not in answer.headers
