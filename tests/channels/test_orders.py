"""Orders by API: one number one order, batches in order, changes before and after the cut-off, nothing of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.channels.rules import cut_off_at, differing, earliest_day, leaf_marks
from marketplace.channels.schemas import PartnerOrderOut
from marketplace.clock import today
from tests.channels.partner import Program, order_body


@pytest.fixture(scope="module")
def wuqing(app: Flask) -> Program:
    return Program(app, "tianjin.partner")


@pytest.fixture(scope="module")
def jinnan(app: Flask) -> Program:
    return Program(app, "tianjin2.partner")


@pytest.fixture
def checked(app: Flask) -> Iterator[None]:
    """After the test, the books still follow from the facts."""
    yield
    result = app.test_cli_runner().invoke(args=["verify"])
    assert result.exit_code == 0, result.output


def counts(owner: psycopg.Connection) -> tuple[Any, ...]:
    row = owner.execute(
        "select (select count(*) from partner_order), (select count(*) from purchase), (select count(*) from orders),"
        " (select count(*) from fact), (select sum(reserved) from stock)"
    ).fetchone()
    assert row is not None
    return tuple(row)


def seller_call(app: Flask, owner: psycopg.Connection, number: str, act: str, body: object = None) -> Any:
    """An act of the order's own seller, by the API; a user of that seller is made where there is none."""
    order_id, seller_id = owner.execute("select id, seller_id from orders where number = %s", [number]).fetchone() or (
        None, None,
    )  # fmt: skip
    user = owner.execute(
        "select username from app_user where organisation_id = %s and role = 'seller'", [seller_id]
    ).fetchone()
    if user is None:
        user = (f"seller{str(seller_id)[-6:]}",)
        owner.execute(
            "insert into app_user (id, username, name, password_hash, organisation_id, role, auth_version, created_at,"
            " version, password_initial) select gen_random_uuid(), %s, '某某', password_hash, %s, 'seller', 1, now(), 1,"
            " false from app_user where username = 'coop.seller'",
            [user[0], seller_id],
        )
    client = app.test_client()
    token = client.post(
        "/api/v1/tokens", json={"username": user[0], "password": "pingliang-demo-2026"}
    ).get_json()
    headers = {"Authorization": f"Bearer {token['token']}"}
    if act == "GET":
        return client.get(body, headers=headers)
    path = act if act.startswith("/") else f"/api/v1/orders/{order_id}/{act}"
    return client.post(path, json=body, headers=headers)


def ship_all(
    app: Flask, owner: psycopg.Connection, part: dict[str, Any], quantity: int | None = None
) -> None:
    answer = seller_call(app, owner, part["number"], "confirm")
    assert answer.status_code == 200, answer.get_data(as_text=True)
    lines = [{"line_id": line["id"], "quantity": quantity or line["quantity"]} for line in part["lines"]]
    answer = seller_call(app, owner, part["number"], "ship", {"lines": lines, "carrier": "冷链专线"})
    assert answer.status_code == 200, answer.get_data(as_text=True)


def pass_the_cut_off(owner: psycopg.Connection, number: str) -> None:
    owner.execute(
        "update partner_order set cut_off_at = now() - interval '1 minute' where partner_order_no = %s",
        [number],
    )


def test_the_cut_off_is_a_time_in_shanghai_some_days_before() -> None:
    limit = cut_off_at(today().replace(year=2026, month=12, day=10), "16:00", 2)

    assert limit.astimezone(UTC) == datetime(2026, 12, 8, 8, 0, tzinfo=UTC)
    assert earliest_day(limit - timedelta(seconds=1), "16:00", 2).isoformat() == "2026-12-10"
    assert earliest_day(limit, "16:00", 2).isoformat() == "2026-12-11"


def test_two_bodies_differ_where_their_leaves_do() -> None:
    one = {"a": 1, "lines": [{"q": 1}, {"q": 2}], "n": None}
    other = {"a": 1, "lines": [{"q": 1}, {"q": 3}, {"q": 4}]}

    assert differing(leaf_marks(one), leaf_marks(other)) == ["#/lines/1/q", "#/lines/2/q", "#/n"]
    assert differing(leaf_marks(one), leaf_marks(dict(reversed(one.items())))) == []


