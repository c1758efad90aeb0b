"""A channel's shop with goods in it: lots of two sellers, brought there as stock that is moved, with their facts."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg
from flask import Flask

from marketplace.actors import Door, Permission, system
from marketplace.catalog.models import MovementKind
from marketplace.catalog.stock import Move, add_stock, apply_moves, lock_stock
from marketplace.clock import business_day
from marketplace.unit_of_work import transaction

PACKS = 40
_LOTS = """
    select distinct on (p.seller_id) l.id, l.trace_code, l.code, i.partner_sku, p.id, p.seller_id, s.id, s.place_id,
           a.place_id, (select price_fen from price_tier t where t.product_id = p.id
                        and t.price_list_id = a.price_list_id order by min_quantity limit 1)
    from channel_agreement a
    join organisation o on o.id = a.channel_id and o.code = %s
    join channel_item i on i.channel_id = a.channel_id
    join product p on p.id = i.product_id join lot l on l.product_id = p.id and l.state = 'released'
    join stock s on s.lot_id = l.id and s.on_hand - s.reserved > %s
    where a.pattern = 'consignment' and (%s::text is null or p.seller_id =
        (select organisation_id from app_user where username = %s))
    order by p.seller_id, p.sku, l.id limit 2
"""


@dataclass(frozen=True)
class Stocked:
    """One lot in the shop."""

    lot_id: UUID
    trace_code: str
    lot_code: str
    partner_sku: str
    product_id: UUID
    seller_id: UUID
    home_stock: int
    home: UUID
    shop: UUID
    price_fen: int

    def held(self, owner: psycopg.Connection) -> int:
        """Packs of it in the shop now."""
        row = owner.execute(
            "select on_hand from stock where lot_id = %s and place_id = %s", [self.lot_id, self.shop]
        ).fetchone()
        return 0 if row is None else int(row[0])


def stocked(
    app: Flask,
    owner: psycopg.Connection,
    channel: str = "ORG-CH-WQ",
    *,
    packs: int = PACKS,
    seller: str | None = None,
) -> list[Stocked]:
    """A lot of each of two sellers, or of the named account's, with `packs` of it moved into the channel's shop."""
    lots = [Stocked(*row) for row in owner.execute(_LOTS, [channel, packs, seller, seller])]
    assert len({lot.seller_id for lot in lots}) == (2 if seller is None else 1)
    with app.app_context():
        for lot in lots:
            bring(lot, packs)
    return lots


def bring(lot: Stocked, packs: int) -> None:
    with transaction(system(Door.JOB), Permission.STOCK_MOVE) as tx:
        there = add_stock(tx.session, lot.lot_id, lot.shop)
        locked = lock_stock(tx.session, [lot.home_stock, there.id])
        wanted = [
            Move(lot.home_stock, MovementKind.TRANSFER, on_hand=-packs),
            Move(there.id, MovementKind.TRANSFER, on_hand=packs),
        ]
        fact = tx.record(
            "stock.moved", "lot", lot.lot_id, parties=[lot.seller_id], orders=[],
            occurred_on=business_day(tx.started_at).isoformat(),
            moves=apply_moves(tx.session, locked, wanted, tx.started_at),
        )  # fmt: skip
        fact.data["kind"] = MovementKind.TRANSFER.value
