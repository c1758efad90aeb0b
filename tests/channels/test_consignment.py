"""Goods on consignment: sent by a seller, held, taken over by the shop or taken back; each pack stands somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.journal.sealing import Sealer
from marketplace.notices.following import follow
from tests.channels.partner import Program, order_body
from tests.channels.sending import SHOP, Sender
from tests.desks.trading import Visitor

Stock = dict[tuple[str, str], tuple[int, int]]


@dataclass
class Trade:
    app: Flask
    owner: psycopg.Connection
    sender: Sender
    program: Program

    def stock(self, *codes: str) -> Stock:
        """(on hand, reserved) of the lots by trace code and kind of place."""
        rows = self.owner.execute(
            "select l.trace_code, p.kind, s.on_hand, s.reserved from stock s join lot l on l.id = s.lot_id"
            " join place p on p.id = s.place_id where l.trace_code = any(%s)",
            [list(codes)],
        )
        return {(code, kind): (on_hand, reserved) for code, kind, on_hand, reserved in rows}

    def refused(self, body: Any, status: int, slug: str, path: str = "/consignments") -> dict[str, Any]:
        """A wish of the seller that is refused, and changes nothing."""
        before = self.rows()
        headers = self.sender.teller.sign_in(self.sender.seller)
        answer = self.sender.teller.client.post(f"/api/v1{path}", json=body, headers=headers)
        problem = dict(answer.get_json())
        assert (answer.status_code, problem["type"].rpartition("/")[2]) == (status, slug), problem
        assert self.rows() == before
        return problem

    def rows(self) -> Any:
        return self.owner.execute(
            "select (select count(*) from fact), (select count(*) from consignment), (select count(*) from stock),"
            " (select sum(reserved) from stock), (select sum(accepted) from consignment_line)"
        ).fetchone()

    def events(self, subject: str) -> list[dict[str, Any]]:
        """What the channel's feed tells of a subject."""
        with self.app.app_context():
            Sealer().seal_pending()
        last, events = 0, []
        while True:
            page = self.program.get("/events", after=last, limit=100)
            events += page["items"]
            if page["next"] is None:
                return [event for event in events if event["subject"]["id"] == subject]
            last = page["next"]

    def notices(self, *subjects: str) -> list[tuple[str, str, bool]]:
        """(topic, organisation, whether it has ended) of what people are told of subjects, in its order."""
        with self.app.app_context():
            Sealer().seal_pending()
            while follow():
                pass
        rows = self.owner.execute(
            "select n.topic, o.code, n.done_at is not null from notice n"
            " join organisation o on o.id = n.organisation_id where n.subject_id = any(%s) order by n.id",
            [list(subjects)],
        )
        return [(topic, code, ended) for topic, code, ended in rows]


@pytest.fixture(scope="module")
def trade(app: Flask) -> Iterator[Trade]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        yield Trade(app, owner, Sender(app), Program(app))


def codes_of(sent: dict[str, Any]) -> list[str]:
    return [line["trace_code"] for line in sent["lines"]]


def test_a_shop_takes_over_what_arrived_well_and_the_rest_is_free_again(trade: Trade) -> None:
    lots = trade.sender.lots()[:2]
    sent = trade.sender.send(10, 4)
    first, second = codes_of(sent)
    there = {lot["trace_code"]: (lot["on_hand"], lot["reserved"]) for lot in lots}
    shop_before = trade.stock(first, second).get((first, "shop"), (0, 0))[0]

    assert (sent["state"], sent["shop"]["name"], sent["number"][:3]) == ("sent", SHOP, "SH-")
    assert [line["accepted_quantity"] for line in sent["lines"]] == [None, None]
    assert trade.stock(first)[first, "store"] == (there[first][0], there[first][1] + 10)
    assert trade.program.get(f"/consignments/{sent['id']}")["lines"] == sent["lines"]
    assert sent["id"] in [row["id"] for row in trade.program.get("/consignments", state="sent")["items"]]

    body = {"lines": [{"trace_code": first.lower(), "accepted_quantity": 7}]}
    taken = trade.program.post(f"/consignments/{sent['id']}/take-over", body)
    assert taken["state"] == "taken_over"
    assert [line["accepted_quantity"] for line in taken["lines"]] == [7, 4]
    now = trade.stock(first, second)
    assert now[first, "store"] == (there[first][0] - 7, there[first][1])
    assert now[second, "store"] == (there[second][0] - 4, there[second][1])
    assert (now[first, "shop"], now[second, "shop"]) == ((shop_before + 7, 0), (4, 0))

    listed = {row["trace_code"]: row for row in trade.program.get("/shop-stock")["items"]}
    assert (listed[first]["quantity"], listed[first]["lot_state"]) == (shop_before + 7, "released")
    assert listed[first]["shop"]["name"] == SHOP
    seen = trade.sender.teller.ask("GET", f"/consignments/{sent['id']}", trade.sender.seller)
    assert [line["accepted_quantity"] for line in seen["lines"]] == [7, 4]