def test_an_order_is_a_purchase_for_resale_at_the_channels_own_prices(
    wuqing: Program, owner: psycopg.Connection, checked: None
) -> None:
    items = wuqing.items()[:3]
    answer = wuqing.post("/orders", order_body("A-1", items), 201)

    lines = {line["product_id"]: line for part in answer["orders"] for line in part["lines"]}
    for item in items:
        line = lines[item["product_id"]]
        assert line["unit_price_fen"] == item["prices"][0]["ladder"][0]["price_fen"]
        assert sum(lot["quantity"] for lot in line["lots"]) == line["quantity"] == item["min_order_quantity"]
    assert answer["goods_fen"] == sum(line["goods_fen"] for line in lines.values())
    assert {part["state"] for part in answer["orders"]} == {"placed"}
    row = owner.execute(
        "select p.purpose, p.state, p.reference, p.payer_profile_id is not null, p.quota_agency_id,"
        " array_agg(distinct l.price_list_code), bool_or(l.eligible)"
        " from purchase p join order_line l on l.purchase_id = p.id where p.number = %s"
        " group by p.id",
        [answer["purchase_number"]],
    ).fetchone()
    assert row == ("resale", "approved", "A-1", True, None, ["TJ-WQ-2026"], False)
    told = owner.execute(
        "select body::jsonb -> 'data' from fact where body like %s", ['%"partner_order_no":"A-1"%']
    )
    (data,) = told.fetchone() or ({},)
    assert data["price_list"] == "TJ-WQ-2026"
    assert "phone" not in json.dumps(data)


def test_the_answer_to_an_order_is_what_its_schema_would_write(wuqing: Program) -> None:
    answer = wuqing.send("/orders", order_body("A-0", wuqing.items()[:3]))

    shown = PartnerOrderOut().dump(PartnerOrderOut().load(answer.get_json(), unknown="exclude"))
    text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
    assert text.replace("+00:00", "") == answer.get_data(as_text=True).replace("+00:00", "")


def test_the_same_order_again_gets_the_first_answer_and_no_effect(
    wuqing: Program, owner: psycopg.Connection
) -> None:
    body = order_body("A-2", wuqing.items()[:1])
    first = wuqing.send("/orders", body)
    before = counts(owner)

    again = wuqing.send("/orders", dict(reversed(body.items())))

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_data() == first.get_data()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert counts(owner) == before


def test_another_body_under_a_used_number_is_refused_where_it_differs(
    wuqing: Program, owner: psycopg.Connection
) -> None:
    body = order_body("A-3", wuqing.items()[:2])
    wuqing.post("/orders", body, 201)
    before = counts(owner)
    other = json.loads(json.dumps(body))
    other["lines"][1]["quantity"] += 1
    other["deliver_to"]["phone"] = "13711111111"

    refused = wuqing.post("/orders", other, 409)

    assert refused["type"].rpartition("/")[2] == "partner-order-no-used"
    assert refused["differing"] == ["#/deliver_to/phone", "#/lines/1/quantity"]
    assert counts(owner) == before


def test_an_order_sent_many_times_at_once_is_placed_once(
    app: Flask, wuqing: Program, owner: psycopg.Connection
) -> None:
    body = order_body("A-4", wuqing.items()[:1])
    before = counts(owner)

    def send(_: int) -> tuple[int, bytes]:
        answer = Program(app, key=wuqing.key).send("/orders", body)
        return answer.status_code, answer.get_data()

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(send, range(8)))

    assert len(answers) == 1
    assert next(iter(answers))[0] == 201
    assert counts(owner)[:2] == (before[0] + 1, before[1] + 1)


