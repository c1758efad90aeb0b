"""Signing in, one's own account, and a seller's bank accounts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app
from flask_smorest import Blueprint
from marshmallow import Schema

from marketplace.accounts import bank_accounts, queries, second_factor, service, sign_in, users
from marketplace.accounts.schemas import (
    BankAccountIn,
    BankAccountOut,
    BankAccountsOut,
    MeOut,
    OrganisationArgs,
    OrganisationOut,
    PasswordIn,
    ReauthenticateIn,
    RecoveryCodesOut,
    ResetOut,
    RoleIn,
    SecondFactorConfirmIn,
    SecondFactorOut,
    TokenIn,
    TokenOut,
    UserIn,
    UserOut,
)
from marketplace.actors import Permission
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.database import db
from marketplace.unit_of_work import Reply, retrying
from marketplace.web.authentication import client_address, revoke_token
from marketplace.web.edge import (
    answer_response,
    current_actor,
    once,
    public,
    rendered,
    requires,
    sent,
    shown,
    without_key,
)
from marketplace.web.schemas import PageArgs, page_of

blp = Blueprint("accounts", __name__, url_prefix="/api/v1", description="登录、账号与用户")
blueprints = [blp]

UserPage = page_of(UserOut)
OrganisationPage = page_of(OrganisationOut)


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


def _without_key(schema: Schema, reply: Reply, status: int = 200) -> Response:
    """An answer to a request that carries or an answer that holds a secret, kept nowhere.

    The route declares `without_key`: a stored fingerprint would be a fast hash of a password.
    """
    response = answer_response(rendered(schema, reply.result, status))
    response.headers["Cache-Control"] = "no-store"
    return response


@blp.route("/tokens", methods=["POST"])
@public
@without_key("the body is a password, the answer a token")
@blp.arguments(TokenIn)
@blp.response(201, TokenOut)
@retrying
def create_token(fields: dict[str, Any]) -> Response:
    """Sign in: a bearer token of 12 hours. `otp` is needed when a second factor is set up."""
    issued = sign_in.create_token(_settings(), **fields, address=client_address())
    answer = {"token": issued.secret, "expires_at": issued.expires_at}
    return _without_key(TokenOut(), Reply(answer, None), 201)


@blp.route("/tokens/current", methods=["DELETE"])
@requires(Permission.ACCOUNT_OWN)
@without_key("ending an ended token changes nothing, and its holder can't ask again")
@blp.response(204)
@retrying
def end_token() -> Response:
    """Sign out: this token ends, others of the same user stay."""
    revoke_token()
    return Response(status=204)


@blp.route("/me", methods=["GET"])
@requires(Permission.ACCOUNT_OWN)
@blp.response(200, MeOut)
def show_me() -> Response:
    """Who I am, for whom I act, and what I may do."""
    return shown(MeOut(), queries.me_view(db.session(), current_actor()))


@blp.route("/me/password", methods=["POST"])
@requires(Permission.ACCOUNT_OWN)
@without_key("the body holds two passwords")
@blp.arguments(PasswordIn)
@blp.response(200, UserOut)
@retrying
def change_password(fields: dict[str, Any]) -> Response:
    """Take a new password; all sessions and tokens end, this one too."""
    return _without_key(UserOut(), users.change_password(current_actor(), **fields, address=client_address()))


@blp.route("/me/sign-out-everywhere", methods=["POST"])
@requires(Permission.ACCOUNT_OWN)
@blp.response(200, UserOut)
@retrying
def sign_out_everywhere() -> Response:
    """End all my sessions and tokens, this one too."""
    return sent(users.sign_out_everywhere(current_actor(), once(UserOut())))


@blp.route("/me/second-factor", methods=["POST"])
@requires(Permission.ACCOUNT_OWN)
@without_key("the answer is a secret that is shown once")
@blp.arguments(ReauthenticateIn)
@blp.response(201, SecondFactorOut)
@retrying
def enrol_second_factor(fields: dict[str, Any]) -> Response:
    """Start a second factor: the secret for the authenticator, shown once."""
    reply = second_factor.enrol_totp(current_actor(), _settings(), **fields, address=client_address())
    return _without_key(SecondFactorOut(), reply, 201)


@blp.route("/me/second-factor/confirm", methods=["POST"])
@requires(Permission.ACCOUNT_OWN)
@without_key("the answer is the recovery codes, shown once")
@blp.arguments(SecondFactorConfirmIn)
@blp.response(200, RecoveryCodesOut)
@retrying
def confirm_second_factor(fields: dict[str, Any]) -> Response:
    """Confirm it with a first code: recovery codes, shown once; all sessions end."""
    reply = second_factor.confirm_totp(current_actor(), _settings(), **fields)
    return _without_key(RecoveryCodesOut(), reply)


@blp.route("/bank-accounts", methods=["GET"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.response(200, BankAccountsOut)
def list_bank_accounts() -> Response:
    """The accounts of my organisation, the newest first."""
    rows = queries.list_bank_accounts(current_actor(), db.session(), now())
    return shown(BankAccountsOut(), {"items": rows, "next": None})


@blp.route("/bank-accounts", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@without_key("the body holds a password; a later proposal takes the place of an earlier one")
@blp.arguments(BankAccountIn)
@blp.response(201, BankAccountOut)
@retrying
def propose_bank_account(fields: dict[str, Any]) -> Response:
    """Name the account that my organisation is paid to; a change needs a colleague and 24 hours."""
    reply = bank_accounts.propose_bank_account(current_actor(), **fields, address=client_address())
    return _without_key(BankAccountOut(), reply, 201)


@blp.route("/bank-accounts/<uuid:account_id>/approve", methods=["POST"])
@requires(Permission.PAYMENT_CONFIRM)
@blp.response(200, BankAccountOut)
@retrying
def approve_bank_account(account_id: UUID) -> Response:
    """Approve an account that a colleague proposed; it takes effect 24 hours later."""
    return sent(bank_accounts.approve_bank_account(current_actor(), account_id, once=once(BankAccountOut())))


@blp.route("/users", methods=["GET"])
@requires(Permission.USER_MANAGE)
@blp.arguments(PageArgs, location="query")
@blp.response(200, UserPage)
def list_users(args: dict[str, Any]) -> Response:
    """All users, in the order they were added."""
    return shown(UserPage, queries.list_users(current_actor(), db.session(), **args))


@blp.route("/users", methods=["POST"])
@requires(Permission.USER_MANAGE)
@without_key("the body holds a password; the user name is the natural key")
@blp.arguments(UserIn)
@blp.response(201, UserOut)
@retrying
def add_user(fields: dict[str, Any]) -> Response:
    """Give a person of an organisation a sign-in with one role."""
    return _without_key(UserOut(), service.add_user(current_actor(), **fields), 201)


@blp.route("/users/<uuid:user_id>/role", methods=["POST"])
@requires(Permission.USER_MANAGE)
@blp.arguments(RoleIn)
@blp.response(200, UserOut)
@retrying
def set_role(fields: dict[str, Any], user_id: UUID) -> Response:
    """Give a user another role; he signs in anew."""
    return sent(users.set_role(current_actor(), user_id, **fields, once=once(UserOut())))


@blp.route("/users/<uuid:user_id>/disable", methods=["POST"])
@requires(Permission.USER_MANAGE)
@blp.response(200, UserOut)
@retrying
def disable_user(user_id: UUID) -> Response:
    """Shut a user out, at once."""
    return sent(users.disable_user(current_actor(), user_id, once=once(UserOut())))


@blp.route("/users/<uuid:user_id>/reset-second-factor", methods=["POST"])
@requires(Permission.USER_MANAGE)
@blp.response(200, ResetOut)
@retrying
def reset_second_factor(user_id: UUID) -> Response:
    """Ask for a reset of the second factor, or as a second administrator do it."""
    return sent(second_factor.reset_second_factor(current_actor(), user_id, once=once(ResetOut())))


@blp.route("/organisations", methods=["GET"])
@requires(Permission.ORGANISATION_MANAGE)
@blp.arguments(OrganisationArgs, location="query")
@blp.response(200, OrganisationPage)
def list_organisations(args: dict[str, Any]) -> Response:
    """All organisations by their code."""
    return shown(OrganisationPage, queries.list_organisations(current_actor(), db.session(), **args))
