"""Products over HTTP: what the public reads, what sellers and the office do."""

from __future__ import annotations

import pytest

from tests.catalog import making
from tests.catalog_seed.seed import by_key

PRODUCT = {
    "sku": "API-1",
    "family": "苹果",
    "name": "接口苹果",
    "spec": "80# 一级 5公斤",
    "category_code": "010301",
    "county_code": "620826",
    "pack_unit": "箱",
    "net_g": 5000,
    "min_order_quantity": 1,
    "price_ladder": [{"min_quantity": 1, "price_fen": 4500}, {"min_quantity": 50, "price_fen": 4200}],
    "storage": "0-4℃冷藏",
}


def slug(answer) -> str:
    assert answer.mimetype == "application/problem+json", answer.get_data(as_text=True)
    return answer.get_json()["type"].rsplit("/", 1)[-1]


def places(answer) -> list[str]:
    return [e.get("pointer") or e.get("parameter") for e in answer.get_json()["errors"]]


def create(client, headers, **changes):
    answer = client.post("/api/v1/products", json=PRODUCT | changes, headers=headers)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer


def test_anybody_reads_the_list_in_the_agreed_shape(client):
    answer = client.get("/api/v1/products?q=静宁苹果&limit=1")

    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    body = answer.get_json()
    (item,) = body["items"]
    assert isinstance(body["next"], str)
    assert item["sku"] == "PL-0001"
    assert item["category"] == {"code": "010301", "name": "仁果类"}
    assert item["county"] == {"code": "620826", "name": "静宁县"}
    assert item["seller"]["name"] == by_key("organisations")["ORG-COOP-01"]["name"]
    assert item["pack"] == {"unit": "箱", "net_g": 5000}
    assert item["price_ladder"] == PRODUCT["price_ladder"]
    assert (item["price_fen"], item["price_per_kg_fen"]) == (4500, 900)
    assert (item["eligible"], item["state"], item["priced_by"]) == (True, "recognised", "pack")
    assert item["available_quantity"] > 0
    assert [c["scheme"] for c in item["certifications"]] == ["geographical_indication", "green", "trademark"]


def test_anybody_reads_a_product_with_its_lots(client):
    item = client.get("/api/v1/products?q=jnpg").get_json()["items"][0]

    answer = client.get(f"/api/v1/products/{item['id']}")

    body = answer.get_json()
    assert answer.headers["ETag"] == f'"{item["version"]}"'
    assert sum(lot["quantity"] for lot in body["lots"]) == body["available_quantity"]
    assert set(body["lots"][0]) == {"trace_code", "harvested_on", "best_before", "quantity"}
    assert body["lots"] == sorted(body["lots"], key=lambda lot: lot["best_before"])


def test_a_reader_who_has_the_version_still_gets_todays_stock(client):
    item = client.get("/api/v1/products?q=jnpg").get_json()["items"][0]

    answer = client.get(f"/api/v1/products/{item['id']}", headers={"If-None-Match": f'"{item["version"]}"'})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("colour=red", "colour"),
        ("sort=best", "sort"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("available=perhaps", "available"),
        ("seller=1", "seller"),
        ("min_price_fen=-1", "min_price_fen"),
        ("certification=best", "certification"),
        ("deliver_on=tomorrow", "deliver_on"),
        ("deliver_on=2020-01-01", "deliver_on"),
        ("q=a&q=b", "q"),
        ("q=" + "a" * 61, "q"),
    ],
)
def test_a_wrong_filter_is_refused_by_its_name(client, query, where):
    answer = client.get(f"/api/v1/products?{query}")

    assert (answer.status_code, slug(answer), places(answer)) == (422, "invalid", [where])


def test_a_foreign_cursor_is_refused(client):
    answer = client.get("/api/v1/products?after=abc")
    assert (answer.status_code, slug(answer)) == (422, "bad-cursor")


@pytest.mark.parametrize("path", ["01890000-0000-7000-8000-000000000000", "not-a-product", "%00"])
def test_what_is_not_there_is_404(client, path):
    assert client.get(f"/api/v1/products/{path}").status_code == 404


def test_anybody_reads_the_categories(client):
    items = client.get("/api/v1/categories").get_json()["items"]
    kinds = {row["code"]: row for row in items}
    assert kinds["010301"] == {
        "code": "010301",
        "name": "仁果类",
        "parent_code": "0103",
        "proofs": ["commitment"],
    }
    assert kinds["01"]["parent_code"] is None


def test_a_product_goes_from_draft_to_the_shelf_and_off_it(client, sign_in):
    seller, office = sign_in("coop.seller"), sign_in("county.office")

    made = create(client, seller, sku="API-STORY")
    key = made.get_json()["id"]
    assert (made.get_json()["state"], made.headers["ETag"]) == ("draft", '"1"')
    assert client.get(f"/api/v1/products/{key}").status_code == 404
    assert client.get(f"/api/v1/my/products/{key}", headers=seller).get_json()["state"] == "draft"
    assert client.post(f"/api/v1/products/{key}/submit", headers=seller).get_json()["state"] == "submitted"
    waiting = client.get("/api/v1/products/submitted?limit=100", headers=office).get_json()["items"]
    assert key in [item["id"] for item in waiting]
    assert client.get(f"/api/v1/products/{key}").status_code == 404
    done = client.post(f"/api/v1/products/{key}/recognise", headers=office)
    assert done.get_json()["state"] == "recognised"
    assert client.get(f"/api/v1/products/{key}").get_json()["eligible"] is True
    gone = client.post(f"/api/v1/products/{key}/withdraw", json={"reason": "季节结束"}, headers=seller)
    assert gone.get_json()["state_reason"] == "季节结束"
    assert client.get(f"/api/v1/products/{key}").status_code == 404


