"""The floor of purchases: the least SQL of such a purchase by plain psycopg loops, without HTTP.

Locked stock, guarded reservation, purchase, three orders, five lines, allocations and movements, one commit; what
they say is copied from a purchase that the application wrote. No fact, no stored answer, no job, no rules.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from bench_support.subjects import Ware, baskets
from marketplace.values import uuid7

PROCESSES = 2
LOCK = (
    "select s.id, l.id, l.trace_code, l.product_id from stock s join lot l on l.id = s.lot_id"
    " where l.product_id = any(%s::uuid[]) and l.state = 'released' order by s.id for update of s"
)
TAKE = "update stock set reserved = reserved + 2 where id = any(%s::bigint[]) and on_hand - reserved >= 2"


@dataclass(frozen=True)
class Statements:
    """INSERTs whose lasting columns stand in the text, so that a purchase binds few parameters."""

    purchase: str
    orders: str
    lines: str
    allocations: str


def statements(owner_url: str) -> Statements:
    with psycopg.connect(owner_url) as connection:

        def insert(table: str, rows: int, query: str, own: dict[str, str]) -> str:
            cursor = connection.execute(query)
            assert cursor.description is not None
            names = [c.name for c in cursor.description if not (c.name == "id" and "id" not in own)]
            every = [c.name for c in cursor.description]
            row = cursor.fetchone()
            assert row is not None
            said = dict(zip(every, row, strict=True))
            one = sql.SQL("({})").format(
                sql.SQL(", ").join(sql.SQL(own[n]) if n in own else sql.Literal(said[n]) for n in names)
            )
            return (
                sql.SQL("insert into {} ({}) values {}")
                .format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, names)),
                    sql.SQL(", ").join([one] * rows),
                )
                .as_string(connection)
            )

        return Statements(
            purchase=insert(
                "purchase",
                1,
                "select * from purchase order by id desc limit 1",
                {"id": "%s::uuid", "number": "%s::text"},
            ),
            orders=insert(
                "orders",
                3,
                "select * from orders order by purchase_id desc limit 1",
                {"id": "%s::uuid", "number": "%s::text", "purchase_id": "%s::uuid", "seller_id": "%s::uuid"},
            ),
            lines=insert(
                "order_line",
                5,
                "select * from order_line order by purchase_id desc limit 1",
                {
                    "id": "%s::uuid",
                    "order_id": "%s::uuid",
                    "purchase_id": "%s::uuid",
                    "product_id": "%s::uuid",
                    "position": "%s::int",
                },
            ),
            allocations=insert(
                "allocation",
                5,
                "select * from allocation order by id desc limit 1",
                {
                    "line_id": "%s::uuid",
                    "stock_id": "%s::bigint",
                    "lot_id": "%s::uuid",
                    "trace_code": "%s::text",
                },
            ),
        )


MOVE = (
    "insert into stock_movement (stock_id, kind, on_hand_delta, reserved_delta, order_id, moved_at)"
    " select stock, 'reserved', 0, 2, of_order, now()"
    " from unnest(%s::bigint[], %s::uuid[]) as t(stock, of_order)"
)


def _one(connection: psycopg.Connection, s: Statements, basket: list[Ware], approve: bool) -> None:
    purchase = uuid7()
    lots: dict[UUID, tuple[Any, ...]] = {}
    for row in connection.execute(LOCK, ([w.product_id for w in basket],)):
        lots.setdefault(row[3], row)
    picked = [lots[w.product_id] for w in basket]
    if connection.execute(TAKE, ([row[0] for row in picked],)).rowcount != len(basket):
        raise RuntimeError("the bulk stock ran out")
    connection.execute(s.purchase, (purchase, f"FLOOR-{purchase}"))
    orders = {seller: uuid7() for seller in dict.fromkeys(w.seller_id for w in basket)}
    connection.execute(s.orders, [v for k, o in orders.items() for v in (o, f"FLOOR-{o}", purchase, k)])
    lines = [uuid7() for _ in basket]
    connection.execute(
        s.lines,
        [
            v
            for n, (line, w) in enumerate(zip(lines, basket, strict=True))
            for v in (line, orders[w.seller_id], purchase, w.product_id, n)
        ],
    )
    connection.execute(
        s.allocations,
        [v for line, row in zip(lines, picked, strict=True) for v in (line, row[0], row[1], row[2])],
    )
    connection.execute(MOVE, ([row[0] for row in picked], [orders[w.seller_id] for w in basket]))
    connection.commit()
    if approve:
        connection.execute("select id from purchase where id = %s::uuid for update", (purchase,))
        connection.execute(
            "update purchase set state = 'approved', version = version + 1 where id = %s::uuid", (purchase,)
        )
        connection.execute(
            "update orders set state = 'placed', version = version + 1 where purchase_id = %s::uuid",
            (purchase,),
        )
        connection.commit()


def _loops(
    url: str, s: Statements, goods: list[Ware], threads: int, seconds: float, seed: int, approve: bool
) -> list[float]:
    """Latencies in ms of the purchases of one process."""

    def loop(number: int) -> list[float]:
        fresh = baskets(goods, random.Random(seed * 1_000 + number))
        taken = []
        with psycopg.connect(url) as connection:
            for _ in range(6):  # psycopg prepares a statement with its sixth execution
                _one(connection, s, next(fresh), approve)
            until = time.perf_counter() + seconds
            while (begun := time.perf_counter()) < until:
                _one(connection, s, next(fresh), approve)
                taken.append((time.perf_counter() - begun) * 1000)
        return taken

    with ThreadPoolExecutor(threads) as pool:
        return [ms for part in pool.map(loop, range(threads)) for ms in part]


def least_sql(
    url: str, s: Statements, goods: list[Ware], *, connections: int, seconds: float, seed: int, approve: bool
) -> tuple[float, list[float]]:
    """(purchases a second, sorted latencies in ms) of `connections` loops in two processes."""
    threads = max(1, connections // PROCESSES)
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        parts = [
            pool.submit(_loops, url, s, goods, threads, seconds, seed * PROCESSES + n, approve)
            for n in range(PROCESSES)
        ]
        latencies = sorted(ms for part in parts for ms in part.result())
    return len(latencies) / seconds, latencies
