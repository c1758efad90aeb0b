"""What a channel reads: its own items at its own prices, changes since an instant, nothing of another channel."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.actors import Door, system
from marketplace.catalog import service as catalog
from marketplace.catalog.models import PriceList, Product
from marketplace.channels import agreements
from marketplace.channels.models import ChannelAgreement, ChannelItem
from marketplace.channels.states import Pattern
from marketplace.clock import now, today
from marketplace.database import db
from marketplace.errors import AlreadyThere, NotFound, RuleViolation
from tests.channels.partner import Program, channel_actor

IMPORT = system(Door.IMPORT)


@pytest.fixture(scope="module")
def wuqing(app: Flask) -> Program:
    return Program(app, "tianjin.partner")


@pytest.fixture(scope="module")
def jinnan(app: Flask) -> Program:
    return Program(app, "tianjin2.partner")


def test_an_item_has_everything_a_shop_system_asks(wuqing: Program) -> None:
    item = next(i for i in wuqing.get("/catalogue", limit=100)["items"] if i["sku"] == "PL-0001")

    assert item["partner_sku"] == "WQ0001"
    assert item["gtin"] == "2620800000017"
    assert item["tax_category"] == "exempt_own_produce"
    assert (item["shelf_life_days"], item["min_remaining_days"]) == (210, 70)
    assert item["storage"] == "0-4℃冷藏"
    assert item["pack"] == {"unit": "箱", "net_g": 5000}
    assert item["box"] == {
        "quantity": 1, "gross_g": 5200, "length_mm": None, "width_mm": None, "height_mm": None,
    }  # fmt: skip
    assert item["prices"] == [
        {
            "valid_from": "2026-01-01",
            "valid_to": None,
            "ladder": [{"min_quantity": 1, "price_fen": 4180}, {"min_quantity": 50, "price_fen": 3900}],
        }
    ]
    assert item["state"] == "listed"
    assert item["available_quantity"] > 0


def test_a_channel_that_has_only_consignment_left_reads_its_prices(
    fresh_app: Flask,
) -> None:
    program = Program(fresh_app, "tianjin.partner")
    item = next(i for i in program.get("/catalogue", limit=100)["items"] if i["sku"] == "PL-0001")
    with psycopg.connect(fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as owner:
        ended = owner.execute(
            "update channel_agreement set valid_to = current_date - 2 where pattern = 'wholesale'"
            " and channel_id = (select organisation_id from app_user where username = 'tianjin.partner')"
        )
        assert ended.rowcount == 1
        owner.commit()

    path = f"/catalogue/{item['product_id']}"
    alone = program.get(path)

    assert (alone["state"], alone["prices"] != []) == ("listed", True)
    assert alone == program.get(path, pattern="consignment")
    assert alone in program.get("/catalogue", limit=100)["items"]
    assert program.get(path, pattern="wholesale")["state"] == "withdrawn"
    program.get(path, 422, pattern="barter")


def test_a_channel_sees_no_item_of_another(wuqing: Program, jinnan: Program) -> None:
    mine = {i["product_id"] for i in wuqing.get("/catalogue", limit=100)["items"]}
    theirs = {i["product_id"] for i in jinnan.get("/catalogue", limit=100)["items"]}

    assert mine
    assert theirs
    assert mine & theirs == set()
    other = wuqing.client.get(f"/partner/v1/catalogue/{min(theirs)}", headers=wuqing.headers)
    absent = wuqing.client.get(f"/partner/v1/catalogue/{UUID(int=7)}", headers=wuqing.headers)
    assert other.status_code == absent.status_code == 404
    assert other.get_data() == absent.get_data()
    assert jinnan.get(f"/catalogue/{min(theirs)}")["product_id"] == min(theirs)


def test_a_partner_is_told_who_it_is_and_what_was_agreed(wuqing: Program) -> None:
    seen = wuqing.get("/self")

    assert [c["code"] for c in seen["counties"]] == ["620821", "620826"]
    assert [(a["pattern"], a["order_cut_off"], a["lead_days"]) for a in seen["agreements"]] == [
        ("consignment", "16:00", 2),
        ("wholesale", "16:00", 1),
    ]
    assert seen["agreements"][0]["place_id"] is not None


def test_changes_since_an_instant_name_withdrawn_items_too(fresh_app: Flask) -> None:
    program = Program(fresh_app)
    first = program.items()
    assert program.get("/catalogue", changed_after=now().isoformat())["items"] == []
    started = now()
    with fresh_app.app_context():
        channel = channel_actor("tianjin.partner").organisation_id
        assert channel is not None
        agreements.withdraw_item(IMPORT, channel_id=channel, product_id=UUID(first[0]["product_id"]))
        catalog.withdraw_product(IMPORT, UUID(first[1]["product_id"]), "季节结束")

    changed = program.get("/catalogue", changed_after=started.isoformat())["items"]
    assert [(i["product_id"], i["state"], i["available_quantity"]) for i in changed] == [
        (first[0]["product_id"], "withdrawn", 0),
        (first[1]["product_id"], "withdrawn", 0),
    ]
    left = {i["product_id"] for i in program.get("/catalogue", limit=100)["items"]}
    assert left.isdisjoint(i["product_id"] for i in changed)


def test_the_pages_of_a_catalogue_add_up(wuqing: Program) -> None:
    whole = [i["product_id"] for i in wuqing.get("/catalogue", limit=100)["items"]]
    parts: list[str] = []
    cursor = None
    while True:
        page = wuqing.get("/catalogue", limit=5, **({} if cursor is None else {"after": cursor}))
        parts += [i["product_id"] for i in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert parts == whole


def test_a_later_agreement_tells_its_prices_ahead(fresh_app: Flask) -> None:
    program = Program(fresh_app)
    with fresh_app.app_context():
        channel = channel_actor("tianjin.partner").organisation_id
        product = db.session.scalar(select(Product.id).where(Product.sku == "PL-0001"))
        assert channel is not None
        assert product is not None
        from marketplace.catalog import prices

        made = prices.add_price_list(IMPORT, code="TJ-WQ-NEXT", name="明年价", organisation_id=channel)
        later = today() + timedelta(days=30)
        agreements.make_agreement(
            IMPORT, channel_id=channel, pattern=Pattern.WHOLESALE, price_list_id=made.result["id"],
            order_cut_off="12:00", lead_days=1, confirm_within_h=24, ship_within_h=48, period_end_day=31,
            due_days=15, valid_from=later,
        )  # fmt: skip
        agreements.set_prices(IMPORT, price_list_id=made.result["id"], product_id=product, ladder=[(1, 5000)])

    prices_told = program.get(f"/catalogue/{product}")["prices"]
    assert [(p["valid_from"], p["valid_to"], p["ladder"][0]["price_fen"]) for p in prices_told] == [
        ("2026-01-01", (later - timedelta(days=1)).isoformat(), 4180),
        (later.isoformat(), None, 5000),
    ]


def test_what_cannot_be_agreed_is_refused_and_changes_nothing(fresh_app: Flask) -> None:
    with fresh_app.app_context():
        wuqing, jinnan = (channel_actor(n).organisation_id for n in ("tianjin.partner", "tianjin2.partner"))
        assert wuqing is not None
        assert jinnan is not None
        theirs = db.session.scalar(select(PriceList.id).where(PriceList.code == "TJ-JN-2026"))
        public = db.session.scalar(select(PriceList.id).where(PriceList.code == "public"))
        product = db.session.scalar(select(Product.id).where(Product.sku == "PL-0001"))
        assert theirs is not None
        assert public is not None
        assert product is not None
        terms = {
            "order_cut_off": "12:00", "lead_days": 1, "confirm_within_h": 24, "ship_within_h": 48,
            "period_end_day": 31, "due_days": 15, "valid_from": today(),
        }  # fmt: skip
        before = db.session.query(ChannelAgreement).count(), db.session.query(ChannelItem).count()
        with pytest.raises(RuleViolation):
            agreements.make_agreement(
                IMPORT, channel_id=wuqing, pattern=Pattern.WHOLESALE, price_list_id=theirs, **terms
            )
        with pytest.raises(RuleViolation):
            agreements.make_agreement(
                IMPORT, channel_id=jinnan, pattern=Pattern.DROP_SHIP, price_list_id=theirs, **terms
            )
        with pytest.raises(AlreadyThere):
            agreements.make_agreement(
                IMPORT, channel_id=jinnan, pattern=Pattern.WHOLESALE, price_list_id=theirs,
                **(terms | {"valid_from": today().replace(month=1, day=1)}),
            )  # fmt: skip
        with pytest.raises(NotFound):
            agreements.set_prices(IMPORT, price_list_id=public, product_id=product, ladder=[(1, 1)])
        with pytest.raises(RuleViolation):
            agreements.set_prices(IMPORT, price_list_id=theirs, product_id=product, ladder=[(1, 5), (2, 6)])
        with pytest.raises(AlreadyThere):
            agreements.list_item(IMPORT, channel_id=wuqing, product_id=product, partner_sku="WQ0002")
        db.session.rollback()
        assert (db.session.query(ChannelAgreement).count(), db.session.query(ChannelItem).count()) == before