def test_a_repeated_request_makes_one_product(client, sign_in, owner):
    headers = {**sign_in("coop.seller"), "Idempotency-Key": "product-1"}

    answers = [create(client, headers, sku="API-ONCE") for _ in range(2)]

    assert answers[0].data == answers[1].data
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    assert owner.execute("select count(*) from product where sku = 'API-ONCE'").fetchone() == (1,)


def test_if_match_guards_an_edit(client, sign_in):
    seller = sign_in("coop.seller")
    key = create(client, seller, sku="API-MATCH").get_json()["id"]
    change = {"price_ladder": [{"min_quantity": 1, "price_fen": 4000}]}

    first = client.patch(f"/api/v1/products/{key}", json=change, headers={**seller, "If-Match": '"1"'})
    second = client.patch(f"/api/v1/products/{key}", json=change, headers={**seller, "If-Match": '"1"'})

    assert (first.status_code, first.get_json()["price_fen"], first.headers["ETag"]) == (200, 4000, '"2"')
    assert (second.status_code, slug(second)) == (412, "precondition-failed")
    assert client.get(f"/api/v1/my/products/{key}", headers=seller).get_json()["version"] == 2


def test_another_sellers_product_is_404(client, sign_in):
    key = create(client, sign_in("coop.seller"), sku="API-MINE").get_json()["id"]
    other = sign_in("coop2.seller")

    for answer in (
        client.patch(f"/api/v1/products/{key}", json={"storage": "常温"}, headers=other),
        client.post(f"/api/v1/products/{key}/submit", headers=other),
        client.post(f"/api/v1/products/{key}/withdraw", json={"reason": "x"}, headers=other),
        client.get(f"/api/v1/my/products/{key}", headers=other),
    ):
        assert (answer.status_code, slug(answer)) == (404, "not-found")
    mine = client.get(f"/api/v1/my/products/{key}", headers=sign_in("coop.seller")).get_json()
    assert (mine["state"], mine["version"], mine["storage"]) == ("draft", 1, "0-4℃冷藏")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"colour": "red"}, ["#/colour"]),
        ({"net_g": "5000"}, ["#/net_g"]),
        ({"net_g": 5000.0}, ["#/net_g"]),
        ({"name": "  "}, ["#/name"]),
        ({"price_ladder": []}, ["#/price_ladder"]),
        ({"price_ladder": [{"min_quantity": 1, "price_fen": 0}]}, ["#/price_ladder/0/price_fen"]),
        ({"price_ladder": [{"min_quantity": 2, "price_fen": 9}]}, ["#/price_ladder/0/min_quantity"]),
        ({"category_code": "01"}, ["#/category_code"]),
        ({"gtin": "6901234567891"}, ["#/gtin"]),
        ({"state": "recognised"}, ["#/state"]),
        ({"seller_id": "x"}, ["#/seller_id"]),
    ],
)
def test_a_wrong_field_is_refused_by_its_place(client, sign_in, owner, changes, where):
    answer = client.post(
        "/api/v1/products", json={**PRODUCT, "sku": "API-BAD"} | changes, headers=sign_in("coop.seller")
    )

    assert (answer.status_code, places(answer)) == (422, where)
    assert owner.execute("select count(*) from product where sku = 'API-BAD'").fetchone() == (0,)


def test_who_may_not_is_told_so_before_the_body_is_read(client, sign_in):
    key = "01890000-0000-7000-8000-000000000000"
    seller, buyer = sign_in("coop.seller"), sign_in("canteen.buyer")

    assert client.post("/api/v1/products", json={}).status_code == 401
    assert client.post("/api/v1/products", json={}, headers=buyer).status_code == 403
    assert client.post(f"/api/v1/products/{key}/recognise", headers=seller).status_code == 403
    assert client.get("/api/v1/products/submitted", headers=seller).status_code == 403
    assert client.get("/api/v1/my/products", headers=buyer).status_code == 403
    assert client.get("/api/v1/my/products").status_code == 401


def test_a_refusal_needs_a_reason(client, sign_in):
    office = sign_in("county.office")
    waiting = client.get("/api/v1/products/submitted", headers=office).get_json()["items"]
    key = next(item["id"] for item in waiting if item["sku"] == "PL-0065")

    bare = client.post(f"/api/v1/products/{key}/refuse", json={"reason": " "}, headers=office)
    assert (bare.status_code, places(bare)) == (422, ["#/reason"])
    done = client.post(f"/api/v1/products/{key}/refuse", json={"reason": "缺少证明"}, headers=office)
    assert (done.get_json()["state"], done.get_json()["state_reason"]) == ("refused", "缺少证明")


def test_a_seller_that_waits_for_admission_cannot_be_put_on_the_shelf(client, sign_in):
    office = sign_in("county.office")
    waiting = client.get("/api/v1/products/submitted", headers=office).get_json()["items"]
    key = next(item["id"] for item in waiting if item["sku"] == "PL-0064")

    answer = client.post(f"/api/v1/products/{key}/recognise", headers=office)

    assert (answer.status_code, slug(answer)) == (422, "seller-not-admitted")


def test_my_products_can_be_picked_by_state(client, sign_in):
    seller = sign_in("coop2.seller")
    made = create(client, seller, sku="API-STATE", county_code=making.COUNTY).get_json()

    drafts = client.get("/api/v1/my/products?state=draft", headers=seller).get_json()["items"]
    shelf = client.get("/api/v1/my/products?state=recognised&limit=100", headers=seller).get_json()["items"]

    assert [item["id"] for item in drafts] == [made["id"]]
    assert len(shelf) == sum(
        row["seller_code"] == "ORG-COOP-02" and row["state"] == "recognised"
        for row in by_key("products").values()
    )
