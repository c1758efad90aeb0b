"""A product's way from draft to the shelf and off it again, and what its facts hold."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from flask import Flask

from marketplace.accounts import service as accounts
from marketplace.actors import Actor, Role
from marketplace.catalog import queries, service
from marketplace.catalog.service import SellerNotAdmitted
from marketplace.clock import today
from marketplace.database import db
from marketplace.errors import (
    Conflict,
    Forbidden,
    MarketplaceError,
    NotFound,
    PreconditionFailed,
    RuleViolation,
    WrongState,
)
from marketplace.unit_of_work import UNREAD
from marketplace.values import uuid7
from tests.catalog import making

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def seller(context: Flask) -> Actor:
    return making.person()


@pytest.fixture
def office(context: Flask) -> Actor:
    return making.person(Role.POVERTY_OFFICE, "office")


def row(owner: psycopg.Connection, product_id: str) -> tuple:
    """The whole row, for asserting that nothing changed."""
    return owner.execute("select p.*::text from product p where id = %s", (product_id,)).fetchone()


def facts(owner: psycopg.Connection, product_id: str) -> list[dict]:
    found = owner.execute(
        "select body from fact where subject_id = %s order by recorded_at, id", (product_id,)
    )
    return [json.loads(body) for (body,) in found]


def pointers(error: MarketplaceError) -> list[str]:
    return [entry["pointer"] for entry in error.data["errors"]]


def test_a_new_product_is_a_draft_that_only_its_seller_sees(seller, owner):
    product = making.draft(seller, name="  测试苹果 ")

    assert (product["state"], product["version"], product["name"]) == ("draft", 1, "测试苹果")
    assert (product["price_fen"], product["price_per_kg_fen"], product["price_per_jin_fen"]) == (
        4500,
        900,
        450,
    )
    assert product["price_ladder"] == [
        {"min_quantity": 2, "price_fen": 4500},
        {"min_quantity": 50, "price_fen": 4200},
    ]
    assert (product["available_quantity"], product["eligible"]) == (0, False)
    with pytest.raises(NotFound):
        queries.product_view(db.session(), UUID(product["id"]))
    with pytest.raises(NotFound):
        queries.own_product_view(db.session(), making.person(), UUID(product["id"]))


def test_a_fact_holds_the_whole_product_and_its_prices(seller, owner):
    marks = [{"scheme": "green", "number": "LB-18-2509279001A"}]
    product = making.draft(seller, certifications=marks)

    (fact,) = facts(owner, product["id"])

    assert (fact["kind"], fact["parties"]) == ("product.added", [str(seller.organisation_id)])
    expected = {
        "seller": str(seller.organisation_id),
        "sku": product["sku"],
        "name": "测试苹果",
        "spec": "80# 一级 5公斤",
        "category": "010301",
        "county": "620826",
        "pack_unit": "箱",
        "net_g": 5000,
        "ladder": [{"min_quantity": 2, "price_fen": 4500}, {"min_quantity": 50, "price_fen": 4200}],
    }
    assert {name: fact["data"][name] for name in expected} == expected
    assert [(m["scheme"], m["number"]) for m in fact["data"]["certifications"]] == [
        ("green", "LB-18-2509279001A")
    ]


def test_the_facts_are_the_history_of_prices(seller, owner):
    product = making.recognised(seller)

    service.edit_product(seller, UUID(product["id"]), {"ladder": [(2, 4400)]})

    told = [(f["kind"], f["data"]["ladder"][0]["price_fen"]) for f in facts(owner, product["id"])]
    assert told == [
        ("product.added", 4500),
        ("product.submitted", 4500),
        ("product.recognised", 4500),
        ("product.edited", 4400),
    ]
    assert queries.product_view(db.session(), UUID(product["id"]))["price_fen"] == 4400


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"net_g": 0}, ["#/net_g"]),
        ({"gtin": "6901234567891"}, ["#/gtin"]),
        ({"name": "苹\u202e果"}, ["#/name"]),
        ({"category_code": "999999"}, ["#/category_code"]),
        ({"category_code": "0103"}, ["#/category_code"]),
        ({"county_code": "620800"}, ["#/county_code"]),
        ({"min_order_quantity": 3}, ["#/min_order_quantity", "#/price_ladder/0/min_quantity"]),
        ({"ladder": [(2, 4500), (50, 4600)]}, ["#/price_ladder/1/price_fen"]),
        ({"weight_tolerance_bp": 100}, ["#/weight_tolerance_bp"]),
        ({"certifications": [{"scheme": "best"}]}, ["#/certifications/0/scheme"]),
        ({"net_g": 0, "gtin": "1", "county_code": "1"}, ["#/net_g", "#/gtin", "#/county_code"]),
    ],
)
def test_everything_that_is_wrong_is_told_and_nothing_is_stored(seller, owner, changes, wrong):
    with pytest.raises(RuleViolation) as refused:
        making.draft(seller, **changes)

    assert pointers(refused.value) == wrong
    left = owner.execute("select count(*) from product where seller_id = %s", (seller.organisation_id,))
    assert left.fetchone() == (0,)


def test_only_a_seller_lists_products(context, owner):
    agency = making.organisation("agency")

    with pytest.raises(Forbidden):
        making.draft(making.person(organisation_id=agency))
    with pytest.raises(Forbidden):
        making.draft(making.person(Role.BUYER, "agency"))
    left = owner.execute("select count(*) from product where seller_id = %s", (agency,))
    assert left.fetchone() == (0,)


def test_an_article_number_is_used_once_by_a_seller_but_by_two_sellers(seller):
    product = making.draft(seller)

    with pytest.raises(Conflict) as refused:
        making.draft(seller, sku=product["sku"])
    assert refused.value.code == "already-there"
    assert making.draft(making.person(), sku=product["sku"])["sku"] == product["sku"]


def test_of_two_requests_at_once_with_one_article_number_one_is_refused(app, seller, owner):
    barrier, outcomes = threading.Barrier(4), []

    def enter() -> None:
        with app.app_context():
            barrier.wait()
            try:
                making.draft(seller, sku="SAME")
                outcomes.append("made")
            except Conflict as error:
                outcomes.append(error.code)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["already-there"] * 3 + ["made"]


def test_the_office_puts_a_product_on_the_shelf(seller, office):
    product = making.submitted(seller)

    done = service.recognise_product(office, UUID(product["id"])).result

    assert (done["state"], done["version"], done["eligible"]) == ("recognised", 3, True)
    assert queries.product_view(db.session(), UUID(product["id"]))["id"] == product["id"]


def test_a_result_that_nobody_reads_is_not_put_together_and_the_act_is_done(seller: Actor, owner) -> None:
    product = making.draft(seller)["id"]

    assert service.submit_product(seller, UUID(product), once=UNREAD).result is None

    assert owner.execute("select state from product where id = %s", (product,)).fetchone() == ("submitted",)


@pytest.mark.parametrize("admitted_on", [None, today() + timedelta(days=1)])
def test_products_of_a_seller_that_is_not_admitted_are_not_recognised(office, owner, admitted_on):
    product = making.submitted(making.person(organisation_id=making.organisation(admitted_on=admitted_on)))
    before = row(owner, product["id"])

    with pytest.raises(SellerNotAdmitted) as refused:
        service.recognise_product(office, UUID(product["id"]))

    assert refused.value.code == "seller-not-admitted"
    assert row(owner, product["id"]) == before
    assert [f["kind"] for f in facts(owner, product["id"])] == ["product.added", "product.submitted"]


def test_a_refused_product_comes_back_better(seller, office, owner):
    product = making.submitted(seller)
    key = UUID(product["id"])

    refused = service.refuse_product(office, key, "净含量与规格不符").result
    assert (refused["state"], refused["state_reason"]) == ("refused", "净含量与规格不符")
    service.edit_product(seller, key, {"net_g": 5200})
    service.submit_product(seller, key)
    assert service.recognise_product(office, key).result["state_reason"] is None

    told = facts(owner, product["id"])
    assert [f["kind"].split(".")[1] for f in told] == [
        *("added", "submitted", "refused", "edited", "submitted", "recognised")
    ]
    assert "净含量" not in json.dumps(told, ensure_ascii=False)
    assert told[2]["data"]["reason_given"] is True


def test_a_seller_cannot_recognise_its_own_product(seller, owner):
    product = making.submitted(seller)
    before = row(owner, product["id"])

    with pytest.raises(Forbidden):
        service.recognise_product(seller, UUID(product["id"]))
    assert row(owner, product["id"]) == before


def test_states_are_left_only_by_their_own_acts(seller, office, owner):
    product = making.draft(seller)
    key = UUID(product["id"])
    before = row(owner, product["id"])

    for act in (service.recognise_product, lambda a, k: service.refuse_product(a, k, "原因")):
        with pytest.raises(WrongState):
            act(office, key)
    with pytest.raises(WrongState):
        service.withdraw_product(seller, key, "下架")
    assert row(owner, product["id"]) == before


def test_withdrawing_is_live_for_list_and_detail(seller, office):
    product = making.recognised(seller, name="独一无二的测试名")
    key = UUID(product["id"])
    filters = queries.listing.Filters(seller=seller.organisation_id)
    assert len(queries.listing.list_products(db.session(), filters)["items"]) == 1

    service.withdraw_product(office, key, "抽检不合格")

    assert queries.listing.list_products(db.session(), filters)["items"] == []
    with pytest.raises(NotFound):
        queries.product_view(db.session(), key)
    with pytest.raises(NotFound):
        queries.detail_json(key)
    assert queries.own_product_view(db.session(), seller, key)["state_reason"] == "抽检不合格"


def test_another_sellers_product_is_as_good_as_absent(seller, owner):
    product = making.recognised(seller)
    other, key = making.person(), UUID(product["id"])
    before = row(owner, product["id"])

    for act in (
        lambda: service.edit_product(other, key, {"storage": "常温"}),
        lambda: service.submit_product(other, key),
        lambda: service.withdraw_product(other, key, "下架"),
        lambda: service.edit_product(seller, uuid7(), {"storage": "常温"}),
    ):
        with pytest.raises(NotFound):
            act()
    assert row(owner, product["id"]) == before


def test_an_edit_of_another_version_is_refused(seller, owner):
    product = making.draft(seller)
    service.edit_product(seller, UUID(product["id"]), {"storage": "常温"}, expected_version=1)
    before = row(owner, product["id"])

    with pytest.raises(PreconditionFailed) as refused:
        service.edit_product(seller, UUID(product["id"]), {"storage": "冷冻"}, expected_version=1)

    assert refused.value.data == {"version": 2}
    assert row(owner, product["id"]) == before


def test_nothing_changes_under_the_eyes_of_the_office(seller, owner):
    product = making.submitted(seller)
    before = row(owner, product["id"])

    with pytest.raises(WrongState):
        service.edit_product(seller, UUID(product["id"]), {"ladder": [(2, 9900)]})
    assert row(owner, product["id"]) == before


def test_what_was_recognised_stays_while_prices_may_move(seller, owner):
    product = making.recognised(seller)
    key = UUID(product["id"])

    edited = service.edit_product(seller, key, {"ladder": [(2, 4000)], "storage": "常温"}).result
    assert (edited["state"], edited["price_fen"], edited["storage"]) == ("recognised", 4000, "常温")
    before = row(owner, product["id"])
    with pytest.raises(RuleViolation) as refused:
        service.edit_product(seller, key, {"name": "别的苹果", "storage": "冷冻"})
    assert pointers(refused.value) == ["#/name"]
    assert row(owner, product["id"]) == before


def test_with_a_lot_the_pack_is_fixed_even_in_a_draft(seller, owner):
    product = making.draft(seller)
    key = UUID(product["id"])
    service.edit_product(seller, key, {"net_g": 4800})
    making.stock(owner, product, 10, today(), state="draft")
    before = row(owner, product["id"])

    with pytest.raises(RuleViolation) as refused:
        service.edit_product(seller, key, {"net_g": 5000, "spec": "75#", "name": "好苹果"})

    assert pointers(refused.value) == ["#/net_g", "#/spec"]
    assert row(owner, product["id"]) == before
    assert service.edit_product(seller, key, {"name": "好苹果"}).result["name"] == "好苹果"


def test_a_new_name_is_searched_at_once(seller):
    product = making.draft(seller)
    service.edit_product(seller, UUID(product["id"]), {"name": "测试酥梨"})
    making.service.submit_product(seller, UUID(product["id"]))
    making.service.recognise_product(making.SYSTEM, UUID(product["id"]))

    def skus(q: str) -> list[str]:
        filters = queries.listing.Filters(q=q, seller=seller.organisation_id)
        return [item["sku"] for item in queries.listing.list_products(db.session(), filters)["items"]]

    assert skus("cssl") == [product["sku"]]
    assert skus("csp") == []


def test_a_sellers_new_name_is_on_all_its_cards(seller):
    keys = [UUID(making.recognised(seller)["id"]) for _ in range(2)]

    accounts.edit_organisation(
        making.SYSTEM,
        seller.organisation_id,
        changes={"name": "改名后的合作社"},
        valid_from=today() + timedelta(days=1),
    )

    names = [queries.product_view(db.session(), key)["seller"]["name"] for key in keys]
    assert names == ["改名后的合作社"] * 2


def test_an_agent_names_whom_it_sells_for(seller):
    principal = making.organisation(name="被代理的村集体")

    product = making.recognised(seller, agent_for_id=principal)

    assert product["seller"]["agent_for"] == {"id": str(principal), "name": "被代理的村集体"}
    assert "agent_for" not in making.recognised(seller)["seller"]


def test_a_category_and_a_price_list_are_there_once(context, owner):
    service.add_category(making.SYSTEM, code="99", name="测试品类", proofs=["commitment"])
    service.add_price_list(making.SYSTEM, code="test-list", name="测试价目")

    for act in (
        lambda: service.add_category(making.SYSTEM, code="99", name="别的"),
        lambda: service.add_price_list(making.SYSTEM, code="test-list", name="别的"),
    ):
        with pytest.raises(Conflict) as refused:
            act()
        assert refused.value.code == "already-there"
    assert owner.execute("select name from category where code = '99'").fetchall() == [("测试品类",)]
