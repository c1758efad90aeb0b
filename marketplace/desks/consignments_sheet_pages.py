"""Consignments lot by lot as a workbook, the same for the seller who sends and the shop that takes over."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_babel import gettext

from marketplace.actors import Actor
from marketplace.channels import consignment_views
from marketplace.clock import now
from marketplace.database import db
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response
from marketplace.web.words import word

blueprints: list[Any] = []

COLUMNS = (
    Column("number", N_("送货单号"), width=18),
    Column("state_word", N_("状态"), width=12),
    Column("seller.name", N_("供应商"), width=28),
    Column("channel.name", N_("渠道"), width=28),
    Column("shop.name", N_("门店"), width=24),
    Column("sent_at", N_("送出时间"), "time", 18),
    Column("ended_at", N_("办结时间"), "time", 18),
    Column("name", N_("产品"), width=30),
    Column("trace_code", N_("追溯码"), width=24),
    Column("quantity", N_("送出件数"), "count"),
    Column("accepted", N_("接收件数"), "count"),
    Column("pack_unit", N_("单位"), width=8),
)


def consignments_sheet(actor: Actor, state: str | None) -> Response:
    """What the list shows, a row for every lot."""
    rows = consignment_views.consigned_lots(db.session(), actor, state=state, limit=MAX_ROWS)
    for row in rows:
        row["state_word"] = word("consignment_state", row["state"])
    basis = [
        gettext("按批次列；没接收的件数退回供应商，卖出以前货归供应商"),
        gettext("截至%(time)s（北京时间）", time=moment(now())),
    ]
    columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in COLUMNS]
    return sheet_response(gettext("代销送货单"), columns, rows, basis)
