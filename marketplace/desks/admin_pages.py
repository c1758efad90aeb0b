"""Administration: organisations, users, their roles, initial passwords, and resets that need two people."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, make_response, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.accounts import directory, queries, second_factor, security, service, users
from marketplace.accounts.models import OrganisationKind
from marketplace.accounts.rules import ROLE_KINDS
from marketplace.accounts.schemas import RoleIn
from marketplace.actors import Permission, Role
from marketplace.clock import now
from marketplace.database import db
from marketplace.unit_of_work import Once, retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import FormInvalid, Shown, done, form, page_once, posted, read_form
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema, text
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.words import choices, word

blp = Blueprint("admin", __name__)
blueprints = [blp]


class NewUserIn(InSchema):
    """As the API's, without a password: the first one is drawn here."""

    username = fields.String(required=True, validate=validate.Length(1, 64))
    name = text(100)
    organisation_id = fields.UUID(required=True)
    role = fields.Enum(Role, by_value=True, required=True)


def _wish(name: str, known: list[str]) -> str | None:
    given = request.args.get(name)
    return given if given in known else None


@blp.route("/admin/organisations", methods=["GET"])
@requires(Permission.ORGANISATION_MANAGE)
def organisations() -> Shown:
    """All organisations, found by name, pinyin, code or credit code."""
    wish: dict[str, Any] = {
        "q": request.args.get("q"),
        "kind": _wish("kind", [k.value for k in OrganisationKind]),
        "sort": request.args.get("sort", "code"),
    }
    if wants_sheet():
        return _organisation_sheet(wish)
    rows = directory.find_organisations(
        current_actor(), db.session(), **wish, after=request.args.get("after")
    )
    return page("admin/organisations.html", rows=rows)


def _organisation_sheet(wish: dict[str, Any]) -> Response:
    rows = directory.find_organisations(current_actor(), db.session(), **wish, limit=MAX_ROWS)["items"]
    for row in rows:
        row["kind_word"] = word("organisation_kind", row["kind"])
    columns = [
        Column("code", gettext("单位代码"), width=18),
        Column("name", gettext("名称"), width=34),
        Column("kind_word", gettext("类别")),
        Column("region", gettext("所在地")),
        Column("credit_code", gettext("统一社会信用代码"), width=22),
        Column("users", gettext("用户数"), "count"),
    ]
    return sheet_response(
        gettext("单位"), columns, rows, [gettext("口径：平台登记的单位；用户数不含已停用的。")]
    )


@blp.route("/admin/organisations/<organisation_code>", methods=["GET"])
@requires(Permission.ORGANISATION_MANAGE)
def organisation(organisation_code: str) -> Shown:
    """One organisation: names over time, payers, account, superior, units, and its people."""
    actor, session = current_actor(), db.session()
    view = directory.organisation_page(actor, session, organisation_code, now())
    sort = request.args.get("sort", "username")
    if wants_sheet():
        rows = directory.find_users(actor, session, organisation_id=view["id"], sort=sort, limit=MAX_ROWS)
        return _user_sheet(rows["items"], gettext("%(name)s的用户", name=view["name"]))
    people = directory.find_users(
        actor, session, organisation_id=view["id"], sort=sort, after=request.args.get("after")
    )
    return page("admin/organisation.html", organisation=view, people=people["items"], next=people["next"])


@blp.route("/admin/users", methods=["GET"], endpoint="users")
@requires(Permission.USER_MANAGE)
def users_list() -> Shown:
    """All users, found by user name, name or organisation."""
    wish: dict[str, Any] = {
        "q": request.args.get("q"),
        "role": _wish("role", [r.value for r in Role]),
        "sort": request.args.get("sort", "username"),
    }
    if wants_sheet():
        found = directory.find_users(current_actor(), db.session(), **wish, limit=MAX_ROWS)
        return _user_sheet(found["items"], gettext("用户"))
    rows = directory.find_users(current_actor(), db.session(), **wish, after=request.args.get("after"))
    return page("admin/users.html", rows=rows)


def _user_sheet(rows: list[dict[str, Any]], title: str) -> Response:
    for row in rows:
        row["organisation_name"] = row["organisation"]["name"]
        row["role_word"] = word("role", row["role"])
        row["state_word"] = gettext("已停用") if row["disabled_at"] else gettext("正常")
    columns = [
        Column("username", gettext("用户名"), width=20),
        Column("name", gettext("姓名或岗位"), width=24),
        Column("organisation_name", gettext("单位"), width=34),
        Column("role_word", gettext("角色"), width=22),
        Column("state_word", gettext("状态")),
        Column("signed_in_at", gettext("上次登录"), "time", width=18),
    ]
    return sheet_response(title, columns, rows, [gettext("口径：平台的全部用户，含已停用的。")])


