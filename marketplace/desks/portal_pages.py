"""The partners' portal: what the interface is for and how to begin, and the channel's keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, current_app, make_response
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.channels import catalogue, keys
from marketplace.channels.states import KeyMode, Scope
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.database import db
from marketplace.errors import NotFound
from marketplace.unit_of_work import retrying
from marketplace.web.authentication import client_address
from marketplace.web.edge import current_actor, public, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema, integer, text

blp = Blueprint("portal", __name__)
blueprints = [blp]


class KeyIn(InSchema):
    """A new key, and who asks for it."""

    name = text(60)
    # None is said by the service, in words of its own: a browser sends no box that is not ticked.
    scopes = fields.List(fields.String(validate=validate.OneOf([s.value for s in Scope])), load_default=list)
    mode = fields.String(load_default="live", validate=validate.OneOf([m.value for m in KeyMode]))
    days = integer(1, keys.LONGEST_DAYS)
    current_password = text(200)
    otp = text(40, required=False)


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


@blp.route("/partner", methods=["GET"])
@public
def today() -> Shown:
    """How a partner's program begins, with examples to copy, what is agreed and what we promise."""
    actor = current_actor()
    mine = catalogue.self_view(db.session(), actor) if actor.can(Permission.CHANNEL_KEYS) else None
    return page("portal/today.html", mine=mine, base=_settings().public_base_url)


@blp.route("/portal/keys", methods=["GET", "POST"], endpoint="keys")
@requires(Permission.CHANNEL_KEYS)
@form
@retrying
def keys_page() -> Shown:
    """The channel's keys; a new one is shown once, on the answer to its form alone."""
    if posted():
        given = read_form(KeyIn())
        made = keys.create_key(
            current_actor(),
            _settings(),
            **{**given, "mode": KeyMode(given["mode"]), "scopes": [Scope(s) for s in given["scopes"]]},
            address=client_address(),
        )
        response = make_response(_keys_shown(made.result))
        response.headers["Cache-Control"] = "no-store"
        return response
    return _keys_shown(None)


def _keys_shown(made: dict[str, Any] | None) -> str:
    rows = keys.list_keys(db.session(), current_actor())
    return page("portal/keys.html", rows=rows, made=made, at=now(), scopes=list(Scope), modes=list(KeyMode))


@blp.route("/portal/keys/<uuid:key_id>/revoke", methods=["GET", "POST"])
@requires(Permission.CHANNEL_KEYS)
@form
@retrying
def revoke_key(key_id: UUID) -> Shown:
    """Ends a key at once; the page asks first, since programs that use it stop."""
    if posted():
        reply = keys.revoke_key(current_actor(), key_id, once=page_once(".keys"))
        return done(reply, gettext("密钥已停用"))
    rows = keys.list_keys(db.session(), current_actor())
    row = next((row for row in rows if row["id"] == key_id), None)
    if row is None:
        raise NotFound
    return page("portal/revoke_key.html", row=row)