def test_another_channel_may_use_the_same_number_and_sees_nothing_of_this_one(
    wuqing: Program, jinnan: Program
) -> None:
    wuqing.post("/orders", order_body("SAME", wuqing.items()[:1]), 201)
    assert jinnan.get("/orders")["items"] == []
    hidden = jinnan.client.get("/partner/v1/orders/SAME", headers=jinnan.headers)
    absent = jinnan.client.get("/partner/v1/orders/NEVER", headers=jinnan.headers)
    assert (hidden.status_code, hidden.get_data()) == (404, absent.get_data())
    assert jinnan.send("/orders/SAME/cancel", {"reason": "x"}).status_code == 404

    jinnan.post("/orders", order_body("SAME", jinnan.items()[:1]), 201)

    assert [o["partner_order_no"] for o in jinnan.get("/orders")["items"]] == ["SAME"]
    assert jinnan.get("/orders/SAME")["purchase_number"] != wuqing.get("/orders/SAME")["purchase_number"]


def test_what_is_not_in_the_assortment_cannot_be_ordered(
    wuqing: Program, jinnan: Program, owner: psycopg.Connection
) -> None:
    before = counts(owner)
    theirs = jinnan.items()[0]
    body = order_body("B-1", wuqing.items()[:1])
    body["lines"] += [
        {"product_id": theirs["product_id"], "quantity": 1},
        {"partner_sku": theirs["partner_sku"], "quantity": 1},
        {"quantity": 1},
    ]

    refused = wuqing.post("/orders", body, 422)

    assert [e["pointer"] for e in refused["errors"]] == [
        "#/lines/1/product_id", "#/lines/2/partner_sku", "#/lines/3",
    ]  # fmt: skip
    assert counts(owner) == before
    assert wuqing.post("/orders", order_body("B-1", wuqing.items()[:1]), 201)["partner_order_no"] == "B-1"


def test_an_order_after_the_cut_off_is_told_the_earliest_day(
    wuqing: Program, owner: psycopg.Connection
) -> None:
    before = counts(owner)

    refused = wuqing.post("/orders", order_body("B-2", wuqing.items()[:1], day=today()), 422)

    assert refused["errors"][0]["pointer"] == "#/deliver_on"
    assert "最早可以订" in refused["errors"][0]["detail"]
    assert counts(owner) == before


def test_lots_that_would_be_too_old_on_arrival_are_not_given(
    wuqing: Program, owner: psycopg.Connection
) -> None:
    item = wuqing.items()[0]
    owner.execute(
        "update channel_item set min_remaining_days = 3000 where product_id = %s", [item["product_id"]]
    )
    try:
        assert wuqing.get(f"/catalogue/{item['product_id']}")["available_quantity"] == 0
        refused = wuqing.post("/orders", order_body("B-3", [item]), 409)
        assert refused["type"].rpartition("/")[2] == "insufficient-stock"
    finally:
        owner.execute(
            "update channel_item set min_remaining_days = %s where product_id = %s",
            [item["min_remaining_days"], item["product_id"]],
        )


def test_a_batch_is_answered_order_by_order_and_may_be_sent_again(
    wuqing: Program, owner: psycopg.Connection
) -> None:
    items = wuqing.items()
    good = [order_body(f"C-{n}", items[n : n + 1]) for n in range(3)]
    bad = order_body("C-9", items[:1])
    bad["lines"][0]["quantity"] = 0
    short = order_body("C-8", items[:1])
    short["lines"][0]["quantity"] = 9_000_000
    call = {"orders": [good[0], bad, good[1], {"partner_order_no": 7}, short, good[2], good[0]]}

    first = wuqing.post("/orders/batch", call)["results"]
    before = counts(owner)
    again = wuqing.post("/orders/batch", call)["results"]

    assert [r["status"] for r in first] == [201, 422, 201, 422, 409, 201, 201]
    assert [r["partner_order_no"] for r in first] == ["C-0", "C-9", "C-1", None, "C-8", "C-2", "C-0"]
    assert first[1]["problem"]["errors"] == [
        {"pointer": "#/lines/0/quantity", "detail": "要在1到10000000之间"}
    ]
    assert first[4]["problem"]["shortages"][0]["asked"] == 9_000_000
    assert first[6]["order"] == first[0]["order"]
    assert again == first
    assert counts(owner) == before


