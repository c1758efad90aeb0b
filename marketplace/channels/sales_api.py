"""Sales reports of shops: sent and read by their channel, read by the sellers of the goods."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.channels import sales, sales_views
from marketplace.channels.sales_schemas import (
    ChannelSaleOut,
    DaysFilter,
    PartnerSalesIn,
    PartnerSalesOut,
    PartnerSalesSummaryOut,
)
from marketplace.channels.shops import LotName
from marketplace.database import db
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, once, requires, sent, shown
from marketplace.web.schemas import page_of

partners = Blueprint("partner_sales", __name__, url_prefix="/partner/v1", description="门店销售")
sellers = Blueprint("channel_sales", __name__, url_prefix="/api/v1", description="渠道门店的销售")
blueprints = [partners, sellers]

REPORT, REPORTS, SALES = PartnerSalesOut(), page_of(PartnerSalesSummaryOut), page_of(ChannelSaleOut)


def sales_wish(data: dict[str, Any]) -> sales.SalesWish:
    """A body that fits its schema as the service takes it."""
    return sales.SalesWish(
        body=data,
        business_day=data["business_day"],
        place_id=data.get("place_id"),
        corrects=data.get("corrects"),
        lines=[
            sales.SoldLine(
                LotName(line.get("trace_code"), line.get("partner_sku"), line.get("lot_code")),
                line["quantity"],
                line.get("retail_fen"),
            )
            for line in data["lines"]
        ],
    )


@partners.route("/sales-reports", methods=["POST"])
@requires(Permission.CHANNEL_SALES)
@partners.arguments(PartnerSalesIn)
@partners.response(201, PartnerSalesOut)
@retrying
def report_sales(data: dict[str, Any]) -> Response:
    """Report a shop's day. The same body again gets the first answer while it stands.

    Another body names the version it corrects; that of a version which was corrected since is refused
    (`sales-day-reported`) with both versions.
    """
    return sent(sales.report_sales(current_actor(), sales_wish(data), once=once(REPORT, 201)))


@partners.route("/sales-reports")
@requires(Permission.CHANNEL_SALES)
@partners.arguments(DaysFilter, location="query")
@partners.response(200, REPORTS)
def list_sales_reports(args: dict[str, Any]) -> Response:
    """The channel's reports, the newest day first: every version, red entries among them."""
    return shown(REPORTS, sales_views.list_reports(db.session(), current_actor(), **args))


@partners.route("/sales-reports/<uuid:report_id>")
@requires(Permission.CHANNEL_SALES)
@partners.response(200, PartnerSalesOut)
def show_sales_report(report_id: UUID) -> Response:
    """One version of a day's report with its lines."""
    return shown(REPORT, sales_views.own_report(db.session(), current_actor(), report_id))


@sellers.route("/channel-sales")
@requires(Permission.ORDER_CONFIRM)
@sellers.arguments(DaysFilter, location="query")
@sellers.response(200, SALES)
def list_channel_sales(args: dict[str, Any]) -> Response:
    """What channels' shops sold of the seller's goods, line by line, the newest first; red entries are negative."""
    return shown(SALES, sales_views.sold_of_seller(db.session(), current_actor(), **args))
