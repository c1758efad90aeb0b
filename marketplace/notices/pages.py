"""The inbox: what waits for this person, what is news, and where else to send it."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, current_app, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from marketplace.actors import Actor, Permission
from marketplace.database import db
from marketplace.errors import NotFound
from marketplace.notices import queries, service
from marketplace.notices.texts import TEXTS, values_of
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires
from marketplace.web.forms import Shown, done, form, page_once, posted, went
from marketplace.web.pages import page, register_badge

blp = Blueprint("notices", __name__)
blueprints = [blp]

_NUMBER = re.compile("[0-9]{1,18}")


def _unread(actor: Actor) -> int:
    return queries.unread_count(db.session(), actor) if actor.user_id is not None else 0


register_badge("notices", _unread)


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "text": gettext(TEXTS[item["topic"]].text, **values_of(item["facts"]))}


def _target(item: dict[str, Any]) -> str:
    """Where the step is taken; the inbox itself where that page is not part of this site."""
    text = TEXTS[item["topic"]]
    if text.endpoint not in current_app.view_functions:
        return url_for(".inbox")
    return url_for(text.endpoint, **({text.id_name: item["subject_id"]} if text.id_name else {}))


@blp.route("/notices", methods=["GET"])
@requires(Permission.ACCOUNT_OWN)
def inbox() -> str:
    """What is open, or what is done."""
    group = request.args.get("group", "open")
    group = group if group in ("open", "done", "all") else "open"
    listed = queries.list_notices(
        db.session(), current_actor(), group=group, limit=30, after=request.args.get("after")
    )
    return page("notices/inbox.html", items=[_shown(i) for i in listed["items"]], next=listed["next"])


@blp.route("/notices/<int:notice_id>", methods=["GET"])
@requires(Permission.ACCOUNT_OWN)
def follow_notice(notice_id: int) -> Response:
    """To the page where the step is taken; the link that e-mails carry."""
    actor = current_actor()
    listed = queries.list_notices(db.session(), actor, group="all", notice_id=notice_id, limit=1)
    if not listed["items"]:
        raise NotFound
    return went(_target(listed["items"][0]), None)


@blp.route("/notices/read", methods=["POST"])
@requires(Permission.ACCOUNT_OWN)
def read() -> Response:
    """Mark one notice, or all, as read. Raises NotFound for a text that is no number of a notice."""
    one = request.form.get("notice_id", "")
    if one and not _NUMBER.fullmatch(one):
        raise NotFound
    service.mark_read(current_actor(), [int(one)] if one else None)
    return went(url_for(".inbox"), None)


@blp.route("/notices/settings", methods=["GET", "POST"])
@requires(Permission.ACCOUNT_OWN)
@form
@retrying
def settings() -> Shown:
    """Where notices also go: an e-mail address of this person."""
    if posted():
        email = request.form.get("email", "").strip() or None
        reply = service.set_email(current_actor(), email=email, once=page_once(".settings"))
        return done(reply, gettext("已保存"))
    return page(
        "notices/settings.html",
        email=queries.email_of(db.session(), current_actor()),
        can_mail=current_app.config["SETTINGS"].smtp_host is not None,
    )
