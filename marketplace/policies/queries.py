"""Which rule holds on a day in a region. Nothing is cached: a rule that was set holds for the next request."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Region
from marketplace.errors import NotFound
from marketplace.paging import paginate
from marketplace.policies.models import CountyEligibility, Policy
from marketplace.policies.rules import scope_chain


class NoPolicy(NotFound):
    slug = "no-policy"
    title = "这一天没有这项政策规则"


def policy_rows(session: Session, keys: Sequence[str], day: date, scope: str = "") -> dict[str, Policy]:
    """The row of each key that holds on `day`: nearest scope, then latest beginning, then highest revision.

    A revision replaces the earlier ones with the same beginning altogether. Raises NotFound (`no-policy`).
    """
    chain = scope_chain(scope)
    rows = session.scalars(
        sa.select(Policy)
        .where(Policy.key.in_(keys), Policy.scope_code.in_(chain), Policy.valid_from <= day)
        .ext(distinct_on(Policy.key, Policy.scope_code, Policy.valid_from))
        .order_by(Policy.key, Policy.scope_code, Policy.valid_from, Policy.revision.desc())
    ).all()
    best: dict[str, Policy] = {}
    # From far to near and from old to new: the last good row of a key wins.
    for row in sorted(rows, key=lambda r: (-chain.index(r.scope_code), r.valid_from)):
        if row.valid_to is None or row.valid_to >= day:
            best[row.key] = row
    missing = [key for key in keys if key not in best]
    if missing:
        raise NoPolicy(f"{day.isoformat()}没有政策规则：{'、'.join(missing)}", keys=missing)
    return best


def policy_value(session: Session, key: str, day: date, scope: str = "") -> Any:
    """The value of one key, read with `rules`. Raises NotFound (`no-policy`)."""
    return policy_rows(session, [key], day, scope)[key].value


def policy_values(session: Session, keys: Sequence[str], day: date, scope: str = "") -> dict[str, Any]:
    """The values of several keys in one query. Raises NotFound (`no-policy`)."""
    return {key: row.value for key, row in policy_rows(session, keys, day, scope).items()}


def policy_values_at(
    session: Session, key: str, wishes: Collection[tuple[date, str]]
) -> dict[tuple[date, str], Any]:
    """The value of one key on each (day, scope), in one query; those without a rule are left out."""
    if not wishes:
        return {}
    chains = {scope: scope_chain(scope) for _, scope in wishes}
    rows = session.scalars(
        sa.select(Policy)
        .where(
            Policy.key == key,
            Policy.scope_code.in_({code for chain in chains.values() for code in chain}),
            Policy.valid_from <= max(day for day, _ in wishes),
        )
        .ext(distinct_on(Policy.scope_code, Policy.valid_from))
        .order_by(Policy.scope_code, Policy.valid_from, Policy.revision.desc())
    ).all()
    found: dict[tuple[date, str], Any] = {}
    for day, scope in wishes:
        chain = chains[scope]
        holding = [
            row
            for row in rows
            if row.scope_code in chain
            and row.valid_from <= day
            and (row.valid_to is None or row.valid_to >= day)
        ]
        if holding:
            best = min(holding, key=lambda r: (chain.index(r.scope_code), -r.valid_from.toordinal()))
            found[day, scope] = best.value
    return found


def policy_version(session: Session, keys: Sequence[str], day: date, scope: str = "") -> str:
    """What is snapshotted: `counted_states@2021-05-01.1` for each key, in the order given, with commas."""
    rows = policy_rows(session, keys, day, scope)
    return ",".join(f"{key}@{rows[key].valid_from.isoformat()}.{rows[key].revision}" for key in keys)


def eligible_counties(session: Session, year: int) -> frozenset[str]:
    """Codes of the counties whose goods count in a budget year."""
    return frozenset(
        session.scalars(
            sa.select(CountyEligibility.county_code).where(
                CountyEligibility.from_year <= year,
                sa.or_(CountyEligibility.to_year.is_(None), CountyEligibility.to_year >= year),
            )
        )
    )


def list_regions(session: Session, year: int) -> list[dict[str, Any]]:
    """The counties that sell, by pinyin, with the years up to `year` in which their goods count."""
    district = aliased(Region)
    counties = session.execute(
        sa.select(Region.code, Region.name, Region.tianjin_district_code, district.name.label("district"))
        .outerjoin(district, district.code == Region.tianjin_district_code)
        .where(Region.level == "county")
        .order_by(Region.pinyin_key, Region.code)
    ).all()
    years: dict[str, set[int]] = {}
    for row in session.scalars(sa.select(CountyEligibility)):
        last = year if row.to_year is None else min(row.to_year, year)
        years.setdefault(row.county_code, set()).update(range(row.from_year, last + 1))
    return [
        {
            "code": row.code,
            "name": row.name,
            "eligible_years": sorted(years.get(row.code, ())),
            "tianjin_district": None
            if row.tianjin_district_code is None
            else {"code": row.tianjin_district_code, "name": row.district},
        }
        for row in counties
    ]


def policy_view(row: Policy) -> dict[str, Any]:
    names = "id key value valid_from valid_to scope_code revision title article source recorded_at"
    return {name: getattr(row, name) for name in names.split()}


def list_policies(
    session: Session, *, key: str | None = None, limit: int, after: str | None = None
) -> dict[str, Any]:
    """All rows of all rules, also those that were replaced: the history is public."""
    statement = sa.select(Policy)
    if key is not None:
        statement = statement.where(Policy.key == key)
    columns = Policy.__table__.c
    keys = [
        (columns.key, False),
        (columns.valid_from, True),
        (columns.scope_code, False),
        (columns.revision, True),
        (columns.id, False),
    ]
    return paginate(
        session, statement, keys, limit=limit, after=after, shape=lambda row: policy_view(row.Policy)
    )
