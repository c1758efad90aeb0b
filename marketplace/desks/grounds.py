"""What a manager's decision stands on: what the unit paid for these products before, and what others pay now.

Prices are those of packs, as they stood on the price list of the day. No other buyer is named.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from marketplace.clock import now
from marketplace.orders.models import Order, OrderLine, Purchase
from marketplace.orders.states import OrderState, PurchaseState
from marketplace.values import ratio_bp

MARKET_DAYS = 90
# Fewer orders are no market.
LEAST_TRADES = 3
OWN_DAYS = 365
_ENDED = (OrderState.CANCELLED, OrderState.LAPSED, OrderState.REFUSED)


def price_grounds(session: Session, purchase: dict[str, Any]) -> dict[UUID, dict[str, Any]]:
    """Of each product {own, market}, either of them None; two queries.

    `own` is what the same buyer paid for a pack the last time and how often it bought: {price_fen, day, change_bp,
    times, packs}, the last two of the last 365 days. `market` is the median of all other orders of the last 90 days
    that stand: {price_fen, trades, change_bp}. `change_bp` says how far the price asked now is above.
    """
    lines = [line for order in purchase["orders"] for line in order["lines"]]
    asked: dict[UUID, int] = {line.product_id: line.unit_price_fen for line in lines}
    own = {row.product_id: row for row in session.execute(_own(purchase, asked))}
    market = {row.product_id: row for row in session.execute(_market(purchase, asked))}
    return {
        product_id: {
            "own": _compared(own.get(product_id), fen),
            "market": _compared(market.get(product_id), fen),
        }
        for product_id, fen in asked.items()
    }


def _own(purchase: dict[str, Any], asked: dict[UUID, int]) -> Any:
    newest = Purchase.id.desc()
    year = Purchase.submitted_at >= now() - timedelta(days=OWN_DAYS)
    packs = sa.func.sum(OrderLine.quantity - OrderLine.cancelled_quantity).filter(year)
    return (
        sa.select(
            OrderLine.product_id,
            sa.func.array_agg(aggregate_order_by(OrderLine.unit_price_fen, newest))[1].label("price_fen"),
            sa.func.array_agg(aggregate_order_by(Purchase.submitted_at, newest))[1].label("day"),
            sa.func.count(OrderLine.order_id.distinct()).filter(year).label("times"),
            sa.func.coalesce(packs, 0).label("packs"),
        )
        .join(Purchase, Purchase.id == OrderLine.purchase_id)
        .join(Order, Order.id == OrderLine.order_id)
        .where(
            OrderLine.product_id.in_(asked),
            Purchase.buyer_id == purchase["buyer"]["id"],
            Purchase.state == PurchaseState.APPROVED,
            Purchase.id < purchase["id"],
            Order.state.not_in(_ENDED),
        )
        .group_by(OrderLine.product_id)
    )


def _market(purchase: dict[str, Any], asked: dict[UUID, int]) -> Any:
    trades = sa.func.count(OrderLine.order_id.distinct())
    median = sa.func.percentile_disc(0.5).within_group(OrderLine.unit_price_fen)
    return (
        sa.select(OrderLine.product_id, trades.label("trades"), median.label("price_fen"))
        .join(Purchase, Purchase.id == OrderLine.purchase_id)
        .join(Order, Order.id == OrderLine.order_id)
        .where(
            OrderLine.product_id.in_(asked),
            Purchase.id != purchase["id"],
            Purchase.state == PurchaseState.APPROVED,
            Purchase.submitted_at >= now() - timedelta(days=MARKET_DAYS),
            Order.state.not_in(_ENDED),
        )
        .group_by(OrderLine.product_id)
        .having(trades >= LEAST_TRADES)
    )


def _compared(row: Any, asked_fen: int) -> dict[str, Any] | None:
    if row is None:
        return None
    return {**row._mapping, "change_bp": ratio_bp(asked_fen - row.price_fen, row.price_fen)}
