"""A channel's daily reconciliation: the file, and what it adds up to."""

from __future__ import annotations

import base64
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from marketplace.actors import Permission
from marketplace.channels import reconciliation
from marketplace.channels.reconciliation_rules import COLUMNS
from marketplace.database import db
from marketplace.web.attachments import attachment
from marketplace.web.edge import current_actor, requires, shown

blp = Blueprint("partner_reconciliation", __name__, url_prefix="/partner/v1", description="渠道每日对账")
blueprints = [blp]


class ReconciliationKindOut(Schema):
    """Sums of one kind of row: order, cancelled, shipped, accepted, refused, allowance, consigned, consignment_taken_over,
    consignment_returned, consignment_cancelled, sold, red, spoilage, loss, spoilage_not_owed, loss_not_owed, payment, refund,
    statement, statement_change, settlement. The channel owes what it bears: packs that seller or carrier bear left the shop
    too, at amount_fen 0. Nobody owes consignments (amount_fen 0); those sent less those taken over, with what was returned and
    cancelled (negative), are still on their way."""

    kind = fields.String(required=True)
    rows = fields.Integer(required=True)
    quantity = fields.Integer(required=True)
    amount_fen = fields.Integer(required=True)


class ReconciliationOut(Schema):
    """What the file adds up to. Amounts that mean something stand in `kinds`, one total for each."""

    day = fields.Date(required=True)
    rows = fields.Integer(required=True)
    total_fen = fields.Integer(
        required=True,
        metadata={
            "description": "a check sum: the last line of the file, all its amounts together. The same goods stand in it as"
            " order, shipped and accepted, or as sold, statement and settlement, so it is no sum of money"
        },
    )
    sha256 = fields.String(required=True, metadata={"description": "of the whole file, in hex"})
    kinds = fields.List(
        fields.Nested(ReconciliationKindOut),
        required=True,
        metadata={"description": "rows, packs and fen of each kind: what to book against"},
    )


SUMMARY = ReconciliationOut()


def _file(day: str) -> tuple[bytes, dict[str, Any]]:
    return reconciliation.daily_file(db.session(), current_actor(), reconciliation.day_of(day))


@blp.route("/reconciliation/<day>")
@requires(Permission.CHANNEL_STATEMENTS)
@blp.response(200, ReconciliationOut)
def show_reconciliation(day: str) -> Response:
    """What a business day's file adds up to, and its SHA-256; from ten minutes after the day on."""
    return shown(SUMMARY, _file(day)[1])


@blp.route("/reconciliation/<day>.csv")
@requires(Permission.CHANNEL_STATEMENTS)
@blp.response(
    200,
    {"type": "string", "description": f"columns: {', '.join(COLUMNS)}; UTF-8, a comma between, RFC 4180"},
    content_type="text/csv",
)
def send_reconciliation(day: str) -> Response:
    """Everything that a business day (Asia/Shanghai) recorded, as CSV with a line `total` at the end.

    That total is a check sum over unlike things; amounts to book are those of each kind, which the address without
    `.csv` adds up.

    Packs that go back to a seller are negative. A late report stands in the file of the day on which it came, so that a file never changes.
    """
    content, sums = _file(day)
    response = attachment(content, "text/csv", f"reconciliation-{day}.csv")
    digest = bytes.fromhex(sums["sha256"])
    response.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(digest).decode()}:"
    return response