@blp.route("/admin/users/new", methods=["GET", "POST"])
@requires(Permission.USER_MANAGE)
@form
@retrying
def new_user() -> Shown:
    """A person gets a sign-in; the initial password is drawn here, shown once, and changed at the first sign-in."""
    if posted():
        if _organisation_id() is None:
            # The other fields are shown once it is chosen: what is wrong with them is told then.
            raise FormInvalid(errors=[{"pointer": "#/q", "detail": gettext("请先选他的单位")}])
        given, password = read_form(NewUserIn()), security.new_password()
        once = page_once(".user", user_id=lambda r: r["id"])
        reply = service.add_user(current_actor(), **given, password=password, initial=True, once=once)
        return _password_page(reply.result, password)
    organisation_id = _organisation_id()
    chosen = queries.organisation_row(db.session(), organisation_id) if organisation_id else None
    return page(
        "admin/new_user.html",
        chosen=chosen,
        roles=_roles(chosen.kind if chosen else None),
        found=_found(),
        # What was typed before the organisation was chosen goes along through the address.
        typed=lambda name: request.form.get(name) or request.args.get(name) or None,
    )


def _organisation_id() -> UUID | None:
    """The organisation of the address or of the form that comes back; None lets choose one."""
    try:
        return UUID(request.form.get("organisation_id") or request.args.get("organisation_id", ""))
    except ValueError:
        return None


def _found() -> list[dict[str, Any]]:
    """Organisations to choose from, by what was searched."""
    q = request.args.get("q")
    return directory.find_organisations(current_actor(), db.session(), q=q, limit=20)["items"] if q else []


def _roles(kind: OrganisationKind | None) -> list[tuple[str, str]]:
    """Roles that people of this kind of organisation may have."""
    fitting = tuple(role.value for role, kinds in ROLE_KINDS.items() if kind is None or kind.value in kinds)
    return choices("role", fitting) if fitting else []


def _password_page(user: dict[str, Any], password: str) -> Response:
    response = make_response(page("admin/password.html", user=user, password=password))
    response.headers["Cache-Control"] = "no-store"
    return response


def _user(user_id: UUID) -> dict[str, Any]:
    return directory.user_page(current_actor(), db.session(), user_id, now(), second_factor.RESET_WITHIN)


def _to_user(user_id: UUID) -> Once:
    return page_once(".user", user_id=user_id)


@blp.route("/admin/users/<uuid:user_id>", methods=["GET"])
@requires(Permission.USER_MANAGE)
def user(user_id: UUID) -> Shown:
    """One user, with what an administrator may change."""
    return page("admin/user.html", user=_user(user_id))


@blp.route("/admin/users/<uuid:user_id>/role", methods=["GET", "POST"])
@requires(Permission.USER_MANAGE)
@form
@retrying
def set_role(user_id: UUID) -> Shown:
    """Another role; the user signs in anew."""
    if posted():
        reply = users.set_role(current_actor(), user_id, **read_form(RoleIn()), once=_to_user(user_id))
        return done(reply, gettext("角色已改，本人要重新登录"))
    view = _user(user_id)
    return page("admin/set_role.html", user=view, roles=_roles(view["organisation_kind"]))


@blp.route("/admin/users/<uuid:user_id>/disable", methods=["GET", "POST"])
@requires(Permission.USER_MANAGE)
@form
@retrying
def disable(user_id: UUID) -> Shown:
    """Shut a user out, at once."""
    if posted():
        reply = users.disable_user(current_actor(), user_id, once=_to_user(user_id))
        return done(reply, gettext("账号已停用"))
    return page("admin/act.html", user=_user(user_id), act="disable")


@blp.route("/admin/users/<uuid:user_id>/enable", methods=["GET", "POST"])
@requires(Permission.USER_MANAGE)
@form
@retrying
def enable(user_id: UUID) -> Shown:
    """Let one in again who was shut out."""
    if posted():
        reply = users.enable_user(current_actor(), user_id, once=_to_user(user_id))
        return done(reply, gettext("账号已恢复"))
    return page("admin/act.html", user=_user(user_id), act="enable")


@blp.route("/admin/users/<uuid:user_id>/reset-second-factor", methods=["GET", "POST"])
@requires(Permission.USER_MANAGE)
@form
@retrying
def reset_second_factor(user_id: UUID) -> Shown:
    """The first administrator asks, a second one does it."""
    if posted():
        reply = second_factor.reset_second_factor(current_actor(), user_id, once=_to_user(user_id))
        waiting = reply.result is None or reply.result["state"] == "waiting"
        return done(
            reply, gettext("已申请，等另一位管理员在24小时内确认") if waiting else gettext("第二重验证已重置")
        )
    return page("admin/act.html", user=_user(user_id), act="reset_second_factor")


@blp.route("/admin/users/<uuid:user_id>/password", methods=["GET", "POST"])
@requires(Permission.USER_MANAGE)
@form
@retrying
def renew_password(user_id: UUID) -> Shown:
    """A new initial password for one who lost his."""
    if posted():
        password = security.new_password()
        reply = users.renew_password(current_actor(), user_id, password=password, once=_to_user(user_id))
        return _password_page(reply.result, password)
    return page("admin/act.html", user=_user(user_id), act="renew_password")
