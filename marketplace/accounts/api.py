"""Signing in, one's own account, and the administration of users."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app
from flask_smorest import Blueprint

from marketplace.accounts import queries, sign_in
from marketplace.accounts.schemas import MeOut, TokenIn, TokenOut
from marketplace.actors import Permission
from marketplace.config import Settings
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.authentication import client_address, revoke_token
from marketplace.web.edge import answer_response, current_actor, public, rendered, requires, shown

blp = Blueprint("accounts", __name__, url_prefix="/api/v1", description="登录、账号与用户")
blueprints = [blp]


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


@blp.route("/tokens", methods=["POST"])
@public
@blp.arguments(TokenIn)
@blp.response(201, TokenOut)
@retrying
def create_token(fields: dict[str, Any]) -> Response:
    """Sign in: a bearer token of 12 hours. Idempotency keys are not kept here: a secret is shown once."""
    issued = sign_in.create_token(_settings(), **fields, address=client_address())
    response = answer_response(
        rendered(TokenOut(), {"token": issued.secret, "expires_at": issued.expires_at}, 201)
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@blp.route("/tokens/current", methods=["DELETE"])
@requires(Permission.ACCOUNT_OWN)
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
