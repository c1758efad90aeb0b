"""Declarations: the form with its rule, versions side by side, and the acts of the agency and of the finance office."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, jsonify, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.clock import budget_year, today
from marketplace.database import db
from marketplace.desks import declarations_views as views
from marketplace.desks.offices_pages import blp
from marketplace.desks.policy_forms_pages import versions_text
from marketplace.desks.sources import public_source
from marketplace.errors import NotFound
from marketplace.quota import queries, service
from marketplace.quota.schemas import YEARS, DeclarationIn
from marketplace.quota.states import DeclarationState
from marketplace.unit_of_work import retrying
from marketplace.values import MAX_FEN
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import money, page
from marketplace.web.schemas import InSchema, ReasonIn
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.words import word

blueprints: list[Any] = []


class ListArgs(InSchema):
    year = fields.Integer(load_default=lambda: budget_year(today()), validate=validate.Range(*YEARS))
    state = fields.Enum(DeclarationState, by_value=True, load_default=None)
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


class DeclareArgs(InSchema):
    year = fields.Integer(load_default=lambda: budget_year(today()), validate=validate.Range(*YEARS))
    agency_id = fields.UUID(load_default=None)


class ReckonArgs(DeclareArgs):
    canteen = fields.String(load_default="own", validate=validate.OneOf(sorted(views.FIELDS_OF)))


@blp.route("/declarations", methods=["GET"])
@requires(Permission.DECLARATION_READ)
def declarations() -> Shown:
    """Declarations of a year in the reader's scope, with tabs by state."""
    wishes = read_query(ListArgs())
    session, actor = db.session(), current_actor()
    if wants_sheet():
        listed = queries.list_declarations(session, actor, **{**wishes, "after": None}, limit=MAX_ROWS)
        return _sheet(listed["items"], wishes["year"])
    last = budget_year(today()) + 1
    return page(
        "offices/declarations.html",
        list=queries.list_declarations(session, actor, **wishes),
        counts=queries.count_declarations(session, actor, wishes["year"]),
        year=wishes["year"],
        years=list(range(max(last, wishes["year"]), last - 6, -1)),
        states=[state.value for state in DeclarationState],
    )


def _sheet(rows: list[dict[str, Any]], year: int) -> Response:
    columns = [
        Column("agency.name", gettext("预算单位"), width=36), Column("said", gettext("状态")),
        Column("canteen_name", gettext("食堂")), Column("base_fen", gettext("采购基数（元）"), "yuan"),
        Column("share_bp", gettext("预留比例（%）"), "percent"),
        Column("reserve_fen", gettext("预留份额（元）"), "yuan"),
        Column("number", gettext("版本"), "count"), Column("filed_at", gettext("填报时间"), "time", 18),
        Column("policy_version", gettext("政策版本"), width=40),
    ]  # fmt: skip
    told = [
        {
            **row,
            "said": word("declaration_state", row["state"]),
            "canteen_name": word("canteen_mode", row["canteen"]),
        }
        for row in rows
    ]
    return sheet_response(gettext("%(year)s年份额填报", year=year), columns, told, [basis_text()])


def basis_text() -> str:
    text: str = gettext(
        "口径：每家单位每年一份，列最新版本；审核通过的版本才进份额；迟填只标明，不退回。单位：元。"
    )
    return text


@blp.route("/declarations/new", methods=["GET", "POST"])
@requires(Permission.DECLARATION_FILE)
@form
@retrying
def declare() -> Shown:
    """The form of an agency and year under that year's rules; filing again makes the next version."""
    actor = current_actor()
    if posted():
        values = read_form(DeclarationIn())
        once = page_once(".declaration", declaration_id=lambda view: view["id"])
        reply = service.file_declaration(actor, **views.only_shown(values), once=once)
        return done(reply, gettext("已存为草稿。核对后点“提交审核”"))
    wishes = read_query(DeclareArgs())
    year, session = wishes["year"], db.session()
    agencies = queries.agencies_to_declare(session, actor)
    asked = request.form.get("agency_id") or wishes["agency_id"] or actor.organisation_id
    agency = next((row for row in agencies if str(row["id"]) == str(asked)), None)
    if agency is None:
        raise NotFound
    rules = queries.filing_rules(session, actor, agency["id"], year)
    first = views.beginning(session, actor, agency, year)
    return page(
        "offices/declare.html",
        agencies=[(str(row["id"]), row["name"]) for row in agencies],
        agency=agency,
        year=year,
        rules=rules,
        public_source=public_source,
        first=first,
        reckoned=_reckoned(rules, first),
        **views.partners(session, agency["id"]),
    )


