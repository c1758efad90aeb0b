"""A file of a shop's sales, day, trace code and packs a line: judged line by line before anything is reported.

Lines of the same lot and day add up, so a till's own export can be taken as it is. A day that stands already is
corrected when its packs differ, and passed over when they do not.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor, Permission
from marketplace.catalog.models import Lot, Product, Stock
from marketplace.channels.consignment_models import SalesReport, SalesReportLine
from marketplace.channels.ordering import NoAgreement
from marketplace.channels.sales import SalesWish, SoldLine, report_sales, too_many
from marketplace.channels.shops import LotName, Shop, came_later, find_lots, shop_on
from marketplace.clock import today
from marketplace.errors import Forbidden, RuleViolation
from marketplace.trace.codes import canonical_form
from marketplace.unit_of_work import Replayed
from marketplace.values import MAX_QUANTITY
from marketplace.workbook_reading import SheetRow, UnreadableWorkbook, is_workbook, table_rows
from marketplace.workbooks import form_workbook

MOST_ROWS = 5_000
MOST_DAYS = 62
MOST_LOTS = 500
FORM = ("日期", "追溯码", "件数")
# Whatever stands between year, month and day, and after it: hyphens, points, strokes, or the Chinese words.
_DAY = re.compile(r"(\d{4})\D?(\d{1,2})\D?(\d{1,2})\D?", re.ASCII)
_HEAD = ("日期", "day", "date", "business_day")


@dataclass(frozen=True)
class FileRow:
    """A line of the file; `line` counts from 1, the head included."""

    line: int
    day: date
    trace_code: str
    packs: int


@dataclass(frozen=True)
class LineMistake:
    """What is wrong in a line of the file; line 0 is the whole file."""

    line: int
    detail: str


@dataclass
class FileDay:
    """One day of the file: `version` stands already; `same` when it says the same, so nothing is to be done."""

    day: date
    version: int | None = None
    same: bool = False
    # {line, trace_code, name, unit, quantity, unit_price_fen, amount_fen}
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total_fen(self) -> int:
        return sum(line["amount_fen"] for line in self.lines)


def read_file(content: bytes) -> tuple[list[FileRow], list[LineMistake]]:
    """Rows of a file, a workbook (XLSX) or CSV, and every line that is wrong.

    CSV is in UTF-8 or GB18030, separated by commas, semicolons or tabs.
    """
    rows: list[FileRow] = []
    mistakes: list[LineMistake] = []
    try:
        for line in _lines_of(content):
            if not line.cells and not line.mistake:
                continue
            if not rows and not mistakes and line.cells and line.cells[0].lower() in _HEAD:
                continue
            if len(rows) + len(mistakes) >= MOST_ROWS:
                mistakes.append(LineMistake(line.number, f"一个文件最多{MOST_ROWS}行，请分开上传"))
                break
            row = LineMistake(line.number, line.mistake) if line.mistake else _row(line.number, line.cells)
            (rows if isinstance(row, FileRow) else mistakes).append(row)  # type: ignore[arg-type]
    except UnreadableWorkbook as unreadable:
        return [], [LineMistake(0, str(unreadable))]
    if not rows and not mistakes:
        mistakes.append(LineMistake(0, "文件里没有销售"))
    if len({row.day for row in rows}) > MOST_DAYS:
        mistakes.append(LineMistake(0, f"一个文件最多{MOST_DAYS}天，请分开上传"))
    return rows, mistakes


def _lines_of(content: bytes) -> Iterator[SheetRow]:
    """Raises UnreadableWorkbook, as for a workbook."""
    if is_workbook(content):
        yield from table_rows(content)
        return
    text = _text(content)
    if text is None:
        raise UnreadableWorkbook("读不了这个文件，请存成 XLSX，或 CSV（UTF-8 或 GB18030）")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    for n, cells in enumerate(csv.reader(text.splitlines(), delimiter=separator), start=1):
        given = [cell.strip() for cell in cells]
        while given and not given[-1]:
            given.pop()
        yield SheetRow(n, given)


def empty_form() -> bytes:
    """A workbook to fill in, that `read_file` reads: days, trace codes as text, whole packs."""
    return form_workbook("销售", [(FORM[0], "day"), (FORM[1], "text"), (FORM[2], "count")], lines=MOST_ROWS)


def _text(content: bytes) -> str | None:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return None if "\x00" in text else text
    return None


def _row(line: int, cells: Sequence[str]) -> FileRow | LineMistake:
    if len(cells) != 3:
        return LineMistake(line, f"要有日期、追溯码、件数三列，这一行有{len(cells)}列")
    found = _DAY.fullmatch(cells[0])
    try:
        day = date(*(int(part) for part in found.groups())) if found else None
    except ValueError:
        day = None
    if not cells[0]:
        return LineMistake(line, "没有日期；合并的单元格请先拆开，每行都写日期")
    if day is None:
        return LineMistake(line, f"读不出日期：{cells[0][:40]}")
    packs = cells[2].replace(",", "")
    if not re.fullmatch(r"[0-9]{1,8}", packs) or not 1 <= int(packs) <= MAX_QUANTITY:
        return LineMistake(line, f"件数要是1以上的整数：{cells[2][:40]}")
    return FileRow(line, day, canonical_form(cells[1]) or cells[1][:64], int(packs))


def as_text(rows: Sequence[FileRow]) -> str:
    """The rows as a file that `read_file` reads alike, for carrying them from the preview to the report."""
    return "\n".join(f"{row.day.isoformat()},{row.trace_code},{row.packs}" for row in rows)


def preview(
    session: Session, actor: Actor, rows: Sequence[FileRow]
) -> tuple[list[FileDay], list[LineMistake]]:
    """The days of a file as they would be reported now, and every line that would be refused. Changes nothing."""
    actor.require(Permission.CHANNEL_SALES)
    if actor.organisation_id is None:
        raise Forbidden("门店销售由渠道上报")
    days: list[FileDay] = []
    mistakes: list[LineMistake] = []
    taken: dict[int, int] = {}
    for day, own in _by_day(rows).items():
        first = min(row.line for row in own.values())
        if day > today():
            mistakes.append(LineMistake(first, f"{day.isoformat()}还没有到"))
            continue
        if len(own) > MOST_LOTS:
            mistakes.append(LineMistake(first, f"{day.isoformat()}的批次太多，一天最多{MOST_LOTS}批"))
            continue
        try:
            shop = shop_on(session, actor.organisation_id, day)
        except NoAgreement:
            mistakes.append(LineMistake(first, f"{day.isoformat()}没有生效的代销协议"))
            continue
        found, wrong = _judged(session, shop, day, list(own.values()), taken)
        days.append(found)
        mistakes += wrong
    return days, sorted(mistakes, key=lambda m: m.line)


def report_rows(actor: Actor, rows: Sequence[FileRow], corrects: Mapping[date, int]) -> int:
    """Report the days of a file one after another, each by itself; how many were new or corrected.

    `corrects` names the version that each correction takes the place of. What was done before a refusal stands; the
    same file again goes on from there. Raises what `report_sales` raises.
    """
    done = 0
    for day, own in _by_day(rows).items():
        lines = [{"trace_code": row.trace_code, "quantity": row.packs} for row in own.values()]
        body = {"business_day": day, "lines": lines} | (
            {"corrects": corrects[day]} if day in corrects else {}
        )
        wish = SalesWish(
            body=body,
            business_day=day,
            lines=[SoldLine(LotName(trace_code=row.trace_code), row.packs) for row in own.values()],
            corrects=corrects.get(day),
        )
        try:
            report_sales(actor, wish)
        except Replayed:
            continue
        done += 1
    if not done and not rows:
        raise RuleViolation("文件里没有销售")
    return done


def _by_day(rows: Sequence[FileRow]) -> dict[date, dict[str, FileRow]]:
    """Days in their order; the packs of a lot on a day added up, under its first line."""
    found: dict[date, dict[str, FileRow]] = {}
    for row in sorted(rows, key=lambda r: (r.day, r.line)):
        lots = found.setdefault(row.day, {})
        known = lots.get(row.trace_code)
        packs = row.packs + (known.packs if known else 0)
        lots[row.trace_code] = FileRow(known.line if known else row.line, row.day, row.trace_code, packs)
    return found


def _judged(
    session: Session, shop: Shop, day: date, rows: list[FileRow], taken: dict[int, int]
) -> tuple[FileDay, list[LineMistake]]:
    """One day against the shop's books; `taken` are packs that the days before would take, by stock row."""
    lots, wrong = find_lots(session, shop, [LotName(trace_code=row.trace_code) for row in rows])
    mistakes = [LineMistake(rows[n].line, problem["detail"]) for n, problem in sorted(wrong.items())]
    good = [row for n, row in enumerate(rows) if n not in wrong]
    report = session.scalars(
        sa.select(SalesReport)
        .where(
            SalesReport.place_id == shop.place_id, SalesReport.business_day == day, SalesReport.red.is_(False)
        )
        .order_by(SalesReport.version.desc())
        .limit(1)
    ).one_or_none()
    before: dict[int, int] = {}
    if report is not None:
        before = {
            line.stock_id: line.quantity
            for line in session.scalars(
                sa.select(SalesReportLine).where(SalesReportLine.report_id == report.id)
            )
        }
    early = came_later(session, shop, day, lots, before)
    mistakes += [LineMistake(good[n].line, problem["detail"]) for n, problem in early.items()]
    same = not wrong and before == {lot.stock_id: row.packs for lot, row in zip(lots, good, strict=True)}
    found = FileDay(day, None if report is None else report.version, same and report is not None)
    if not found.same:
        for stock_id, packs in before.items():
            taken[stock_id] = taken.get(stock_id, 0) - packs
    names = _names(session, [lot.stock_id for lot in lots])
    for lot, row in zip(lots, good, strict=True):
        name, unit, free = names[lot.stock_id]
        left = free - taken.get(lot.stock_id, 0)
        if not found.same:
            taken[lot.stock_id] = taken.get(lot.stock_id, 0) + row.packs
            if row.packs > left:
                taken_back = before.get(lot.stock_id, 0)
                mistakes.append(LineMistake(row.line, too_many(left - taken_back, left, row.packs)))
        if lot.unit_price_fen is None:
            mistakes.append(LineMistake(row.line, "这一天的价目表里没有这个产品"))
        price = lot.unit_price_fen or 0
        found.lines.append(
            {
                "line": row.line, "trace_code": lot.trace_code, "name": name, "unit": unit, "quantity": row.packs,
                "unit_price_fen": price, "amount_fen": row.packs * price,
            }
        )  # fmt: skip
    return found, mistakes


def _names(session: Session, stock_ids: Sequence[int]) -> dict[int, tuple[str, str, int]]:
    rows = session.execute(
        sa.select(Stock.id, Product.name, Product.spec, Product.pack_unit, Stock.on_hand - Stock.reserved)
        .join(Lot, Lot.id == Stock.lot_id)
        .join(Product, Product.id == Lot.product_id)
        .where(Stock.id.in_(stock_ids))
    )
    return {row[0]: (f"{row[1]} {row[2]}", row[3], int(row[4])) for row in rows}
