"""The sandbox: a test key trades on rows of its own, lets the other side act, and moves a clock of its own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from marketplace import clock
from marketplace.accounts.service import add_organisation, add_user
from marketplace.actors import Door, system
from marketplace.app import create_app
from marketplace.channels import jobs, keys
from marketplace.channels.states import KeyMode
from marketplace.config import from_environment
from tests.channels.partner import Program, channel_actor, new_key, order_body
from tests.conftest import PASSWORD, Server, cloned_app, dispose
from tests.serving import running_site


@pytest.fixture(scope="module")
def site(server: Server, seeded_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The marketplace with a filled sandbox, and a state folder of its own: the clock stands there."""
    with cloned_app(server, seeded_template, tmp_path_factory.mktemp("state")) as app:
        beside = create_app(from_environment(app.config["TEST_ENVIRONMENT"] | {"SANDBOX": "1"}))
        loaded = beside.test_cli_runner().invoke(args=["seed", "--quiet"])
        assert loaded.exit_code == 0, loaded.output
        dispose(beside)
        yield app
        dispose(app.wsgi_app.sandbox())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def program(site: Flask) -> Program:
    return Program(site, key=str(new_key(site, mode=KeyMode.TEST)["key"]))


@pytest.fixture
def owner(site: Flask) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        site.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True
    ) as connection:
        yield connection


