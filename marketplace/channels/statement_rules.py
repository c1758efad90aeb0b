"""What a channel owes a seller for a period of consignment, from reports of sales and counts of stock. Pure.

A statement charges what was sold, less red entries, and the spoilt or missing packs that the channel bears. A report
or count that came in after a statement was issued stands on the next one, so that nothing is charged twice or lost.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from marketplace.channels.states import BorneBy, StatementLineKind


@dataclass(frozen=True, slots=True)
class Sold:
    """A line of a sales report: packs of one lot at what the channel owes for each; negative on a red one."""

    source: UUID
    day: date
    position: int
    red: bool
    product: UUID
    lot: UUID
    quantity: int
    unit_price_fen: int


@dataclass(frozen=True, slots=True)
class Counted:
    """A line of a stock count: spoilt and missing packs (negative: found again) and who bears them."""

    source: UUID
    day: date
    position: int
    borne_by: BorneBy
    product: UUID
    lot: UUID
    spoilage: int
    loss: int
    unit_price_fen: int


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of a statement; `amount_fen` is exact."""

    kind: StatementLineKind
    day: date
    source: UUID
    product: UUID
    lot: UUID
    quantity: int
    unit_price_fen: int

    @property
    def amount_fen(self) -> int:
        return self.quantity * self.unit_price_fen


def charges_of(sold: Iterable[Sold], counted: Iterable[Counted]) -> list[Charge]:
    """The lines of a statement, by day, source and place in it, whatever the order they are given in.

    Packs that the seller or the carrier bears, and lines of no packs, are not charged.
    """
    found: list[tuple[tuple[date, UUID, int, int], Charge]] = []
    for line in sold:
        kind = StatementLineKind.RED if line.red else StatementLineKind.SALE
        found.append(((line.day, line.source, line.position, 0), _charge(kind, line, line.quantity)))
    for count in counted:
        if count.borne_by is not BorneBy.CHANNEL:
            continue
        parts = ((StatementLineKind.SPOILAGE, count.spoilage), (StatementLineKind.LOSS, count.loss))
        for n, (kind, packs) in enumerate(parts):
            found.append(((count.day, count.source, count.position, n), _charge(kind, count, packs)))
    return [charge for _, charge in sorted(found, key=lambda pair: pair[0]) if charge.quantity]


def _charge(kind: StatementLineKind, line: Sold | Counted, quantity: int) -> Charge:
    return Charge(kind, line.day, line.source, line.product, line.lot, quantity, line.unit_price_fen)


def total_of(charges: Iterable[Charge]) -> int:
    """Fen that the channel owes; below 0 when more was taken back than sold."""
    return sum(charge.amount_fen for charge in charges)


def corrected(line: Charge, quantity: int) -> list[Charge]:
    """A red line that takes a disputed one back and, unless nothing is left, the line as it should have been."""
    back = Charge(
        StatementLineKind.ADJUSTMENT, line.day, line.source, line.product, line.lot, -line.quantity,
        line.unit_price_fen,
    )  # fmt: skip
    anew = Charge(line.kind, line.day, line.source, line.product, line.lot, quantity, line.unit_price_fen)
    return [back, anew] if quantity else [back]


def proposal_problem(kind: StatementLineKind, present: int, proposed: int) -> str | None:
    """Why `proposed` packs can't stand in the place of those of a line; None when they can."""
    if kind is StatementLineKind.ADJUSTMENT:
        return "更正冲回的一行不能再提异议，请对更正后的那一行提"
    if proposed == present:
        return "提出的数量与结算单上的一样"
    if proposed and (proposed < 0) is not (present < 0):
        return "数量的正负要与原来一样"
    return None


def period_days(period: str, end_day: int) -> tuple[date, date]:
    """First and last day of 'YYYY-MM': it ends on `end_day` of that month (at most its last day), and begins on the day
    after the period before. Raises ValueError for a text of another form."""
    year, month = (int(part) for part in period.split("-"))
    before = (year, month - 1) if month > 1 else (year - 1, 12)
    return _end(*before, end_day) + timedelta(days=1), _end(year, month, end_day)


def _end(year: int, month: int, end_day: int) -> date:
    return date(year, month, min(end_day, calendar.monthrange(year, month)[1]))


def last_ended(day: date, end_day: int) -> str:
    """The newest period, 'YYYY-MM', whose last day is before `day`."""
    year, month = day.year, day.month
    if _end(year, month, end_day) >= day:
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    return f"{year:04d}-{month:02d}"


def lines_text(rows: Sequence[tuple[UUID, int, Charge]]) -> list[dict[str, object]]:
    """`lines` of a fact: id, position and charge of each, as `verify` and the digest read them."""
    return [
        {
            "line": str(line_id),
            "position": position,
            "kind": charge.kind.value,
            "day": charge.day.isoformat(),
            "source": str(charge.source),
            "product": str(charge.product),
            "lot": str(charge.lot),
            "quantity": charge.quantity,
            "unit_price_fen": charge.unit_price_fen,
            "amount_fen": charge.amount_fen,
        }
        for line_id, position, charge in rows
    ]
