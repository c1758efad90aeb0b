"""The bulk: recognised products of the seed cloned to the asked number, with lots, papers and plenty of stock."""

from __future__ import annotations

import secrets
from datetime import date, timedelta

import psycopg
from psycopg import sql

from marketplace.trace.codes import make_trace_code
from marketplace.values import uuid7

PACKS_PER_LOT = 5_000_000
LASTS_DAYS = 90


def clone(connection: psycopg.Connection, table: str, source: str, **replaced: str) -> int:
    """Copy rows of `table`: `source` is SQL after FROM in which the rows are `o`; `replaced` maps columns to SQL.

    Columns that the database fills itself (identity) are left to it.
    """
    rows = connection.execute(
        "select column_name from information_schema.columns where table_name = %s and table_schema = 'public'"
        " and is_identity = 'NO' and coalesce(column_default, '') not like 'nextval%%' order by ordinal_position",
        (table,),
    ).fetchall()
    names = [str(row[0]) for row in rows]
    values = [
        sql.SQL(replaced[n]) if n in replaced else sql.SQL("o.{}").format(sql.Identifier(n)) for n in names
    ]
    statement = sql.SQL("insert into {} ({}) select {} from {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(values),
        sql.SQL(source),
    )
    return connection.execute(statement).rowcount


def grow(owner_url: str, *, products: int, lots: int, trace_keys: list[str], today: date) -> None:
    """Make `products` recognised products and `lots` released lots in all, committed and analysed."""
    with psycopg.connect(owner_url) as connection:
        seeded = connection.execute(
            "select p.id, l.id from product p join lateral (select id from lot where product_id = p.id"
            " and state = 'released' order by code limit 1) l on true where p.state = 'recognised' order by p.sku"
        ).fetchall()
        connection.execute(
            "create temp table new_product (id uuid primary key, source uuid, source_lot uuid, n int) on commit drop"
        )
        connection.execute(
            "create temp table new_lot (id uuid primary key, product uuid, code text, trace_code text) on commit drop"
        )
        present = connection.execute("select count(*) from product where state = 'recognised'").fetchone()
        released = connection.execute("select count(*) from lot where state = 'released'").fetchone()
        assert present is not None
        assert released is not None
        made = [uuid7() for _ in range(max(60, products - present[0]))]
        with connection.cursor().copy("copy new_product from stdin") as copy:
            for n, new in enumerate(made):
                copy.write_row((new, *seeded[n % len(seeded)], n))
        with connection.cursor().copy("copy new_lot from stdin") as copy:
            for n in range(max(len(made), lots - released[0])):
                copy.write_row((uuid7(), made[n % len(made)], f"BENCH-{n:06d}", make_trace_code(trace_keys)))
        connection.execute("analyze new_product")
        connection.execute("analyze new_lot")
        _write(connection, today)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def _write(connection: psycopg.Connection, today: date) -> None:
    clone(
        connection,
        "product",
        "product o join new_product b on b.source = o.id",
        id="b.id",
        sku="'BENCH-' || lpad(b.n::text, 6, '0')",
        card="replace(replace(o.card, o.id::text, b.id::text), '\"sku\":\"' || o.sku || '\"',"
        " '\"sku\":\"BENCH-' || lpad(b.n::text, 6, '0') || '\"')",
        recognised_at="o.recognised_at + b.n * interval '1 millisecond'",
    )
    by_source = "{} o join new_product b on b.source = o.product_id"
    clone(connection, "price_tier", by_source.format("price_tier"), product_id="b.id")
    clone(
        connection,
        "product_certification",
        by_source.format("product_certification"),
        id="gen_random_uuid()",
        product_id="b.id",
    )
    clone(
        connection,
        "lot",
        "lot o join new_product b on b.source_lot = o.id join new_lot n on n.product = b.id",
        id="n.id",
        product_id="b.id",
        code="n.code",
        trace_code="n.trace_code",
        quantity=str(PACKS_PER_LOT),
        best_before=f"date '{(today + timedelta(days=LASTS_DAYS)).isoformat()}'",
    )
    of_lot = "{} o join new_product b on b.source_lot = o.lot_id join new_lot n on n.product = b.id"
    clone(connection, "origin", of_lot.format("origin"), lot_id="n.id")
    # A paper of a batch has a number and a quantity of its own; a licence is the same on all lots of its maker.
    clone(
        connection,
        "lot_certificate",
        of_lot.format("lot_certificate"),
        id="gen_random_uuid()",
        lot_id="n.id",
        number="case when o.kind = 'sc_licence' then o.number else o.number || '-' || n.code end",
        quantity=f"case when o.quantity is not null then {PACKS_PER_LOT} end",
    )
    connection.execute(
        "insert into fact (id, kind, recorded_at, actor_id, door, subject_type, subject_id, parties, body)"
        " select f.id, o.kind, o.recorded_at, o.actor_id, o.door, o.subject_type, n.id, o.parties,"
        "   replace(replace(replace(replace(o.body, o.id::text, f.id::text), o.subject_id::text, n.id::text),"
        "     l.trace_code, n.trace_code), l.product_id::text, b.id::text)"
        " from fact o join new_product b on b.source_lot = o.subject_id join lot l on l.id = o.subject_id"
        " join new_lot n on n.product = b.id cross join lateral (select gen_random_uuid() as id"
        "   where n.id is not null) f where o.subject_type = 'lot' and o.kind = 'lot.added'"
    )
    connection.execute(
        "insert into stock (lot_id, place_id, on_hand, reserved) select n.id, pl.id, %s, 0 from new_lot n"
        " join product p on p.id = n.product join (select distinct on (organisation_id) organisation_id, id"
        " from place order by organisation_id, id) pl on pl.organisation_id = p.seller_id",
        (PACKS_PER_LOT,),
    )
    connection.execute(
        "insert into stock_movement (stock_id, kind, on_hand_delta, reserved_delta, moved_at)"
        " select s.id, 'received', s.on_hand, 0, now() from stock s join new_lot n on n.id = s.lot_id"
    )


def add_buyers(owner_url: str, count: int) -> list[tuple[str, str]]:
    """(buyer, manager) usernames of `count` agencies that buy for themselves, the two demo canteens among them."""
    pairs = [("canteen.buyer", "canteen.manager"), ("canteen2.buyer", "canteen2.manager")]
    with psycopg.connect(owner_url) as connection:
        agencies = connection.execute(
            "select id from organisation where kind = 'agency' and disabled_at is null"
            " and canteen_mode is distinct from 'outsourced'"
            " and id not in (select organisation_id from app_user) order by id limit %s",
            (max(0, count - len(pairs)),),
        ).fetchall()
        for n, (agency,) in enumerate(agencies):
            names = []
            for role in ("buyer", "manager"):
                names.append(f"bench{n}.{role}.{secrets.token_hex(2)}")
                clone(
                    connection,
                    "app_user",
                    f"app_user o where o.username = 'canteen.{role}'",
                    id="gen_random_uuid()",
                    username=f"'{names[-1]}'",
                    organisation_id=f"'{agency}'::uuid",
                )
            pairs.append((names[0], names[1]))
    return pairs[:count]
