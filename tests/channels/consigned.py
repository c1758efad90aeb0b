"""Rows of sales and counts at a channel's shop, as if reported, for tests of what is settled from them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import psycopg

from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role
from marketplace.clock import now, today

LAST_DAY = today().replace(day=1) - timedelta(days=1)
PERIOD = LAST_DAY.isoformat()[:7]


@dataclass
class Shop:
    """A channel's consignment shop and one lot of one seller in it."""

    owner: psycopg.Connection
    channel: uuid.UUID
    place: uuid.UUID
    seller: uuid.UUID
    product: uuid.UUID
    lot: uuid.UUID
    stock: int

    def report(self, day: date, *lines: tuple[int, int], red: bool = False, version: int = 1) -> uuid.UUID:
        """(packs, fen each) sold on a day."""
        key = uuid.uuid4()
        self.owner.execute(
            "insert into sales_report (id, channel_id, place_id, business_day, version, red, digest, total_fen,"
            " reported_at) values (%s, %s, %s, %s, %s, %s, '', %s, %s)",
            [key, self.channel, self.place, day, version, red, sum(q * p for q, p in lines), now()],
        )
        for n, (packs, price) in enumerate(lines, start=1):
            self.owner.execute(
                "insert into sales_report_line (report_id, position, product_id, seller_id, stock_id, lot_id,"
                " quantity, unit_price_fen, amount_fen) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [key, n, self.product, self.seller, self.stock, self.lot, packs, price, packs * price],
            )
        return key

    def count(self, day: date, *, spoilage: int, loss: int, price: int, borne_by: str = "channel") -> None:
        key = uuid.uuid4()
        self.owner.execute(
            "insert into stock_count (id, channel_id, place_id, counted_on, version, digest, reported_at)"
            " values (%s, %s, %s, %s, (select count(*) + 1 from stock_count), '', %s)",
            [key, self.channel, self.place, day, now()],
        )
        owed = (spoilage + loss) * price if borne_by == "channel" else 0
        self.owner.execute(
            "insert into stock_count_line (count_id, position, product_id, seller_id, stock_id, lot_id, expected,"
            " counted, spoilage, loss, borne_by, unit_price_fen, amount_fen)"
            " values (%s, 1, %s, %s, %s, %s, %s, 0, %s, %s, %s, %s, %s)",
            [key, self.product, self.seller, self.stock, self.lot, spoilage + loss, spoilage, loss, borne_by,
             price, owed],
        )  # fmt: skip

    def seller_actor(self) -> Actor:
        return Actor(
            None, "seller", self.seller, "seller", None, Role.SELLER, ROLE_PERMISSIONS[Role.SELLER], Door.API
        )

    def ledger(self, account: str, organisation: uuid.UUID) -> int:
        row = self.owner.execute(
            "select coalesce(sum(p.amount_fen), 0)::bigint from money_posting p join money_entry e using (fact_id)"
            " where e.statement_id is not null and p.account = %s and p.organisation_id = %s",
            [account, organisation],
        ).fetchone()
        assert row is not None
        return int(row[0])


def open_shop(owner: psycopg.Connection, channel: str = "ORG-CH-WQ") -> Shop:
    row: Any = owner.execute(
        "select a.channel_id, a.place_id, p.seller_id, p.id, l.id, s.id from channel_agreement a"
        " join organisation o on o.id = a.channel_id and o.code = %s"
        " join channel_item i on i.channel_id = a.channel_id join product p on p.id = i.product_id"
        " join lot l on l.product_id = p.id join stock s on s.lot_id = l.id"
        " where a.pattern = 'consignment' order by p.sku, l.id limit 1",
        [channel],
    ).fetchone()
    return Shop(owner, *row)
