"""The public list: filters, live numbers, order, paging, and one query whatever the rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask

from marketplace.accounts import service as accounts
from marketplace.catalog import listing, queries
from marketplace.catalog.listing import Filters, list_json, list_products
from marketplace.catalog.schemas import ProductDetailOut, ProductOut
from marketplace.clock import today
from marketplace.database import db
from marketplace.errors import RuleViolation
from marketplace.paging import BadCursor
from marketplace.policies.service import set_eligibility
from marketplace.values import uuid7
from tests.catalog import making
from tests.catalog.making import FAR_COUNTY

pytestmark = pytest.mark.usefixtures("context")
LATER = timedelta(days=30)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are sent to the database within."""
    sent: list[str] = []

    def note(conn, cursor, statement, *rest):
        sent.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def shop(context: Flask) -> making.Actor:
    """A new seller, so that a list of its own holds only what the test made."""
    return making.person()


def mine(shop, **filters) -> list[str]:
    found = list_products(db.session(), Filters(seller=shop.organisation_id, **filters), limit=100)
    return [item["sku"] for item in found["items"]]


def item(shop, **filters) -> dict:
    (found,) = list_products(db.session(), Filters(seller=shop.organisation_id, **filters))["items"]
    return found


def compact(value) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("sort", ["relevance", "price", "-price", "newest"])
def test_the_spliced_list_is_what_the_schema_would_dump(sort):
    page = list_products(db.session(), Filters(sort=sort), limit=100)

    assert len(page["items"]) == 62
    assert list_json(Filters(sort=sort), limit=100) == compact(
        {"items": ProductOut(many=True).dump(page["items"]), "next": page["next"]}
    )


def test_the_spliced_detail_is_what_the_schema_would_dump(shop):
    for found in [*list_products(db.session(), Filters(q="苹果"))["items"], making.recognised(shop)]:
        view = queries.product_view(db.session(), UUID(found["id"]))
        body, version = queries.detail_json(UUID(found["id"]))
        assert body == compact(ProductDetailOut().dump(view))
        assert version == view["version"]


@pytest.mark.parametrize("count", [1, 10, 100])
def test_a_page_is_one_query_whatever_it_holds(shop, owner, count):
    recipe = making.recognised(shop)
    copy = (
        "insert into product select (jsonb_populate_record(p, %s::jsonb"
        " || jsonb_build_object('card', replace(card, id::text, %s)))).* from product p where id = %s"
    )
    for number in range(1, count):
        new = str(uuid7())
        owner.execute(copy, (json.dumps({"id": new, "sku": f"C-{number}"}), new, recipe["id"]))
    filters = Filters(seller=shop.organisation_id, q="测试", available=False)

    with counted() as sent:
        body = list_json(filters, limit=100)

    assert len(json.loads(body)["items"]) == count
    assert len(sent) == 1
    for read in (
        lambda: list_products(db.session(), filters, limit=100),
        lambda: queries.detail_json(UUID(recipe["id"])),
        lambda: queries.product_view(db.session(), UUID(recipe["id"])),
        lambda: queries.list_own(db.session(), shop, limit=100),
    ):
        with counted() as sent:
            read()
        assert len(sent) == 1


def test_available_is_the_free_stock_of_released_lots_that_last(shop, owner):
    product = making.recognised(shop)
    day = today()
    making.stock(owner, product, 100, day + LATER, reserved=30)
    making.stock(owner, product, 7, day)
    making.stock(owner, product, 50, day - timedelta(days=1))
    for state in ("draft", "held", "recalled"):
        making.stock(owner, product, 1000, day + LATER, state=state)
    # Somebody else's shop: sold there, not from the seller's store.
    making.stock(owner, product, 500, day + LATER, at=making.organisation("channel"))

    assert item(shop)["available_quantity"] == 77
    assert item(shop, deliver_on=day + timedelta(days=1))["available_quantity"] == 70
    assert item(shop, deliver_on=day + LATER)["available_quantity"] == 70
    assert item(shop, deliver_on=day + LATER + timedelta(days=1))["available_quantity"] == 0
    detail = queries.product_view(db.session(), UUID(product["id"]))
    assert [(lot["best_before"], lot["quantity"]) for lot in detail["lots"]] == [
        (day.isoformat(), 7),
        ((day + LATER).isoformat(), 70),
    ]
    later = queries.product_view(db.session(), UUID(product["id"]), day + LATER)
    assert ([lot["quantity"] for lot in later["lots"]], later["available_quantity"]) == ([70], 70)


