"""What stands in a shop is counted: differences, who bears them, the shop's stock, its readers, and `verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace.actors import Door, system
from marketplace.channels import statements
from marketplace.clock import today
from tests.channels.consigned import LAST_DAY, PERIOD
from tests.channels.partner import Program
from tests.channels.stocked import Stocked, stocked

DAY = today() - timedelta(days=2)
ON = DAY.isoformat()
SignIn = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def program(app: Flask) -> Program:
    return Program(app)


@pytest.fixture(scope="module")
def lots(app: Flask) -> list[Stocked]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        return stocked(app, owner)


def line(lot: Stocked, counted: int, *differences: tuple[str, int, str, str]) -> dict[str, Any]:
    names = ("kind", "quantity", "cause", "borne_by")
    return {
        "trace_code": lot.trace_code,
        "counted": counted,
        "differences": [dict(zip(names, each, strict=True)) for each in differences],
    }


def count(*lines: dict[str, Any], day: str = ON) -> dict[str, Any]:
    return {"counted_on": day, "lines": list(lines)}


def state(owner: psycopg.Connection) -> Any:
    return owner.execute(
        "select (select count(*) from stock_count), (select count(*) from stock_count_line),"
        " (select count(*) from fact where kind not like 'partner_key.%'), (select count(*) from stock_movement),"
        " (select sum(on_hand) from stock)"
    ).fetchone()


def test_the_shop_holds_what_was_counted_and_each_difference_says_who_bears_it(
    program: Program, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    first, second = lots
    held = first.held(owner), second.held(owner)
    body = count(
        line(
            first, held[0] - 4, ("spoilage", 3, "rotten", "seller"), ("loss", 2, "stolen", "channel"),
            ("found", 1, "miscounted", "channel"),
        ),
        line(second, held[1]),
    )  # fmt: skip

    answer = program.post("/stock-counts", body, 201)

    told = answer["lines"][0]
    assert (told["expected"], told["counted"], told["amount_fen"]) == (
        held[0], held[0] - 4, (2 - 1) * first.price_fen,
    )  # fmt: skip
    assert [(d["kind"], d["quantity"], d["borne_by"], d["amount_fen"]) for d in told["differences"]] == [
        ("spoilage", 3, "seller", 0),
        ("loss", 2, "channel", 2 * first.price_fen),
        ("found", 1, "channel", -first.price_fen),
    ]
    assert (answer["lines"][1]["differences"], answer["version"]) == ([], 1)
    assert (first.held(owner), second.held(owner)) == (held[0] - 4, held[1])
    moves = owner.execute(
        "select kind, on_hand_delta from stock_movement order by id desc limit 4"
    ).fetchall()
    assert moves[::-1] == [("spoilage", -3), ("shrinkage", -2), ("stocktake", 1), ("stocktake", 0)]
    assert program.get(f"/stock-counts/{answer['id']}") == answer
    assert answer["id"] in [c["id"] for c in program.get("/stock-counts", from_day=ON, to_day=ON)["items"]]


def test_the_same_count_again_takes_nothing_twice(
    program: Program, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    body = count(line(lots[0], lots[0].held(owner) - 1, ("spoilage", 1, "expired", "channel")))
    first, before = program.send("/stock-counts", body), state(owner)

    again = program.send("/stock-counts", body)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.get_data() == first.get_data()
    assert state(owner) == before


def test_every_line_that_is_not_explained_is_refused_and_nothing_changes(
    program: Program, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    held, before = [lot.held(owner) for lot in lots], state(owner)
    unknown = {"trace_code": "NOSUCHCODE", "counted": 1}

    missing = program.post(
        "/stock-counts", count(line(lots[0], held[0] - 3), line(lots[1], held[1] + 2)), 422
    )
    foreign = program.post("/stock-counts", count(line(lots[0], held[0]), unknown), 422)
    size = owner.execute("select quantity from lot where id = %s", [lots[0].lot_id]).fetchone()
    assert size is not None
    grown = line(lots[0], size[0] + 1, ("found", size[0] + 1 - held[0], "miscounted", "channel"))
    too_many = program.post("/stock-counts", count(grown), 422)

    assert [(e["pointer"], e["detail"]) for e in missing["errors"]] == [
        ("#/lines/0/counted", f"账上有{held[0]}件，还有3件没有说明是损耗还是短少"),
        ("#/lines/1/counted", f"账上有{held[1]}件，多出的2件没有说明"),
    ]
    assert [(e["pointer"], e["detail"]) for e in foreign["errors"]] == [
        ("#/lines/1/trace_code", "门店没有过这一批")
    ]
    assert too_many["errors"][0]["detail"] == f"比这一批采收的{size[0]}件还多"
    assert state(owner) == before


def test_differences_that_do_not_add_up_are_told_with_the_three_numbers(
    program: Program, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    held, before = lots[0].held(owner), state(owner)

    over = line(lots[0], held - 1, ("spoilage", 2, "rotten", "seller"))
    under = line(lots[0], held - 3, ("loss", 2, "stolen", "channel"), ("found", 1, "miscounted", "channel"))
    refused = [program.post("/stock-counts", count(wrong), 422)["errors"][0] for wrong in (over, under)]

    assert [(e["pointer"], e["detail"]) for e in refused] == [
        ("#/lines/0/counted", f"账上{held}件，点到{held - 1}件，说明的差异合计-2件，三个数对不上"),
        ("#/lines/0/counted", f"账上{held}件，点到{held - 3}件，说明的差异合计-1件，三个数对不上"),
    ]
    assert state(owner) == before


def test_more_than_was_there_can_not_be_lost(
    program: Program, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    held, before = lots[1].held(owner), state(owner)

    program.post("/stock-counts", count(line(lots[1], 0, ("loss", held + 1, "unknown", "channel"))), 422)

    assert state(owner) == before


def test_days_to_come_and_days_before_reported_sales_are_not_counted(
    program: Program, lots: list[Stocked], owner: psycopg.Connection
) -> None:
    sold = {"business_day": ON, "lines": [{"trace_code": lots[1].trace_code, "quantity": 1}]}
    program.post("/sales-reports", sold, 201)
    held, before = lots[1].held(owner), state(owner)
    # From the day of the sales, which was chosen when this file was loaded: midnight may have passed since.
    past, ahead = (DAY - timedelta(days=1)).isoformat(), (today() + timedelta(days=2)).isoformat()

    early = program.post("/stock-counts", count(line(lots[1], held), day=past), 409)
    future = program.post("/stock-counts", count(line(lots[1], held), day=ahead), 422)
    carrier = program.post(
        "/stock-counts", count(line(lots[1], held, ("loss", 1, "unknown", "carrier"))), 422
    )

    assert early["detail"] == f"{ON}的销售已经上报，请盘点现在的库存"
    assert future["errors"][0]["pointer"] == "#/counted_on"
    assert carrier["errors"][0]["pointer"] == "#/lines/0/differences/0/borne_by"
    assert state(owner) == before


def test_each_seller_reads_his_own_lots_alone(
    app: Flask, program: Program, lots: list[Stocked], owner: psycopg.Connection, sign_in: SignIn
) -> None:
    mine = stocked(app, owner, seller="coop.seller", packs=6)[0]
    other = next(lot for lot in lots if lot.seller_id != mine.seller_id)
    made = program.post(
        "/stock-counts",
        count(
            line(mine, mine.held(owner) - 2, ("spoilage", 2, "damaged", "seller")),
            line(other, other.held(owner)),
        ),
        201,
    )

    facts = owner.execute(
        "select parties, body from fact where kind = 'stock.counted' and subject_id = %s", [made["id"]]
    ).fetchall()
    by_seller = {json.loads(body)["data"]["seller"]: (parties, body) for parties, body in facts}
    assert set(by_seller) == {str(mine.seller_id), str(other.seller_id)}
    parties, body = by_seller[str(mine.seller_id)]
    assert other.seller_id not in parties
    assert str(other.lot_id) not in body
    headers = sign_in("coop.seller")
    rows = app.test_client().get("/api/v1/channel-counts", headers=headers).get_json()["items"]
    told = [r for r in rows if r["count_id"] == made["id"]]
    assert [(r["trace_code"], r["spoilage"], r["loss"], r["borne_by"]) for r in told] == [
        (mine.trace_code, 2, 0, "seller")
    ]


def test_a_statement_charges_what_the_channel_bears(fresh_app: Flask) -> None:
    url = fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
    with psycopg.connect(url, autocommit=True) as owner:
        lot = stocked(fresh_app, owner)[0]
        held = lot.held(owner)
        counted = line(
            lot, held - 6, ("spoilage", 3, "rotten", "channel"), ("spoilage", 2, "rotten", "seller"),
            ("loss", 1, "unknown", "channel"),
        )  # fmt: skip
        program = Program(fresh_app)
        program.post("/stock-counts", count(counted, day=LAST_DAY.isoformat()), 201)
        channel = owner.execute("select channel_id from stock_count").fetchone()
        assert channel is not None
        with fresh_app.app_context():
            issued = statements.issue_statement(
                system(Door.JOB), channel_id=channel[0], seller_id=lot.seller_id, period=PERIOD
            ).result
        assert [(r["kind"], r["quantity"]) for r in issued["lines"]] == [("spoilage", 3), ("loss", 1)]
        assert issued["total_fen"] == 4 * lot.price_fen
        clean = fresh_app.test_cli_runner().invoke(args=["verify"])
        assert clean.exit_code == 0, clean.output

        owner.execute("alter table stock_count_line disable trigger user")
        owner.execute("alter table stock_count disable trigger user")
        owner.execute("update stock_count_line set borne_by = 'seller' where position = 1")
        owner.execute("update stock_count set version = 9")
        told = str(fresh_app.test_cli_runner().invoke(args=["verify"]).output)
    assert "stock_count_line.borne_by" in told
    assert "stock_count.version" in told
