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

# How the list may be ordered, downwards with "-" before it. Townships stand as on the map: by their code.
GROWER_SORTS = tuple(sign + name for name in ("code", "name", "township", "village") for sign in ("", "-"))


def list_growers(
    session: Session,
    actor: Actor,
    *,
    q: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """A page of the seller's own growers, by one of `GROWER_SORTS`, else by their code; `q` is a part of code, name or village."""
    actor.require(Permission.LOT_EDIT)
    statement = (
        sa.select(Grower, Township.name.label("township_name"))
        .join(Township, Township.code == Grower.township_code)
        .where(Grower.seller_id == actor.organisation_id)
    )
    columns = Grower.__table__.c
    if q:
        told = (columns.code, columns.name, columns.village, Township.name)
        statement = statement.where(sa.or_(*(column.icontains(q, autoescape=True) for column in told)))
    wish = sort if sort in GROWER_SORTS else "code"
    name, down = wish.removeprefix("-"), wish.startswith("-")
    keys = [(columns["township_code" if name == "township" else name], down)]
    if name != "code":
        keys.append((columns.code, False))
    return paginate(session, statement, keys, limit=limit, after=after, shape=_grower_shape)


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
