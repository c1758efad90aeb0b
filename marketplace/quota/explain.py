"""The rows behind any figure, down to lot and plot, and what is still to buy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts.models import Organisation, Township
from marketplace.actors import Actor, Permission
from marketplace.clock import today
from marketplace.errors import NotFound
from marketplace.journal.models import Seal
from marketplace.orders.models import Allocation, OrderLine, ShipmentLine
from marketplace.paging import DEFAULT_LIMIT, paginate
from marketplace.quota.figures import approved_versions, summary
from marketplace.quota.grouping import (
    WHOLE,
    By,
    Moment,
    Within,
    entries_until,
    entries_within,
    moment,
)
from marketplace.quota.ledger import EntryKind
from marketplace.quota.models import LineStanding, ReserveEntry
from marketplace.quota.projections import STANDING_COLUMNS, standing_state
from marketplace.quota.rules import elapsed_bp, uncounted_reasons
from marketplace.quota.scope import units, visible_agencies
from marketplace.trace.models import Origin
from marketplace.values import ratio_bp

_Place = aliased(Seal)
ENTRY_SORTS = tuple(sign + name for name in ("occurred_on", "amount_fen") for sign in ("", "-"))
REASONS = {
    "not_accepted": "未验收",
    "not_paid": "未付款",
    "not_evaluated": "未评价",
    "not_eligible": "不符合计入条件",
    "refused": "拒收或降价",
}


def entries(
    session: Session,
    actor: Actor,
    *,
    year: int,
    by: By = By.AGENCY,
    key: str | None = None,
    kind: EntryKind | None = None,
    as_of: datetime | None = None,
    within: Within = WHOLE,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """The ledger rows behind the figure `kind` of the row `key` of `summary(by=…)`; their sum is that figure.

    Without `key` those of the total, without `kind` of all stages, with `within` those of a part of the year. Each
    row names its order, line, lots, plots and the place of its fact in the journal (None until sealed). The oldest
    first, or by one of `ENTRY_SORTS`. Raises BadCursor (`bad-cursor`).
    """
    actor.require(Permission.QUOTA_READ)
    at = moment(session, as_of)
    unit = units(visible_agencies(actor))
    chosen = {by: key, **within} if key is not None else within
    statement = (
        sa.select(
            ReserveEntry,
            sa.select(_Place.seq)
            .where(_Place.fact_id == ReserveEntry.fact_id)
            .scalar_subquery()
            .label("seq"),
            unit.c.name.label("agency_name"),
            OrderLine.product_name,
            OrderLine.spec,
            OrderLine.pack_unit,
            OrderLine.quantity,
        )
        .join(unit, unit.c.id == ReserveEntry.agency_id)
        .join(OrderLine, OrderLine.id == ReserveEntry.line_id)
    )
    columns = ReserveEntry.__table__.c
    named = (sort or "").removeprefix("-")
    down = sort in ENTRY_SORTS and str(sort).startswith("-")
    first = columns.amount_fen if sort in ENTRY_SORTS and named == "amount_fen" else columns.occurred_on
    page = paginate(
        session,
        entries_until(_of_year(statement, unit, year, kind, chosen), at),
        [(first, down), (columns.id, down)],
        limit=limit,
        after=after,
        shape=_entry_view,
    )
    _add_lots(session, page["items"])
    return {**page, "as_of": at.view()}


def entries_total(
    session: Session,
    actor: Actor,
    *,
    year: int,
    kind: EntryKind | None = None,
    as_of: datetime | None = None,
    within: Within = WHOLE,
) -> dict[str, int]:
    """How many rows `entries` lists in all, and their sum in fen: {rows, amount_fen}."""
    actor.require(Permission.QUOTA_READ)
    unit = units(visible_agencies(actor))
    statement: sa.Select[*tuple[Any, ...]] = sa.select(
        sa.func.count().label("rows"), sa.func.coalesce(sa.func.sum(ReserveEntry.amount_fen), 0).label("sum")
    ).join(unit, unit.c.id == ReserveEntry.agency_id)
    row = session.execute(
        entries_until(_of_year(statement, unit, year, kind, within), moment(session, as_of))
    ).one()
    return {"rows": row.rows, "amount_fen": int(row.sum)}


def _of_year(
    statement: sa.Select[*tuple[Any, ...]], unit: Any, year: int, kind: EntryKind | None, within: Within
) -> sa.Select[*tuple[Any, ...]]:
    statement = statement.where(ReserveEntry.year == year, ReserveEntry.source == "own")
    if kind is not None:
        statement = statement.where(ReserveEntry.kind == kind)
    return entries_within(statement, unit, within)


def _entry_view(row: Any) -> dict[str, Any]:
    entry: ReserveEntry = row.ReserveEntry
    return {
        "occurred_on": entry.occurred_on,
        "period": entry.period,
        "adjusts": entry.adjusts,
        "kind": entry.kind,
        "amount_fen": entry.amount_fen,
        "agency_id": entry.agency_id,
        "agency": {"id": entry.agency_id, "name": row.agency_name},
        "line": {
            "name": row.product_name,
            "spec": row.spec,
            "unit": row.pack_unit,
            "quantity": row.quantity,
        },
        "purpose": entry.purpose,
        "county_code": entry.county_code,
        "eligible": entry.eligible,
        "policy_version": entry.policy_version,
        "order_id": entry.order_id,
        "order_number": entry.order_number,
        "line_id": entry.line_id,
        "fact_id": entry.fact_id,
        "fact_seq": row.seq,
    }


def lots_of_lines(session: Session, line_ids: Iterable[UUID]) -> dict[UUID, dict[UUID, str]]:
    """Lot -> trace code of each line: the lots that were shipped, before that the planned ones."""
    ids = sorted(set(line_ids))
    sent = sa.select(
        ShipmentLine.line_id, ShipmentLine.lot_id, ShipmentLine.trace_code, sa.literal(True).label("shipped")
    ).where(ShipmentLine.line_id.in_(ids))
    planned = sa.select(
        Allocation.line_id, Allocation.lot_id, Allocation.trace_code, sa.literal(False).label("shipped")
    ).where(Allocation.line_id.in_(ids), Allocation.freed < Allocation.quantity)
    shipped: dict[UUID, dict[UUID, str]] = {}
    reserved: dict[UUID, dict[UUID, str]] = {}
    for row in session.execute(sa.union(sent, planned)):
        (shipped if row.shipped else reserved).setdefault(row.line_id, {})[row.lot_id] = row.trace_code
    return {**reserved, **shipped}


def _add_lots(session: Session, items: list[dict[str, Any]]) -> None:
    lots = lots_of_lines(session, (item["line_id"] for item in items))
    plots: dict[UUID, list[dict[str, str]]] = {}
    for row in session.execute(
        sa.select(Origin.lot_id, Township.name.label("township"), Origin.village, Origin.plot)
        .join(Township, Township.code == Origin.township_code)
        .where(Origin.lot_id.in_(sorted({lot for found in lots.values() for lot in found})))
        .order_by(Origin.lot_id, Origin.position)
    ):
        plots.setdefault(row.lot_id, []).append(
            {"township": row.township, "village": row.village, "plot": row.plot}
        )
    for item in items:
        found = sorted(lots.get(item["line_id"], {}).items(), key=lambda pair: pair[1])
        item["trace_codes"] = [code for _, code in found]
        item["lots"] = [{"id": lot, "trace_code": code} for lot, code in found]
        item["plots"] = [{"trace_code": code, **plot} for lot, code in found for plot in plots.get(lot, ())]


def pace(
    session: Session, actor: Actor, *, agency_id: UUID, year: int, day: date | None = None
) -> dict[str, Any]:
    """How much an agency must still buy for its reserve of a year, by when, and why each other yuan waits.

    `to_order_fen` = reserve - counted - what is on its way (ordered and eligible, but not accepted, paid or
    evaluated yet), at least 0. `last_day` is the last on which a condition can be met for the year. `pace_bp` is
    completion minus the part of the year that has passed. Raises NotFound outside the actor's scope.
    """
    actor.require(Permission.QUOTA_READ)
    scope = visible_agencies(actor)
    agency = session.get(Organisation, agency_id)
    if agency is None or agency.kind != "agency" or (scope is not None and agency_id not in scope):
        raise NotFound
    day = day or today()
    approved = approved_versions(year, Moment(datetime.min, 0, sealed_only=False))
    counted_sum = (
        sa.select(sa.func.coalesce(sa.func.sum(ReserveEntry.amount_fen), 0))
        .where(
            ReserveEntry.agency_id == agency_id,
            ReserveEntry.year == year,
            ReserveEntry.kind == EntryKind.COUNTED,
            ReserveEntry.source == "own",
        )
        .scalar_subquery()
    )
    reserve_sum = (
        sa.select(sa.func.coalesce(sa.func.sum(approved.c.reserve_fen), 0))
        .where(approved.c.agency_id == agency_id)
        .scalar_subquery()
    )
    sums = session.execute(sa.select(counted_sum.label("counted"), reserve_sum.label("reserve"))).one()
    counted, reserve = int(sums.counted), int(sums.reserve)
    reasons = _waiting(session, [agency_id], year)[agency_id]
    under_way = sum(reasons[name] for name in ("not_accepted", "not_paid", "not_evaluated"))
    completion = ratio_bp(counted, reserve)
    elapsed = elapsed_bp(year, day)
    last_day = date(year, 12, 31)
    return {
        "agency": {"id": agency.id, "name": agency.name},
        "year": year,
        "reserve_fen": reserve,
        "counted_fen": counted,
        "remaining_fen": max(0, reserve - counted),
        "under_way_fen": under_way,
        "to_order_fen": max(0, reserve - counted - under_way),
        "completion_bp": completion,
        "elapsed_bp": elapsed,
        "pace_bp": None if completion is None else completion - elapsed,
        "last_day": last_day,
        "days_left": max(0, (last_day - day).days),
        "uncounted": [
            {"reason": name, "name": REASONS[name], "amount_fen": reasons[name]} for name in REASONS
        ],
    }


def laggards(session: Session, actor: Actor, *, year: int, limit: int = DEFAULT_LIMIT) -> dict[str, Any]:
    """Agencies of the actor's scope with a reserve that are behind the calendar, the furthest first.

    {items, elapsed_bp, as_of, basis}; of each agency its figures, `pace_bp` (completion minus the part of the year
    that has passed) and `uncounted`, the reasons of the fen that do not count yet, none left out. Two statements
    more than `summary`, whatever the number of agencies.
    """
    table = summary(session, actor, year=year, by=By.AGENCY, sort="completion_bp")
    elapsed = elapsed_bp(year, today())
    behind = [
        row for row in table["items"] if row["completion_bp"] is not None and row["completion_bp"] < elapsed
    ]
    reasons = _waiting(session, [UUID(row["key"]) for row in behind[:limit]], year)
    items = [
        {
            **row,
            "pace_bp": row["completion_bp"] - elapsed,
            "uncounted": {name: fen for name, fen in reasons[UUID(row["key"])].items() if fen},
        }
        for row in behind[:limit]
    ]
    return {
        "items": items,
        "behind": len(behind),
        "elapsed_bp": elapsed,
        "as_of": table["as_of"],
        "basis": table["basis"],
    }


def _waiting(session: Session, agency_ids: Sequence[UUID], year: int) -> dict[UUID, dict[str, int]]:
    """Uncounted fen by reason of each agency, over its lines that were ordered by the end of `year`."""
    open_packs = (
        OrderLine.quantity
        - OrderLine.cancelled_quantity
        - OrderLine.accepted_quantity
        - OrderLine.refused_quantity
    )
    ordered = sa.exists().where(
        ReserveEntry.line_id == LineStanding.line_id,
        ReserveEntry.kind == EntryKind.ORDERED,
        ReserveEntry.year <= year,
    )
    reasons = {agency: dict.fromkeys(REASONS, 0) for agency in agency_ids}
    for row in session.execute(
        sa.select(*STANDING_COLUMNS, (open_packs * OrderLine.unit_price_fen).label("open_fen"))
        .join(OrderLine, OrderLine.id == LineStanding.line_id)
        .where(
            LineStanding.agency_id.in_(list(agency_ids)),
            LineStanding.counted_fen != LineStanding.ordered_fen,
            ordered,
        )
    ):
        for name, amount in uncounted_reasons(standing_state(row), row.open_fen).items():
            reasons[row.agency_id][name] += amount
    return reasons
