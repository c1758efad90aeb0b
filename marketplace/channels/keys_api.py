"""A channel's people make and end the keys of its programs, also without a browser."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response, current_app
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import keys
from marketplace.channels.key_schemas import PartnerKeyIn, PartnerKeyMadeOut, PartnerKeyOut, PartnerKeysOut
from marketplace.channels.states import KeyMode, Scope
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.authentication import client_address
from marketplace.web.edge import (
    answer_response,
    current_actor,
    once,
    rendered,
    requires,
    sent,
    shown,
    without_key,
)

blp = Blueprint("partner_keys", __name__, url_prefix="/api/v1", description="渠道接口密钥")
blueprints = [blp]

KEY, KEYS, MADE = PartnerKeyOut(), PartnerKeysOut(), PartnerKeyMadeOut()


@blp.route("/partner-keys", methods=["GET"])
@requires(Permission.CHANNEL_KEYS)
@blp.response(200, PartnerKeysOut)
def list_keys() -> Response:
    """The channel's keys, without their secrets."""
    return shown(KEYS, {"items": keys.list_keys(db.session(), current_actor())})


@blp.route("/partner-keys", methods=["POST"])
@requires(Permission.CHANNEL_KEYS)
@without_key("the body holds a password, the answer a key that is shown once")
@blp.arguments(PartnerKeyIn)
@blp.response(201, PartnerKeyMadeOut)
@retrying
def create_key(data: dict[str, Any]) -> Response:
    """Make a key for the channel's programs; `key` is in this answer alone. Two of a mode may be in force at a time."""
    given = {**data, "mode": KeyMode(data["mode"]), "scopes": [Scope(scope) for scope in data["scopes"]]}
    made = keys.create_key(current_actor(), current_app.config["SETTINGS"], **given, address=client_address())
    response = answer_response(rendered(MADE, made.result, 201))
    response.headers["Cache-Control"] = "no-store"
    return response


@blp.route("/partner-keys/<uuid:key_id>/revoke", methods=["POST"])
@requires(Permission.CHANNEL_KEYS)
@blp.response(200, PartnerKeyOut)
@retrying
def revoke_key(key_id: UUID) -> Response:
    """End a key at once: the next request with it is refused."""
    return sent(keys.revoke_key(current_actor(), key_id, once=once(KEY)))
