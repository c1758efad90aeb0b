"""What several pages of the seller share: rows added without a script, a chosen file that is never asked twice, words."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, g, request
from werkzeug.datastructures import MultiDict

from marketplace.config import Settings
from marketplace.documents.service import store_document
from marketplace.web.edge import current_actor
from marketplace.web.forms import current_form, uploaded
from marketplace.web.language import N_, in_english, translated
from marketplace.web.words import word

blueprints: list[Blueprint] = []

# What stands against a sale, for readers of English; in Chinese the rule's own sentence is shown.
BLOCKING = {
    "lot-expired": N_("保质期已过"),
    "sample-failed": N_("抽检不合格"),
    "sample-missing": N_("缺抽检合格的记录"),
    "certificate-missing": N_("没有交"),
    "certificate-product": N_("品名和这一批不一样"),
    "certificate-holder": N_("开具人不是本单位"),
    "certificate-quantity": N_("数量不够这一批"),
    "certificate-not-yet-issued": N_("开具日还没有到"),
    "certificate-too-early": N_("开具日比采收日早太多"),
    "certificate-expired": N_("过了有效期"),
    "certificate-number-holder": N_("编号已用于另一家的批次"),
    "certificate-number-product": N_("编号已用于另一个产品"),
    "certificate-quantity-open": N_("编号用在几个批次上，要写明数量"),
    "certificate-overused": N_("各批次合计超过证上的数量"),
}


def reason_text(reason: dict[str, str]) -> str:
    """One thing that stands against a sale, in the reader's language."""
    if not in_english():
        return reason["detail"]
    kind = f"{word('certificate_kind', reason['kind'])}: " if "kind" in reason else ""
    return kind + translated(BLOCKING[reason["code"]])


def row_wanted() -> bool:
    """Whether "one more row" was pressed: nothing is done then, the form is shown again with what was typed."""
    if not request.form.get("_more"):
        return False
    current_form().typed = MultiDict(request.form)
    return True


def rows_shown(prefix: str, stored: int, most: int) -> int:
    """How many rows of a repeated part to show: the typed or stored ones, at least one, and one more if asked for."""
    parts = [name.split("-", 2) for name in current_form().typed]
    typed = [int(p[1]) for p in parts if p[0] == prefix and len(p) > 2 and p[1].isdecimal() and len(p[1]) < 4]
    shown = max(typed) + 1 if typed else max(stored, 1)
    return min(shown + (request.form.get("_more") == prefix), most)


def filed_document(name: str, kind: str) -> dict[str, Any]:
    """{name: id} of this form's file, stored now, or by an earlier sending that was refused afterwards; {} of none.

    The id stays on the form (`g.filed`, a hidden field): the file need not be chosen again.
    """
    chosen = uploaded(name)
    if chosen is not None:
        filename, content = chosen
        settings: Settings = current_app.config["SETTINGS"]
        stored = store_document(
            current_actor(),
            kind=kind,
            filename=filename,
            content=content,
            max_bytes=settings.max_upload_bytes,
        ).result["id"]
        g.filed = str(stored)
    elif request.form.get(name):
        g.filed = request.form[name]
    return {name: g.filed} if "filed" in g else {}
