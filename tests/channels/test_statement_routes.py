"""A statement by the routes of both sides, from its issue to the money in the seller's bank."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.clock import today
from marketplace.documents.service import store_document
from marketplace.journal.sealing import Sealer
from marketplace.notices.following import follow
from tests.channels.consigned import LAST_DAY, PERIOD, Shop, open_shop
from tests.channels.partner import Program, channel_actor
from tests.story import Teller, bearer
from tests.trace.world import PDF

OFFICE, ISSUE = "county.office", {"channel_code": "ORG-CH-WQ", "period": PERIOD}


class House:
    """Calls of people under /api/v1."""

    def __init__(self, app: Flask) -> None:
        self.client, self.headers = app.test_client(), bearer(app)

    def ask(self, method: str, path: str, user: str, body: Any = None, status: int = 200) -> Any:
        answer = self.client.open(f"/api/v1{path}", method=method, json=body, headers=self.headers(user))
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()


@pytest.fixture
def shop(fresh_app: Flask) -> Iterator[Shop]:
    url = fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as owner:
        yield open_shop(owner)


def counted(shop: Shop) -> Any:
    return shop.owner.execute(
        "select count(*), (select count(*) from fact where kind like 'statement.%%') from statement"
    ).fetchone()


def waiting(app: Flask, shop: Shop) -> list[str]:
    """What people are asked about statements, by now."""
    with app.app_context():
        Sealer().seal_pending()
        while follow():
            pass
    rows = shop.owner.execute(
        "select topic from notice where subject_type = 'statement' and done_at is null order by topic"
    )
    return [row[0] for row in rows]


def seller_name(shop: Shop) -> str:
    row = shop.owner.execute(
        "select username from app_user where organisation_id = %s order by id limit 1", [shop.seller]
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_statement_goes_from_its_issue_to_settled_by_routes(fresh_app: Flask, shop: Shop) -> None:
    shop.report(LAST_DAY - timedelta(days=3), (10, 4180), (2, 3900))
    program, house, seller = Program(fresh_app), House(fresh_app), seller_name(shop)
    issued = house.ask("POST", "/statements", OFFICE, {**ISSUE, "seller_id": str(shop.seller)}, 201)
    path, total = f"/statements/{issued['id']}", 10 * 4180 + 2 * 3900

    assert waiting(fresh_app, shop) == ["shop_statement_check", "statement_check"]
    assert [s["number"] for s in program.get("/statements", period=PERIOD)["items"]] == [issued["number"]]
    assert program.get("/statements", state="agreed")["items"] == []
    assert program.get("/statements", 422, period="2026-13")["errors"][0]["parameter"] == "period"
    shown = program.get(path)
    assert shown == house.ask("GET", path, seller) == house.ask("GET", path, OFFICE)
    assert (shown["total_fen"], [line["amount_fen"] for line in shown["lines"]]) == (total, [41_800, 7_800])

    line = shown["lines"][0]["id"]
    wish = {"line_id": line, "quantity": 8, "reason": "少收两箱"}
    problem = program.post(f"{path}/disputes", {**wish, "quantity": 10}, 422)
    assert problem["errors"][0]["pointer"] == "#/quantity"
    disputed = program.post(f"{path}/disputes", wish)
    assert (disputed["state"], disputed["disputes"][0]["side"]) == ("disputed", "channel")
    assert waiting(fresh_app, shop) == ["shop_statement_check", "statement_answer", "statement_check"]
    back = f"{path}/disputes/{disputed['disputes'][0]['id']}/withdraw"
    house.ask("POST", back, seller, status=409)
    assert program.post(back, None)["state"] == "issued"
    assert waiting(fresh_app, shop) == ["shop_statement_check", "statement_check"]
    disputed = program.post(f"{path}/disputes", wish)
    early = program.post(f"{path}/agree", None, 409)
    assert (early["type"].rpartition("/")[2], early["disputes"]) == (
        "wrong-state",
        [disputed["disputes"][1]["id"]],
    )
    assert early["detail"] == "还有异议没有答复：先由对方答复，或者由提出的一方撤回"
    answer = f"{path}/disputes/{disputed['disputes'][1]['id']}/answer"
    corrected = house.ask("POST", answer, seller, {"accept": True})
    assert (corrected["state"], corrected["total_fen"]) == ("issued", total - 2 * 4180)
    again = house.ask("POST", answer, seller, {"accept": True}, 409)
    assert again["detail"] == "这条异议已经答复或撤回；还有不同意见，请对那一行提新的异议"

    assert program.post(f"{path}/agree", None)["state"] == "issued"
    assert waiting(fresh_app, shop) == ["statement_check"]
    transfer = {"paid_on": today().isoformat(), "bank_reference": "bk 0001"}
    early = program.post(f"{path}/transfer", transfer, 409)
    assert early["detail"] == "双方都同意这张结算单以后，才能登记和确认付款"
    assert house.ask("POST", f"{path}/agree", seller)["state"] == "agreed"
    assert waiting(fresh_app, shop) == ["statement_pay"]
    refused = house.ask("POST", f"{path}/settle", seller, {}, 422)
    assert [e["pointer"] for e in refused["errors"]] == ["#/paid_on", "#/bank_reference"]
    tomorrow = (today() + timedelta(days=2)).isoformat()
    assert program.post(f"{path}/transfer", {**transfer, "paid_on": tomorrow}, 422)["errors"]
    house.ask("POST", f"{path}/return-transfer", seller, {"reason": "还没登记"}, 409)
    declared = program.post(f"{path}/transfer", transfer)
    assert (declared["state"], declared["bank_reference"]) == ("agreed", "BK0001")
    second = program.post(f"{path}/transfer", {**transfer, "bank_reference": "BK0009"}, 409)
    assert second["detail"] == "已经登记过付款，等供应商确认到账；登记错了，请供应商退回以后再登记"
    assert program.get(path) == declared
    assert waiting(fresh_app, shop) == ["statement_receipt"]
    returned = house.ask("POST", f"{path}/return-transfer", seller, {"reason": "账户里没有"})
    assert [returned[name] for name in ("state", "paid_on", "bank_reference", "return_reason")] == [
        "agreed", None, None, "账户里没有",
    ]  # fmt: skip
    assert waiting(fresh_app, shop) == ["statement_returned"]
    slip = program.slip(PDF)
    assert (slip["kind"], slip["sha256"]) == ("slip", sha256(PDF).hexdigest())
    document = slip["id"]
    house.ask("GET", f"/documents/{document}", seller, status=404)
    assert program.post(f"{path}/transfer", {**transfer, "document_id": path[-36:]}, 404)
    declared = program.post(f"{path}/transfer", {**transfer, "document_id": document})
    assert (declared["document_id"], declared["return_reason"]) == (document, None)
    assert house.ask("GET", f"/documents/{document}", seller)["sha256"] == slip["sha256"]
    assert waiting(fresh_app, shop) == ["statement_receipt"]
    settled = house.ask("POST", f"{path}/settle", seller, {})

    assert (settled["state"], settled["paid_on"], settled["bank_reference"]) == (
        "settled", transfer["paid_on"], "BK0001",
    )  # fmt: skip
    late = program.post(f"{path}/transfer", transfer, 409)
    assert (late["state"], late["detail"]) == ("settled", "这张结算单已经结清，没有要做的了")
    assert shop.ledger("bank", shop.seller) == -shop.ledger("paid", shop.channel) == total - 2 * 4180
    assert shop.ledger("receivable", shop.seller) == shop.ledger("payable", shop.channel) == 0
    assert waiting(fresh_app, shop) == []
    assert counted(shop) == (1, 11)
    assert "statement" not in str(fresh_app.test_cli_runner().invoke(args=["verify"]).output)


def test_a_repeat_with_the_same_key_disputes_once(fresh_app: Flask, shop: Shop) -> None:
    shop.report(LAST_DAY, (10, 4180))
    house = House(fresh_app)
    issued = house.ask("POST", "/statements", OFFICE, {**ISSUE, "seller_id": str(shop.seller)}, 201)
    program, path = Program(fresh_app), f"/statements/{issued['id']}/disputes"
    body = {"line_id": issued["lines"][0]["id"], "quantity": 0, "reason": "没有卖过"}

    first, again = (program.send(path, body, {"Idempotency-Key": "statement-1"}) for _ in range(2))

    assert (first.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert first.get_data() == again.get_data()
    assert counted(shop) == (1, 2)


def test_nothing_owed_is_settled_without_a_transfer_and_what_the_seller_owes_is_not_the_channels_to_pay(
    fresh_app: Flask, shop: Shop
) -> None:
    before = LAST_DAY.replace(day=1) - timedelta(days=1)
    shop.report(before, (5, 1000), (-5, 1000))
    shop.report(LAST_DAY, (-2, 1000), red=True)
    house, seller, program = House(fresh_app), seller_name(shop), Program(fresh_app)
    states = []
    for period in (before.isoformat()[:7], PERIOD):
        body = {**ISSUE, "period": period, "seller_id": str(shop.seller)}
        path = f"/statements/{house.ask('POST', '/statements', OFFICE, body, 201)['id']}"
        program.post(f"{path}/agree", None)
        house.ask("POST", f"{path}/agree", seller)
        transfer = {"paid_on": today().isoformat(), "bank_reference": "BK0002"}
        assert program.post(f"{path}/transfer", transfer, 409)["type"].endswith("wrong-state")
        assert waiting(fresh_app, shop) == ["statement_close"]
        given = {} if period != PERIOD else transfer
        settled = house.ask("POST", f"{path}/settle", seller, given)
        states.append((settled["state"], settled["total_fen"], settled["paid_on"]))

    assert states == [("settled", 0, None), ("settled", -2000, today().isoformat())]
    assert shop.ledger("bank", shop.seller) == -2000
    assert "statement" not in str(fresh_app.test_cli_runner().invoke(args=["verify"]).output)


def two_agreed(shop: Shop, house: House, program: Program) -> list[str]:
    """The paths of two months' statements, agreed by both sides."""
    before = LAST_DAY.replace(day=1) - timedelta(days=1)
    shop.report(before, (5, 1000))
    shop.report(LAST_DAY, (2, 1000))
    paths = []
    for period in (before.isoformat()[:7], PERIOD):
        body = {**ISSUE, "period": period, "seller_id": str(shop.seller)}
        paths.append(f"/statements/{house.ask('POST', '/statements', OFFICE, body, 201)['id']}")
        program.post(f"{paths[-1]}/agree", None)
        house.ask("POST", f"{paths[-1]}/agree", seller_name(shop))
    return paths


