"""Acceptance and return wishes matched with what was sent: every wrong line is told at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from marketplace.errors import RuleViolation
from marketplace.orders.models import OrderLine, ShipmentLine
from marketplace.trace.codes import canonical_form, shown


class LotNeeded(RuleViolation):
    """A line with several open lots is taken over lot by lot: the trace code must be named."""

    slug = "lot-needed"
    title = "这一行有几个批次，请写明追溯码"


@dataclass(frozen=True)
class AcceptLine:
    """Packs of one line and lot accepted and refused. `allowance_fen` lowers the whole portion's price, in fen."""

    line_id: UUID
    trace_code: str | None
    accepted_quantity: int
    refused_quantity: int = 0
    allowance_fen: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class ReturnLine:
    """Refused packs that came back; `disposition` is `restock` or `loss`."""

    line_id: UUID
    trace_code: str
    quantity: int
    disposition: str


@dataclass(frozen=True)
class Portion:
    """A checked wish with the rows it is booked on: sent packs of one line and lot, the earliest first."""

    wish: AcceptLine
    line: OrderLine
    sent: list[ShipmentLine]


def portions(
    wishes: Sequence[AcceptLine], lines: Sequence[OrderLine], sent: Sequence[ShipmentLine]
) -> list[Portion]:
    """Raises RuleViolation (`invalid`) with every wrong line, LotNeeded (`lot-needed`) when only lots are missing."""
    by_id = {line.id: line for line in lines}
    errors: list[dict[str, str]] = []
    lots_missing: list[dict[str, str]] = []
    result: list[Portion] = []
    seen: set[tuple[UUID, UUID]] = set()
    if not wishes:
        errors.append(_error("#/lines", "至少验收一行"))
    for n, wish in enumerate(wishes):
        at = f"#/lines/{n}"
        line = by_id.get(wish.line_id)
        if line is None:
            errors.append(_error(f"{at}/line_id", "订单里没有这一行"))
            continue
        rows = _of_lot(sent, wish.line_id, wish.trace_code)
        if wish.trace_code is None:
            rows = [row for row in rows if _unseen(row)]
            if len({row.lot_id for row in rows}) > 1:
                lots_missing.append(_error(f"{at}/trace_code", "这一行送来几个批次，请写明追溯码"))
                continue
        if not rows:
            name, detail = (
                ("line_id", "这一行没有待验收的货")
                if wish.trace_code is None
                else ("trace_code", "这一行没有送来这个批次")
            )
            errors.append(_error(f"{at}/{name}", detail))
            continue
        if (line.id, rows[0].lot_id) in seen:
            errors.append(_error(at, "同一行的同一批次只能写一次"))
            continue
        seen.add((line.id, rows[0].lot_id))
        errors += _check_amounts(wish, line, rows, at)
        result.append(Portion(wish, line, rows))
    if errors:
        raise RuleViolation("有的行不能这样验收，请看每行的说明", errors=errors + lots_missing)
    if lots_missing:
        raise LotNeeded(errors=lots_missing)
    return result


def _check_amounts(
    wish: AcceptLine, line: OrderLine, rows: Sequence[ShipmentLine], at: str
) -> list[dict[str, str]]:
    errors: list[dict[str, str]] = []
    accepted, refused = wish.accepted_quantity, wish.refused_quantity
    if accepted < 0 or refused < 0 or accepted + refused == 0:
        errors.append(_error(f"{at}/accepted_quantity", "收下和拒收合计至少1件"))
    opened = sum(_unseen(row) for row in rows)
    if accepted + refused > opened:
        errors.append(
            _error(
                f"{at}/accepted_quantity",
                too_many(rows[0].trace_code, line.pack_unit, accepted, refused, opened),
            )
        )
    if not 0 <= wish.allowance_fen <= accepted * line.unit_price_fen:
        errors.append(_error(f"{at}/allowance_fen", "降价不能超过收下部分的金额"))
    if (refused or wish.allowance_fen) and not (wish.reason or "").strip():
        errors.append(_error(f"{at}/reason", "拒收或降价要写明原因"))
    return errors


def too_many(trace_code: str, unit: str, accepted: int, refused: int, opened: int) -> str:
    """What is wrong when more is taken over than came and is still open, and which numbers would do."""
    total = accepted + refused
    over = total - opened
    ways = [f"收下改成{accepted - over}"] if accepted >= over else []
    if refused >= over:
        ways.append(f"拒收改成{refused - over}")
    advice = "，或".join(ways) or f"合计最多{opened}"
    came = f"送来的{opened}{unit}" if opened else "待验收的0" + unit
    return (
        f"批次{shown(trace_code).split('-')[0]}：收下{accepted}{unit}，拒收{refused}{unit}，合计{total}{unit}，"
        f"比{came}多{over}{unit}。{advice}。"
    )


def returned_parts(
    wishes: Sequence[ReturnLine], lines: Sequence[OrderLine], sent: Sequence[ShipmentLine]
) -> list[tuple[ShipmentLine, ReturnLine, int]]:
    """Book returns on the sent rows; each part of a wish with its row. Raises RuleViolation (`invalid`)."""
    known = {line.id for line in lines}
    errors: list[dict[str, str]] = []
    parts: list[tuple[ShipmentLine, ReturnLine, int]] = []
    if not wishes:
        errors.append(_error("#/lines", "至少写一行"))
    for n, wish in enumerate(wishes):
        at = f"#/lines/{n}"
        if wish.line_id not in known:
            errors.append(_error(f"{at}/line_id", "订单里没有这一行"))
            continue
        if wish.disposition not in ("restock", "loss"):
            errors.append(_error(f"{at}/disposition", "要是 restock 或 loss"))
            continue
        rows = _of_lot(sent, wish.line_id, wish.trace_code)
        opened = sum(_unbooked(row) for row in rows)
        if not 1 <= wish.quantity <= opened:
            detail = f"这个批次还有{opened}件拒收的货没有处理" if wish.quantity > opened else "至少1件"
            errors.append(_error(f"{at}/quantity", detail))
            continue
        for row, part in _spread(rows, wish.quantity, _unbooked):
            if wish.disposition == "restock":
                row.restocked += part
            else:
                row.lost += part
            parts.append((row, wish, part))
    if errors:
        raise RuleViolation("有的退货不能这样处理，请看每行的说明", errors=errors)
    return parts


def _of_lot(sent: Sequence[ShipmentLine], line_id: UUID, trace_code: str | None) -> list[ShipmentLine]:
    code = None if trace_code is None else canonical_form(trace_code) or trace_code
    return [row for row in sent if row.line_id == line_id and (code is None or row.trace_code == code)]


def _spread(
    rows: Sequence[ShipmentLine], quantity: int, room: Callable[[ShipmentLine], int]
) -> list[tuple[ShipmentLine, int]]:
    parts: list[tuple[ShipmentLine, int]] = []
    for row in rows:
        part = min(quantity, room(row))
        if part > 0:
            quantity -= part
            parts.append((row, part))
    return parts


def _unseen(row: ShipmentLine) -> int:
    return row.quantity - row.accepted - row.refused


def _unbooked(row: ShipmentLine) -> int:
    return row.refused - row.restocked - row.lost


def _error(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}
