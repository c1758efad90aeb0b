"""What a shop sold, day by day: versions, red entries, the shop's stock, who reads it, and `verify`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg import sql

from marketplace.channels.sales_files import FileRow, LineMistake, preview
from marketplace.clock import today
from marketplace.database import db
from tests.channels.partner import Program, channel_actor
from tests.channels.sending import Sender
from tests.channels.stocked import Stocked, stocked

FIRST = today() - timedelta(days=40)
SignIn = Callable[[str], dict[str, str]]
ABSENT = "00000000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def program(app: Flask) -> Program:
    return Program(app)


@pytest.fixture(scope="module")
def lots(app: Flask) -> list[Stocked]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        return stocked(app, owner)


@pytest.fixture(scope="module")
def days() -> Iterator[str]:
    """Days that nobody has reported yet."""
    return ((FIRST + timedelta(days=n)).isoformat() for n in itertools.count())


def report(day: str, *lines: tuple[Stocked, int], **more: Any) -> dict[str, Any]:
    return {
        "business_day": day,
        "lines": [{"trace_code": lot.trace_code, "quantity": packs} for lot, packs in lines],
        **more,
    }


def state(owner: psycopg.Connection) -> Any:
    return owner.execute(
        "select (select count(*) from sales_report), (select count(*) from sales_report_line),"
        " (select count(*) from fact where kind not like 'partner_key.%'), (select count(*) from stock_movement), (select sum(on_hand) from stock)"
    ).fetchone()


def verified(app: Flask) -> str:
    return str(app.test_cli_runner().invoke(args=["verify"]).output)


def test_packs_that_a_shop_sold_leave_its_stock_at_the_agreed_price(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    first, second = lots
    before = first.held(owner), second.held(owner)
    body = report(next(days), (first, 3), (second, 2))
    body["lines"][1] = {
        "partner_sku": second.partner_sku, "lot_code": second.lot_code, "quantity": 2, "retail_fen": 9900,
    }  # fmt: skip

    answer = program.post("/sales-reports", body, 201)

    total = 3 * first.price_fen + 2 * second.price_fen
    assert (answer["version"], answer["red"], answer["corrects"], answer["total_fen"]) == (
        1,
        False,
        None,
        total,
    )
    assert [
        (r["trace_code"], r["quantity"], r["unit_price_fen"], r["amount_fen"], r["retail_fen"])
        for r in answer["lines"]
    ] == [
        (first.trace_code, 3, first.price_fen, 3 * first.price_fen, None),
        (second.trace_code, 2, second.price_fen, 2 * second.price_fen, 9900),
    ]
    assert (first.held(owner), second.held(owner)) == (before[0] - 3, before[1] - 2)
    assert program.get(f"/sales-reports/{answer['id']}") == answer
    kinds = owner.execute(
        "select kind, on_hand_delta from stock_movement order by id desc limit 2"
    ).fetchall()
    assert kinds == [("sold", -2), ("sold", -3)]


def test_the_same_report_again_gets_its_first_answer_and_no_effect(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    body = report(next(days), (lots[0], 2))
    first = program.send("/sales-reports", body)
    before = state(owner)

    again = program.send("/sales-reports", body)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_data() == first.get_data()
    assert state(owner) == before


def test_another_report_of_the_day_has_to_name_the_version_it_corrects(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    day = next(days)
    program.post("/sales-reports", report(day, (lots[0], 2)), 201)
    before = state(owner)

    silent = program.post("/sales-reports", report(day, (lots[0], 1)), 409)
    stale = program.post("/sales-reports", report(day, (lots[0], 1), corrects=2), 409)
    early = program.post("/sales-reports", report(next(days), (lots[0], 1), corrects=1), 422)

    assert [p["type"].rpartition("/")[2] for p in (silent, stale)] == ["sales-day-reported"] * 2
    assert silent["version"] == 1
    assert early["errors"][0]["pointer"] == "#/corrects"
    assert state(owner) == before


def test_two_reports_of_a_day_at_once_are_one_report(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    day, held = next(days), lots[0].held(owner)
    same = report(day, (lots[0], 1))

    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(
                lambda _: Program(program.client.application, key=program.key).send("/sales-reports", same),
                range(4),
            )
        )

    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.get_data() for answer in answers}) == 1
    assert lots[0].held(owner) == held - 1


def test_days_that_are_reported_at_once_do_not_sell_the_same_packs(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    held = lots[1].held(owner)
    bodies = [report(next(days), (lots[1], held - 1)) for _ in range(3)]

    with ThreadPoolExecutor(3) as pool:
        answers = list(
            pool.map(
                lambda body: Program(program.client.application, key=program.key).send(
                    "/sales-reports", body
                ),
                bodies,
            )
        )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert lots[1].held(owner) == 1
    won = next(body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 201)
    program.post("/sales-reports", {"business_day": won["business_day"], "lines": [], "corrects": 1}, 201)
    assert lots[1].held(owner) == held


def test_a_correction_is_a_red_entry_and_then_the_new_version(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    first, second = lots
    day, before = next(days), (first.held(owner), second.held(owner))
    old = program.post("/sales-reports", report(day, (first, 4), (second, 1)), 201)

    new = program.post("/sales-reports", report(day, (first, 1), corrects=1), 201)

    versions = program.get("/sales-reports", from_day=day, to_day=day)["items"]
    assert [(v["version"], v["red"], v["corrects"], v["total_fen"]) for v in versions] == [
        (3, False, 1, first.price_fen), (2, True, 1, -old["total_fen"]), (1, False, None, old["total_fen"]),
    ]  # fmt: skip
    red = program.get(f"/sales-reports/{versions[1]['id']}")
    assert [(r["quantity"], r["amount_fen"]) for r in red["lines"]] == [
        (-r["quantity"], -r["amount_fen"]) for r in old["lines"]
    ]
    assert (first.held(owner), second.held(owner)) == (before[0] - 1, before[1])
    assert program.post("/sales-reports", report(day, (first, 1), corrects=1), 201) == new
    past = program.post("/sales-reports", report(day, (first, 4), (second, 1)), 409)
    assert (past["type"].rpartition("/")[2], past["version"], past["superseded"]) == (
        "sales-day-reported", 3, 1,
    )  # fmt: skip
    assert past["detail"].startswith("这是第1版，已被更正；现在有效的是第3版。")
    third = program.post("/sales-reports", {"business_day": day, "lines": [], "corrects": 3}, 201)
    assert (third["version"], third["total_fen"], first.held(owner)) == (5, 0, before[0])


def test_a_red_entry_keeps_the_price_of_its_version_when_prices_have_changed(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    lot, day = lots[0], next(days)
    program.post("/sales-reports", report(day, (lot, 2)), 201)
    raised = (
        "update price_tier set price_fen = price_fen + %s where product_id = %s and price_list_id in"
        " (select price_list_id from channel_agreement where place_id = %s)"
    )
    owner.execute(raised, [100, lot.product_id, lot.shop])
    try:
        new = program.post("/sales-reports", report(day, (lot, 3), corrects=1), 201)
    finally:
        owner.execute(raised, [-100, lot.product_id, lot.shop])

    assert new["lines"][0]["unit_price_fen"] == lot.price_fen + 100
    red = program.get("/sales-reports", from_day=day, to_day=day)["items"][1]
    assert red["total_fen"] == -2 * lot.price_fen


def test_more_than_the_shop_holds_is_refused_with_every_line(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    held, before = [lot.held(owner) for lot in lots], state(owner)

    refused = program.post(
        "/sales-reports", report(next(days), (lots[0], held[0] + 1), (lots[1], held[1] + 5)), 409
    )

    assert refused["type"].endswith("/insufficient-stock")
    assert [(e["pointer"], e["detail"]) for e in refused["errors"]] == [
        ("#/lines/0/quantity", f"门店只有{held[0]}件，报了{held[0] + 1}件"),
        ("#/lines/1/quantity", f"门店只有{held[1]}件，报了{held[1] + 5}件"),
    ]
    assert state(owner) == before


def test_a_correction_that_is_too_much_says_which_packs_it_counts(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    day, held = next(days), lots[0].held(owner)
    program.post("/sales-reports", report(day, (lots[0], 3)), 201)

    refused = program.post("/sales-reports", report(day, (lots[0], 500), corrects=1), 409)

    assert refused["errors"][0]["detail"] == (
        f"门店现有{held - 3}件，加上被更正的3件，最多报{held}件，报了500件"
    )


def test_every_line_that_names_no_lot_of_the_shop_is_told(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    elsewhere = owner.execute(
        "select trace_code from lot l where not exists"
        " (select from stock s where s.lot_id = l.id and s.place_id = %s) limit 1", [lots[0].shop]
    ).fetchone()  # fmt: skip
    assert elsewhere is not None
    code, before = lots[0].trace_code, state(owner)
    body = {
        "business_day": next(days),
        "lines": [
            {"trace_code": elsewhere[0], "quantity": 1},
            {"trace_code": "NOSUCHCODE", "quantity": 1},
            {"partner_sku": lots[0].partner_sku, "quantity": 1},
            {"partner_sku": lots[0].partner_sku, "lot_code": "L-NEVER", "quantity": 1},
            {"trace_code": code, "quantity": 1},
            {"trace_code": f"{code[:5]}-{code[5:].lower()}", "quantity": 1},
        ],
    }

    refused = program.post("/sales-reports", body, 422)

    assert [(e["pointer"], e["detail"]) for e in refused["errors"]] == [
        ("#/lines/0/trace_code", "门店没有过这一批"),
        ("#/lines/1/trace_code", "门店没有过这一批"),
        ("#/lines/2", "写 trace_code，或者 partner_sku 和 lot_code 一起写"),
        ("#/lines/3/lot_code", "门店没有过这一批"),
        ("#/lines/5", "与第5行是同一批，请合成一行"),
    ]
    assert state(owner) == before


def test_days_to_come_and_days_without_an_agreement_and_other_places_are_refused(
    program: Program, app: Flask, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    before = state(owner)
    ahead = (today() + timedelta(days=2)).isoformat()

    future = program.post("/sales-reports", report(ahead, (lots[0], 1)), 422)
    early = program.post("/sales-reports", report("2025-12-31", (lots[0], 1)), 409)
    place = program.post("/sales-reports", report(FIRST.isoformat(), (lots[0], 1), place_id=ABSENT), 422)
    other = Program(app, "tianjin2.partner").post("/sales-reports", report("2026-02-01", (lots[0], 1)), 409)

    assert future["errors"][0]["pointer"] == "#/business_day"
    assert place["errors"][0]["pointer"] == "#/place_id"
    assert [p["type"].rpartition("/")[2] for p in (early, other)] == ["no-agreement"] * 2
    assert [early["title"], early["detail"]] == ["没有生效的协议", "这一天没有生效的代销协议"]
    assert state(owner) == before


def test_a_product_without_a_price_on_the_list_is_not_reported(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    moved = (
        "update price_tier set price_list_id = %s where product_id = %s and price_list_id ="
        " (select price_list_id from channel_agreement where place_id = %s)"
    )
    of_shop, other = owner.execute(
        "select a.price_list_id, (select l.id from price_list l where l.organisation_id <> a.channel_id"
        " and not exists (select from price_tier t where t.price_list_id = l.id and t.product_id = %s) limit 1)"
        " from channel_agreement a where place_id = %s", [lots[0].product_id, lots[0].shop]
    ).fetchone() or (None, None)  # fmt: skip
    owner.execute(moved, [other, lots[0].product_id, lots[0].shop])
    try:
        refused = program.post("/sales-reports", report(next(days), (lots[0], 1)), 422)
    finally:
        owner.execute(
            "update price_tier set price_list_id = %s where product_id = %s and price_list_id = %s",
            [of_shop, lots[0].product_id, other],
        )
    assert refused["errors"][0]["detail"] == "这一天的价目表里没有这个产品"


def test_a_seller_is_told_his_own_lines_and_nothing_of_the_others(
    program: Program, app: Flask, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection,
    sign_in: SignIn,
) -> None:  # fmt: skip
    day = next(days)
    program.post("/sales-reports", report(day, (lots[0], 1), (lots[1], 2)), 201)
    program.post("/sales-reports", report(day, (lots[1], 1), corrects=1), 201)

    facts = owner.execute(
        "select kind, parties, body from fact where kind like 'sales.%%' and body::jsonb #>> '{data,business_day}' = %s"
        " order by number", [day]
    ).fetchall()  # fmt: skip
    channel = next(p for p in facts[0][1] if p not in {lot.seller_id for lot in lots})
    told = [
        (kind, sorted(parties), [line["lot"] for line in json.loads(body)["data"]["lines"]])
        for kind, parties, body in facts
    ]
    of = {lot.seller_id: sorted([channel, lot.seller_id]) for lot in lots}
    by_seller = sorted(lots, key=lambda lot: lot.seller_id)
    assert told == [
        *(("sales.reported", of[lot.seller_id], [str(lot.lot_id)]) for lot in by_seller),
        *(("sales.reversed", of[lot.seller_id], [str(lot.lot_id)]) for lot in by_seller),
        ("sales.reported", of[lots[1].seller_id], [str(lots[1].lot_id)]),
    ]
    seller = owner.execute(
        "select u.username from app_user u where organisation_id = any(%s) and role = 'seller'",
        [[lot.seller_id for lot in lots]],
    ).fetchone()
    if seller is not None:
        listed = app.test_client().get(
            "/api/v1/channel-sales", query_string={"from_day": day, "to_day": day}, headers=sign_in(seller[0])
        )
        items = listed.get_json()["items"]
        assert items
        codes = {lot.trace_code for lot in lots}
        assert len({item["trace_code"] for item in items} & codes) == 1


def test_a_demo_seller_reads_what_shops_sold_of_his_goods(
    app: Flask, program: Program, days: Iterator[str], owner: psycopg.Connection, sign_in: SignIn
) -> None:
    mine = stocked(app, owner, seller="coop.seller")[0]
    day = next(days)
    program.post("/sales-reports", report(day, (mine, 2)), 201)

    asked = {"from_day": day, "to_day": day}
    for user, found in (("coop.seller", [(mine.trace_code, 2, 2 * mine.price_fen)]), ("coop2.seller", [])):
        answer = app.test_client().get("/api/v1/channel-sales", query_string=asked, headers=sign_in(user))
        items = answer.get_json()["items"]
        assert [(i["trace_code"], i["quantity"], i["amount_fen"]) for i in items] == found


def test_verify_rebuilds_reports_from_sealed_texts_and_names_what_was_tampered_with(
    fresh_app: Flask,
) -> None:
    url = fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as owner:
        lots = stocked(fresh_app, owner)
        program, day = Program(fresh_app), FIRST.isoformat()
        program.post("/sales-reports", report(day, (lots[0], 4), (lots[1], 1)), 201)
        program.post("/sales-reports", report(day, (lots[0], 1), corrects=1), 201)
        program.post("/sales-reports", {"business_day": (FIRST + timedelta(1)).isoformat(), "lines": []}, 201)
        clean = fresh_app.test_cli_runner().invoke(args=["verify"])
        assert clean.exit_code == 0, clean.output

        owner.execute("alter table sales_report_line disable trigger user")
        owner.execute("alter table sales_report disable trigger user")
        owner.execute(
            "update sales_report_line set quantity = 5, amount_fen = 5 * unit_price_fen where quantity = 4"
        )
        owner.execute("update sales_report set total_fen = total_fen + 1 where version = 3")
        owner.execute("update stock set on_hand = on_hand + 1 where place_id = %s", [lots[0].shop])

        told = verified(fresh_app)
    for what in (
        "sales_report_line.quantity",
        "sales_report_line.amount_fen",
        "sales_report.total_fen",
        "stock.on_hand",
    ):
        assert what in told


def test_a_report_cannot_be_changed_or_removed_by_hand(
    program: Program, lots: list[Stocked], days: Iterator[str], owner: psycopg.Connection
) -> None:
    program.post("/sales-reports", report(next(days), (lots[0], 1)), 201)
    for table in ("sales_report", "sales_report_line"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            owner.execute(sql.SQL("delete from {}").format(sql.Identifier(table)))


def test_a_lot_is_sold_from_the_day_on_which_the_shop_first_took_it_over(
    program: Program, app: Flask, days: Iterator[str], owner: psycopg.Connection
) -> None:
    sender = Sender(app)
    sent = sender.send(3, 5)
    taken = program.post(f"/consignments/{sent['id']}/take-over", {})["lines"]
    codes = [line["trace_code"] for line in taken]
    day, before = next(days), state(owner)
    body = {
        "business_day": day, "lines": [{"trace_code": code, "quantity": n} for n, code in enumerate(codes, 1)]
    }  # fmt: skip

    refused = program.post("/sales-reports", body, 422)

    said = f"门店{today().isoformat()}才接收这一批，最早只能报这一天的销售"
    assert [(e["pointer"], e["detail"]) for e in refused["errors"]] == [
        ("#/lines/0", said),
        ("#/lines/1", said),
    ]
    assert state(owner) == before
    rows = [FileRow(2, date.fromisoformat(day), codes[0], 1)]
    with app.app_context():
        assert preview(db.session(), channel_actor("tianjin.partner"), rows)[1] == [LineMistake(2, said)]
    first = {**body, "business_day": today().isoformat()}
    assert program.post("/sales-reports", first, 201)["version"] == 1

    # As it was accepted before: the day may be put right, but takes no other lot of later.
    owner.execute("update consignment set ended_at = ended_at + interval '1 day' where id = %s", [sent["id"]])
    less = {**first, "corrects": 1, "lines": [{"trace_code": codes[0], "quantity": 1}]}
    assert program.post("/sales-reports", less, 201)["version"] == 3
    more = {**first, "corrects": 3}
    assert program.post("/sales-reports", more, 422)["errors"][0]["pointer"] == "#/lines/1"
