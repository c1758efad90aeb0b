"""The partners' portal: what the interface is for and how to begin, and the channel's keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app, make_response, request
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.channels import catalogue, keys
from marketplace.channels.reconciliation_rules import COLUMNS
from marketplace.channels.states import KeyMode, Scope
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.database import db
from marketplace.errors import NotFound
from marketplace.unit_of_work import retrying
from marketplace.web.authentication import client_address
from marketplace.web.edge import current_actor, public, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form
from marketplace.web.language import N_
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema, integer, text
from marketplace.web.sheets import Column, sheet_response, wants_sheet
from marketplace.web.sorting import page_of, sorted_rows
from marketplace.web.words import word

blp = Blueprint("portal", __name__)
blueprints = [blp]


KEYS_BASIS = N_("口径：本渠道建过的密钥，新的在上；密钥本身哪里都不留。")

# What the rows of a daily file are, in the order in which goods and money go.
FILE_KINDS = (
    ("order", N_("下的订单，每行一条")),
    ("cancelled", N_("取消或减少的件数")),
    ("shipped", N_("供应商发的货，按批")),
    ("accepted", N_("验收的货，按批")),
    ("refused", N_("拒收的货，按批")),
    ("allowance", N_("降价接收，供应商同意以后")),
    ("payment", N_("到账的订单款")),
    ("refund", N_("退回的订单款")),
    ("consigned", N_("供应商送往门店的货，还不用付钱")),
    ("consignment_taken_over", N_("门店收下的货")),
    ("consignment_returned", N_("门店没收、退回供应商的货")),
    ("consignment_cancelled", N_("供应商取回、没送到的货")),
    ("sold", N_("门店卖出的货")),
    ("red", N_("冲红：被更正的一版销售退回")),
    ("spoilage", N_("渠道承担的变质")),
    ("loss", N_("渠道承担的短少，找回的是负数")),
    ("spoilage_not_owed", N_("不由渠道承担的变质，没有金额")),
    ("loss_not_owed", N_("不由渠道承担的短少，没有金额")),
    ("statement", N_("出的结算单")),
    ("statement_change", N_("异议更正后，结算单变化的金额")),
    ("settlement", N_("到账的结算款")),
)


class KeyIn(InSchema):
    """A new key, and who asks for it."""

    name = text(60)
    # None is said by the service, in words of its own: a browser sends no box that is not ticked.
    scopes = fields.List(fields.String(validate=validate.OneOf([s.value for s in Scope])), load_default=list)
    mode = fields.String(load_default="test", validate=validate.OneOf([m.value for m in KeyMode]))
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
    return page("portal/today.html", mine=mine, base=_base(), columns=COLUMNS, kinds=FILE_KINDS)


def _base() -> str:
    """What the examples call: the address that is ours for good, in a trial the one by which the reader came."""
    settings = _settings()
    return settings.public_base_url if settings.production else request.host_url.rstrip("/")


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
    return _keys_sheet(_keys_found()) if wants_sheet() else _keys_shown(None)


def _keys_found() -> list[dict[str, Any]]:
    """The channel's keys as the address wishes them: all, or those that are in force."""
    rows, at = keys.list_keys(db.session(), current_actor()), now()
    in_force = [row for row in rows if row["revoked_at"] is None and row["expires_at"] > at]
    chosen = in_force if request.args.get("tab") == "now" else rows
    return sorted_rows(chosen, "name", "used_at", "expires_at")


def _keys_sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("name", gettext("名称"), width=30), Column("key_id", gettext("编号"), width=20),
        Column("mode_word", gettext("用在哪里")), Column("told", gettext("用途"), width=48),
        Column("created_by", gettext("新建的人")), Column("used_at", gettext("最近使用"), "time", 18),
        Column("expires_at", gettext("有效期到"), "time", 18), Column("revoked_at", gettext("停用时间"), "time", 18),
    ]  # fmt: skip
    told = [
        {
            **row,
            "mode_word": word("key_mode", row["mode"]),
            "told": "、".join(word("key_scope", scope) for scope in row["scopes"]),
        }
        for row in rows
    ]
    return sheet_response(gettext("接口密钥"), columns, told, [gettext(KEYS_BASIS)])


def _keys_shown(made: dict[str, Any] | None) -> str:
    rows = _keys_found()
    return page(
        "portal/keys.html", rows=page_of(rows), made=made, at=now(), scopes=list(Scope), modes=list(KeyMode)
    )


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
