"""Signing in and out with a browser."""

from __future__ import annotations

from flask import Blueprint, current_app, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from marketplace.accounts.schemas import TokenIn
from marketplace.web.authentication import login_session, logout_session
from marketplace.web.edge import current_actor, public
from marketplace.web.forms import Shown, form, posted, read_form, safe_next, went
from marketplace.web.navigation import menu_of
from marketplace.web.pages import page

blp = Blueprint("account", __name__)
blueprints = [blp]


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
    return page("account/sign_in.html", target=target)


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
    menu = menu_of(actor, current_app.view_functions, None, lambda name: 0)
    return went(menu.desk or "/", None)
