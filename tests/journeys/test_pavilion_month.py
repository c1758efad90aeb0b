"""A month of a pavilion on consignment, by routes alone: from the goods sent to the statement settled, to the fen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from flask import Flask

from marketplace.channels import jobs
from marketplace.journal.sealing import Sealer
from tests.channels.consigned import LAST_DAY, PERIOD
from tests.channels.partner import Program
from tests.channels.sending import Sender

FIRST_DAY = LAST_DAY.replace(day=1)
SELLER, PARTNER = "coop.seller", "tianjin.partner"


def at(day: date) -> time_machine.travel:
    """Noon of a day in Shanghai."""
    return time_machine.travel(datetime.combine(day, time(4), UTC), tick=False)


@pytest.fixture(scope="module")
def owner(app: Flask) -> Iterator[psycopg.Connection]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as connection:
        yield connection


def balances(owner: psycopg.Connection) -> dict[tuple[str, str], int]:
    """(account, kind of organisation) -> fen of all entries of statements."""
    rows = owner.execute(
        "select p.account, o.kind, sum(p.amount_fen)::bigint from money_posting p"
        " join money_entry e using (fact_id) join organisation o on o.id = p.organisation_id"
        " where e.statement_id is not null group by 1, 2"
    )
    return {(account, kind): fen for account, kind, fen in rows if fen}


def test_a_month_on_consignment_is_settled_equal_to_the_ledger_to_the_fen(
    app: Flask, owner: psycopg.Connection
) -> None:
    # Keys end by the real clock, so this one outlives the month that is played.
    program = Program(app, PARTNER)
    first, second = goods_arrive(app, program)
    price = {
        code: owner.execute(
            "select t.price_fen from price_tier t join lot l on l.product_id = t.product_id and l.trace_code = %s"
            " join channel_agreement a on a.price_list_id = t.price_list_id and a.pattern = 'consignment'"
            " order by t.min_quantity limit 1", [code]
        ).fetchone()[0]  # type: ignore[index]
        for code in (first, second)
    }  # fmt: skip

    sold = days_are_reported(program, first, second)
    with at(FIRST_DAY + timedelta(days=11)):
        corrected = correct(program, FIRST_DAY + timedelta(days=8), {first: 3})
    assert corrected == [(3, False, 3 * price[first]), (2, True, -price[first]), (1, False, price[first])]
    sold[first] += 2

    held = {first: 28 - sold[first], second: 10 - sold[second]}
    with at(LAST_DAY):
        count(program, {first: held[first] - 3, second: held[second] - 1}, {
            first: [("spoilage", 2, "rotten", "seller"), ("spoilage", 1, "damaged", "channel")],
            second: [("loss", 1, "stolen", "channel")],
        })  # fmt: skip
        held = {first: held[first] - 3, second: held[second] - 1}
        standing = {row["trace_code"]: row["quantity"] for row in program.get("/shop-stock")["items"]}
        assert standing == held

    owed = sum(sold[code] * price[code] for code in sold) + price[first] + price[second]
    with at(LAST_DAY + timedelta(days=3)):
        with app.app_context():
            jobs.issue_statements()
        statement = settled(app, program, owner, owed)

    assert statement["state"] == "settled"
    kinds = [line["kind"] for line in statement["lines"]]
    assert {kind: kinds.count(kind) for kind in ("red", "spoilage", "loss")} == {
        "red": 1, "spoilage": 1, "loss": 1,
    }  # fmt: skip
    reported = every(program, "/sales-reports")
    assert sum(r["total_fen"] for r in reported) == owed - price[first] - price[second]
    assert balances(owner) == {("bank", "seller"): owed, ("paid", "channel"): -owed}
    with app.app_context():
        Sealer().seal_pending()
    told = every(program, "/events")
    kinds = [event["kind"] for event in told]
    assert (
        kinds.index("consignment.taken_over") < kinds.index("sales.reported") < kinds.index("sales.reversed")
    )
    assert kinds.index("stock.counted") < kinds.index("statement.issued") < kinds.index("statement.settled")
    verified = app.test_cli_runner().invoke(args=["verify"])
    assert verified.exit_code == 0, verified.output


def goods_arrive(app: Flask, program: Program) -> tuple[str, str]:
    """Two lots come to the shop on the first day: 30 packs, two of them broken on the way, and 10 packs."""
    with at(FIRST_DAY):
        sent = Sender(app, SELLER).send(30, 10)
        first, second = (line["trace_code"] for line in sent["lines"])
        arrived = {"lines": [{"trace_code": first, "accepted_quantity": 28}]}
        taken = program.post(f"/consignments/{sent['id']}/take-over", arrived)
    assert [line["accepted_quantity"] for line in taken["lines"]] == [28, 10]
    return first, second


def days_are_reported(program: Program, first: str, second: str) -> dict[str, int]:
    """Every evening: a pack of the first lot on odd days, of the second on every fifth, else nothing."""
    sold = {first: 0, second: 0}
    for n in range(LAST_DAY.day):
        day, lines = FIRST_DAY + timedelta(days=n), []
        for code, every_n in ((first, 2), (second, 5)):
            if n % every_n == 0:
                lines.append({"trace_code": code, "quantity": 1})
                sold[code] += 1
        with at(day):
            program.post("/sales-reports", {"business_day": day.isoformat(), "lines": lines}, 201)
    return sold


def correct(program: Program, day: date, packs: dict[str, int]) -> list[tuple[int, bool, int]]:
    """Report a day anew; its versions afterwards."""
    lines = [{"trace_code": code, "quantity": n} for code, n in packs.items()]
    program.post("/sales-reports", {"business_day": day.isoformat(), "corrects": 1, "lines": lines}, 201)
    versions = program.get("/sales-reports", from_day=day.isoformat(), to_day=day.isoformat())["items"]
    return [(v["version"], v["red"], v["total_fen"]) for v in versions]


def count(
    program: Program, counted: dict[str, int], differences: dict[str, list[tuple[str, int, str, str]]]
) -> None:
    names = ("kind", "quantity", "cause", "borne_by")
    lines = [
        {
            "trace_code": code,
            "counted": packs,
            "differences": [dict(zip(names, each, strict=True)) for each in differences[code]],
        }
        for code, packs in counted.items()
    ]
    program.post("/stock-counts", {"counted_on": LAST_DAY.isoformat(), "lines": lines}, 201)


def settled(app: Flask, program: Program, owner: psycopg.Connection, owed: int) -> dict[str, Any]:
    """Both sides agree, the channel pays, the seller has the money."""
    ask: Callable[..., dict[str, Any]] = Sender(app, SELLER).teller.ask
    (issued,) = program.get("/statements", period=PERIOD)["items"]
    path = f"/statements/{issued['id']}"
    assert (issued["state"], issued["total_fen"]) == ("issued", owed)
    assert balances(owner) == {("receivable", "seller"): owed, ("payable", "channel"): -owed}
    program.post(f"{path}/agree", {})
    ask("POST", f"{path}/agree", SELLER)
    paid = {"paid_on": (LAST_DAY + timedelta(days=3)).isoformat(), "bank_reference": "BK202611240001"}
    program.post(f"{path}/transfer", paid)
    ask("POST", f"{path}/settle", SELLER, {})
    return dict(program.get(path))


def every(program: Program, path: str) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    page = program.get(path, limit=100)
    items = list(page["items"])
    while page["next"] is not None:
        page = program.get(path, limit=100, after=page["next"])
        items += page["items"]
    return items
