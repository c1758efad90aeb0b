"""Administration: an organisation joins, changes its name, superior or canteen, gets a kitchen and payers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint
from flask_babel import gettext
from marshmallow import ValidationError, fields, validate, validates_schema

from marketplace.accounts import directory, queries, service
from marketplace.accounts.models import CanteenMode, OrganisationKind, Purpose
from marketplace.actors import Permission
from marketplace.clock import now
from marketplace.database import db
from marketplace.errors import RuleViolation
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema, integer, text
from marketplace.web.words import WORDS

blp = Blueprint("organisations", __name__)
blueprints = [blp]

_CODE = validate.Regexp(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z", error="要有1到40个字母、数字、点、横线，首字是字母或数字"
)
_DIGITS = validate.Regexp(r"\d{8,32}\Z", error="只写数字，8到32位")


class ChangesIn(InSchema):
    """What may change later. Superior and partner are named by their codes."""

    name = text(100)
    parent_code = text(40, required=False, load_default=None)
    canteen_mode = fields.Enum(CanteenMode, by_value=True, load_default=None)
    partner_code = text(40, required=False, load_default=None)
    counts_in_city = fields.Boolean(load_default=False)
    address = text(200, required=False, load_default=None)
    admitted_on = fields.Date(load_default=None)

    @validates_schema
    def check_partner(self, data: dict[str, Any], **_: Any) -> None:
        """A shared canteen names who declares for it, a contracted one its contractor; others name nobody."""
        needs = data.get("canteen_mode") in (CanteenMode.SHARED, CanteenMode.OUTSOURCED)
        if needs and not data.get("partner_code"):
            raise ValidationError("合用食堂要写明由哪家单位填报，外包食堂要写明承包商", "partner_code")
        if data.get("partner_code") and not needs:
            raise ValidationError("只有合用或外包的食堂才写这一项", "partner_code")


class OrganisationIn(ChangesIn):
    """What an organisation is when it joins."""

    code = fields.String(required=True, validate=_CODE)
    kind = fields.Enum(OrganisationKind, by_value=True, required=True)
    subkind = fields.String(load_default=None, validate=validate.OneOf(sorted(WORDS["agency_subkind"])))
    credit_code = text(18, required=False, load_default=None)
    region_code = text(12)


class EditIn(ChangesIn):
    version = integer(1, 1_000_000_000)


class CanteenIn(InSchema):
    name = text(60)
    address = text(200, required=False, load_default=None)


class PayerIn(InSchema):
    code = fields.String(required=True, validate=_CODE)
    purpose = fields.Enum(Purpose, by_value=True, required=True)
    legal_name = text(100)
    credit_code = text(18)
    invoice_title = text(100)
    tax_number = text(18)
    bank_name = text(100)
    bank_branch_number = fields.String(required=True, validate=_DIGITS)
    bank_account = fields.String(required=True, validate=_DIGITS)
    is_default = fields.Boolean(load_default=False)


def _referred(given: dict[str, Any]) -> dict[str, Any]:
    """The form's values with superior and partner as ids. Raises RuleViolation (`invalid`) for a code nobody has."""
    session, found = db.session(), dict(given)
    for field, member in (("parent_code", "parent_id"), ("partner_code", "canteen_partner_id")):
        code = found.pop(field)
        found[member] = directory.organisation_id(session, code) if code else None
        if code and found[member] is None:
            raise RuleViolation(errors=[{"pointer": f"#/{field}", "detail": "没有这个单位代码"}])
    mode = found["canteen_mode"]
    return {**found, "canteen_mode": mode.value if mode else None}


def _view(code: str) -> dict[str, Any]:
    return directory.organisation_page(current_actor(), db.session(), code, now())


@blp.route("/admin/organisations/new", methods=["GET", "POST"])
@requires(Permission.ORGANISATION_MANAGE)
@form
@retrying
def new() -> Shown:
    """An organisation joins the platform; its people, kitchen and payers follow on its own page."""
    if posted():
        given = _referred(read_form(OrganisationIn()))
        given["kind"] = given["kind"].value
        once = page_once("admin.organisation", organisation_code=given["code"])
        return done(service.add_organisation(current_actor(), **given, once=once), gettext("单位已登记"))
    regions = sorted(queries.region_names(db.session()).items())
    return page("admin/organisation_form.html", organisation=None, regions=regions)


@blp.route("/admin/organisations/<organisation_code>/edit", methods=["GET", "POST"])
@requires(Permission.ORGANISATION_MANAGE)
@form
@retrying
def edit(organisation_code: str) -> Shown:
    """Another name, superior, canteen or address; what it was called stays in its history."""
    view = _view(organisation_code)
    if posted():
        changes = _referred(read_form(EditIn()))
        reply = service.edit_organisation(
            current_actor(),
            UUID(str(view["id"])),
            expected_version=changes.pop("version"),
            changes=changes,
            once=page_once("admin.organisation", organisation_code=organisation_code),
        )
        return done(reply, gettext("单位资料已改"))
    return page("admin/organisation_form.html", organisation=view, regions=[])


@blp.route("/admin/organisations/<organisation_code>/canteens", methods=["GET", "POST"])
@requires(Permission.ORGANISATION_MANAGE)
@form
@retrying
def add_canteen(organisation_code: str) -> Shown:
    """An organisation gets a kitchen, the place that orders are delivered to."""
    view = _view(organisation_code)
    if posted():
        once = page_once("admin.organisation", organisation_code=organisation_code)
        reply = service.add_canteen(
            current_actor(), organisation_id=view["id"], **read_form(CanteenIn()), once=once
        )
        return done(reply, gettext("伙房已加"))
    return page("admin/organisation_part.html", organisation=view, part="canteen")


@blp.route("/admin/organisations/<organisation_code>/payers", methods=["GET", "POST"])
@requires(Permission.ORGANISATION_MANAGE)
@form
@retrying
def add_payer(organisation_code: str) -> Shown:
    """Who pays for a purpose, and whose title the invoice carries."""
    view = _view(organisation_code)
    if posted():
        given = read_form(PayerIn())
        given["purpose"] = given["purpose"].value
        once = page_once("admin.organisation", organisation_code=organisation_code)
        reply = service.add_payer_profile(current_actor(), organisation_id=view["id"], **given, once=once)
        return done(reply, gettext("付款主体已加"))
    return page("admin/organisation_part.html", organisation=view, part="payer")
