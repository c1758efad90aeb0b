"""A statement as its readers look at it: what each line waits for, whose turn it is, and tables to take away."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from flask import Response
from flask_babel import gettext
from marshmallow import fields, validate
from sqlalchemy.orm import Session

from marketplace.accounts.queries import active_bank_account
from marketplace.actors import Actor
from marketplace.channels import statement_views
from marketplace.channels.states import StatementState
from marketplace.clock import now, today
from marketplace.errors import NotFound
from marketplace.payments.capitals import in_capitals
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import Column, sheet_response
from marketplace.web.words import word

blueprints: list[Any] = []

_OPEN = (StatementState.ISSUED.value, StatementState.DISPUTED.value)

HEADS = (
    Column("number", N_("结算单号"), width=22),
    Column("channel.name", N_("渠道"), width=28),
    Column("seller.name", N_("供应商"), width=28),
    Column("period", N_("结算期")),
    Column("from_day", N_("从"), "day"),
    Column("to_day", N_("到"), "day"),
    Column("state_word", N_("状态")),
    Column("due_on", N_("付款期限"), "day"),
    Column("total_fen", N_("应付（元）"), "yuan"),
    Column("paid_on", N_("付款日期"), "day"),
)
LINES = (
    Column("position", N_("行"), "count", 8),
    Column("kind_word", N_("类别")),
    Column("day", N_("日期"), "day"),
    Column("sku", N_("货号")),
    Column("name", N_("货品"), width=28),
    Column("trace_code", N_("追溯码"), width=26),
    Column("quantity", N_("件数"), "count"),
    Column("unit_price_fen", N_("单价（元）"), "yuan"),
    Column("amount_fen", N_("金额（元）"), "yuan"),
)


class StatementArgs(InSchema):
    period = fields.String(load_default=None, validate=validate.Regexp(r"20[0-9]{2}-(0[1-9]|1[0-2])\Z"))
    state = fields.String(load_default=None, validate=validate.OneOf([s.value for s in StatementState]))
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


def side_of(actor: Actor, view: dict[str, Any]) -> str:
    """channel or seller; empty for who only reads."""
    sides = {view["channel"]["id"]: "channel", view["seller"]["id"]: "seller"}
    return sides.get(actor.organisation_id, "")


def one(session: Session, actor: Actor, statement_id: UUID) -> dict[str, Any]:
    """One statement with what its reader may do of it. Raises NotFound outside the actor's scope."""
    view = statement_views.own_statement(session, actor, statement_id)
    side, open_ = side_of(actor, view), view["state"] in _OPEN
    last = {dispute["line_id"]: dispute for dispute in view["disputes"]}
    for line in view["lines"]:
        dispute = line["dispute"] = last.get(line["id"])
        settled = dispute is not None and dispute["state"] in ("open", "corrected")
        line["may"] = bool(side) and open_ and line["kind"] != "adjustment" and not settled
    waiting = [d for d in view["disputes"] if d["state"] == "open"]
    return {
        **view,
        "side": side,
        "sums": _sums(view["lines"]),
        "to_answer": [d for d in waiting if side and d["side"] != side],
        "to_withdraw": [d["id"] for d in waiting if d["side"] == side],
        "waiting": len(waiting),
        "mine": bool(side) and view[f"{side}_agreed_at"] is not None,
        "theirs": bool(side)
        and view["seller_agreed_at" if side == "channel" else "channel_agreed_at"] is not None,
        "declared": view["state"] == StatementState.AGREED and view["paid_on"] is not None,
        "overdue": view["state"] != StatementState.SETTLED and view["due_on"] < today(),
        "capitals": ("负" if view["total_fen"] < 0 else "") + in_capitals(abs(view["total_fen"])),
    }


def _sums(lines: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """(kind, packs, fen) of each kind of line, in the order in which they come."""
    found: dict[str, list[int]] = {}
    for line in lines:
        sums = found.setdefault(line["kind"], [0, 0])
        sums[0] += line["quantity"]
        sums[1] += line["amount_fen"]
    return [(kind, packs, fen) for kind, (packs, fen) in found.items()]


def line_of(view: dict[str, Any], line_id: UUID) -> dict[str, Any]:
    """A line that its reader may dispute. Raises NotFound."""
    found: dict[str, Any] | None = next((row for row in view["lines"] if row["id"] == line_id), None)
    if found is None:
        raise NotFound
    return found


def dispute_of(view: dict[str, Any], dispute_id: UUID) -> dict[str, Any]:
    """A dispute with its line. Raises NotFound."""
    found = next((row for row in view["disputes"] if row["id"] == dispute_id), None)
    if found is None:
        raise NotFound
    return {**found, "line": line_of(view, found["line_id"])}


def payee(session: Session, view: dict[str, Any]) -> Any:
    """The seller's bank account in force; None where there is none."""
    return active_bank_account(session, view["seller"]["id"], now())


def heads_sheet(items: list[dict[str, Any]]) -> Response:
    rows = [{**row, "state_word": word("statement_state", row["state"])} for row in items]
    return _sheet(gettext("代销结算单"), HEADS, rows)


def lines_sheet(view: dict[str, Any]) -> Response:
    rows = [{**row, "kind_word": word("statement_line_kind", row["kind"])} for row in view["lines"]]
    total = gettext("合计%(total)s元，明细摘要 %(sha)s", total=_yuan(view["total_fen"]), sha=view["sha256"])
    return _sheet(view["number"], LINES, rows, total)


def _yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def _sheet(title: str, columns: tuple[Column, ...], rows: list[dict[str, Any]], *more: str) -> Response:
    named = [Column(c.key, translated(c.label), c.kind, c.width) for c in columns]
    basis = [
        gettext("渠道应付：售出减冲红，加渠道承担的损耗和短少；负数表示供应商应退"),
        *more,
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    return sheet_response(title, named, rows, basis)


def last_day() -> date:
    """The newest day whose reconciliation file can be had, save for the first minutes of the next."""
    return date.fromordinal(today().toordinal() - 1)
