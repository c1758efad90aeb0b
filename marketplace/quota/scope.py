"""Which agencies a figure covers: those that count in the city, and of them what the caller may see."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PgUUID

from marketplace.actors import Actor, Permission, Role

_OFFICES = frozenset({Role.POVERTY_OFFICE, Role.FINANCE_REVIEWER})

# A department is the topmost agency above a unit (主管预算单位), or the unit itself. Naming and tree are today's.
_UNITS = """
    with recursive top(id, department) as (
        select o.id, o.id from organisation o left join organisation p on p.id = o.parent_id
        where o.kind = 'agency' and (p.id is null or p.kind <> 'agency')
        union
        select o.id, t.department from organisation o join top t on o.parent_id = t.id where o.kind = 'agency'
    )
    select o.id, o.name, o.pinyin_key, o.region_code, o.canteen_mode, t.department,
           d.name as department_name, d.pinyin_key as department_key
    from organisation o join top t on t.id = o.id join organisation d on d.id = t.department
    where o.counts_in_city and (cast(:scope as uuid[]) is null or o.id = any(cast(:scope as uuid[])))
"""


def visible_agencies(actor: Actor) -> frozenset[UUID] | None:
    """The agencies whose declarations and figures the actor sees; None for all.

    The city's offices and the system see all, a county's those of the county, a management account its own agency
    and its subordinate units.
    """
    if (actor.role in _OFFICES and not actor.of_county) or actor.can(Permission.SYSTEM):
        return None
    own = frozenset() if actor.organisation_id is None else frozenset({actor.organisation_id})
    return own | actor.subordinate_ids


def units(ids: Iterable[UUID] | None) -> sa.CTE:
    """The agencies that count in the city, within `ids` (None: all), each with its department."""
    uuid = PgUUID(as_uuid=True)
    scope = sa.bindparam("scope", None if ids is None else sorted(ids), type_=ARRAY(uuid))
    return (
        sa.text(_UNITS)
        .bindparams(scope)
        .columns(
            sa.column("id", uuid),
            sa.column("name", sa.Text),
            sa.column("pinyin_key", sa.Text),
            sa.column("region_code", sa.Text),
            sa.column("canteen_mode", sa.Text),
            sa.column("department", uuid),
            sa.column("department_name", sa.Text),
            sa.column("department_key", sa.Text),
        )
        .cte("units")
    )
