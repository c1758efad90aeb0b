"""What the dashboard of reserves needs besides the figures: names of its parts, months, counties, lots in private."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, Region
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Category
from marketplace.clock import business_day, now, today
from marketplace.quota import figures, queries
from marketplace.quota.grouping import WITH_RESERVE, By, Within
from marketplace.quota.models import Declaration
from marketplace.quota.rules import elapsed_bp, period_is_over

ROWS = 50
# Where a row of a grouping leads to: the same figure by a finer key. An agency's row leads to its entries.
FINER = {
    By.BUYER_COUNTY: By.DEPARTMENT,
    By.DEPARTMENT: By.AGENCY,
    By.ORIGIN_COUNTY: By.CATEGORY,
    By.CATEGORY: By.AGENCY,
    By.PURPOSE: By.AGENCY,
    By.MONTH: By.AGENCY,
}


def dashboard(
    session: Session,
    actor: Actor,
    *,
    year: int,
    by: By,
    as_of: datetime | None,
    within: Within,
    sort: str | None,
    after: str | None,
) -> dict[str, Any]:
    """Everything on the dashboard, in a number of statements that does not grow with the rows."""
    # Where the chosen key has no reserve, the buyers' counties have that of the whole.
    owner = by if by in WITH_RESERVE else By.BUYER_COUNTY
    bys = dict.fromkeys([by, By.MONTH, By.ORIGIN_COUNTY, owner])
    tables = figures.summaries(
        session,
        actor,
        year=year,
        bys=list(bys),
        as_of=as_of,
        within=within,
        sort=sort,
        limit=ROWS,
        after=after,
    )
    table, total = tables[by], tables[owner]["total"]
    through = min(today() if as_of is None else business_day(as_of), date(year, 12, 31))
    elapsed = elapsed_bp(year, through)
    return {
        "table": table,
        "total": total,
        "months": _cumulated(tables[By.MONTH]["items"], year, through),
        "counties": sorted(tables[By.ORIGIN_COUNTY]["items"], key=lambda row: -row["counted_fen"]),
        "through": through,
        "elapsed_bp": elapsed,
        "planned_fen": total["reserve_fen"] * elapsed // 10_000 if "reserve_fen" in total else None,
    }


def _cumulated(rows: Iterable[dict[str, Any]], year: int, through: date) -> list[dict[str, Any]]:
    """The months of the year until `through`: {month, counted_fen, sum_fen}."""
    counted = {row["key"]: row["counted_fen"] for row in rows}
    last = 0 if through.year < year else through.month
    months: list[dict[str, Any]] = []
    sum_fen = 0
    for month in range(1, last + 1):
        key = f"{year}-{month:02d}"
        sum_fen += counted.get(key, 0)
        months.append({"month": key, "counted_fen": counted.get(key, 0), "sum_fen": sum_fen})
    return months


def part_names(session: Session, within: Within) -> dict[By, str]:
    """The names of what a part of the figures is restricted to, in one statement; a code stays where none is known."""
    regions = {within[by] for by in (By.ORIGIN_COUNTY, By.BUYER_COUNTY) if by in within}
    agencies = {within[by] for by in (By.AGENCY, By.DEPARTMENT) if by in within}
    statement = sa.union_all(
        sa.select(Region.code.label("key"), Region.name).where(Region.code.in_(sorted(regions))),
        sa.select(Category.code, Category.name).where(Category.code == within.get(By.CATEGORY, "")),
        sa.select(sa.cast(Organisation.id, sa.Text), Organisation.name).where(
            sa.cast(Organisation.id, sa.Text).in_(sorted(agencies))
        ),
    )
    names = {row.key: row.name for row in session.execute(statement)} if within else {}
    return {by: names.get(key, key) for by, key in within.items()}


def region_names(session: Session) -> dict[str, str]:
    return {row.code: row.name for row in session.execute(sa.select(Region.code, Region.name))}


def counties(session: Session) -> list[tuple[str, str]]:
    """(code, name) of the counties that sell, by pinyin."""
    rows = session.execute(
        sa.select(Region.code, Region.name)
        .where(Region.level == "county")
        .order_by(Region.pinyin_key, Region.code)
    )
    return [(row.code, row.name) for row in rows]


def periods(session: Session, actor: Actor, year: int) -> dict[str, Any] | None:
    """Closed months of a year and those that can be closed now; None for who may close none."""
    if not actor.can(Permission.PERIOD_CLOSE):
        return None
    closes = queries.period_closes(session, year)
    names = [f"{year}-{month:02d}" for month in range(1, 13)]
    return {
        "closed": [(name, closes[name]) for name in names if name in closes],
        "open": [name for name in names if name not in closes and period_is_over(name, now())],
    }


def period_figures(session: Session, actor: Actor, period: str) -> dict[str, Any]:
    """The figures of one accounting month, and when it was closed (None while it is open)."""
    year = int(period[:4])
    total = figures.summary(session, actor, year=year, by=By.MONTH, within={By.MONTH: period})["total"]
    return {"period": period, "total": total, "closed_at": queries.period_closes(session, year).get(period)}


def declaration_ids(session: Session, agency_ids: Iterable[UUID], year: int) -> dict[UUID, UUID]:
    """Agency -> its declaration of a year, for those that have begun one."""
    rows = session.execute(
        sa.select(Declaration.agency_id, Declaration.id).where(
            Declaration.year == year, Declaration.agency_id.in_(list(agency_ids))
        )
    )
    return {row.agency_id: row.id for row in rows}
