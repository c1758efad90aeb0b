"""Signing in and out with a browser, and the own account: password, second factor, sessions, tokens."""

from __future__ import annotations

from typing import Any

import segno
from flask import Blueprint, current_app, make_response, request, url_for
from flask_babel import gettext
from flask_login import current_user
from markupsafe import Markup
from marshmallow import fields
from werkzeug.wrappers import Response

from marketplace.accounts import directory, rules, second_factor, users
from marketplace.accounts import sign_in as signing
from marketplace.accounts.models import AccessToken, WebSession
from marketplace.accounts.schemas import PasswordIn, ReauthenticateIn, SecondFactorConfirmIn, TokenIn
from marketplace.actors import Permission
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.authentication import SignedIn, client_address, login_session, logout_session
from marketplace.web.edge import current_actor, public, requires
from marketplace.web.forms import FormInvalid, Shown, form, page_once, posted, read_form, safe_next, went
from marketplace.web.navigation import menu_of
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema

blp = Blueprint("account", __name__)
blueprints = [blp]


class RowIn(InSchema):
    """Which session or token a button stands for."""

    id = fields.UUID(required=True)


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


@blp.route("/sign-in", methods=["GET", "POST"])
@public
@form
def sign_in() -> Shown:
    """The door: name, password and, where the account has one, the code of the second factor."""
    target = safe_next(request.args.get("next") or request.form.get("_next"), url_for(".desk"))
    if posted():
        given = read_form(TokenIn())
        login_session(given["username"], given["password"], given.get("otp"))
        return went(target, None)
    return page("account/sign_in.html", target=target, wait_until=now() + rules.TRY_WINDOW)


@blp.route("/sign-out", methods=["POST"])
@public
def sign_out() -> Response:
    """Ends this session, on the server too."""
    logout_session()
    return went("/", gettext("已退出登录"))


@blp.route("/desk", methods=["GET"])
@public
def desk() -> Response:
    """Everybody's own first page: the first entry of the desk's menu, or the sign-in page."""
    actor = current_actor()
    if actor.user_id is None:
        return went(url_for(".sign_in"), None)
    if actor.permissions == {Permission.ACCOUNT_OWN}:
        # An initial password, or a second factor that is still to be set up.
        return went(url_for(".home"), None)
    menu = menu_of(actor, current_app.view_functions, None, lambda name: 0)
    return went(menu.desk or "/", None)


@blp.route("/account", methods=["GET"])
@requires(Permission.ACCOUNT_OWN)
def home() -> Shown:
    """What protects the account, and what is still to be done for it."""
    return page("account/home.html", account=_account(), confined=_confined())


def _account() -> dict[str, Any]:
    return directory.own_account(db.session(), current_actor())


def _confined() -> bool:
    return current_actor().permissions == {Permission.ACCOUNT_OWN}


@blp.route("/account/password", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_OWN)
@form
@retrying
def password() -> Shown:
    """A new password; every session ends, so the way on leads through the door."""
    if posted():
        given = read_form(PasswordIn())
        if given["new_password"] != request.form.get("_again"):
            raise FormInvalid(errors=[{"pointer": "#/_again", "detail": gettext("两次填的新密码不一样")}])
        users.change_password(current_actor(), **given, address=client_address())
        logout_session()
        return went(url_for(".sign_in"), gettext("密码已改，请用新密码登录"))
    return page("account/password.html", account=_account())


@blp.route("/account/second-factor", methods=["GET", "POST"], endpoint="second_factor")
@requires(Permission.ACCOUNT_OWN)
@form
@retrying
def second_factor_page() -> Shown:
    """Password, then a QR code for the authenticator, then its first code, then recovery codes to print."""
    if posted() and "otp" in request.form:
        given = read_form(SecondFactorConfirmIn())
        codes = second_factor.confirm_totp(current_actor(), _settings(), **given).result["recovery_codes"]
        return _shown_once("account/recovery_codes.html", codes=codes)
    if posted():
        given = read_form(ReauthenticateIn())
        begun = second_factor.enrol_totp(
            current_actor(), _settings(), **given, address=client_address()
        ).result
        return _shown_once(
            "account/second_factor.html", account=_account(), secret=begun["secret"], qr=_qr(begun["uri"])
        )
    return page("account/second_factor.html", account=_account(), secret=None, qr=None)


def _qr(uri: str) -> Markup:
    return Markup(segno.make(uri, error="m", micro=False).svg_inline(scale=5, border=4, light="#fff"))


def _shown_once(template: str, **values: object) -> Response:
    """A page with a secret on it, kept by no cache and no history of answers."""
    response = make_response(page(template, **values))
    response.headers["Cache-Control"] = "no-store"
    return response


@blp.route("/account/sessions", methods=["GET"])
@requires(Permission.ACCOUNT_OWN)
def sessions() -> Shown:
    """Where the account is signed in now."""
    user = current_user._get_current_object()
    secret = user.secret if isinstance(user, SignedIn) else None
    rows = directory.own_sessions(db.session(), current_actor(), now(), signing.SESSION_IDLE, secret)
    return page("account/sessions.html", rows=rows)


@blp.route("/account/sessions/end", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_OWN)
@form
def end_session() -> Shown:
    """Sign out elsewhere."""
    if posted():
        signing.end_own(current_actor(), WebSession, read_form(RowIn())["id"])
        return went(url_for(".sessions"), gettext("那里的登录已结束"))
    return went(url_for(".sessions"), None)


@blp.route("/account/sessions/end-all", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_OWN)
@form
@retrying
def end_all() -> Shown:
    """Sign out everywhere, here too; tokens end as well."""
    if posted():
        users.sign_out_everywhere(current_actor(), page_once(".sign_in"))
        logout_session()
        return went(url_for(".sign_in"), gettext("所有登录和令牌都已结束，请重新登录"))
    return page("account/end_all.html")


@blp.route("/account/tokens", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_OWN)
@form
def tokens() -> Shown:
    """Tokens for programs: made with the password, shown once, good for 12 hours."""
    issued = None
    if posted():
        given = read_form(TokenIn(), username=current_actor().username)
        issued = signing.create_token(_settings(), **given, address=client_address())
    rows = directory.own_tokens(db.session(), current_actor(), now())
    return _shown_once("account/tokens.html", rows=rows, issued=issued, account=_account())


@blp.route("/account/tokens/revoke", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_OWN)
@form
def revoke_token() -> Shown:
    """End one token."""
    if posted():
        signing.end_own(current_actor(), AccessToken, read_form(RowIn())["id"])
        return went(url_for(".tokens"), gettext("令牌已作废"))
    return went(url_for(".tokens"), None)