def counted(owner: psycopg.Connection, schema: str) -> tuple[int, int]:
    row = owner.execute(
        f"select (select count(*) from {schema}.partner_order), (select count(*) from {schema}.fact)"  # noqa: S608
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def test_a_test_order_stands_in_the_sandbox_alone(
    site: Flask, program: Program, owner: psycopg.Connection
) -> None:
    live, before = counted(owner, "public"), counted(owner, "sandbox")

    program.post("/orders", order_body("SB-1", program.items()[:2]), 201)

    assert counted(owner, "public") == live
    after = counted(owner, "sandbox")
    assert after[0] == before[0] + 1
    assert after[1] > before[1]
    Program(site).get("/orders/SB-1", 404)


def test_the_sellers_confirm_ship_short_and_send_the_rest(program: Program) -> None:
    program.post("/orders", order_body("SB-2", program.items()[:1], packs=2), 201)

    order = program.post("/test/orders/SB-2/confirm", {})["orders"][0]
    assert order["state"] == "confirmed"
    line = order["lines"][0]
    short = program.post(
        "/test/orders/SB-2/ship", {"lines": [{"line_id": line["id"], "quantity": line["quantity"] - 1}]}
    )["orders"][0]
    assert (short["state"], short["lines"][0]["shipped_quantity"]) == ("part_shipped", line["quantity"] - 1)
    whole = program.post("/test/orders/SB-2/ship", {})["orders"][0]
    assert (whole["state"], whole["lines"][0]["shipped_quantity"]) == ("shipped", line["quantity"])
    program.post("/test/orders/SB-2/ship", {}, 409)


def test_a_line_of_another_order_is_not_shipped(program: Program) -> None:
    other = program.post("/orders", order_body("SB-3", program.items()[:1]), 201)["orders"][0]["lines"][0]
    program.post("/orders", order_body("SB-4", program.items()[:1]), 201)
    program.post("/test/orders/SB-4/confirm", {})

    program.post("/test/orders/SB-4/ship", {"lines": [{"line_id": other["id"], "quantity": 1}]}, 422)

    assert program.get("/orders/SB-4")["orders"][0]["state"] == "confirmed"


def test_the_sellers_refuse(program: Program) -> None:
    program.post("/orders", order_body("SB-5", program.items()[:1]), 201)

    assert program.post("/test/orders/SB-5/refuse", {"reason": "缺货"})["state"] == "cancelled"
    program.post("/test/orders/SB-5/confirm", {}, 409)


def test_a_lot_that_was_sent_spoils_and_is_recalled(program: Program, owner: psycopg.Connection) -> None:
    program.post("/orders", order_body("SB-6", program.items()[:1]), 201)
    program.post("/test/orders/SB-6/confirm", {})
    code = program.post("/test/orders/SB-6/ship", {})["orders"][0]["lines"][0]["lots"][0]["trace_code"]

    program.post(f"/test/lots/{code}/spoil", {"quantity": 1})
    program.post(f"/test/lots/{code}/recall", {})

    kinds = "select kind, count(*) from {}.fact where kind in ('stock.moved', 'lot.held') group by kind"
    assert ("lot.held", 1) in [
        (kind, 1) for kind, count in owner.execute(kinds.format("sandbox")).fetchall() if count
    ]
    program.post("/test/lots/PLNOSUCHLOT/recall", {}, 404)


def test_another_channel_does_not_reach_the_order(site: Flask, program: Program) -> None:
    program.post("/orders", order_body("SB-7", program.items()[:1]), 201)
    other = Program(site, key=str(new_key(site, "tianjin2.partner", mode=KeyMode.TEST)["key"]))

    other.get("/orders/SB-7", 404)
    other.post("/test/orders/SB-7/confirm", {}, 404)

    assert program.get("/orders/SB-7")["orders"][0]["state"] == "placed"


def test_a_channel_that_joined_later_trades_in_the_sandbox_like_the_others(
    site: Flask, owner: psycopg.Connection
) -> None:
    with site.app_context():
        joined = add_organisation(
            system(Door.CLI), code="ORG-CH-NEW", name="天津河西新到渠道有限公司", kind="channel",
            subkind="company", region_code="120103",
        ).result["id"]  # fmt: skip
        add_user(
            system(Door.CLI), username="late.partner", name="新渠道业务员", password=PASSWORD,
            organisation_id=joined, role="channel_partner",
        )  # fmt: skip
    newcomer = Program(site, key=str(new_key(site, "late.partner", mode=KeyMode.TEST)["key"]))
    newcomer.get("/self", 401)

    live = counted(owner, "public")
    sandbox = site.wsgi_app.sandbox()  # type: ignore[attr-defined]
    for _ in range(2):
        with sandbox.app_context():
            jobs.admit_guests()

    assert newcomer.get("/self")["channel"]["name"] == "天津河西新到渠道有限公司"
    assert {a["pattern"] for a in newcomer.get("/self")["agreements"]} == {"wholesale", "consignment"}
    newcomer.post("/orders", order_body("NEW-1", newcomer.items()[:2]), 201)
    newcomer.post("/test/orders/NEW-1/confirm", {})
    assert counted(owner, "public") == live
    users = owner.execute(
        "select count(*) from sandbox.app_user u join sandbox.organisation o on o.id = u.organisation_id"
        " where o.code = 'ORG-CH-NEW'"
    ).fetchone()
    assert users == (1,)


def test_the_marketplace_itself_admits_nobody(site: Flask, owner: psycopg.Connection) -> None:
    before = counted(owner, "public"), counted(owner, "sandbox")
    with site.app_context():
        jobs.admit_guests()
    assert (counted(owner, "public"), counted(owner, "sandbox")) == before


def test_a_revoked_test_key_is_refused_by_the_next_request(site: Flask) -> None:
    made = new_key(site, mode=KeyMode.TEST, name="换下")
    program = Program(site, key=str(made["key"]))
    program.get("/self")
    with site.app_context():
        keys.revoke_key(channel_actor("tianjin.partner"), made["id"])

    program.get("/self", 401)


def test_the_marketplace_itself_has_no_test_routes(site: Flask) -> None:
    live = Program(site)
    live.post("/orders", order_body("SB-8", live.items()[:1]), 201)

    live.post("/test/orders/SB-8/confirm", {}, 404)
    live.post("/test/clock", {"hours": 24}, 404)
    live.get("/test/clock", 404)
    assert live.get("/self")["mode"] == "live"

    assert live.get("/orders/SB-8")["orders"][0]["state"] == "placed"


def test_the_clock_moves_in_the_sandbox_alone_and_silent_sellers_lose_the_order(
    site: Flask, program: Program
) -> None:
    program.post("/orders", order_body("SB-9", program.items()[:1]), 201)
    with site.app_context():
        before = clock.now()

    for hours in (1.5, "24", True, 0):
        program.post("/test/clock", {"hours": hours}, 422)
    moved = program.post("/test/clock", {"hours": 15 * 24})

    ahead = datetime.fromisoformat(moved["now"]) - datetime.now(UTC)
    assert timedelta(days=14, hours=23) < ahead <= timedelta(days=15)
    with site.app_context():
        assert clock.now() - before < timedelta(minutes=1)
    assert program.get("/orders/SB-9")["orders"][0]["state"] == "lapsed"
    assert program.get("/self")["mode"] == "test"
    read = program.get("/test/clock")
    assert read["ahead_seconds"] == moved["ahead_seconds"]
    assert datetime.fromisoformat(read["now"]) >= datetime.fromisoformat(moved["now"])


def test_the_journal_of_the_sandbox_is_verified_for_itself(site: Flask) -> None:
    beside = create_app(from_environment(site.config["TEST_ENVIRONMENT"] | {"SANDBOX": "1"}))
    from marketplace.journal.sealing import Sealer

    with beside.app_context():
        Sealer().seal_pending()
    checked = beside.test_cli_runner().invoke(args=["verify"])
    dispose(beside)

    assert checked.exit_code == 0, checked.output


def test_the_production_server_answers_both_keys(site: Flask, program: Program, tmp_path: Path) -> None:
    live = str(new_key(site, "tianjin2.partner")["key"])
    script = (
        'curl -sS "$API/self" -H "Authorization: Bearer $TEST"; echo;'
        ' curl -sS -o /dev/null -w "%{http_code}" -X POST "$API/test/orders/SB-2/confirm"'
        ' -H "Authorization: Bearer $LIVE" -H "Content-Type: application/json" -d "{}"'
    )
    with running_site(site.config["TEST_ENVIRONMENT"]) as running:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=400,
            env={"PATH": "/usr/bin:/bin", "API": f"{running.base}/partner/v1", "TEST": program.key, "LIVE": live},
            check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r'"key":\s*"key:|"key":"', done.stdout)
    assert done.stdout.endswith("404")


