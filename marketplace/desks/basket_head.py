"""The head of a basket: where the goods go, who pays, for which unit; remembered from the last purchase."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.accounts.models import Canteen, Organisation, PayerProfile, User
from marketplace.actors import Actor
from marketplace.desks.baskets import Basket
from marketplace.orders import rules
from marketplace.orders.models import Purchase
from marketplace.orders.queries import purchase_scope

USUAL_NOTICE_DAYS = 3  # working days until delivery that a new basket proposes


def head_of(session: Session, actor: Actor, basket: Basket) -> dict[str, Any]:
    """What the form begins with: what was filled in, else what the last purchase said."""
    last = session.execute(
        sa.select(
            *(Purchase.purpose, Purchase.payer_profile_id, Purchase.canteen_id, Purchase.for_agency_id),
            *(Purchase.deliver_name, Purchase.deliver_phone, Purchase.deliver_address),
        )
        .where(purchase_scope(actor), Purchase.buyer_id == actor.organisation_id)
        .order_by((Purchase.submitted_by == actor.user_id).desc(), Purchase.id.desc())
        .limit(1)
    ).one_or_none()
    person = session.execute(
        sa.select(User.name, Canteen.address)
        .outerjoin(Canteen, Canteen.organisation_id == User.organisation_id)
        .where(User.id == actor.user_id)
        .order_by(Canteen.id)
        .limit(1)
    ).one_or_none()
    usual: dict[str, Any] = {
        "purpose": "canteen" if last is None else str(last.purpose),
        "payer_profile_id": None
        if last is None or last.payer_profile_id is None
        else str(last.payer_profile_id),
        "canteen_id": None if last is None or last.canteen_id is None else str(last.canteen_id),
        "for_agency_id": None if last is None or last.for_agency_id is None else str(last.for_agency_id),
        "deliver_to": {
            "name": person.name if last is None and person else (last.deliver_name if last else ""),
            "phone": last.deliver_phone if last else "",
            "address": last.deliver_address if last else ((person.address if person else "") or ""),
        },
        "deliver_on": clock.add_working_days(clock.today(), USUAL_NOTICE_DAYS).isoformat(),
        "reference": None,
        "note": None,
        "heads": None,
        "fed_days": None,
        "budget_fen": None,
    }
    filled = {key: value for key, value in basket.head.items() if value}
    filled["deliver_to"] = {**usual["deliver_to"], **(filled.get("deliver_to") or {})}
    head = {**usual, **filled}
    earliest, farthest = clock.today(), clock.today() + timedelta(days=rules.FARTHEST_DELIVERY_DAYS)
    head["days"] = {"min": earliest, "max": farthest}
    return head


def agency_of(session: Session, actor: Actor, head: dict[str, Any]) -> tuple[UUID | None, list[Any], bool]:
    """(agency a contractor buys for, those it may choose, whether the purchase fills a reserve)."""
    if actor.organisation_kind != "contractor":
        return None, [], actor.organisation_kind == "agency"
    agencies = session.execute(
        sa.select(Organisation.id, Organisation.name)
        .where(
            Organisation.canteen_partner_id == actor.organisation_id,
            Organisation.canteen_mode == "outsourced",
        )
        .order_by(Organisation.pinyin_key, Organisation.id)
    ).all()
    if head["for_agency_id"] is None and len(agencies) == 1:
        head["for_agency_id"] = str(agencies[0].id)
    chosen = next((row.id for row in agencies if str(row.id) == head["for_agency_id"]), None)
    return chosen, [(str(row.id), row.name) for row in agencies], True


def payers_of(session: Session, owner: UUID | None) -> list[tuple[str, str, str]]:
    rows = session.execute(
        sa.select(PayerProfile.id, PayerProfile.invoice_title, PayerProfile.purpose)
        .where(PayerProfile.organisation_id == owner)
        .order_by(PayerProfile.is_default.desc(), PayerProfile.code)
    )
    return [(str(row.id), row.invoice_title, str(row.purpose)) for row in rows]


def canteens_of(session: Session, owner: UUID | None) -> list[tuple[str, str]]:
    rows = session.execute(
        sa.select(Canteen.id, Canteen.name).where(Canteen.organisation_id == owner).order_by(Canteen.id)
    )
    return [(str(row.id), row.name) for row in rows]