def test_a_lot_that_is_all_reserved_is_not_on_sale(shop, owner):
    product = making.recognised(shop)
    making.stock(owner, product, 5, today() + LATER, reserved=5)

    assert mine(shop, available=True) == []
    assert mine(shop, available=False) == [product["sku"]]
    assert queries.product_view(db.session(), UUID(product["id"]))["lots"] == []


def test_a_day_that_is_over_is_no_delivery_day(shop):
    product = making.recognised(shop)
    past = today() - timedelta(days=1)

    for read in (
        lambda: list_products(db.session(), Filters(deliver_on=past)),
        lambda: queries.detail_json(UUID(product["id"]), past),
    ):
        with pytest.raises(RuleViolation) as refused:
            read()
        assert refused.value.data["errors"][0]["parameter"] == "deliver_on"


def test_filters_take_away_what_they_name(shop, owner):
    apple = making.recognised(shop, certifications=[{"scheme": "green", "number": "LB-1"}])
    over = [{"scheme": "green", "number": "LB-2", "valid_until": today() - timedelta(days=1)}]
    beef = making.recognised(
        shop,
        name="测试牛肉",
        category_code="020101",
        county_code=FAR_COUNTY,
        ladder=[(2, 9900)],
        certifications=over,
    )
    making.stock(owner, beef, 3, today() + LATER)
    a, b = apple["sku"], beef["sku"]

    assert mine(shop) == [a, b]
    assert mine(shop, category="01") == [a]
    assert mine(shop, category="020101") == [b]
    assert mine(shop, category="%") == []
    assert mine(shop, county=FAR_COUNTY) == [b]
    assert mine(shop, certification="green") == [a]
    assert mine(shop, certification="organic") == []
    assert mine(shop, available=True) == [b]
    assert mine(shop, available=False) == [a]
    assert mine(shop, eligible=True) == [a]
    assert mine(shop, eligible=False) == [b]
    assert mine(shop, min_price_fen=4501) == [b]
    assert mine(shop, min_price_fen=4500, max_price_fen=4500) == [a]
    assert mine(shop, q="牛肉", min_price_fen=1) == [b]
    assert mine(shop, sort="price") == [a, b]
    assert mine(shop, sort="-price") == [b, a]
    assert mine(shop, sort="newest") == [b, a]


def test_eligible_follows_the_year_and_the_admission_without_any_rebuild(shop):
    far = making.recognised(shop, county_code=FAR_COUNTY)
    assert item(shop)["eligible"] is False

    set_eligibility(making.SYSTEM, county_code=FAR_COUNTY, from_year=today().year + 1, source="测试")

    assert item(shop)["eligible"] is False
    # The turn of the year is Shanghai's: 16:00 UTC of the last day of December.
    year = today().year
    with time_machine.travel(f"{year}-12-31T15:59:59+00:00", tick=False):
        assert item(shop)["eligible"] is False
    with time_machine.travel(f"{year}-12-31T16:00:00+00:00", tick=False):
        assert item(shop)["eligible"] is True
        assert queries.product_view(db.session(), UUID(far["id"]))["eligible"] is True
        accounts.edit_organisation(
            making.SYSTEM, shop.organisation_id, changes={"admitted_on": date(year + 2, 1, 1)}
        )
        assert item(shop)["eligible"] is False


