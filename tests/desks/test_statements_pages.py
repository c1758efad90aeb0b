"""A statement by pages: the channel disputes and pays, the seller answers and confirms, the office reads."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.actors import Door, system
from marketplace.channels import statements
from marketplace.clock import today
from tests.channels.consigned import LAST_DAY, PERIOD, Shop, open_shop
from tests.desks.spreadsheets import sheet_rows
from tests.desks.trading import Visitor
from tests.trace.world import PDF

MINE, THEIRS, OFFICE = "/portal/statements", "/sell/channels/statements", "/channels/statements"


@pytest.fixture(scope="module")
def shop(app: Flask) -> Iterator[Shop]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        yield open_shop(owner)


@pytest.fixture(scope="module")
def channel(app: Flask) -> Visitor:
    return Visitor(app, "tianjin.partner")


@pytest.fixture(scope="module")
def seller(app: Flask, shop: Shop) -> Visitor:
    row = shop.owner.execute(
        "select username from app_user where organisation_id = %s", [shop.seller]
    ).fetchone()
    assert row is not None
    return Visitor(app, row[0])


def slip() -> tuple[io.BytesIO, str]:
    return io.BytesIO(PDF), "回单.pdf"


def issued(app: Flask, shop: Shop, period: str) -> dict[str, Any]:
    with app.app_context():
        return dict(
            statements.issue_statement(
                system(Door.JOB), channel_id=shop.channel, seller_id=shop.seller, period=period
            ).result
        )


def test_lists_say_what_comes_when_there_is_none(channel: Visitor, seller: Visitor) -> None:
    for reader, path in ((channel, MINE), (seller, THEIRS)):
        assert "还没有结算单" in reader.get(path)
        assert "没有这样的结算单" in reader.get(f"{path}?state=settled")


def test_a_statement_is_disputed_answered_agreed_paid_and_settled_by_pages(
    app: Flask, shop: Shop, channel: Visitor, seller: Visitor
) -> None:
    shop.report(LAST_DAY - timedelta(days=2), (10, 4180), (2, 3900))
    made = issued(app, shop, PERIOD)
    number, key = made["number"], made["id"]
    line = next(row["id"] for row in made["lines"] if row["quantity"] == 10)
    assert number in channel.get(f"{MINE}?period={PERIOD}&sort=-total_fen")
    assert "没有这样的结算单" in channel.get(f"{MINE}?period=2020-01")
    shown = channel.get(f"{MINE}/{key}")
    assert shown.count("提异议</a>") + shown.count("提异议<span") == 2
    assert "496.00" in shown
    assert "肆佰玖拾陆元" in shown

    path = f"{MINE}/{key}/lines/{line}/dispute"
    assert "应该是几件" in channel.get(path)
    refused = channel.post(path, 422, quantity="10", reason="不对", _once="a" * 32)
    assert 'value="10"' in refused.get_data(as_text=True)
    assert "不对" in refused.get_data(as_text=True)
    for _ in range(2):
        channel.post(path, quantity="8", reason="少收两箱", _once="a" * 32)
    back = re.findall(rf'href="({MINE}/{key}/disputes/[0-9a-f-]+/withdraw)"', channel.get(f"{MINE}/{key}"))
    assert "你们提出的是8件" in channel.get(back[0])
    channel.post(back[0], _once="e" * 32)
    assert "已撤回" in channel.get(f"{MINE}/{key}")
    channel.post(back[0], 409)
    channel.post(path, quantity="8", reason="少收两箱", _once="f" * 32)
    waiting = seller.get(f"{THEIRS}/{key}")
    assert "还有1行有异议" in waiting
    assert "withdraw" not in waiting
    assert "少收两箱" in waiting
    answer = re.findall(rf'href="({THEIRS}/{key}/disputes/[0-9a-f-]+)"', waiting)
    assert len(answer) == 1
    assert "按8件更正" in seller.get(answer[0])
    assert "请" in seller.post(answer[0], 422, accept="", answer="").get_data(as_text=True)
    seller.post(answer[0], accept="1", answer="对，少收")
    assert "412.40" in channel.get(f"{MINE}/{key}")

    channel.post(f"{MINE}/{key}/agree", _once="b" * 32)
    assert "你们已同意" in channel.get(f"{MINE}/{key}")
    channel.post(f"{MINE}/{key}/transfer", 409, paid_on=today().isoformat(), bank_reference="PG0001")
    seller.post(f"{THEIRS}/{key}/agree", _once="c" * 32)
    pay = channel.get(f"{MINE}/{key}/transfer")
    assert "开户行" in pay
    assert number in pay
    seller.post(f"{THEIRS}/{key}/return-transfer", 409, reason="没有登记")
    sent = {"paid_on": today().isoformat(), "bank_reference": "PG0001"}
    refused = channel.post(f"{MINE}/{key}/transfer", 422, **{**sent, "bank_reference": "?"}, file=slip())
    kept = re.findall(r'name="document_id" value="([0-9a-f-]+)"', refused.get_data(as_text=True))
    assert "回单.pdf" in refused.get_data(as_text=True)
    channel.post(f"{MINE}/{key}/transfer", **sent, document_id=kept[0])
    assert "没有到账，退回登记" in seller.get(f"{THEIRS}/{key}")
    assert f"/files/{kept[0]}" in seller.get(f"{THEIRS}/{key}/return-transfer")
    seller.post(f"{THEIRS}/{key}/return-transfer", 422, reason="")
    for _ in range(2):
        seller.post(f"{THEIRS}/{key}/return-transfer", reason="账户里没有这笔", _once="9" * 32)
    assert "账户里没有这笔" in channel.get(f"{MINE}/{key}")
    assert "账户里没有这笔" in channel.get(f"{MINE}/{key}/transfer")
    channel.post(f"{MINE}/{key}/transfer", **sent, file=slip())
    assert seller.client.get(re.findall(r"/files/[0-9a-f-]+", seller.get(f"{THEIRS}/{key}"))[0]).data == PDF
    confirm = seller.get(f"{THEIRS}/{key}/settle")
    assert 'value="PG0001"' in confirm
    seller.post(
        f"{THEIRS}/{key}/settle", paid_on=today().isoformat(), bank_reference="PG0001", _once="d" * 32
    )

    assert "已结清" in channel.get(f"{MINE}/{key}")
    assert shop.ledger("bank", shop.seller) == 41_240
    reader = Visitor(app, "county.office")
    assert number in reader.get(OFFICE)
    read = reader.get(f"{OFFICE}/{key}")
    assert number in read
    assert "提异议" not in read
    assert "btn--next" not in read
    rows = sheet_rows(channel.client.get(f"{MINE}/{key}?format=xlsx").data)
    assert [float(row[8]) for row in rows[-4:]] == [float(x) for x in _lines(shop, key)[-4:]]
    heads = sheet_rows(seller.client.get(f"{THEIRS}?format=xlsx").data)
    assert (heads[-1][0], float(heads[-1][8])) == (number, 412.4)


def _lines(shop: Shop, key: Any) -> list[float]:
    rows = shop.owner.execute(
        "select amount_fen / 100.0 from statement_line where statement_id = %s order by position", [key]
    )
    return [row[0] for row in rows]


def test_others_find_no_statement(app: Flask, shop: Shop, channel: Visitor) -> None:
    before = LAST_DAY.replace(day=1) - timedelta(days=1)
    shop.report(before, (3, 1000))
    key = issued(app, shop, before.isoformat()[:7])["id"]
    other = Visitor(app, "tianjin2.partner")
    absent = "00000000-0000-7000-8000-000000000000"
    for path in (f"{MINE}/{key}", f"{MINE}/{key}/agree", f"{MINE}/{key}/transfer"):
        other.get(path, 404)
        channel.get(path)
    channel.get(f"{MINE}/{key}/lines/{absent}/dispute", 404)
    channel.get(f"{MINE}/{key}/disputes/{absent}", 404)
    other.post(f"{MINE}/{key}/agree", 404)
    assert "还没有结算单" in other.get(MINE)


def test_the_daily_file_is_taken_from_the_page_once_its_day_is_over(channel: Visitor) -> None:
    assert 'name="day"' in channel.get(MINE)
    answer = channel.client.get("/portal/reconciliation?day=2026-01-01")
    assert (answer.status_code, answer.data.splitlines()[-1].split(b",")[0]) == (200, b"total")
    assert channel.client.get(f"/portal/reconciliation?day={today() + timedelta(days=1)}").status_code == 409