def test_what_was_taken_over_or_cancelled_is_no_more_on_the_way(trade: Trade) -> None:
    seller = trade.sender
    sent = seller.send(3)
    (code,) = codes_of(sent)
    before = trade.stock(code)
    cancelled = seller.teller.ask("POST", f"/consignments/{sent['id']}/cancel", seller.seller)
    assert (cancelled["state"], cancelled["lines"][0]["accepted_quantity"]) == ("cancelled", None)
    on_hand, reserved = before[code, "store"]
    assert trade.stock(code)[code, "store"] == (on_hand, reserved - 3)
    trade.refused(None, 409, "wrong-state", f"/consignments/{sent['id']}/cancel")
    assert trade.program.send(f"/consignments/{sent['id']}/take-over", {}).status_code == 409

    taken = seller.send(2)
    trade.program.post(f"/consignments/{taken['id']}/take-over", {})
    trade.refused(None, 409, "wrong-state", f"/consignments/{taken['id']}/cancel")
    again = trade.program.send(f"/consignments/{taken['id']}/take-over", {})
    assert (again.status_code, again.get_json()["type"].rpartition("/")[2]) == (409, "wrong-state")


def test_only_lots_on_sale_that_the_channel_carries_and_that_keep_are_sent(trade: Trade) -> None:
    sender = trade.sender
    listed = sender.teller.ask("GET", "/lots?limit=100", sender.seller)["items"]
    held = next(lot["trace_code"] for lot in listed if lot["state"] == "held")
    good = sender.lots()[0]["trace_code"]
    other = Sender(trade.app, "coop2.seller").lots("PL-0030")[0]["trace_code"]

    lines = [(other, 1), ("no code", 1), (held, 1), (good, 1), (good, 2)]
    body = {"channel_code": "ORG-CH-WQ", "lines": [{"trace_code": c, "quantity": n} for c, n in lines]}
    errors = trade.refused(body, 422, "invalid")["errors"]
    assert [(e["pointer"], e["detail"]) for e in errors] == [
        ("#/lines/0/trace_code", "不是您能送到这个渠道的批次"),
        ("#/lines/1/trace_code", "不是您能送到这个渠道的批次"),
        ("#/lines/2/trace_code", "这一批现在不能卖"),
        ("#/lines/4/trace_code", "同一批只能写一次"),
    ]

    trade.owner.execute("update channel_item set min_remaining_days = 3000 where partner_sku = 'WQ0001'")
    errors = trade.refused(sender.body(1), 422, "invalid")["errors"]
    trade.owner.execute("update channel_item set min_remaining_days = 70 where partner_sku = 'WQ0001'")
    assert errors == [{"pointer": "#/lines/0/trace_code", "detail": "剩下的保质期不到渠道要求的3000天"}]

    trade.refused(sender.body(100_000), 409, "insufficient-stock")
    without = sender.body(1) | {"channel_code": "ORG-CH-JN"}
    trade.refused(without, 409, "no-consignment")
    trade.refused(sender.body(1) | {"channel_code": "ORG-COOP-01"}, 404, "not-found")


def test_a_shop_names_only_lots_and_packs_that_were_sent(trade: Trade) -> None:
    sent = trade.sender.send(5)
    (code,) = codes_of(sent)
    before = trade.rows()
    lines = [(code, 6), ("PLNOSUCHCODE", 1), (code, 5), (code, 4)]
    body = {"lines": [{"trace_code": c, "accepted_quantity": n} for c, n in lines]}
    answer = trade.program.send(f"/consignments/{sent['id']}/take-over", body)
    assert answer.status_code == 422
    assert [(e["pointer"], e["detail"]) for e in answer.get_json()["errors"]] == [
        ("#/lines/0/accepted_quantity", "要在0到5之间"),
        ("#/lines/1/trace_code", "没有送来这一批"),
        ("#/lines/3/trace_code", "同一批只能写一次"),
    ]
    assert trade.rows() == before

    nothing = {"lines": [{"trace_code": code, "accepted_quantity": 0}]}
    taken = trade.program.post(f"/consignments/{sent['id']}/take-over", nothing)
    assert taken["lines"][0]["accepted_quantity"] == 0


