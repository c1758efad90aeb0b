"""盘点 in the portal: what the books say stands in the shop, a form to say what was counted, and past counts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, url_for
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.channels import consignment_views, count_views, counts
from marketplace.channels.count_schemas import BEARERS, MAX_COUNT_LINES
from marketplace.channels.counts import DifferenceKind
from marketplace.channels.shops import LotName
from marketplace.channels.states import BorneBy, CountCause
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.errors import RuleViolation
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment, page
from marketplace.web.schemas import InSchema, quantity, text
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import sorted_rows
from marketplace.web.words import word

blp = Blueprint("portal_counts", __name__)
blueprints = [blp]

# On the form each lot has one row of each kind.
KINDS = tuple(DifferenceKind)
USUAL = {"spoilage": "rotten", "loss": "unknown", "found": "miscounted"}
HEADS = (
    Column("counted_on", N_("日期"), "day"),
    Column("place", N_("门店"), width=24),
    Column("version", N_("这天第几次"), "count"),
    Column("reported_at", N_("上报时间"), "time", 18),
)
LINES = (
    Column("trace_code", N_("追溯码"), width=24),
    Column("name", N_("产品"), width=30),
    Column("expected", N_("账上"), "count"),
    Column("counted", N_("点到"), "count"),
    Column("told", N_("差在哪里"), width=50),
    Column("amount_fen", N_("渠道承担（元）"), "yuan"),
)


class _Explained(InSchema):
    kind = fields.Enum(DifferenceKind, by_value=True, required=True)
    quantity = quantity(low=0, required=False)
    cause = fields.Enum(CountCause, by_value=True, load_default=CountCause.UNKNOWN)
    borne_by = fields.String(load_default="channel", validate=validate.OneOf(BEARERS))


class _Lot(InSchema):
    """A lot that was counted when its box is ticked."""

    chosen = fields.Boolean(load_default=False)
    trace_code = text(64)
    counted = quantity(low=0)
    differences = fields.List(fields.Nested(_Explained), load_default=list)


class CountArgs(InSchema):
    from_day = fields.Date(load_default=None)
    to_day = fields.Date(load_default=None)
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


class CountIn(InSchema):
    counted_on = fields.Date(required=True)
    lines = fields.List(fields.Nested(_Lot), load_default=list, validate=validate.Length(0, MAX_COUNT_LINES))


@blp.route("/portal/counts", methods=["GET"])
@requires(Permission.CHANNEL_SALES)
def counts_page() -> Shown:
    """The channel's counts, the newest first."""
    wish, actor = read_query(CountArgs()), current_actor()
    if wants_sheet():
        rows = count_views.list_counts(db.session(), actor, **wish | {"after": None}, limit=MAX_ROWS)["items"]
        columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in HEADS]
        basis = [gettext("一次盘点一行"), gettext("截至%(time)s（北京时间）", time=moment(now()))]
        return sheet_response(gettext("门店盘点"), columns, rows, basis)
    found = count_views.list_counts(db.session(), actor, **wish, limit=24)
    filtered = wish["from_day"] is not None or wish["to_day"] is not None
    return page("portal/counts.html", listed=found, filtered=filtered)


@blp.route("/portal/counts/<uuid:count_id>", methods=["GET"])
@requires(Permission.CHANNEL_SALES)
def count(count_id: UUID) -> Shown:
    """One count, lot by lot: what was missing, why, and who bears it."""
    row = count_views.own_count(db.session(), current_actor(), count_id)
    row["lines"] = sorted_rows(row["lines"], "name", "expected", "counted", "amount_fen")
    if wants_sheet():
        columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in LINES]
        basis = [gettext("截至%(time)s（北京时间）", time=moment(now()))]
        rows = [{**line, "told": "；".join(map(_told, line["differences"]))} for line in row["lines"]]
        return sheet_response(f"{gettext('门店盘点')} {row['counted_on']}", columns, rows, basis)
    return page("portal/count.html", row=row)


def _told(each: dict[str, Any]) -> str:
    parts = [word("count_difference", each["kind"]), str(each["quantity"])]
    if each["cause"] is not None:
        parts.append(word("count_cause", each["cause"]))
    return " ".join([*parts, word("borne_by", each["borne_by"])])


@blp.route("/portal/counts/new", methods=["GET", "POST"])
@requires(Permission.CHANNEL_SALES)
@form
@retrying
def new_count() -> Shown:
    """What the books say stands in the shop, lot by lot, with room for what was counted."""
    if posted():
        given = read_form(CountIn(), rows={"lines": "chosen"})
        if not given["lines"]:
            raise RuleViolation("请至少勾选一批点过的货")
        made = page_once(".count", count_id=lambda result: result["id"])
        return done(counts.count_stock(current_actor(), _wish(given), once=made), gettext("盘点已记下"))
    stock = consignment_views.shop_stock(db.session(), current_actor())
    return page(
        "portal/count_new.html", stock=stock, day=today(), kinds=KINDS, usual=USUAL, back=url_for(".counts_page"),
        causes=[(c.value, word("count_cause", c.value)) for c in CountCause],
        bearer_options=[(b, word("borne_by", b)) for b in BEARERS],
    )  # fmt: skip


def _wish(given: dict[str, Any]) -> counts.CountWish:
    lines = [
        counts.CountedLine(
            LotName(trace_code=line["trace_code"]),
            line["counted"],
            [
                counts.Difference(each["kind"], each["quantity"], each["cause"], BorneBy(each["borne_by"]))
                for each in line["differences"]
                if each.get("quantity")
            ],
        )
        for line in given["lines"]
    ]
    return counts.CountWish(body=given, counted_on=given["counted_on"], lines=lines)
