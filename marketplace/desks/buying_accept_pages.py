"""At the gate: take goods over lot by lot, read a lot's code from a photo, evaluate, the ledger of goods received."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, current_app, g, jsonify, request, url_for
from flask_babel import gettext

from marketplace.actors import Permission
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.desks import accept_views, order_views
from marketplace.desks.buying_pages import blp
from marketplace.documents import rules as file_rules
from marketplace.documents.models import DocumentKind
from marketplace.documents.queries import document_view, readable_document
from marketplace.documents.service import store_document
from marketplace.errors import NotFound, RuleViolation
from marketplace.orders import evaluating, takeover
from marketplace.orders.api import accept_wish
from marketplace.orders.schemas import AcceptIn, EvaluateIn
from marketplace.papers.bundle import collected
from marketplace.trace.codes import shown as code_in_fives
from marketplace.trace.photos import PhotoRefused, code_in_photo, code_in_text
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, uploaded, went
from marketplace.web.language import N_, translated
from marketplace.web.pages import moment, page
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import page_of

blueprints: list[Blueprint] = []  # the routes stand on the blueprint of buying_pages
MAX_PHOTOS = 6
REASONS = (
    N_("磕碰、压伤"),
    N_("腐烂变质"),
    N_("规格不符"),
    N_("缺斤少两"),
    N_("温度不达标"),
    N_("没有合格证"),
)
ROWS_OF_LEDGER = 100
LEDGER = (
    Column("accepted_on", N_("验收日期"), "day", 12),
    Column("seller", N_("供应商"), width=30),
    Column("licence", N_("供应商统一社会信用代码"), width=24),
    Column("product_name", N_("品名"), width=18),
    Column("spec", N_("规格"), width=24),
    Column("county", N_("产地"), width=10),
    Column("trace_code", N_("追溯码（批次）"), width=26),
    Column("harvested_on", N_("采收或生产日期"), "day", 14),
    Column("best_before", N_("食用期至"), "day", 12),
    Column("accepted_quantity", N_("收下（件）"), "count", 10),
    Column("pack_unit", N_("单位"), width=6),
    Column("accepted_g", N_("收下（公斤）"), "kg", 12),
    Column("refused_quantity", N_("拒收（件）"), "count", 10),
    Column("reason", N_("拒收或降价原因"), width=24),
    Column("papers", N_("合格证、检疫证等编号"), width=36),
    Column("inspectors", N_("验收人"), width=18),
    Column("order_number", N_("订单号"), width=20),
)


@blp.route("/orders/<uuid:order_id>/accept", methods=["GET", "POST"])
@requires(Permission.ORDER_ACCEPT)
@form
@retrying
def accept(order_id: UUID) -> Shown:
    """Take goods over per line and lot, or refuse them with a reason and photos."""
    actor = current_actor()
    if posted():
        values = read_form(AcceptIn(), rows={"lines": "line_id"}, **_kept_photos())
        once = page_once("trading.order", order_id=order_id)
        reply = takeover.accept_order(actor, order_id, accept_wish(values), once=once)
        return done(reply, gettext("验收已提交，供应商马上看到"))
    found = accept_views.to_accept(db.session(), actor, order_id)
    reasons = [translated(reason) for reason in REASONS]
    return page("buying/accept.html", order=found, kept=_kept_document(), reasons=reasons)


def _kept_photos() -> dict[str, Any]:
    """The photos of this form as one stored document; stored once per request. Raises FileRefused (`file-refused`)."""
    if "kept_photos" not in g:
        g.kept_photos = None
        chosen = [f for f in request.files.getlist("photos") if f.filename]
        if len(chosen) > MAX_PHOTOS:
            raise _photos(f"一次最多{MAX_PHOTOS}张照片")
        if chosen:
            g.kept_photos = _stored([(f.filename or "", f.read()) for f in chosen])
    return {} if g.kept_photos is None else {"document_id": str(g.kept_photos)}


def _stored(files: list[tuple[str, bytes]]) -> UUID:
    limit = current_app.config["SETTINGS"].max_upload_bytes
    kind = DocumentKind.ACCEPTANCE.value
    try:
        types = [file_rules.recognise(content, kind=kind, max_bytes=limit) for _, content in files]
    except file_rules.FileRefused as refusal:
        raise _photos(refusal.detail or refusal.title) from None
    name, content = files[0]
    if len(files) > 1:
        content = collected((t.content_type, body) for t, (_, body) in zip(types, files, strict=True))
        name = "验收照片.pdf"
    reply = store_document(
        current_actor(), kind=kind, filename=name, content=content, max_bytes=max(limit, len(content))
    )
    stored: UUID = reply.result["id"]
    return stored


def _photos(detail: str) -> RuleViolation:
    return RuleViolation(detail, errors=[{"pointer": "#/photos", "detail": detail}])


def _kept_document() -> dict[str, Any] | None:
    """The file that this form carries already, so that it need not be chosen again."""
    known = g.get("kept_photos") or request.form.get("document_id", "")
    try:
        return document_view(readable_document(db.session(), current_actor(), UUID(str(known))))
    except (ValueError, NotFound):
        return None


@blp.route("/scan", methods=["GET", "POST"])
@requires(Permission.ORDER_ACCEPT)
@form
def scan() -> Shown:
    """The lot on a label, from a photo or typed: to its acceptance, or to its story. A script gets the code alone."""
    if not posted():
        return page("buying/scan.html")
    code = _code()
    if request.accept_mimetypes.best == "application/json":
        return jsonify({"trace_code": code, "shown": code_in_fives(code)})
    order_id = accept_views.waiting_with_code(db.session(), current_actor(), code)
    if order_id is None:
        return went(url_for("trace_pages.trace_page", trace_code=code), None)
    return went(url_for(".accept", order_id=order_id) + f"#lot-{code}", None)


def _code() -> str:
    """Raises PhotoRefused (`photo-refused`), RuleViolation (`invalid`) for a code that cannot be one."""
    photo = uploaded("photo")
    if photo is not None:
        found = code_in_photo(photo[1])
        if found is None:
            raise PhotoRefused(
                "照片里没有找到我们的追溯码。对准标签上的方块码，拍近一点、别反光，或者手输标签上的20位码"
            )
        return found
    typed = code_in_text(request.form.get("code", ""))
    if typed is None:
        detail = "追溯码是20位字母和数字，请对照标签再输一遍，或拍照识别"
        raise RuleViolation(detail, errors=[{"pointer": "#/code", "detail": detail}])
    return typed


@blp.route("/orders/<uuid:order_id>/evaluate", methods=["GET", "POST"])
@requires(Permission.ORDER_EVALUATE)
@form
@retrying
def evaluate(order_id: UUID) -> Shown:
    """The buyer's word on an accepted order, once."""
    actor = current_actor()
    if posted():
        values = read_form(EvaluateIn())
        once = page_once("trading.order", order_id=order_id)
        reply = evaluating.evaluate_order(actor, order_id, values["score"], values.get("comment"), once=once)
        return done(reply, gettext("评价已提交，今天就计入"))
    return page("buying/evaluate.html", order=order_views.order_in_brief(db.session(), actor, order_id))


