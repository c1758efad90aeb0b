"""The figures of a budget year: one table of trade by any key, and the reserves where they belong to the key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from marketplace.accounts.models import Region
from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Category
from marketplace.clock import today
from marketplace.errors import NotFound
from marketplace.journal.models import Fact, Seal
from marketplace.paging import decode_cursor, encode_cursor
from marketplace.policies.queries import policy_rows
from marketplace.quota.grouping import (
    WHOLE,
    WITH_RESERVE,
    By,
    Moment,
    Within,
    entries_until,
    entries_within,
    entry_key,
    moment,
)
from marketplace.quota.ledger import EntryKind
from marketplace.quota.models import Declaration, DeclarationVersion, ReserveEntry
from marketplace.quota.rules import ranks
from marketplace.quota.scope import units, visible_agencies
from marketplace.values import ratio_bp

PAGE = 1_000
STAGES = tuple(f"{kind.value}_fen" for kind in EntryKind)
PURPOSES = {
    "canteen": "食堂采购",
    "union": "工会福利",
    "condolence": "慰问",
    "personal": "个人购买",
    "social": "社会购买",
    "resale": "渠道经销",
}
STATE_NAMES = {"ordered": "已确认订单", "accepted": "已验收", "paid": "已付款", "evaluated": "已评价"}


SORTS = ("name", "reserve_fen", *STAGES, "completion_bp", "rank")


def approved_versions(year: int, at: Moment) -> sa.Subquery:
    """One row per declared agency: the version whose approval counts at `at`."""
    if at.sealed_only:
        approval = (
            sa.select(
                Fact.subject_id.label("declaration_id"),
                sa.cast(sa.cast(Fact.body, sa.JSON)["data"]["number"].as_string(), sa.BigInteger).label(
                    "number"
                ),
            )
            .join(Seal, Seal.fact_id == Fact.id)
            .where(
                Fact.subject_type == "declaration",
                Fact.kind == "declaration.approved",
                Seal.seq <= at.tree_size,
            )
            .ext(distinct_on(Fact.subject_id))
            .order_by(Fact.subject_id, Seal.seq.desc())
            .subquery("approval")
        )
        approved: Any = approval.c.number
        base = sa.select(Declaration.agency_id).join(approval, approval.c.declaration_id == Declaration.id)
    else:
        approved = Declaration.approved_version
        base = sa.select(Declaration.agency_id)
    return (
        base.add_columns(
            DeclarationVersion.declaration_id,
            DeclarationVersion.number,
            DeclarationVersion.canteen,
            DeclarationVersion.base_fen,
            DeclarationVersion.reserve_fen,
        )
        .join(
            DeclarationVersion,
            sa.and_(
                DeclarationVersion.declaration_id == Declaration.id, DeclarationVersion.number == approved
            ),
        )
        .where(Declaration.year == year)
        .subquery("approved")
    )


def summary(
    session: Session,
    actor: Actor,
    *,
    year: int,
    by: By = By.AGENCY,
    as_of: datetime | None = None,
    within: Within = WHOLE,
    sort: str | None = None,
    limit: int = PAGE,
    after: str | None = None,
) -> dict[str, Any]:
    """Figures of a budget year in fen, grouped by one key: {items, next, total, as_of, basis}.

    Only agencies that count in the city, and of them what the actor may see. Trade adds up to the same total in
    every grouping; reserve, declared and completion exist by agency, department and buyer county. `declared`
    counts approved declarations, `missing` those who owe one: members of a shared canteen owe none. Completion
    (basis points) is None without a reserve and may exceed 10,000. `within` keeps a part of the year; a part by
    origin, category, purpose or month has no reserve. Rows stand by rank, or by one of `SORTS` ("-" before it turns
    it round; rows without that figure come last). Raises BadCursor (`bad-cursor`).
    """
    return summaries(
        session, actor, year=year, bys=[by], as_of=as_of, within=within, sort=sort, limit=limit, after=after
    )[by]


def summaries(
    session: Session,
    actor: Actor,
    *,
    year: int,
    bys: Sequence[By],
    as_of: datetime | None = None,
    within: Within = WHOLE,
    sort: str | None = None,
    limit: int = PAGE,
    after: str | None = None,
) -> dict[By, dict[str, Any]]:
    """Several groupings of the same figures, which are read once; `sort`, `limit` and `after` are for the first.

    The others are whole, by rank. Otherwise as `summary`.
    """
    actor.require(Permission.QUOTA_READ)
    at = moment(session, as_of)
    scope = visible_agencies(actor)
    tables, whole, versions = _trade(session, year, bys, at, scope, within)
    told = basis(session, year, bys[0], at, versions)
    found: dict[By, dict[str, Any]] = {}
    for by, rows in tables.items():
        total = dict(whole)
        if by in WITH_RESERVE and WITH_RESERVE.issuperset(within):
            _add_reserves(session, year, by, at, scope, within, rows, total)
        first = by is bys[0]
        items, following = (
            _page(_sorted(rows.values(), sort), limit, after)
            if first
            else (_sorted(rows.values(), None), None)
        )
        found[by] = {
            "items": items,
            "next": following,
            "total": total,
            "as_of": at.view(),
            "basis": {**told, "by": by.value},
        }
    return found


def _page(
    items: list[dict[str, Any]], limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    start = 0
    if after is not None:
        (key,) = decode_cursor(after, 1)
        start = next((n + 1 for n, r in enumerate(items) if r["key"] == key), len(items))
    page = items[start : start + limit]
    more = start + limit < len(items)
    return page, encode_cursor([page[-1]["key"]]) if more else None


def _sorted(rows: Iterable[dict[str, Any]], sort: str | None) -> list[dict[str, Any]]:
    ranked = sorted(rows, key=lambda r: (r.get("rank") or PAGE**3, r["sort"], r["key"]))
    name = (sort or "").removeprefix("-")
    if name not in SORTS:
        return ranked
    name = "sort" if name == "name" else name
    known = [row for row in ranked if row.get(name) is not None]
    known.sort(key=lambda r: r[name], reverse=str(sort).startswith("-"))
    return known + [row for row in ranked if row.get(name) is None]


def _trade(
    session: Session, year: int, bys: Sequence[By], at: Moment, scope: Any, within: Within
) -> tuple[dict[By, dict[str, dict[str, Any]]], dict[str, Any], Sequence[str]]:
    """The rows of each grouping, the total, and the policy versions of the lines, from one reading of the ledger."""
    unit = units(scope)
    tables: dict[By, dict[str, dict[str, Any]]] = {by: {} for by in bys}
    keys = {by: entry_key(by, unit) for by in tables}
    stages = [
        sa.func.coalesce(sa.func.sum(ReserveEntry.amount_fen).filter(ReserveEntry.kind == kind), 0).label(
            f"{kind.value}_fen"
        )
        for kind in EntryKind
    ]
    sets = [sa.tuple_(key) for key in keys.values()]
    statement = (
        sa.select(
            *(key.label(f"{by.value}_key") for by, key in keys.items()),
            *(sa.func.grouping(key).label(f"{by.value}_out") for by, key in keys.items()),
            sa.func.count(sa.distinct(ReserveEntry.agency_id)).label("agencies"),
            sa.func.array_agg(sa.distinct(ReserveEntry.policy_version)).label("versions"),
            *stages,
        )
        .select_from(ReserveEntry)
        .join(unit, unit.c.id == ReserveEntry.agency_id)
        .where(ReserveEntry.year == year, ReserveEntry.source == "own")
        .group_by(sa.func.grouping_sets(*sets, sa.text("()")))
    )
    statement = entries_within(statement, unit, within)
    grouped = entries_until(statement, at).subquery("grouped")
    total: dict[str, Any] = {"agencies": 0, **dict.fromkeys(STAGES, 0)}
    versions: Sequence[str] = ()
    for row in session.execute(sa.select(grouped, *_names(tables, grouped))):
        values = row._mapping
        figures = {"agencies": row.agencies, **{stage: int(values[stage]) for stage in STAGES}}
        by = next((by for by in tables if not values[f"{by.value}_out"]), None)
        if by is None:
            total, versions = figures, row.versions or ()
            continue
        key = values[f"{by.value}_key"]
        name = PURPOSES.get(key, key) if by is By.PURPOSE else values.get(f"{by.value}_name") or key
        tables[by][key] = {"key": key, "name": name, "sort": key, **figures}
    return tables, total, versions


def _names(bys: Iterable[By], grouped: sa.Subquery) -> list[Any]:
    """The names of counties and categories beside their codes."""
    sources: dict[By, Any] = {By.ORIGIN_COUNTY: Region, By.BUYER_COUNTY: Region, By.CATEGORY: Category}
    return [
        sa.select(source.name)
        .where(source.code == grouped.c[f"{by.value}_key"])
        .scalar_subquery()
        .label(f"{by.value}_name")
        for by in bys
        if (source := sources.get(by)) is not None
    ]


def _add_reserves(
    session: Session,
    year: int,
    by: By,
    at: Moment,
    scope: Any,
    within: Within,
    rows: dict[str, dict[str, Any]],
    total: dict[str, Any],
) -> None:
    """Names, numbers of agencies, reserves, completion and rank, added to `rows` and `total` in place."""
    unit = units(scope)
    approved = approved_versions(year, at)
    keys = {
        By.AGENCY: (sa.cast(unit.c.id, sa.Text), unit.c.name, unit.c.pinyin_key),
        By.DEPARTMENT: (sa.cast(unit.c.department, sa.Text), unit.c.department_name, unit.c.department_key),
        By.BUYER_COUNTY: (unit.c.region_code, Region.name, Region.code),
    }
    key, name, order = keys[by]
    missing = sa.and_(
        approved.c.agency_id.is_(None), sa.func.coalesce(unit.c.canteen_mode, "own") != "shared"
    )
    statement = (
        sa.select(
            key.label("key"),
            name.label("name"),
            order.label("sort"),
            sa.func.count().label("agencies"),
            sa.func.count(approved.c.agency_id).label("declared"),
            sa.func.count().filter(missing).label("missing"),
            sa.func.coalesce(sa.func.sum(approved.c.reserve_fen), 0).label("reserve_fen"),
        )
        .select_from(unit)
        .join(Region, Region.code == unit.c.region_code)
        .outerjoin(approved, approved.c.agency_id == unit.c.id)
        .where(*(keys[part][0] == value for part, value in within.items()))
        .group_by(key, name, order)
    )
    own = ("agencies", "declared", "missing", "reserve_fen")
    for row in rows.values():
        row.update(dict.fromkeys(own, 0))
    for found in session.execute(statement):
        row = rows.setdefault(found.key, {"key": found.key, **dict.fromkeys(STAGES, 0)})
        row.update(
            name=found.name, sort=found.sort, **{column: int(getattr(found, column)) for column in own}
        )
    total.update({column: sum(row[column] for row in rows.values()) for column in own})
    for figures in (*rows.values(), total):
        figures["completion_bp"] = ratio_bp(figures["counted_fen"], figures["reserve_fen"])
    ordered = list(rows.values())
    for row, rank in zip(ordered, ranks([row["completion_bp"] for row in ordered]), strict=True):
        row["rank"] = rank


def basis(session: Session, year: int, by: By, at: Moment, versions: Sequence[str]) -> dict[str, Any]:
    """口径: what a table must print below its title. The lines of a year may be of several policy versions."""
    day = min(today(), date(year, 12, 31))
    try:
        rows = policy_rows(session, ["counted_states"], max(day, date(year, 1, 1)))
        row = rows["counted_states"]
        states = [str(s) for s in row.value]
        present = f"counted_states@{row.valid_from.isoformat()}.{row.revision}"
    except NotFound:
        states, present = [], None
    return {
        "year": year,
        "by": by.value,
        "policy_versions": sorted(versions) or ([present] if present else []),
        "counted_states": states,
        "counted": "、".join(STATE_NAMES.get(s, s) for s in states),
        "cut_off": at.view(),
        "sealed_only": at.sealed_only,
        "scope": "市内预算单位；本平台交易；不含运费；不含832平台采购",
        "unit": "分",
        "rounding": "合计在取整之前计算；预留份额进到分；百分数四舍五入到两位小数",
    }
