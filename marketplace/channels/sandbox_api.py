"""The sandbox's own routes: what the other side does there, and its clock. In the marketplace itself they are not there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Response, current_app
from flask_smorest import Blueprint
from marshmallow import Schema

from marketplace import clock
from marketplace.actors import Permission
from marketplace.channels import order_views, sandbox, sandbox_goods
from marketplace.channels.sandbox_schemas import (
    SandboxClockIn,
    SandboxClockOut,
    SandboxLotOut,
    SandboxReasonIn,
    SandboxSendIn,
    SandboxShipIn,
    SandboxSpoilIn,
)
from marketplace.channels.schemas import PartnerOrderOut
from marketplace.database import db
from marketplace.errors import NotFound
from marketplace.sandbox import ahead, move_clock
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, requires, shown, without_key

blp = Blueprint("partner_sandbox", __name__, url_prefix="/partner/v1/test", description="沙箱：只认测试密钥")
blueprints = [blp]

ORDER, CLOCK, LOT = PartnerOrderOut(), SandboxClockOut(), SandboxLotOut()
PLAY = "in the sandbox nothing real can happen twice"

P = ParamSpec("P")
R = TypeVar("R")


def sandbox_only(view: Callable[P, R]) -> Callable[P, R]:
    """The marketplace itself answers as for any other path that it does not have."""

    @wraps(view)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not current_app.config["SETTINGS"].sandbox:
            raise NotFound("只有沙箱（测试密钥）才有这个接口")
        return view(*args, **kwargs)

    return call


def play(
    blp: Blueprint,
    path: str,
    answer: type[Schema],
    *,
    permission: Permission = Permission.CHANNEL_ORDER,
    takes: type[Schema] | None = None,
    status: int = 200,
    again: bool = True,
) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """Declare a route by which a channel plays the other side, or time; `takes` is the schema of its body.

    What may not be done `again` by itself after a conflict in the database says so.
    """

    def declare(view: Callable[..., Response]) -> Callable[..., Response]:
        routed: Any = blp.response(status, answer)(
            without_key(PLAY)(sandbox_only(retrying(view) if again else view))
        )
        if takes is not None:
            routed = blp.arguments(takes)(routed)
        declared: Callable[..., Response] = blp.route(path, methods=["POST"])(requires(permission)(routed))
        return declared

    return declare


def _order(partner_order_no: str) -> Response:
    db.session.rollback()
    base = f"{current_app.config['SETTINGS'].public_base_url}/t/"
    return shown(ORDER, order_views.order_view(db.session(), current_actor(), partner_order_no, base))


@play(blp, "/orders/<partner_order_no>/confirm", PartnerOrderOut)
def sandbox_confirm(partner_order_no: str) -> Response:
    """Sandbox: the sellers take the order."""
    sandbox.confirm(db.session(), current_actor(), partner_order_no)
    return _order(partner_order_no)


@play(blp, "/orders/<partner_order_no>/ship", PartnerOrderOut, takes=SandboxShipIn)
def sandbox_ship(data: dict[str, Any], partner_order_no: str) -> Response:
    """Sandbox: the sellers send all that is left, or only the named packs of the named lines."""
    lines = None if data["lines"] is None else [sandbox.LineWish(**line) for line in data["lines"]]
    sandbox.ship(db.session(), current_actor(), partner_order_no, lines)
    return _order(partner_order_no)


@play(blp, "/orders/<partner_order_no>/refuse", PartnerOrderOut, takes=SandboxReasonIn)
def sandbox_refuse(data: dict[str, Any], partner_order_no: str) -> Response:
    """Sandbox: the sellers refuse the order; once they have confirmed, they ask to cancel it."""
    sandbox.refuse(db.session(), current_actor(), partner_order_no, data["reason"])
    return _order(partner_order_no)


@play(blp, "/lots", SandboxLotOut, permission=Permission.CHANNEL_CATALOGUE, takes=SandboxSendIn, status=201)
def sandbox_harvest(data: dict[str, Any]) -> Response:
    """Sandbox: the seller of an item has a new, fresh lot of it on sale."""
    response = shown(LOT, {"trace_code": sandbox_goods.harvest(db.session(), current_actor(), **data)})
    response.status_code = 201
    return response


@play(blp, "/lots/<trace_code>/spoil", SandboxLotOut, takes=SandboxSpoilIn)
def sandbox_spoil(data: dict[str, Any], trace_code: str) -> Response:
    """Sandbox: packs of a lot that was sent to the channel go bad at the seller's."""
    sandbox.spoil(db.session(), current_actor(), trace_code, **data)
    return shown(LOT, {"trace_code": trace_code})


@play(blp, "/lots/<trace_code>/recall", SandboxLotOut, takes=SandboxReasonIn)
def sandbox_recall(data: dict[str, Any], trace_code: str) -> Response:
    """Sandbox: the seller takes a lot that was sent to the channel off sale."""
    sandbox.recall(db.session(), current_actor(), trace_code, data["reason"])
    return shown(LOT, {"trace_code": trace_code})


@blp.route("/clock", methods=["GET"])
@requires(
    Permission.CHANNEL_CATALOGUE, Permission.CHANNEL_ORDER, Permission.CHANNEL_SALES,
    Permission.CHANNEL_STATEMENTS, Permission.CHANNEL_EVENTS,
)  # fmt: skip
@blp.response(200, SandboxClockOut)
@sandbox_only
def sandbox_time() -> Response:
    """Sandbox: what time it is there. All channels share the clock."""
    by = ahead(current_app.config["SETTINGS"].state_folder)
    return shown(CLOCK, {"now": clock.now(), "ahead_seconds": int(by.total_seconds())})


@play(blp, "/clock", SandboxClockOut, takes=SandboxClockIn, again=False)
def sandbox_clock(data: dict[str, Any]) -> Response:
    """Sandbox: move the clock forward; what that makes due is done before the answer, also a new harvest."""
    total = move_clock(current_app.config["SETTINGS"].state_folder, timedelta(hours=data["hours"]))
    sandbox.do_due()
    sandbox_goods.restock(db.session())
    return shown(CLOCK, {"now": clock.now(), "ahead_seconds": int(total.total_seconds())})