def test_packs_on_the_way_cannot_be_ordered_and_packs_in_a_shop_are_not_the_sellers_to_move(
    trade: Trade,
) -> None:
    sender = trade.sender
    item = next(i for i in trade.program.items() if i["partner_sku"] == "WQ0001")
    sent = sender.send(6)
    (code,) = codes_of(sent)
    seen = next(i for i in trade.program.items() if i["partner_sku"] == "WQ0001")
    assert seen["available_quantity"] == item["available_quantity"] - 6
    trade.program.post(f"/consignments/{sent['id']}/take-over", {})
    after = next(i for i in trade.program.items() if i["partner_sku"] == "WQ0001")
    assert after["available_quantity"] == item["available_quantity"] - 6

    lot = sender.lot(code)
    store = trade.stock(code)[code, "store"]
    shop = trade.owner.execute("select id from place where name = %s", [SHOP]).fetchone()
    assert shop is not None
    move = {"kind": "spoilage", "quantity": 1, "reason": "压坏"}
    trade.refused(move | {"place_id": str(shop[0])}, 422, "invalid", f"/lots/{lot['id']}/movements")
    sender.teller.ask("POST", f"/lots/{lot['id']}/movements", sender.seller, move)
    assert trade.stock(code)[code, "store"] == (store[0] - 1, store[1])


def test_the_channel_reads_in_its_feed_what_was_sent_and_taken_over(trade: Trade) -> None:
    sent = trade.sender.send(1)
    trade.program.post(f"/consignments/{sent['id']}/take-over", {})
    mine = trade.events(sent["id"])
    assert [event["kind"] for event in mine] == ["consignment.sent", "consignment.taken_over"]
    assert mine[0]["data"]["number"] == sent["number"]
    assert mine[1]["data"]["lines"][0]["accepted"] == 1
    assert "moves" not in mine[0]["data"]


def test_goods_on_the_way_wait_in_the_channels_inbox_until_they_are_taken_over(trade: Trade) -> None:
    sent, back = trade.sender.send(1), trade.sender.send(1)

    def notices() -> list[tuple[str, str, bool]]:
        return trade.notices(sent["id"], back["id"])

    assert notices() == [("take_over", "ORG-CH-WQ", False)] * 2
    trade.program.post(f"/consignments/{sent['id']}/take-over", {})
    trade.sender.teller.ask("POST", f"/consignments/{back['id']}/cancel", trade.sender.seller)
    assert notices() == [("take_over", "ORG-CH-WQ", True)] * 2 + [("taken_over", "ORG-COOP-01", False)]
    inbox = Visitor(trade.app, trade.sender.seller).get("/notices")
    assert f"门店已接收代销送货单{sent['number']}，请看收了多少" in inbox


def test_a_held_lot_tells_the_channels_that_have_packs_of_it_and_the_buyers_of_orders_that_it_hurts(
    trade: Trade,
) -> None:
    sender, program = trade.sender, trade.program
    item = next(i for i in program.items() if i["partner_sku"] == "WQ0001")
    program.post("/orders", order_body("HELD-1", [item]), 201)
    found = trade.owner.execute(
        "select l.id::text, l.trace_code from stock_movement m join orders o on o.id = m.order_id"
        " join partner_order p using (purchase_id) join stock s on s.id = m.stock_id join lot l on l.id = s.lot_id"
        " where p.partner_order_no = 'HELD-1'"
    ).fetchone()
    assert found is not None
    lot, code = found
    body = {"channel_code": "ORG-CH-WQ", "lines": [{"trace_code": code, "quantity": 2}]}
    taken, sent = (sender.teller.ask("POST", "/consignments", sender.seller, body) for _ in range(2))
    program.post(f"/consignments/{taken['id']}/take-over", {})
    standing = trade.stock(code)[code, "shop"][0]

    held = sender.teller.ask("POST", f"/lots/{lot}/hold", sender.seller, {"reason": "农残待复检"})
    assert {row["shop"]["name"] for row in held["elsewhere"]} == {SHOP}
    on_way = [row["consignment"]["number"] for row in held["elsewhere"] if row["consignment"] is not None]
    assert sent["number"] in on_way
    assert [row["quantity"] for row in held["elsewhere"] if row["consignment"] is None] == [standing]
    assert trade.notices(lot) == [
        ("held", "ORG-COOP-01", False), ("held_goods", "ORG-CH-WQ", False), ("held_in_shop", "ORG-CH-WQ", False),
        ("held_at_channel", "ORG-COOP-01", False),
    ]  # fmt: skip
    (event,) = trade.events(lot)
    packs = sum(row["quantity"] for row in held["elsewhere"])
    assert (event["kind"], event["data"]["packs"], event["data"]["trace_code"]) == (
        "lot.held_in_shops", packs, code,
    )  # fmt: skip
    assert [row["number"] for row in event["data"]["consignments"]] == on_way
    assert [row["quantity"] for row in event["data"]["shops"]] == [standing]
    assert f"门店里和路上的{packs}件请封存" in Visitor(trade.app, "tianjin.partner").get("/notices")
    assert sent["number"] in Visitor(trade.app, sender.seller).get(f"/sell/lots/{lot}")
    assert sent["number"] in Visitor(trade.app, "market.regulator").get(f"/regulate/lots/{lot}")
    other = Program(trade.app, "tianjin2.partner").get("/events", limit=100)["items"]
    assert [event for event in other if event["subject"]["id"] == lot] == []

    sender.teller.ask("POST", f"/lots/{lot}/unhold", sender.seller, {})
    assert [event["kind"] for event in trade.events(lot)] == ["lot.held_in_shops", "lot.unheld_in_shops"]
    assert trade.notices(lot)[4:] == [("unheld_in_shop", "ORG-CH-WQ", False)]