def _reckoned(rules: dict[str, Any], first: dict[str, Any]) -> dict[str, Any] | None:
    """What the fields in the address would reserve: for who reckons without a script."""
    if "base_fen" not in request.args:
        return None
    first.update({name: request.args[name] for name in ("contact", "remark") if name in request.args})
    first.update(
        {
            name: request.args[name] or None
            for name in ("represented_by", "contractor_id")
            if name in request.args
        }
    )
    canteen = request.args.get("canteen", "own")
    first["canteen"] = canteen if canteen in views.FIELDS_OF else "own"
    first["base_fen"] = hundredths(request.args["base_fen"])
    first["share_bp"] = hundredths(request.args.get("share_bp", ""))
    return views.reckon(rules, first["canteen"], first["base_fen"] or 0, first["share_bp"] or 0)


def hundredths(text: str) -> int | None:
    """A typed amount or percentage in its hundredths; None for what is none."""
    whole, _, rest = text.strip().replace(",", "").partition(".")
    if not (whole + rest).isascii() or not (whole + rest).isdigit() or len(rest) > 2 or len(whole) > 16:
        return None
    number = int(whole or "0") * 100 + int(rest.ljust(2, "0") or "0")
    return number if number <= MAX_FEN else None


@blp.route("/declarations/reckon", methods=["GET"])
@requires(Permission.DECLARATION_FILE)
def reckon() -> Response:
    """What a half-typed form would reserve, for its script: {text, good}."""
    wishes = read_query(ReckonArgs())
    agency_id = wishes["agency_id"] or current_actor().organisation_id
    if agency_id is None:
        raise NotFound
    rules = queries.filing_rules(db.session(), current_actor(), agency_id, wishes["year"])
    base, share = (hundredths(request.args.get(name, "")) for name in ("base_fen", "share_bp"))
    found = views.reckon(rules, wishes["canteen"], base or 0, share or 0)
    if found["problems"]:
        return jsonify(text="；".join(found["problems"]), good=False)
    return jsonify(text=gettext("预留份额%(amount)s", amount=money(found["reserve_fen"])), good=True)


@blp.route("/declarations/<uuid:declaration_id>", methods=["GET"])
@requires(Permission.DECLARATION_READ)
def declaration(declaration_id: UUID) -> Shown:
    """A declaration with its versions side by side, and the next step of who reads it."""
    return _page(declaration_id, None)


def _page(declaration_id: UUID, act: str | None) -> str:
    session, actor = db.session(), current_actor()
    view = queries.declaration_view(session, actor, declaration_id)
    return page(
        "offices/declaration.html",
        d=view,
        versions=views.side_by_side(view["versions"]),
        rules=queries.filing_rules(session, actor, view["agency_id"], view["year"]),
        act=act,
        public_source=public_source,
        versions_text=versions_text,
        own=view["agency_id"] == actor.organisation_id,
    )


def _expected() -> int | None:
    seen = request.form.get("_version", "")
    return int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 10 else None


@blp.route("/declarations/<uuid:declaration_id>/submit", methods=["GET", "POST"])
@requires(Permission.DECLARATION_FILE)
@form
@retrying
def submit(declaration_id: UUID) -> Shown:
    """Hand the draft in for review."""
    if posted():
        once = page_once(".declaration", declaration_id=declaration_id)
        reply = service.submit_declaration(current_actor(), declaration_id, expected=_expected(), once=once)
        return done(reply, gettext("已提交，等财政局审核"))
    return _page(declaration_id, "submit")


@blp.route("/declarations/<uuid:declaration_id>/withdraw", methods=["GET", "POST"])
@requires(Permission.DECLARATION_FILE)
@form
@retrying
def withdraw(declaration_id: UUID) -> Shown:
    """Take a submitted declaration back, to change it."""
    if posted():
        once = page_once(".declaration", declaration_id=declaration_id)
        reply = service.withdraw_declaration(current_actor(), declaration_id, expected=_expected(), once=once)
        return done(reply, gettext("已撤回，可以改了再提交"))
    return _page(declaration_id, "withdraw")


@blp.route("/declarations/<uuid:declaration_id>/approve", methods=["GET", "POST"])
@requires(Permission.DECLARATION_REVIEW)
@form
@retrying
def approve(declaration_id: UUID) -> Shown:
    """Approve the newest version: the figures use it from now on."""
    if posted():
        once = page_once(".declaration", declaration_id=declaration_id)
        reply = service.approve_declaration(current_actor(), declaration_id, expected=_expected(), once=once)
        return done(reply, gettext("审核通过，份额从现在起按这一版算"))
    return _page(declaration_id, "approve")


@blp.route("/declarations/<uuid:declaration_id>/return", methods=["GET", "POST"])
@requires(Permission.DECLARATION_REVIEW)
@form
@retrying
def return_declaration(declaration_id: UUID) -> Shown:
    """Send it back with a reason."""
    if posted():
        values = read_form(ReasonIn())
        once = page_once(".declaration", declaration_id=declaration_id)
        reply = service.return_declaration(
            current_actor(), declaration_id, **values, expected=_expected(), once=once
        )
        return done(reply, gettext("已退回，单位会看到理由"))
    return _page(declaration_id, "return_declaration")
