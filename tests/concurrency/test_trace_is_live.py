"""What a code opens, from two workers with their caches on: never older than the last act, and every scan counted."""

from __future__ import annotations

from typing import Any

import psycopg
from flask import Flask

from tests.serving import Site, running_site


def on_sale(owner: psycopg.Connection) -> tuple[str, str, str]:
    """Id, trace code and product of a lot on sale."""
    row = owner.execute(
        "select l.id::text, l.trace_code, l.product_id::text from lot l where l.state = 'released'"
        " order by l.trace_code limit 1"
    ).fetchone()
    assert row is not None
    return row[0], row[1], row[2]


def reads(site: Site, code: str, times: int) -> list[dict[str, Any]]:
    """Each on a connection of its own, so that the kernel gives them to both workers."""
    return [site.get(f"/trace/{code}") for _ in range(times)]


def scans(owner: psycopg.Connection, lot_id: str) -> int:
    row = owner.execute(
        "select coalesce(sum(count), 0)::int from trace_scan where lot_id = %s", (lot_id,)
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_hold_is_on_the_next_reading_of_every_worker(app: Flask, owner: psycopg.Connection) -> None:
    lot_id, code, product_id = on_sale(owner)
    environment = app.config["TEST_ENVIRONMENT"] | {"READ_CACHE_SECONDS": "2"}
    with running_site(environment) as site:
        site.token("market.regulator")
        for _ in range(3):
            assert {story["state"] for story in reads(site, code, 12)} == {"released"}
            listed = {lot["trace_code"] for lot in site.get(f"/products/{product_id}")["lots"]}
            assert code in listed

            site.post(f"/lots/{lot_id}/hold", "market.regulator", {"reason": "核查"})

            held = reads(site, code, 12)
            assert {story["state"] for story in held} == {"held"}
            assert {story["on_hold"]["cause"] for story in held} == {"regulator"}
            for _ in range(6):
                assert code not in {lot["trace_code"] for lot in site.get(f"/products/{product_id}")["lots"]}
            site.post(f"/lots/{lot_id}/unhold", "market.regulator", {"reason": "核查完毕"})


def test_a_stopped_server_has_written_every_scan(app: Flask, owner: psycopg.Connection) -> None:
    lot_id, code, _ = on_sale(owner)
    before = scans(owner, lot_id)

    with running_site(app.config["TEST_ENVIRONMENT"]) as site:
        told = [story["scans"] for story in reads(site, code, 25)]

    assert scans(owner, lot_id) == before + 25
    assert before <= min(told)
    assert max(told) < before + 25
