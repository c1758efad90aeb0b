"""The rules with their days and sources, open to everybody; the poverty office adds a dated value."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from flask import Response, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.clock import budget_year, today
from marketplace.database import db
from marketplace.desks.offices_pages import blp, wants_sheet
from marketplace.desks.offices_views import counties
from marketplace.desks.policy_forms_pages import form_of, part_of_value, read_policy, value_text
from marketplace.policies import queries, service
from marketplace.policies.rules import SHAPES
from marketplace.policies.schemas import EligibilityIn
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, public, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response
from marketplace.web.words import word

blueprints: list[Any] = []


class KeyArgs(InSchema):
    key = fields.String(load_default="reserve_share_bp", validate=validate.OneOf(sorted(SHAPES)))


@blp.route("/policies", methods=["GET"])
@public
def policies() -> Shown:
    """Every rule with the values it had and has, since when, and by which paper; and the counties that count."""
    session, day = db.session(), today()
    rows = queries.list_policies(session, limit=MAX_ROWS)["items"]
    if wants_sheet():
        return _sheet(rows)
    regions = queries.list_regions(session, budget_year(day))
    names = {row["code"]: row["name"] for row in regions}
    return page(
        "offices/policies.html",
        rules=[(key, list(group)) for key, group in groupby(rows, key=lambda row: row["key"])],
        in_force=_in_force(rows),
        regions=regions,
        names=names,
        value_text=value_text,
        year=budget_year(day),
    )


def _in_force(rows: list[dict[str, Any]]) -> set[Any]:
    """The rows that hold today everywhere: of a key the latest beginning and its highest revision, if not over."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:  # the latest beginning of a key first
        if row["valid_from"] <= today():
            best.setdefault((row["key"], row["scope_code"]), row)
    return {row["id"] for row in best.values() if row["valid_to"] is None or row["valid_to"] >= today()}


def _sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("name", gettext("规则"), width=24), Column("said", gettext("值"), width=36),
        Column("valid_from", gettext("从"), "day"), Column("valid_to", gettext("到"), "day"),
        Column("scope_code", gettext("地区代码")), Column("revision", gettext("修订"), "count"),
        Column("title", gettext("名称"), width=36), Column("source", gettext("出处"), width=48),
    ]  # fmt: skip
    told = [
        {**row, "name": word("policy", row["key"]), "said": value_text(row["key"], row["value"])}
        for row in rows
    ]
    basis = [gettext("每行一个带日期的值；以前下的单按当时的值算")]
    return sheet_response(gettext("政策规则"), columns, told, basis)


@blp.route("/policies/new", methods=["GET", "POST"])
@requires(Permission.POLICY_MANAGE)
@form
@retrying
def set_policy() -> Shown:
    """A rule gets a value from a day on; what was placed before keeps its own."""
    key = read_query(KeyArgs())["key"]
    if posted():
        reply = service.set_policy(current_actor(), **read_policy(key), once=page_once(".policies"))
        return done(reply, gettext("规则已记下，到日子自动生效"))
    rows = queries.list_policies(db.session(), key=key, limit=MAX_ROWS)["items"]
    now = next((row for row in rows if row["id"] in _in_force(rows) and not row["scope_code"]), None)
    return page(
        "offices/policy.html",
        key=key,
        keys=[(each, word("policy", each)) for each in SHAPES],
        now=now,
        fields=[(asked, part_of_value(asked, now["value"] if now else None)) for asked in form_of(key)],
        value_text=value_text,
        counties=counties(db.session()),
    )


@blp.route("/policies/counties", methods=["GET", "POST"])
@requires(Permission.POLICY_MANAGE)
@form
@retrying
def set_eligibility() -> Shown:
    """From which year and to which year the goods of a county count."""
    if posted():
        values = read_form(EligibilityIn())
        reply = service.set_eligibility(current_actor(), **values, once=page_once(".policies"))
        return done(reply, gettext("片区县名单已记下"))
    return page(
        "offices/eligibility.html",
        counties=counties(db.session()),
        chosen=request.args.get("county_code", ""),
        year=budget_year(today()),
    )