def test_one_consignment_is_taken_over_once_and_lots_in_any_order_lock_nobody_out(trade: Trade) -> None:
    twice = trade.sender.send(1)
    others = [trade.sender.send(*packs) for packs in ((2, 3), (3, 2))]
    lines = [line["trace_code"] for line in others[0]["lines"]]
    body = trade.sender.body(1, 1)
    body["lines"] = [{"trace_code": code, "quantity": 1} for code in reversed(lines)]
    others.append(trade.sender.teller.ask("POST", "/consignments", trade.sender.seller, body))
    wanted = [twice["id"], *(row["id"] for row in others), twice["id"]]

    def take(consignment_id: str) -> int:
        client = trade.app.test_client()
        address = f"/partner/v1/consignments/{consignment_id}/take-over"
        return client.post(address, json={}, headers=trade.program.headers).status_code

    with ThreadPoolExecutor(len(wanted)) as pool:
        answers = list(pool.map(take, wanted))
    assert sorted(answers[:1] + answers[-1:]) == [200, 409]
    assert answers[1:-1] == [200, 200, 200]


# Tampering by the owner of the tables, what takes it back, and what verify says of it.
TAMPERED = (
    (
        "update consignment_line set accepted = 5 where id = '{line}'",
        "update consignment_line set accepted = 4 where id = '{line}'",
        "consignment_line.accepted",
    ),
    (
        "update consignment set state = 'sent' where id = '{id}'",
        "update consignment set state = 'taken_over' where id = '{id}'",
        "consignment.state",
    ),
    (
        "update stock set on_hand = on_hand + 1 where id = {shop}",
        "update stock set on_hand = on_hand - 1 where id = {shop}",
        "stock.on_hand",
    ),
    (
        "update stock set reserved = reserved + 1 where id = {home}",
        "update stock set reserved = reserved - 1 where id = {home}",
        "stock.reserved",
    ),
)


def test_verify_names_a_line_and_stock_that_were_tampered_with(trade: Trade) -> None:
    done = trade.sender.send(6, 2)
    body = {"lines": [{"trace_code": codes_of(done)[0], "accepted_quantity": 4}]}
    trade.program.post(f"/consignments/{done['id']}/take-over", body)
    back = trade.sender.send(3)
    trade.sender.teller.ask("POST", f"/consignments/{back['id']}/cancel", trade.sender.seller)
    trade.sender.send(1)
    row = trade.owner.execute(
        "select l.id, l.stock_id, (select s.id from stock s where s.lot_id = l.lot_id and s.place_id = c.place_id)"
        " from consignment_line l join consignment c on c.id = l.consignment_id"
        " where c.id = %s and l.position = 1",
        [done["id"]],
    ).fetchone()
    assert row is not None
    named = {"id": done["id"], "line": row[0], "home": row[1], "shop": row[2]}

    def verify() -> tuple[int, str]:
        told = trade.app.test_cli_runner().invoke(args=["verify"])
        return told.exit_code, told.output

    assert verify()[0] == 0
    for tampering, undoing, what in TAMPERED:
        trade.owner.execute(tampering.format(**named))
        code, told = verify()
        assert (code, f"{what} at" in told) == (1, True), told
        trade.owner.execute(undoing.format(**named))
    assert verify()[0] == 0