def test_one_transfer_pays_one_statement(fresh_app: Flask, shop: Shop) -> None:
    house, seller, program = House(fresh_app), seller_name(shop), Program(fresh_app)
    first, other = two_agreed(shop, house, program)
    transfer = {"paid_on": today().isoformat(), "bank_reference": "BK0003"}
    program.post(f"{first}/transfer", transfer)

    used = program.post(f"{other}/transfer", {**transfer, "bank_reference": "bk 0003"}, 409)
    settled = house.ask("POST", f"{other}/settle", seller, transfer, 409)

    assert [p["type"].rpartition("/")[2] for p in (used, settled)] == ["slip-used"] * 2
    assert used["bank_reference"] == "BK0003"
    assert program.get(other)["bank_reference"] is None
    house.ask("POST", f"{first}/return-transfer", seller, {"reason": "账户里没有"})
    assert program.post(f"{first}/transfer", transfer)["bank_reference"] == "BK0003"
    assert house.ask("POST", f"{first}/settle", seller, {})["state"] == "settled"
    assert program.post(f"{other}/transfer", transfer, 409)["type"].endswith("slip-used")


def test_a_transfer_pays_an_order_or_a_statement_of_a_seller_but_never_both(
    fresh_app: Flask, shop: Shop
) -> None:
    house, program, teller = House(fresh_app), Program(fresh_app), Teller(fresh_app, bearer(fresh_app))
    first, other = two_agreed(shop, house, program)
    slip = teller.play("declared").payment["slips"][0]
    transfer = {"paid_on": today().isoformat(), "bank_reference": slip["bank_reference"]}

    used = program.post(f"{first}/transfer", transfer, 409)
    settled = house.ask("POST", f"{other}/settle", seller_name(shop), transfer, 409)

    assert [p["type"].rpartition("/")[2] for p in (used, settled)] == ["slip-used"] * 2
    program.post(f"{first}/transfer", {**transfer, "bank_reference": "BK0005"})
    order = {"method": "transfer", "orders": [{"order_id": teller.play("checked").order_id}]}
    opened = teller.ask("POST", "/payments", "canteen.buyer", order)
    path, body = f"/payments/{opened['id']}/slips", {
        "amount_fen": opened["amount_fen"], "paid_on": today().isoformat(), "bank_reference": "bk 0005",
        "payer_name": "平凉市泾滨中学",
    }  # fmt: skip
    refused = house.ask("POST", path, "canteen.buyer", body, 409)
    assert (refused["type"].rpartition("/")[2], refused["bank_reference"]) == ("slip-used", "BK0005")
    house.ask("POST", f"{first}/return-transfer", seller_name(shop), {"reason": "账户里没有"})
    assert house.ask("POST", path, "canteen.buyer", body, 201)["state"] == "declared"
    assert program.post(f"{first}/transfer", {**transfer, "bank_reference": "BK0005"}, 409)


