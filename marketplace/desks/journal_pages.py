"""The journal and its proofs: facts in the order of their seals, one fact with its way to a signed root, checkpoints."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify, request, url_for
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.desks import journal_views as views
from marketplace.desks.offices_pages import blp
from marketplace.journal import keys, queries
from marketplace.journal.checkpoints import verifier_key
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, read_query
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.words import WORDS, word

blueprints: list[Any] = []

_PLACE = validate.Range(0, 2**63 - 1)


class JournalArgs(InSchema):
    kind = fields.String(load_default=None, validate=validate.OneOf(sorted(WORDS["fact_kind"])))
    subject_type = fields.String(load_default=None, validate=validate.OneOf(sorted(WORDS["fact_subject"])))
    subject_id = fields.UUID(load_default=None)
    # One of the two: the page below a number, the newest first, or above it, the oldest first.
    before = fields.Integer(load_default=None, validate=_PLACE)
    after = fields.Integer(load_default=None, validate=_PLACE)
    sort = fields.String(load_default="-seq")


class CheckpointArgs(InSchema):
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))
    old = fields.Integer(load_default=None, validate=_PLACE)
    new = fields.Integer(load_default=None, validate=_PLACE)


class SizeArgs(InSchema):
    size = fields.Integer(load_default=None, validate=_PLACE)


@blp.route("/journal", methods=["GET"])
@requires(Permission.JOURNAL_READ)
def journal() -> Shown:
    """What the reader may read of the journal, the newest or the oldest first; or the signed checkpoints."""
    if request.args.get("list") == "checkpoints":
        return _checkpoints()
    wishes = read_query(JournalArgs())
    session, actor = db.session(), current_actor()
    wishes["oldest_first"] = wishes.pop("sort") == "seq"
    if wants_sheet():
        rows = queries.newest_events(session, actor, **wishes, limit=MAX_ROWS)
        return _sheet(rows["items"])
    return page("offices/journal.html", list=queries.newest_events(session, actor, **wishes, limit=50))


def _sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("seq", gettext("序号"), "count"), Column("recorded_at", gettext("记录时间（UTC）"), width=28),
        Column("said", gettext("事项")), Column("about", gettext("对象")),
        Column("subject.id", gettext("对象编号"), width=38), Column("id", gettext("记录编号"), width=38),
    ]  # fmt: skip
    told = [
        {
            **row,
            "said": word("fact_kind", row["kind"]),
            "about": word("fact_subject", row["subject"]["type"]),
        }
        for row in rows
    ]
    return sheet_response(gettext("封存日志"), columns, told, [journal_basis()])


def journal_basis() -> str:
    text: str = gettext(
        "口径：按封存序号从新到旧，只列与你单位有关的记录（扶贫办和财政局看全部）；封存文本不含姓名电话。"
    )
    return text


def _checkpoints() -> Shown:
    wishes = read_query(CheckpointArgs())
    session = db.session()
    rows = queries.checkpoints(session, after=wishes["after"], limit=25)
    if wants_sheet():
        columns = [
            Column("tree_size", gettext("日志大小"), "count"),
            Column("made_at", gettext("签名时间"), "time", 18),
            Column("root", gettext("根哈希"), width=66),
        ]
        listed = queries.checkpoints(session, limit=MAX_ROWS)["items"]
        return sheet_response(gettext("签名的检查点"), columns, listed, [gettext("每行一个签过名的日志大小")])
    return page(
        "offices/checkpoints.html",
        list=rows,
        consistency=views.checked(session, wishes["old"], wishes["new"]),
        asked=wishes,
        vkey=verifier_key(keys.signing_key(current_app.config["SETTINGS"])),
    )


@blp.route("/journal/<int:seq>", methods=["GET"])
@requires(Permission.JOURNAL_READ)
def fact(seq: int) -> Shown:
    """A sealed text, its leaf hash, and every step to the root that was signed; `format=json` for machines."""
    size = read_query(SizeArgs())["size"]
    found = views.fact_view(db.session(), current_actor(), seq, size)
    if request.args.get("format") == "json":
        answer = jsonify(
            found["proof"] or {"seq": seq, "leaf_hash": found["leaf_hash"], "text": found["text"]}
        )
        answer.headers["Content-Disposition"] = f'attachment; filename="fact-{seq}.json"'
        return answer
    return page(
        "offices/fact.html",
        fact=found,
        subject=subject_address(found["members"]["subject"]),
        vkey=verifier_key(keys.signing_key(current_app.config["SETTINGS"])),
    )


# The page of a fact's subject: endpoint, the name of its parameter, and who may open it.
_PAGES = {
    "order": ("trading.order", "order_id", Permission.ORDER_READ),
    "declaration": ("offices.declaration", "declaration_id", Permission.DECLARATION_READ),
    "lot": ("offices.lot_origins", "lot_id", Permission.TRACE_PRIVATE),
    "payment": ("money.payment", "payment_id", Permission.PAYMENT_READ),
    "invoice": ("money.invoice", "invoice_id", Permission.INVOICE_READ),
    "purchase": ("buying.purchase", "purchase_id", Permission.PURCHASE_READ),
}


def subject_address(subject: dict[str, str]) -> str | None:
    """Where the subject of a fact is shown; None for kinds without a page of their own for this reader."""
    endpoint, name, needed = _PAGES.get(subject["type"], ("", "", Permission.SYSTEM))
    if endpoint not in current_app.view_functions or not current_actor().can(needed):
        return None
    values: dict[str, Any] = {name: subject["id"]}
    return url_for(endpoint, **values)