@blp.route("/buy/ledger", methods=["GET"])
@requires(Permission.ORDER_ACCEPT)
def ledger() -> Shown:
    """进货查验台账 of a month, as a table and as a file to keep."""
    month = accept_views.month_of(request.args.get("month"), today())
    sheet = wants_sheet()
    rows = accept_views.received(
        db.session(),
        current_actor(),
        month,
        most=MAX_ROWS,
        sort=request.args.get("sort"),
    )
    if sheet:
        columns = [Column(c.key, translated(c.label), c.kind, c.width) for c in LEDGER]
        basis = [
            gettext("按验收时间列出本单位收下和拒收的每一批货；随货证明存放在平台，至少保存两年"),
            gettext("截至%(time)s（北京时间）", time=moment(now())),
        ]
        shown = [{**row, "trace_code": code_in_fives(row["trace_code"])} for row in rows]
        return sheet_response(gettext("进货查验台账%(month)s", month=f"{month:%Y-%m}"), columns, shown, basis)
    months = [accept_views.months_back(today(), n) for n in range(accept_views.KEEP_YEARS * 12 + 1)]
    return page(
        "buying/ledger.html",
        rows=page_of(rows, limit=ROWS_OF_LEDGER),
        month=month,
        months=months,
        most=ROWS_OF_LEDGER,
    )
