"""Webhooks in the portal: a channel's addresses, their secrets shown once, and the log of what was sent to them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app, make_response, url_for
from flask_babel import gettext
from marshmallow import fields, validate

from marketplace.actors import Permission
from marketplace.channels import webhooks
from marketplace.channels.states import DeliveryState
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.database import db
from marketplace.errors import NotFound
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, read_form, read_query, went
from marketplace.web.pages import page
from marketplace.web.schemas import InSchema, text
from marketplace.web.sheets import MAX_ROWS, Column, sheet_response, wants_sheet
from marketplace.web.words import word

blp = Blueprint("portal_webhooks", __name__)
blueprints = [blp]

# What a channel's systems wait for; any other kind can be named by program.
KINDS = ("order.*", "change_request.*", "invoice.*", "payment.*", "lot.*", "channel.*", "statement.*")


class AddressIn(InSchema):
    """A new address; no box ticked means everything."""

    url = text(500)
    kinds = fields.List(fields.String(validate=validate.OneOf(KINDS)), load_default=list)


class LogArgs(InSchema):
    state = fields.Enum(DeliveryState, by_value=True, load_default=None)
    kind = fields.String(load_default=None, validate=validate.Length(1, 80))
    sort = fields.String(load_default=None)
    after = fields.String(load_default=None, validate=validate.Length(1, 2000))


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


def _own(webhook_id: UUID) -> dict[str, Any]:
    rows: list[dict[str, Any]] = webhooks.list_endpoints(db.session(), current_actor())["items"]
    found = next((row for row in rows if row["id"] == webhook_id), None)
    if found is None:
        raise NotFound
    return found


def _with_secret(shown: str) -> Shown:
    """A page that holds a secret is kept nowhere."""
    response = make_response(shown)
    response.headers["Cache-Control"] = "no-store"
    return response


@blp.route("/portal/webhooks", methods=["GET", "POST"])
@requires(Permission.CHANNEL_EVENTS)
@form
@retrying
def endpoints() -> Shown:
    """The channel's addresses; the secret of a new one is shown once, on the answer to its form alone."""
    if posted():
        reply = webhooks.create_endpoint(current_actor(), _settings(), **read_form(AddressIn()))
        return _with_secret(_listed(reply.result))
    return _listed(None)


def _listed(made: dict[str, Any] | None) -> str:
    rows = webhooks.list_endpoints(db.session(), current_actor())["items"]
    return page("portal/webhooks.html", rows=rows, made=made, kinds=KINDS, most=webhooks.MOST_ENDPOINTS)


@blp.route("/portal/webhooks/<uuid:webhook_id>", methods=["GET"])
@requires(Permission.CHANNEL_EVENTS)
def endpoint(webhook_id: UUID) -> Shown:
    """One address with the log of its deliveries, to be cut to a state or a kind; `format=xlsx` gives the log."""
    if wants_sheet():
        wish = read_query(LogArgs()) | {"after": None, "limit": MAX_ROWS}
        log = webhooks.list_deliveries(db.session(), current_actor(), webhook_id, **wish)
        return _log_sheet(log["items"])
    return _shown(webhook_id, None)


def _log_sheet(rows: list[dict[str, Any]]) -> Response:
    columns = [
        Column("kind", gettext("事件"), width=28), Column("event_id", gettext("事件编号"), width=38),
        Column("state_word", gettext("结果")), Column("attempts", gettext("次数"), "count"),
        Column("last_try.tried_at", gettext("最近一次"), "time", 18),
        Column("last_try.status", gettext("对方的答复"), "year"), Column("failure", gettext("没送到的原因"), width=28),
        Column("last_try.took_ms", gettext("毫秒"), "count"), Column("next_at", gettext("下次再送"), "time", 18),
    ]  # fmt: skip
    told = [
        {
            **row,
            "state_word": word("delivery_state", row["state"]),
            "failure": word("delivery_failure", row["last_try"]["failure"])
            if row["last_try"] and row["last_try"]["failure"]
            else None,
        }
        for row in rows
    ]
    basis = [gettext("口径：这个地址的全部推送，每行一件事件和它最近的一次；对方答复的内容不留。")]
    return sheet_response(gettext("推送记录"), columns, told, basis)


def _shown(webhook_id: UUID, made: dict[str, Any] | None) -> str:
    wish = read_query(LogArgs())
    log = webhooks.list_deliveries(db.session(), current_actor(), webhook_id, **wish)
    filtered = wish["state"] is not None or wish["kind"] is not None
    return page(
        "portal/webhook.html",
        row=_own(webhook_id),
        log=log,
        wish=wish,
        filtered=filtered,
        made=made,
        at=now(),
    )


@blp.route("/portal/webhooks/<uuid:webhook_id>/secret", methods=["GET", "POST"])
@requires(Permission.CHANNEL_EVENTS)
@form
@retrying
def renew_secret(webhook_id: UUID) -> Shown:
    """A new secret, shown once; for a day the one before stays good."""
    if posted():
        reply = webhooks.renew_secret(current_actor(), _settings(), webhook_id)
        return _with_secret(_shown(webhook_id, reply.result))
    return page("portal/webhook_act.html", row=_own(webhook_id))


@blp.route("/portal/webhooks/<uuid:webhook_id>/disable", methods=["GET", "POST"])
@requires(Permission.CHANNEL_EVENTS)
@form
@retrying
def disable(webhook_id: UUID) -> Shown:
    """Stop an address; the page asks first, since events are no longer brought."""
    if posted():
        once = page_once(".endpoint", webhook_id=webhook_id)
        return done(webhooks.disable(current_actor(), webhook_id, once=once), gettext("推送地址已停用"))
    return page("portal/webhook_act.html", row=_own(webhook_id))


@blp.route("/portal/webhooks/<uuid:webhook_id>/enable", methods=["GET", "POST"])
@requires(Permission.CHANNEL_EVENTS)
@form
@retrying
def enable(webhook_id: UUID) -> Shown:
    """Take an address up again."""
    if posted():
        once = page_once(".endpoint", webhook_id=webhook_id)
        return done(webhooks.enable(current_actor(), webhook_id, once=once), gettext("推送地址已恢复"))
    return page("portal/webhook_act.html", row=_own(webhook_id))


@blp.route("/portal/webhooks/<uuid:webhook_id>/ping", methods=["GET", "POST"])
@requires(Permission.CHANNEL_EVENTS)
@form
@retrying
def ping(webhook_id: UUID) -> Shown:
    """Send a test event; the log says how it went."""
    if posted():
        webhooks.ping(current_actor(), webhook_id)
        return went(
            url_for(".endpoint", webhook_id=webhook_id), gettext("已发出测试推送，过几秒刷新就看到结果")
        )
    return page("portal/webhook_act.html", row=_own(webhook_id))


@blp.route("/portal/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>", methods=["GET", "POST"])
@requires(Permission.CHANNEL_EVENTS)
@form
@retrying
def redeliver(webhook_id: UUID, delivery_id: UUID) -> Shown:
    """Send one event again under its own id."""
    if posted():
        webhooks.redeliver(current_actor(), webhook_id, delivery_id)
        return went(url_for(".endpoint", webhook_id=webhook_id), gettext("已重新推送，编号不变"))
    return page("portal/webhook_act.html", row=_own(webhook_id))
