"""By what figures are grouped, which part of them is meant, and at which state of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.clock import SHANGHAI, now
from marketplace.journal.models import Checkpoint, Seal
from marketplace.quota.models import ReserveEntry


class By(StrEnum):
    AGENCY = "agency"
    DEPARTMENT = "department"
    ORIGIN_COUNTY = "origin_county"
    BUYER_COUNTY = "buyer_county"
    CATEGORY = "category"
    PURPOSE = "purpose"
    MONTH = "month"


# Only these keys own a reserve: where goods come from, or what they are, has none.
WITH_RESERVE = frozenset({By.AGENCY, By.DEPARTMENT, By.BUYER_COUNTY})

# Part of a year's figures: the rows of these keys alone, such as {BUYER_COUNTY: "620826", PURPOSE: "canteen"}.
Within = Mapping[By, str]
WHOLE: Within = {}


@dataclass(frozen=True)
class Moment:
    """The state of the journal that figures stand on. `tree_size` bounds the facts when `sealed_only`."""

    time: datetime
    tree_size: int
    sealed_only: bool

    def view(self) -> dict[str, Any]:
        return {"time": self.time, "tree_size": self.tree_size}


def parse_as_of(text: str) -> datetime:
    """An instant with its offset, or a day (its end in Shanghai). Raises ValueError."""
    if len(text) == 10:
        day = date.fromisoformat(text)
        return datetime.combine(day + timedelta(days=1), time.min, SHANGHAI) - timedelta(microseconds=1)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return at


def moment(session: Session, as_of: datetime | None) -> Moment:
    """The largest signed tree whose checkpoint was made by `as_of`; without it, now and the present tree.

    Before the first checkpoint the tree is empty.
    """
    if as_of is None:
        return Moment(
            now(), int(session.scalar(sa.select(sa.func.coalesce(sa.func.max(Seal.seq), 0))) or 0), False
        )
    row = session.execute(
        sa.select(Checkpoint.tree_size, Checkpoint.made_at)
        .where(Checkpoint.made_at <= as_of)
        .order_by(Checkpoint.tree_size.desc())
        .limit(1)
    ).one_or_none()
    return Moment(as_of, 0, True) if row is None else Moment(row.made_at, row.tree_size, True)


def entry_key(by: By, unit: Any) -> sa.ColumnElement[Any]:
    """The column of an entry (or of its agency) by which figures are grouped, as text."""
    columns: dict[By, Any] = {
        By.AGENCY: sa.cast(unit.c.id, sa.Text),
        By.DEPARTMENT: sa.cast(unit.c.department, sa.Text),
        By.ORIGIN_COUNTY: ReserveEntry.county_code,
        By.BUYER_COUNTY: ReserveEntry.buyer_county_code,
        By.CATEGORY: ReserveEntry.category_code,
        By.PURPOSE: ReserveEntry.purpose,
        By.MONTH: ReserveEntry.period,
    }
    column: sa.ColumnElement[Any] = columns[by]
    return column


def entries_within(
    statement: sa.Select[*tuple[Any, ...]], unit: Any, within: Within
) -> sa.Select[*tuple[Any, ...]]:
    """Only entries that belong to every key of `within`."""
    return statement.where(*(entry_key(by, unit) == key for by, key in within.items()))


def entries_until(statement: sa.Select[*tuple[Any, ...]], at: Moment) -> sa.Select[*tuple[Any, ...]]:
    """Only entries whose fact stands in the tree of `at`."""
    if not at.sealed_only:
        return statement
    return statement.join(Seal, Seal.fact_id == ReserveEntry.fact_id).where(Seal.seq <= at.tree_size)
