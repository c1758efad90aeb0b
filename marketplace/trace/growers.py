"""Growers as their own seller sees them. Nobody else reads these rows by name."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Township
from marketplace.actors import Actor, Permission
from marketplace.paging import DEFAULT_LIMIT, paginate
from marketplace.trace.models import Grower


def list_growers(
    session: Session, actor: Actor, *, limit: int = DEFAULT_LIMIT, after: str | None = None
) -> dict[str, Any]:
    """A page of the seller's own growers, by their code."""
    actor.require(Permission.LOT_EDIT)
    statement = (
        sa.select(Grower, Township.name.label("township_name"))
        .join(Township, Township.code == Grower.township_code)
        .where(Grower.seller_id == actor.organisation_id)
    )
    key = (Grower.__table__.c.code, False)
    return paginate(session, statement, [key], limit=limit, after=after, shape=_grower_shape)


def _grower_shape(row: Any) -> dict[str, Any]:
    grower: Grower = row.Grower
    return {
        "id": grower.id,
        "code": grower.code,
        "name": grower.name,
        "poverty_household": grower.poverty_household,
        "township": {"code": grower.township_code, "name": row.township_name},
        "village": grower.village,
    }


def grower_view(session: Session, grower_id: UUID) -> dict[str, Any]:
    row = session.execute(
        sa.select(Grower, Township.name.label("township_name"))
        .join(Township, Township.code == Grower.township_code)
        .where(Grower.id == grower_id)
    ).one()
    return _grower_shape(row)
