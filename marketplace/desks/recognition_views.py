"""Products that wait for the office, each beside what was recognised before."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Region
from marketplace.catalog.models import Category
from marketplace.journal.models import Fact

COMPARED = ("name", "spec", "category", "county", "pack_unit", "net_g", "ladder", "certifications")


def recognised_before(session: Session, product_id: UUID) -> dict[str, Any] | None:
    """What the office recognised last of a product, as the journal holds it; None for one it never did.

    {recognised_at, name, spec, category, county (names), pack_unit, net_g, ladder, certifications}.
    """
    row = session.execute(
        sa.select(Fact.body, Fact.recorded_at)
        .where(
            Fact.subject_type == "product", Fact.subject_id == product_id, Fact.kind == "product.recognised"
        )
        .order_by(Fact.number.desc())
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    data = json.loads(row.body)["data"]
    category = session.scalar(sa.select(Category.name).where(Category.code == data["category"]))
    county = session.scalar(sa.select(Region.name).where(Region.code == data["county"]))
    return {
        **{name: data[name] for name in COMPARED},
        "category": category or data["category"],
        "county": county or data["county"],
        "recognised_at": row.recorded_at,
    }


def as_compared(product: dict[str, Any]) -> dict[str, Any]:
    """The product as it stands now in the shape of `recognised_before`."""
    return {
        "name": product["name"],
        "spec": product["spec"],
        "category": product["category"]["name"],
        "county": product["county"]["name"],
        "pack_unit": product["pack"]["unit"],
        "net_g": product["pack"]["net_g"],
        "ladder": [
            {"min_quantity": step["min_quantity"], "price_fen": step["price_fen"]}
            for step in product["price_ladder"]
        ],
        "certifications": [
            {"scheme": mark["scheme"], "number": mark["number"]} for mark in product["certifications"]
        ],
    }


def changes(now: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    """The names of what differs; none for a product that was never recognised."""
    if before is None:
        return []
    told = {
        **before,
        "certifications": [{k: m[k] for k in ("scheme", "number")} for m in before["certifications"]],
    }
    return [name for name in COMPARED if now[name] != told[name]]
