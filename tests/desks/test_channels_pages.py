"""Channels as the office and the sellers see them: each figure is the sum of the rows that it leads to."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.actors import Role
from marketplace.clock import today
from marketplace.database import db
from marketplace.desks import channels_views
from tests.channels.partner import Program, channel_actor, order_body
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import Visitor


@pytest.fixture(scope="module")
def orders(app: Flask) -> list[dict[str, Any]]:
    """Two orders of a channel, one of which it cancelled, and one of another channel."""
    program, other = Program(app), Program(app, "tianjin2.partner")
    item = next(i for i in program.items() if i["sku"] == "PL-0001")
    placed = [program.post("/orders", order_body(f"O-{n}", [item], packs=n), 201) for n in (1, 2, 3)]
    program.post("/orders/O-3/cancel", {"reason": "不要了"})
    other.post("/orders", order_body("O-1", other.items()[:1]), 201)
    return placed[:2]


def test_the_office_reads_pairs_agreements_and_sales_with_a_chart(
    app: Flask, orders: list[dict[str, Any]], owner: psycopg.Connection
) -> None:
    office = Visitor(app, "county.office")
    listed = office.get("/channels")
    assert "武清区–静宁县" in listed
    assert "批发" in listed
    assert listed.count('<svg class="chart') == 2
    own = owner.execute(
        "select distinct channel_id from partner_order where partner_order_no = 'O-2'"
    ).fetchone()
    assert own
    address = f"/channels/{own[0]}"
    assert f'href="{address}?year={today().year}"' in listed

    one = office.get(address)
    total = sum(order["goods_fen"] for order in orders)
    month = f"{address}/orders?year={today().year}&amp;month={today().month}"
    assert f'data-label="订单"><a href="{month}">2</a></td>' in one
    sheet = sheet_rows(office.client.get("/channels?format=xlsx").data)
    heads = next(row for row in sheet if "渠道" in row)
    assert heads == ["渠道", "对口", "订单", "订单货款（元）", "已验收（元）", "门店代销（元）"]
    assert len(sheet) > sheet.index(heads) + 1
    rows = sheet_rows(office.client.get(f"{month.replace('&amp;', '&')}&format=xlsx").data)
    assert len(rows) == 4 + len(orders)
    assert sum(round(float(row[4]) * 100) for row in rows[-2:]) == total
    shown = office.get(month.replace("&amp;", "&"))
    assert f"{total / 100:,.2f}元" in shown
    assert len(re.findall(r'href="/orders/[0-9a-f-]+"', shown)) == 2
    rows_address = month.replace("&amp;", "&")
    upwards = sheet_rows(office.client.get(f"{rows_address}&format=xlsx&sort=goods").data)[-2:]
    assert [row[4] for row in upwards] == sorted((row[4] for row in upwards), key=float)
    downwards = sheet_rows(office.client.get(f"{rows_address}&format=xlsx&sort=-goods").data)[-2:]
    assert downwards == upwards[::-1] != upwards
    for sort in ("number", "seller", "placed_at", "-accepted", "paid", "unknown"):
        assert len(re.findall(r'href="/orders/[0-9a-f-]+"', office.get(f"{rows_address}&sort={sort}"))) == 2
    assert "没有订单" in office.get(f"{address}/orders?year=2020")
    assert "这一年还没有销售" in office.get(f"{address}?year=2020")
    office.get("/channels/00000000-0000-7000-8000-000000000000", 404)


def test_a_seller_reads_who_sells_its_goods_and_where_they_are(
    app: Flask, orders: list[dict[str, Any]]
) -> None:
    seller = Visitor(app, "coop.seller")
    mine = seller.get("/sell/channels")
    assert "天津武清泾静优选商贸有限公司" in mine
    assert "静宁苹果" in mine
    sums = sheet_rows(seller.client.get("/sell/channels?format=xlsx").data)
    assert [row[2] for row in sums if row[0] == "天津武清泾静优选商贸有限公司"] == ["2"]
    goods = sheet_rows(seller.client.get("/sell/channels?format=xlsx&list=goods").data)
    assert goods[3][:3] == ["产品", "地点", "归属单位"]
    shown = re.findall(r'<a class="code" href="/sell/lots/', mine)
    assert len(goods) - 4 > len(shown) == 24
    rest = seller.get("/sell/channels?after_goods=24")
    assert len(re.findall(r'<a class="code" href="/sell/lots/', rest)) == len(goods) - 4 - 24
    most = sheet_rows(seller.client.get("/sell/channels?format=xlsx&list=goods&sort=-on_hand").data)
    assert [int(row[5]) for row in most[4:]] == sorted((int(row[5]) for row in goods[4:]), reverse=True)
    assert 'aria-sort="descending"' in seller.get("/sell/channels?sort=-year.orders")
    address = next(
        a for a in re.findall(r'href="(/sell/channels/[0-9a-f-]+)\?', mine) if ">2</a>" in mine.split(a)[2]
    )
    total = sum(order["goods_fen"] for order in orders)
    assert f"{total / 100:,.2f}元" in seller.get(address)
    Visitor(app, "coop2.seller").get("/sell/channels")


def test_a_countys_office_reads_the_sums_of_the_orders_that_it_may_open(
    app: Flask, orders: list[dict[str, Any]], owner: psycopg.Connection
) -> None:
    found = owner.execute(
        "select p.channel_id, o.seller_id from partner_order p join orders o using (purchase_id)"
        " where p.partner_order_no = 'O-2'"
    ).fetchone()
    assert found
    channel_id, seller_id = found
    with app.app_context():
        office = replace(
            channel_actor("county.office"), organisation_kind="office", role=Role.POVERTY_OFFICE,
            region_code="620826", subordinate_ids=frozenset({seller_id}),
        )  # fmt: skip
        elsewhere = replace(office, region_code="620881", subordinate_ids=frozenset())
        seen = {
            name: (
                channels_views.total(
                    channels_views.sales(db.session(), actor, today().year).get(channel_id, [])
                ),
                channels_views.order_rows(
                    db.session(), actor, channel_id=channel_id, year=today().year, month=None
                )["items"],
            )
            for name, actor in (("near", office), ("elsewhere", elsewhere))
        }

    sums, rows = seen["near"]
    assert len(rows) == len(orders)
    assert sums["ordered_fen"] == sum(row["goods_fen"] for row in rows) > 0
    sums, rows = seen["elsewhere"]
    assert (rows, set(sums.values())) == ([], {0})


def test_the_pages_are_for_the_office_and_for_sellers_alone(app: Flask) -> None:
    partner, seller = Visitor(app, "tianjin.partner"), Visitor(app, "coop.seller")
    partner.get("/channels", 403)
    partner.get("/sell/channels", 403)
    seller.get("/channels", 403)
