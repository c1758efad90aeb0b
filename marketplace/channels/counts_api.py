"""Stock counts of shops: sent and read by their channel, read by the sellers of the goods."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import count_views, counts
from marketplace.channels.count_schemas import (
    ChannelCountOut,
    PartnerCountIn,
    PartnerCountOut,
    PartnerCountSummaryOut,
)
from marketplace.channels.sales_schemas import DaysFilter
from marketplace.channels.shops import LotName
from marketplace.channels.states import BorneBy, CountCause
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.schemas import page_of

partners = Blueprint("partner_counts", __name__, url_prefix="/partner/v1", description="门店盘点")
sellers = Blueprint("channel_counts", __name__, url_prefix="/api/v1", description="渠道门店的盘点")
blueprints = [partners, sellers]

COUNT, COUNTS, COUNTED = PartnerCountOut(), page_of(PartnerCountSummaryOut), page_of(ChannelCountOut)


def count_wish(data: dict[str, Any]) -> counts.CountWish:
    """A body that fits its schema as the service takes it."""
    return counts.CountWish(
        body=data,
        counted_on=data["counted_on"],
        place_id=data.get("place_id"),
        lines=[
            counts.CountedLine(
                LotName(line.get("trace_code"), line.get("partner_sku"), line.get("lot_code")),
                line["counted"],
                [
                    counts.Difference(
                        counts.DifferenceKind(each["kind"]),
                        each["quantity"],
                        CountCause(each["cause"]),
                        BorneBy(each["borne_by"]),
                    )
                    for each in line["differences"]
                ],
            )
            for line in data["lines"]
        ],
    )


@partners.route("/stock-counts", methods=["POST"])
@requires(Permission.CHANNEL_SALES)
@partners.arguments(PartnerCountIn)
@partners.response(201, PartnerCountOut)
@retrying
def count_stock(data: dict[str, Any]) -> Response:
    """Report a count of the shop; the same body of a day again gets the first answer and counts nothing twice."""
    return sent(counts.count_stock(current_actor(), count_wish(data), once=once(COUNT, 201)))


@partners.route("/stock-counts")
@requires(Permission.CHANNEL_SALES)
@partners.arguments(DaysFilter, location="query")
@partners.response(200, COUNTS)
def list_stock_counts(args: dict[str, Any]) -> Response:
    """The channel's counts, the newest day first."""
    return shown(COUNTS, count_views.list_counts(db.session(), current_actor(), **args))


@partners.route("/stock-counts/<uuid:count_id>")
@requires(Permission.CHANNEL_SALES)
@partners.response(200, PartnerCountOut)
def show_stock_count(count_id: UUID) -> Response:
    """One count with its lines."""
    return shown(COUNT, count_views.own_count(db.session(), current_actor(), count_id))


@sellers.route("/channel-counts")
@requires(Permission.ORDER_CONFIRM)
@sellers.arguments(DaysFilter, location="query")
@sellers.response(200, COUNTED)
def list_channel_counts(args: dict[str, Any]) -> Response:
    """What channels' shops counted of the seller's goods: spoilt, missing and found packs, and who bears them."""
    return shown(COUNTED, count_views.counted_of_seller(db.session(), current_actor(), **args))