def test_a_month_on_consignment_is_played_to_its_settled_statement(
    program: Program, owner: psycopg.Connection
) -> None:
    # Near the end: it leaves the clock of the sandbox more than a month ahead.
    sku = program.items()[0]["partner_sku"]
    other = Program(program.client.application, "tianjin2.partner")
    sent = program.post("/test/consignments", {"partner_sku": sku, "quantity": 12}, 201)
    other.post("/test/consignments", {"partner_sku": sku, "quantity": 12}, 404)
    program.post("/test/consignments", {"partner_sku": "NO-SUCH", "quantity": 12}, 404)
    code = program.post(f"/consignments/{sent['id']}/take-over", {})["lines"][0]["trace_code"]
    program.post(f"/test/lots/{code}/spoil", {"quantity": 1})
    other.post(f"/test/lots/{code}/spoil", {"quantity": 1}, 404)
    on = clock.business_day(datetime.fromisoformat(sent["sent_at"])).isoformat()
    sold = program.post(
        "/sales-reports", {"business_day": on, "lines": [{"trace_code": code, "quantity": 5}]}, 201
    )

    program.post("/test/clock", {"hours": 24 * 33})

    (statement,) = program.get("/statements")["items"]
    path = f"/statements/{statement['id']}"
    assert (statement["state"], statement["total_fen"]) == ("issued", sold["total_fen"])
    (line,) = program.get(path)["lines"]
    assert line["partner_sku"] == sku
    wish = {"line_id": line["id"], "quantity": 4, "reason": "少一件"}
    (dispute,) = program.post(f"{path}/disputes", wish)["disputes"]
    answer = f"/test{path}/disputes/{dispute['id']}/answer"
    other.post(answer, {"accept": True}, 404)
    program.post(answer, {"accept": "yes"}, 422)
    assert program.post(answer, {"accept": True, "answer": "对"})["total_fen"] == sold["total_fen"] * 4 // 5
    program.post(answer, {"accept": True}, 409)
    assert program.post(f"{path}/agree", {})["state"] == "issued"
    assert program.post(f"/test{path}/agree", {})["state"] == "agreed"
    now = program.post("/test/clock", {"hours": 1})["now"]
    transfer = {"paid_on": now[:10], "bank_reference": "BKSANDBOX1"}
    program.post(f"/test{path}/return", {}, 409)
    undeclared = program.post(f"/test{path}/confirm", {}, 409)
    assert (undeclared["type"].rpartition("/")[2], undeclared["detail"]) == (
        "wrong-state",
        "渠道还没有登记付款",
    )
    program.post(f"{path}/transfer", transfer)
    assert program.post(f"/test{path}/return", {"reason": "没到"})["return_reason"] == "没到"
    assert program.post(f"{path}/transfer", transfer)["return_reason"] is None
    assert program.post(f"/test{path}/confirm", {})["state"] == "settled"
    other.post(f"/test{path}/agree", {}, 404)
    fewer = {"business_day": on, "corrects": 1, "lines": [{"trace_code": code, "quantity": 2}]}
    program.post("/sales-reports", fewer, 201)
    program.post("/test/clock", {"hours": 24 * 31})
    (owed,) = program.get("/statements", state="issued")["items"]
    assert owed["total_fen"] == -3 * sold["total_fen"] // 5
    program.post(f"/statements/{owed['id']}/agree", {})
    program.post(f"/test/statements/{owed['id']}/agree", {})
    program.post(f"/statements/{owed['id']}/transfer", {**transfer, "bank_reference": "BKSANDBOX2"}, 409)
    back = program.post(f"/test/statements/{owed['id']}/confirm", {})
    assert (back["state"], back["bank_reference"][:8]) == ("settled", "SANDBOX-")
    assert owner.execute("select count(*) from statement").fetchone() == (0,)


def test_goods_are_harvested_again_when_none_keeps_and_when_a_channel_asks(
    program: Program, owner: psycopg.Connection
) -> None:
    # The last one: after the month above a year goes by, and with it all that was harvested before.
    item = program.get("/catalogue", limit=1)["items"][0]
    lots = "select count(*) from sandbox.lot l join sandbox.product p on p.id = l.product_id where p.sku = %s"
    before = owner.execute(lots, [item["sku"]]).fetchone()
    program.post("/test/clock", {"hours": 24 * 366})
    program.post("/test/clock", {"hours": 1})
    after = owner.execute(lots, [item["sku"]]).fetchone()
    assert before is not None
    assert after == (before[0] + 1,)

    day = date.fromisoformat(program.get("/self")["today"]) + timedelta(days=7)
    (found,) = [i for i in program.items() if i["sku"] == item["sku"]]
    program.post("/test/lots", {"partner_sku": "NO-SUCH", "quantity": 60}, 404)
    program.post("/test/lots", {"partner_sku": item["partner_sku"], "quantity": 60}, 201)
    (more,) = [i for i in program.items() if i["sku"] == item["sku"]]
    assert more["available_quantity"] == found["available_quantity"] + 60
    program.post("/orders", order_body("SB-10", [more], day=day), 201)