def test_a_disabled_seller_has_nothing_on_the_shelf(shop, owner):
    product = making.recognised(shop)

    owner.execute("update organisation set disabled_at = now() where id = %s", (shop.organisation_id,))

    assert mine(shop) == []
    with pytest.raises(queries.NotFound):
        queries.detail_json(UUID(product["id"]))


@pytest.mark.parametrize("sort", ["relevance", "price", "-price", "newest"])
@pytest.mark.parametrize(
    "chosen", [{}, {"q": "苹果"}, {"q": "pg"}, {"category": "0103"}, {"category": "01", "county": "620821"}]
)
def test_pages_join_to_the_whole_list(sort, chosen):
    filters = Filters(sort=sort, **chosen)
    statement, keys = listing.listing(filters, today())
    ordered = statement.add_columns(listing.P.id).order_by(*[c.desc() if down else c for c, down in keys])
    whole = [str(row.id) for row in db.session().execute(ordered)]

    seen: list[str] = []
    after = None
    while True:
        page = json.loads(list_json(filters, limit=7, after=after))
        seen += [i["id"] for i in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert seen == whole
    assert len(set(seen)) == len(seen) > 0


@pytest.mark.parametrize("sort", ["relevance", "price", "-price", "newest"])
@pytest.mark.parametrize("q", [None, "测试"])
def test_no_row_is_skipped_or_repeated_while_others_come_in(shop, sort, q):
    """New products arrive between the pages, also with equal prices and names: the old ones are each seen once."""
    old = [making.recognised(shop, ladder=[(2, 1000 + 100 * (n % 3))])["id"] for n in range(7)]
    filters = Filters(seller=shop.organisation_id, sort=sort, q=q)

    seen: list[str] = []
    after = None
    for number in range(20):
        page = json.loads(list_json(filters, limit=2, after=after))
        seen += [i["id"] for i in page["items"]]
        after = page["next"]
        if after is None:
            break
        if number < 4:
            making.recognised(shop, ladder=[(2, 1000 + 100 * (number % 3))], sku=f"AAA-{number}")

    assert len(seen) == len(set(seen))
    assert set(old) <= set(seen)
    assert [key for key in seen if key in old] == [
        i["id"] for i in list_products(db.session(), filters, limit=100)["items"] if i["id"] in old
    ]


@pytest.mark.parametrize("after", ["x", "bm90IGpzb24", "WzFd", "W251bGxd", "WyJhIiwiYiIsImMiLCJkIl0"])
def test_a_cursor_that_we_did_not_make_is_refused(after):
    with pytest.raises(BadCursor):
        list_json(Filters(q="苹果"), after=after)


def test_reading_leaves_no_transaction_open(owner):
    list_json(Filters())

    idle = owner.execute(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and state like 'idle in transaction%'"
    )
    db.session.remove()
    assert idle.fetchone() == (0,)


def test_an_office_sees_what_waits_and_a_seller_its_own(shop):
    waiting = making.submitted(shop)
    hidden = making.draft(shop)
    office = making.person(making.Role.POVERTY_OFFICE, "office")

    own = queries.list_own(db.session(), shop, limit=100)["items"]
    seen = queries.list_own(db.session(), office, state="submitted", limit=100)["items"]

    assert [i["id"] for i in own] == [hidden["id"], waiting["id"]]
    assert waiting["id"] in [i["id"] for i in seen]
    assert hidden["id"] not in [i["id"] for i in seen]


def test_the_card_is_rebuilt_to_the_same_bytes_from_the_rows(shop, owner):
    product = making.recognised(shop)
    before = owner.execute("select card from product where id = %s", (product["id"],)).fetchone()

    row = db.session().get(queries.Product, UUID(product["id"]))
    listing.cards.rebuild(db.session(), [row])

    assert (row.card,) == before
    db.session.rollback()
