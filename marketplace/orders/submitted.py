"""What a submitted purchase is as rows, as its fact, and as the answer to its buyer. Plain shaping, nothing is read."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from marketplace.orders import queries
from marketplace.orders.allocation import Plan
from marketplace.orders.rules import PricedLine


def line_row(
    line_id: UUID, order_id: UUID, purchase_id: UUID, position: int, p: PricedLine
) -> dict[str, Any]:
    return {
        "id": line_id,
        "order_id": order_id,
        "purchase_id": purchase_id,
        "product_id": p.wish.product_id,
        "position": position,
        "product_name": p.offer.name,
        "spec": p.offer.spec,
        "pack_unit": p.offer.pack_unit,
        "net_g": p.offer.net_g,
        "priced_by": p.offer.priced_by,
        "category_code": p.offer.category_code,
        "county_code": p.offer.county_code,
        "price_list_code": p.offer.price_list_code,
        "tier_min_quantity": p.tier_min_quantity,
        "unit_price_fen": p.unit_price_fen,
        "quantity": p.wish.quantity,
        "goods_fen": p.goods_fen,
        "deliver_on": p.wish.deliver_on,
        "funding_source": p.wish.funding_source,
        "eligible": p.ineligible_reason is None,
        "ineligible_reason": p.ineligible_reason,
    }


def fact_data(
    purchase: dict[str, Any],
    orders: dict[UUID, dict[str, Any]],
    lines: list[dict[str, Any]],
    plan: Plan,
    today: date,
    deliver_on: date,
    hold_until: datetime | None,
) -> dict[str, Any]:
    def told(value: UUID | None) -> str | None:
        return None if value is None else str(value)

    return {
        "number": purchase["number"],
        "state": purchase["state"],
        "buyer": str(purchase["buyer_id"]),
        "agency": told(purchase["quota_agency_id"]),
        "for_agency": told(purchase["for_agency_id"]),
        "buyer_county": purchase["buyer_county_code"],
        "canteen": told(purchase["canteen_id"]),
        "payer_profile": told(purchase["payer_profile_id"]),
        "purpose": purchase["purpose"],
        "occurred_on": today.isoformat(),
        "deliver_on": deliver_on.isoformat(),
        "hold_until": None if hold_until is None else hold_until.isoformat(),
        "policy_version": purchase["policy_version"],
        "counted_states": purchase["counted_states"],
        "goods_fen": purchase["goods_fen"],
        "freight_fen": purchase["freight_fen"],
        "orders": [
            {
                "order": str(order["id"]),
                "number": order["number"],
                "seller": str(order["seller_id"]),
                "goods_fen": order["goods_fen"],
                "lines": [
                    {
                        "line": str(line["id"]),
                        "product": str(line["product_id"]),
                        "county": line["county_code"],
                        "category": line["category_code"],
                        "quantity": line["quantity"],
                        "unit_price_fen": line["unit_price_fen"],
                        "goods_fen": line["goods_fen"],
                        "eligible": line["eligible"],
                        "reason": line["ineligible_reason"],
                        "deliver_on": line["deliver_on"].isoformat(),
                    }
                    for line in lines
                    if line["order_id"] == order["id"]
                ],
            }
            for order in orders.values()
        ],
        "moves": [
            {
                "lot": str(take.candidate.lot_id),
                "place": str(take.candidate.place_id),
                "kind": "reserved",
                "on_hand": 0,
                "reserved": take.quantity,
            }
            for take in plan.takes
        ],
    }


def view(
    purchase: dict[str, Any],
    orders: dict[UUID, dict[str, Any]],
    priced: list[PricedLine],
    lines: list[dict[str, Any]],
    allocations: list[dict[str, Any]],
) -> dict[str, Any]:
    """The purchase as `queries.purchase_view` would read it (a test compares the two), without reading it again."""
    names = {p.offer.seller_id: p.offer.seller_name for p in priced}
    by_line: dict[UUID, list[dict[str, Any]]] = {}
    for a in allocations:
        by_line.setdefault(a["line"], []).append({"trace_code": a["code"], "quantity": a["quantity"]})
    return queries.shape_purchase(
        {**purchase, "version": 1, "decision_reason": None},
        [
            queries.shape_order(
                {
                    **order,
                    "seller_name": names[order["seller_id"]],
                    "freight_fen": 0,
                    "invoice_state": "none",
                    "payment_state": "none",
                    "evaluation_state": "none",
                    "accepted_fen": 0,
                    "paid_fen": 0,
                    "version": 1,
                },
                [
                    queries.shape_line(
                        {**line, "shipped_quantity": 0, "accepted_quantity": 0, "refused_quantity": 0,
                         "cancelled_quantity": 0, "accepted_fen": 0, "paid_fen": 0},
                        by_line.get(line["id"], []),
                    )
                    for line in lines
                    if line["order_id"] == order["id"]
                ],
            )
            for order in orders.values()
        ],
    )  # fmt: skip
