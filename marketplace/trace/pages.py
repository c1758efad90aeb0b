"""What the QR code on a box opens, for a phone without an account, in the reader's language."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint
from flask_babel import gettext

from marketplace.clock import SHANGHAI
from marketplace.errors import NotFound
from marketplace.trace import scans, story
from marketplace.values import kilograms
from marketplace.web.edge import public
from marketplace.web.language import N_, translated
from marketplace.web.pages import page

blp = Blueprint("trace_pages", __name__)
blueprints = [blp]

# Texts of the story that are shown as they are, once translated.
_TOLD = (
    N_("采收"), N_("抽检合格"), N_("抽检不合格"), N_("上市销售"), N_("平台核对证件和检测记录后放行"), N_("暂停销售"),
    N_("解除停售"), N_("供应商自己停售"), N_("监管部门停售"),
    N_("这一批正在召回。请停止食用，封存余货，联系供应商或拨打12315。"), N_("没有这个追溯码，请对照标签再输一遍"),
)  # fmt: skip
_TESTED = re.compile(r"(?:(.*)：)?检测(\d+)项")


@blp.route("/t/<path:trace_code>", methods=["GET"])
@public
def trace_page(trace_code: str) -> str:
    """The story of a lot, as a page."""
    found = story.story(None, trace_code)
    scans.count_scan(found["lot_id"])
    events = [{**event, **told(event, found)} for event in found["events"]]
    return page("trace/story.html", lot={**found, "events": events}, shanghai=SHANGHAI, in_groups=in_groups)


@blp.errorhandler(NotFound)
def unknown_code(error: NotFound) -> tuple[str, int]:
    """The same page for unknown, forged and mistyped codes: how to read the label again."""
    return page("trace/unknown.html"), 404


def told(event: dict[str, Any], lot: dict[str, Any]) -> dict[str, str]:
    """Title and detail of an event of the story in the reader's language; names stay as they are."""
    title, detail = translated(event["title"]), translated(event["detail"])
    if event["kind"] == "harvested":
        pack = lot["product"]["pack"]
        weight = kilograms(lot["quantity"] * pack["net_g"])
        amount = {"n": f"{lot['quantity']:,}", "unit": translated(pack["unit"]), "kg": weight}
        detail = gettext("%(n)s%(unit)s，%(kg)s公斤", **amount)
    elif event["kind"] == "certified":
        title = gettext("开具%(paper)s", paper=translated(event["title"].removeprefix("开具")))
        if event["detail"]:
            detail = gettext("编号%(number)s", number=event["detail"].removeprefix("编号"))
    elif event["kind"] == "inspected" and (tested := _TESTED.fullmatch(event["detail"])):
        who = f"{tested[1]}：" if tested[1] else ""
        detail = who + gettext("检测%(n)s项", n=tested[2])
    return {"title": title, "detail": detail}


def in_groups(digits: str, size: int = 8) -> str:
    """A long hash with a gap after every `size` characters, so that a narrow screen can break it."""
    return " ".join(digits[start : start + size] for start in range(0, len(digits), size))