def test_a_batch_holds_500_orders_and_not_one_more(wuqing: Program, owner: psycopg.Connection) -> None:
    before = counts(owner)
    one = {"partner_order_no": "no/good"}

    assert len(wuqing.post("/orders/batch", {"orders": [one] * 500})["results"]) == 500
    wuqing.post("/orders/batch", {"orders": [one] * 501}, 422)
    assert counts(owner) == before


def test_an_order_is_reduced_and_cancelled_before_the_cut_off(
    app: Flask, wuqing: Program, owner: psycopg.Connection, checked: None
) -> None:
    item = wuqing.items()[0]
    packs = item["order_multiple"]
    placed = wuqing.post("/orders", order_body("D-1", [item], packs=4), 201)
    (part,) = placed["orders"]
    (line,) = part["lines"]
    assert seller_call(app, owner, part["number"], "confirm").status_code == 200
    reserved = counts(owner)[4]

    fewer = wuqing.post(
        "/orders/D-1/reduce", {"lines": [{"line_id": line["id"], "quantity": packs}], "reason": "少卖"}
    )

    assert fewer["outcome"] == "done"
    now_line = fewer["order"]["orders"][0]["lines"][0]
    assert (now_line["quantity"], now_line["cancelled_quantity"]) == (line["quantity"], packs)
    assert sum(lot["quantity"] for lot in now_line["lots"]) == line["quantity"] - packs
    assert counts(owner)[4] == reserved - packs
    ended = wuqing.post("/orders/D-1/cancel", {"reason": "活动取消"})
    assert (ended["outcome"], ended["order"]["state"]) == ("done", "cancelled")
    assert ended["order"]["orders"][0]["state"] == "cancelled"
    assert counts(owner)[4] == reserved - line["quantity"]
    assert wuqing.post("/orders/D-1/cancel", {"reason": "再来"}, 409)["type"].endswith("wrong-state")


def test_a_reduction_that_leaves_too_little_or_takes_too_much_changes_nothing(
    wuqing: Program, owner: psycopg.Connection
) -> None:
    item = next(i for i in wuqing.items() if i["min_order_quantity"] > 1)
    placed = wuqing.post("/orders", order_body("D-2", [item]), 201)
    line = placed["orders"][0]["lines"][0]
    before = counts(owner)

    for quantity in (1, line["quantity"] + 1):
        body = {"lines": [{"line_id": line["id"], "quantity": quantity}], "reason": "x"}
        assert wuqing.post("/orders/D-2/reduce", body, 422)["errors"][0]["pointer"] == "#/lines/0/quantity"
    unknown = {"lines": [{"line_id": "00000000-0000-7000-8000-000000000000", "quantity": 1}], "reason": "x"}
    assert wuqing.post("/orders/D-2/reduce", unknown, 422)["errors"][0]["pointer"] == "#/lines/0/line_id"
    assert counts(owner) == before