def test_an_order_and_a_statement_that_are_paid_at_once_do_not_take_the_same_transfer(
    fresh_app: Flask, shop: Shop
) -> None:
    program, teller = Program(fresh_app), Teller(fresh_app, bearer(fresh_app))
    path = two_agreed(shop, House(fresh_app), program)[0]
    order = {"method": "transfer", "orders": [{"order_id": teller.play("checked").order_id}]}
    opened = teller.ask("POST", "/payments", "canteen.buyer", order)
    transfer = {"paid_on": today().isoformat(), "bank_reference": "BK0006"}
    slip = transfer | {"amount_fen": opened["amount_fen"], "payer_name": "平凉市泾滨中学"}

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(program.send, f"{path}/transfer", transfer)
        two = pool.submit(
            fresh_app.test_client().post, f"/api/v1/payments/{opened['id']}/slips", json=slip,
            headers=teller.sign_in("canteen.buyer"),
        )  # fmt: skip
        answers = [one.result().status_code, two.result().status_code]

    assert answers in ([200, 409], [409, 201])


def test_two_statements_that_are_paid_at_once_do_not_take_the_same_transfer(
    fresh_app: Flask, shop: Shop
) -> None:
    program = Program(fresh_app)
    paths = two_agreed(shop, House(fresh_app), program)
    transfer = {"paid_on": today().isoformat(), "bank_reference": "BK0004"}

    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda path: Program(fresh_app, key=program.key).send(f"{path}/transfer", transfer), paths
            )
        )

    assert sorted(answer.status_code for answer in answers) == [200, 409]


def test_a_channel_reads_back_the_slip_that_it_handed_in_and_nobody_elses_file(fresh_app: Flask) -> None:
    program, other = Program(fresh_app), Program(fresh_app, "tianjin2.partner")
    slip = program.slip(PDF)
    path = f"/slips/{slip['id']}"

    content = program.client.get(f"/partner/v1{path}/content", headers=program.headers)

    assert program.get(path) == slip
    assert sha256(content.get_data()).hexdigest() == slip["sha256"] == sha256(PDF).hexdigest()
    assert content.headers["Content-Type"] == "application/pdf"
    assert content.headers["Content-Disposition"].startswith("attachment")
    assert content.headers["Cache-Control"] == "private, no-store"
    for stranger in (path, f"{path}/content"):
        other.get(stranger, 404)


def test_a_file_that_is_no_slip_is_not_read_as_one(fresh_app: Flask) -> None:
    program = Program(fresh_app)
    with fresh_app.app_context():
        other = store_document(
            channel_actor("tianjin.partner"), kind="other", filename="x.pdf", content=PDF
        ).result["id"]

    program.get(f"/slips/{other}", 404)
    program.get(f"/slips/{other}/content", 404)
