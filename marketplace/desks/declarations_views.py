"""What the pages of declarations need: what a form begins with, what it would reserve, and what versions changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, OrganisationKind
from marketplace.actors import Actor
from marketplace.quota import queries
from marketplace.quota.rules import Filing, SharePolicy, filing_errors, reserve_fen

# Which fields of the form belong to a kind of canteen; the others are hidden and count as empty.
FIELDS_OF: Mapping[str, frozenset[str]] = {
    "own": frozenset({"base_fen", "share_bp"}),
    "outsourced": frozenset({"base_fen", "share_bp", "contractor_id"}),
    "shared": frozenset({"represented_by"}),
    "none": frozenset(),
}
_EMPTY: Mapping[str, Any] = {"base_fen": 0, "share_bp": 0, "contractor_id": None, "represented_by": None}
COMPARED = ("canteen", "base_fen", "share_bp", "reserve_fen", "represented_by", "contractor", "remark")


def only_shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a form without those of fields that its kind of canteen hides."""
    shown = FIELDS_OF[values["canteen"]]
    return {**values, **{name: empty for name, empty in _EMPTY.items() if name not in shown}}


def beginning(session: Session, actor: Actor, agency: Mapping[str, Any], year: int) -> dict[str, Any]:
    """What the form shows first: what was filed for the year, else the agency's own canteen. With `declaration`."""
    listed = queries.list_declarations(session, actor, year=year, agency_id=agency["id"])["items"]
    if listed:
        filed = listed[0]
        return {
            **{name: filed[name] for name in ("canteen", "base_fen", "share_bp", "contact", "remark")},
            "represented_by": (filed["represented_by"] or {}).get("id"),
            "contractor_id": (filed["contractor"] or {}).get("id"),
            "declaration": filed,
        }
    mode = agency["canteen_mode"]
    partner = agency["canteen_partner_id"]
    return {
        "canteen": "own" if mode is None else mode.value,
        "base_fen": None,
        "share_bp": None,
        "contact": None,
        "remark": None,
        "represented_by": partner if mode == "shared" else None,
        "contractor_id": partner if mode == "outsourced" else None,
        "declaration": None,
    }


def partners(session: Session, agency_id: UUID) -> dict[str, list[tuple[str, str]]]:
    """Who may declare for a shared canteen, and who may run an outsourced one, by pinyin: (id, name)."""
    rows = session.execute(
        sa.select(Organisation.id, Organisation.name, Organisation.kind)
        .where(
            Organisation.kind.in_([OrganisationKind.AGENCY, OrganisationKind.CONTRACTOR]),
            Organisation.disabled_at.is_(None),
            Organisation.id != agency_id,
        )
        .order_by(Organisation.pinyin_key, Organisation.id)
    ).all()
    return {
        "others": [(str(r.id), r.name) for r in rows if r.kind is OrganisationKind.AGENCY],
        "contractors": [(str(r.id), r.name) for r in rows if r.kind is OrganisationKind.CONTRACTOR],
    }


def reckon(rules: Mapping[str, Any], canteen: str, base_fen: int, share_bp: int) -> dict[str, Any]:
    """The reserve that a filing would have under the rules of its year, and what stands against base and share."""
    policy = SharePolicy(rules["minimum_bp"], rules["encouraged_bp"], rules["non_decreasing"])
    filing = Filing(canteen, base_fen, share_bp, canteen == "shared", canteen == "outsourced")
    wrong = filing_errors(filing, policy)
    return {
        "reserve_fen": reserve_fen(filing, policy, rules["prior_reserve_fen"]),
        "problems": [entry["detail"] for entry in wrong],
    }


def side_by_side(versions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The versions, newest first, each with the names of the fields that differ from the one before."""
    older: Sequence[Mapping[str, Any] | None] = [*versions[1:], None]
    return [
        {
            **version,
            "changed": [name for name in COMPARED if before is not None and version[name] != before[name]],
        }
        for version, before in zip(versions, older, strict=True)
    ]
