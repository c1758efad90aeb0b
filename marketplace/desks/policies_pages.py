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
from marketplace.desks.offices_pages import blp
from marketplace.desks.offices_views import counties
from marketplace.desks.policy_forms_pages import form_of, part_of_value, read_policy, value_text
from marketplace.desks.sources import public_source
from marketplace.policies import queries, service
from marketplace.policies.rules import SHAPES
from marketplace.policies.schemas import EligibilityIn
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, public, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.sorting import found_rows, page_of, sorted_rows
from marketplace.web.words import word

blueprints: list[Any] = []

RULES_SHOWN = 100  # a city has some forty values; a page of them is looked through at a glance


class KeyArgs(InSchema):
    key = fields.String(load_default="reserve_share_bp", validate=validate.OneOf(sorted(SHAPES)))


@blp.route("/policies", methods=["GET"])
@public
def policies() -> Shown:
    """Every rule with the values it had and has, since when, and by which paper; and the counties that count."""
    session, day = db.session(), today()
    whole = queries.list_policies(session, limit=MAX_ROWS)["items"]
    regions = queries.list_regions(session, budget_year(day))
    if wants_sheet() and request.args.get("list") == "counties":
        return _county_sheet(regions)
    names = {row["code"]: row["name"] for row in regions}
    in_force = _in_force(whole)
    rows = _found(whole, in_force, names)
    if wants_sheet():
        return _sheet(rows)
    shown = page_of(rows, limit=RULES_SHOWN)
    return page(
        "offices/policies.html",
        rules=[(key, list(group)) for key, group in groupby(shown["items"], key=lambda row: row["key"])],
        next=shown["next"],
        in_force=in_force,
        regions=sorted_rows(regions, "name"),
        names=names,
        value_text=value_text,
        year=budget_year(day),
    )


def _found(rows: list[dict[str, Any]], in_force: set[Any], names: dict[str, str]) -> list[dict[str, Any]]:
    """The values as the address wishes them: all or those of today, with what was typed, by rule or by first day."""
    told = [
        {
            **row,
            "name": word("policy", row["key"]),
            "said": value_text(row["key"], row["value"]),
            "region": names.get(row["scope_code"], row["scope_code"]),
            "source": public_source(row["source"]) or gettext("平台暂定，尚无文件明确"),
        }
        for row in rows
        if request.args.get("tab") != "now" or row["id"] in in_force
    ]
    return sorted_rows(found_rows(told, "name", "said", "title", "region", "source"), "name", "valid_from")


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
        Column("scope_code", gettext("地区代码")), Column("region", gettext("地区")), Column("revision", gettext("修订"), "count"),
        Column("title", gettext("名称"), width=36), Column("source", gettext("出处"), width=48),
    ]  # fmt: skip
    basis = [gettext("每行一个带日期的值；以前下的单按当时的值算")]
    return sheet_response(gettext("政策规则"), columns, rows, basis)


def _county_sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("name", gettext("县区")), Column("first", gettext("计入的第一年"), "year"),
        Column("last", gettext("计入的最后一年"), "year"), Column("paired", gettext("结对的天津区")),
    ]  # fmt: skip
    told = [
        {
            "name": row["name"],
            "first": row["eligible_years"][0] if row["eligible_years"] else None,
            "last": row["eligible_years"][-1] if row["eligible_years"] else None,
            "paired": row["tianjin_district"]["name"] if row["tianjin_district"] else None,
        }
        for row in rows
    ]
    return sheet_response(
        gettext("片区县"), columns, told, [gettext("产品计入份额的产地，按年度；没有年度的不计入")]
    )


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
