"""Reading the seed files and the keys that the tables hold already."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from reportlab.pdfgen import canvas

from marketplace.actors import Actor, Door, system
from marketplace.database import db
from marketplace.trace.letters import FONT, printable

SEED_FOLDER = Path(__file__).resolve().parents[2] / "catalog_seed"

Row = dict[str, str | None]
# One business act that is still missing.
Act = Callable[[], object]


# The sandbox takes the first of what each channel carries: enough to trade, and soon loaded.
ITEMS_OF_A_CHANNEL = 6
_small: ContextVar[bool] = ContextVar("_small", default=False)


@contextmanager
def choosing(small: bool) -> Iterator[None]:
    """Within, `rows` leaves out goods that a small seed does without."""
    before = _small.set(small)
    try:
        yield
    finally:
        _small.reset(before)


def rows(name: str) -> list[Row]:
    """The rows of `catalog_seed/<name>.csv`; an empty cell is None."""
    return [row for row in _all(name) if _wanted(name, row)] if _small.get() else _all(name)


def _wanted(name: str, row: Row) -> bool:
    skus, lots = _chosen()
    if name in ("products", "product_certifications", "channel_items", "lots"):
        return row["sku"] in skus
    if name in ("lot_certificates", "inspections", "origins"):
        return row["lot_code"] in lots
    return True


@cache
def _chosen() -> tuple[frozenset[str | None], frozenset[str | None]]:
    """The products of a small seed, and their lots."""
    taken: Counter[str | None] = Counter()
    skus: set[str | None] = set()
    for row in _all("channel_items"):
        if taken[row["channel_code"]] < ITEMS_OF_A_CHANNEL:
            taken[row["channel_code"]] += 1
            skus.add(row["sku"])
    return frozenset(skus), frozenset(row["code"] for row in _all("lots") if row["sku"] in skus)


def _all(name: str) -> list[Row]:
    with (SEED_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]


def text(row: Row, name: str) -> str:
    """A cell that must be filled. Raises ValueError for an empty one."""
    value = row[name]
    if value is None:
        raise ValueError(f"{name} is empty in {row}")
    return value


def number(row: Row, name: str) -> int | None:
    value = row[name]
    return None if value is None else int(value)


def whole(row: Row, name: str) -> int:
    """A whole number that must be there."""
    return int(text(row, name))


def flag(row: Row, name: str) -> bool:
    return row[name] == "1"


def day(row: Row, name: str) -> date | None:
    value = row[name]
    return None if value is None else date.fromisoformat(value)


def ago(row: Row, name: str, today: date) -> date:
    """The day that lies so many days before the day of loading."""
    return today - timedelta(days=whole(row, name))


def found(*columns: Any) -> list[Any]:
    """All rows of a table, in one query outside of any business act."""
    with db.engine.connect() as connection:
        return list(connection.execute(sa.select(*columns)))


def keys(column: Any) -> set[Any]:
    """The values of one column."""
    return {row[0] for row in found(column)}


def mapping(key: Any, value: Any) -> dict[Any, Any]:
    return {row[0]: row[1] for row in found(key, value)}


def in_order(
    entries: Iterable[Row], key: str, needs: Sequence[str], known: Iterable[str | None] = ()
) -> list[Row]:
    """`entries` so that each comes after the ones its `needs` columns name. Raises ValueError on a ring."""
    left = list(entries)
    names = {entry[key] for entry in left}
    done = set(known)
    ordered: list[Row] = []
    while left:
        ready = [e for e in left if all(e[n] is None or e[n] in done or e[n] not in names for n in needs)]
        if not ready:
            raise ValueError(f"rows need each other: {[e[key] for e in left]}")
        ordered += ready
        done |= {e[key] for e in ready}
        left = [e for e in left if e[key] not in done]
    return ordered


def importer() -> Actor:
    """Who loads: the system, by the door of imports."""
    return system(Door.IMPORT)


def specimen(holder: str) -> bytes:
    """A one-page PDF that stands for a seller's certificates; the same holder gives the same bytes."""
    buffer = BytesIO()
    page = canvas.Canvas(buffer, pagesize=(420, 298), invariant=1)
    page.setTitle("演示用证明文件")
    page.setFont(FONT, 18)
    page.drawString(40, 220, "演示用证明文件（样张）")
    page.setFont(FONT, 12)
    page.drawString(40, 180, printable(holder))
    page.drawString(40, 155, "仅供演示，不具有任何证明效力。")
    page.showPage()
    page.save()
    return buffer.getvalue()