def test_after_the_cut_off_the_seller_is_asked_and_decides(
    app: Flask, wuqing: Program, owner: psycopg.Connection, checked: None
) -> None:
    item = next(i for i in wuqing.items() if i["sku"] == "PL-0001")  # of coop.seller
    placed = wuqing.post("/orders", order_body("D-3", [item], packs=4), 201)
    (part,) = placed["orders"]
    line, packs = part["lines"][0], item["order_multiple"]
    pass_the_cut_off(owner, "D-3")
    body = {"lines": [{"line_id": line["id"], "quantity": packs}], "reason": "少卖"}
    reserved = counts(owner)[4]

    asked = wuqing.post("/orders/D-3/reduce", body)

    assert asked["outcome"] == "asked"
    assert [c["state"] for c in asked["order"]["changes"]] == ["open"]
    assert counts(owner)[4] == reserved
    assert wuqing.post("/orders/D-3/cancel", {"reason": "全不要"}, 409)["type"].endswith("change-asked")
    request_id = asked["order"]["changes"][0]["id"]
    listed = seller_call(app, owner, part["number"], "GET", "/api/v1/change-requests").get_json()["items"]
    assert [(r["id"], r["channel"]["name"], r["reason"]) for r in listed] == [
        (request_id, "天津武清泾静优选商贸有限公司", "少卖")
    ]
    path = f"/api/v1/change-requests/{request_id}"
    other = app.test_client().post(
        "/api/v1/tokens", json={"username": "coop2.seller", "password": "pingliang-demo-2026"}
    )
    stranger = {"Authorization": f"Bearer {other.get_json()['token']}"}
    assert app.test_client().post(f"{path}/agree", headers=stranger).status_code == 404
    agreed = seller_call(app, owner, part["number"], f"{path}/agree")
    assert (agreed.status_code, agreed.get_json()["state"]) == (200, "agreed")
    assert counts(owner)[4] == reserved - packs
    assert seller_call(app, owner, part["number"], f"{path}/refuse", {"reason": "晚了"}).status_code == 409
    seen = wuqing.get("/orders/D-3")
    assert seen["orders"][0]["lines"][0]["cancelled_quantity"] == packs
    assert [c["state"] for c in seen["changes"]] == ["agreed"]

    wuqing.post("/orders/D-3/cancel", {"reason": "全不要"})
    refused_id = wuqing.get("/orders/D-3")["changes"][1]["id"]
    refused = seller_call(
        app, owner, part["number"], f"/api/v1/change-requests/{refused_id}/refuse", {"reason": "已装车"}
    )
    assert refused.get_json()["state"] == "refused"
    assert wuqing.get("/orders/D-3")["changes"][1]["decision_reason"] == "已装车"
    assert counts(owner)[4] == reserved - packs


def test_shipments_name_their_lots_and_papers(
    app: Flask, wuqing: Program, owner: psycopg.Connection, checked: None
) -> None:
    placed = wuqing.post("/orders", order_body("E-1", wuqing.items()[:1]), 201)
    ship_all(app, owner, placed["orders"][0])

    (part,) = wuqing.get("/orders/E-1")["orders"]

    assert part["state"] == "shipped"
    (shipment,) = part["shipments"]
    assert shipment["carrier"] == "冷链专线"
    code = shipment["lines"][0]["trace_code"]
    assert shipment["lines"][0]["trace_url"].endswith(f"/t/{code}")
    assert app.test_client().get(f"/t/{code}").status_code == 200
    assert code in {c["trace_code"] for c in part["certificates"]}
    assert wuqing.post("/orders/E-1/cancel", {"reason": "x"}, 409)["type"].endswith("wrong-state")


def test_a_cancel_sent_twice_with_its_key_has_one_effect(wuqing: Program, owner: psycopg.Connection) -> None:
    wuqing.post("/orders", order_body("F-1", wuqing.items()[:1]), 201)
    key = {"Idempotency-Key": "cancel-F-1"}

    first = wuqing.send("/orders/F-1/cancel", {"reason": "x"}, key)
    before = counts(owner)
    again = wuqing.send("/orders/F-1/cancel", {"reason": "x"}, key)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.get_data() == first.get_data()
    assert counts(owner) == before


def test_the_partners_document_is_its_own(app: Flask) -> None:
    client = app.test_client()
    partner = client.get("/partner/openapi.json").get_json()
    house = client.get("/api/openapi.json").get_json()

    assert partner["openapi"] == "3.1.0"
    assert all(path.startswith("/partner/v1/") for path in partner["paths"])
    assert {"/partner/v1/orders", "/partner/v1/orders/batch", "/partner/v1/catalogue"} <= set(
        partner["paths"]
    )
    assert not any(path.startswith("/partner/") for path in house["paths"])
    assert client.get("/partner/docs").status_code == 200
    assert partner["servers"] == [{"url": "/"}]
    day = partner["paths"]["/partner/v1/reconciliation/{day}.csv"]["get"]["responses"]["200"]["content"]
    assert "row, time, kind, partner_order_no" in day["text/csv"]["schema"]["description"]
    shapes = partner["components"]["schemas"]
    assert "upheld: the line stands" in shapes["StatementDisputeOut"]["properties"]["state"]["description"]
    sold = shapes["PartnerSoldLineIn"]["properties"]
    assert all(sold[name]["description"] for name in ("trace_code", "partner_sku", "lot_code"))
