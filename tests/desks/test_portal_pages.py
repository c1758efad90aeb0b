"""The portal: its examples run as they stand, keys are made and ended by form, sellers answer what channels ask."""

from __future__ import annotations

import html
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from flask import Flask, Response

from marketplace.app import create_app
from marketplace.channels.reconciliation_api import ReconciliationKindOut
from marketplace.channels.reconciliation_rules import COLUMNS
from marketplace.config import from_environment
from marketplace.web.edge import announce_ends, deprecated
from tests.channels.partner import Program, order_body
from tests.channels.test_orders import pass_the_cut_off
from tests.conftest import PASSWORD, dispose
from tests.desks.trading import Visitor
from tests.notices.test_notices import catch_up, inbox
from tests.serving import running_site


@pytest.fixture(scope="module")
def partner(app: Flask) -> Visitor:
    return Visitor(app, "tianjin.partner")


def key_form(**changes: object) -> dict[str, Any]:
    return {
        "name": "门店收银系统", "scopes": ["catalogue", "orders"], "days": "30", "mode": "live",
        "current_password": PASSWORD,
    } | changes  # fmt: skip


def examples(text: str) -> dict[str, str]:
    found = re.findall(r'<pre class="example" data-example="(\w+)"[^>]*><code>(.*?)</code>', text, re.DOTALL)
    return {name: html.unescape(body).strip() for name, body in found}


EXAMPLES = [
    "token", "key", "self", "catalogue", "order", "show", "cancel", "play", "shop", "days", "count", "dispute",
    "settle", "daily",
]  # fmt: skip
# Two keys of a kind may be valid: whoever tries the rest again keeps the one he has.
ONCE = ("token", "key")


def test_the_examples_of_the_portal_run_as_they_stand(fresh_app: Flask, tmp_path: Path) -> None:
    beside = create_app(from_environment(fresh_app.config["TEST_ENVIRONMENT"] | {"SANDBOX": "1"}))
    assert beside.test_cli_runner().invoke(args=["seed", "--quiet"]).exit_code == 0
    dispose(beside)
    with running_site(fresh_app.config["TEST_ENVIRONMENT"]) as site:
        with urlopen(f"{site.base}/partner") as answer:
            given = examples(answer.read().decode())
        assert list(given) == EXAMPLES
        again = [text for name, text in given.items() if name not in ONCE]
        script = "\n".join(text + "\necho" for text in [*given.values(), *again])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=400,
            check=False,
        )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert "/problems/" not in done.stdout
    assert '"state":"approved"' in done.stdout
    assert '"outcome":"done"' in done.stdout
    assert '"accepted_quantity":20}' in done.stdout
    assert re.findall(r"\d{4}-\d\d-\d\d\.csv: OK", done.stdout) == [
        f"{p.stem}.csv: OK" for p in sorted(tmp_path.glob("*.csv"))
    ]
    assert done.stdout.count('"return_reason":"账户里没有"') == 2
    assert done.stdout.count('"state":"settled"') == 4
    with psycopg.connect(fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]) as owner:
        assert owner.execute("select count(*) from partner_order").fetchone() == (0,)
        versions = owner.execute(
            "select version, red, count(*) from sandbox.sales_report group by version, red order by version"
        ).fetchall()
        assert versions == [(1, False, 12), (2, True, 2), (3, False, 2)]
        assert owner.execute("select count(*) from sandbox.partner_order").fetchone() == (4,)
        states = owner.execute(
            "select state, count(*) from sandbox.orders group by state order by state"
        ).fetchall()
        assert states == [("cancelled", 2), ("shipped", 2)]
        disputes = owner.execute(
            "select state, count(*) from sandbox.statement_dispute group by state order by state"
        ).fetchall()
        assert disputes == [("corrected", 2), ("withdrawn", 2)]
        # Twice: 2 as corrected, 5 days of 2, less one that was disputed, and one spoilt; by month's end if one passed.
        owed = owner.execute(
            "select sum(total_fen) / (select min(unit_price_fen) from sandbox.statement_line) from sandbox.statement"
        ).fetchone()
        assert owed == (24,)


def test_the_page_tells_every_kind_of_row_that_a_daily_file_may_have(app: Flask) -> None:
    text = app.test_client().get("/partner").get_data(as_text=True)
    told = (ReconciliationKindOut.__doc__ or "").partition(": ")[2].partition(".")[0]

    kinds = {name.strip() for name in told.split(",")}
    assert len(kinds) == 21
    assert set(re.findall(r'<li><code class="name">(\w+)</code>', text)) == kinds
    assert all(f'<code class="name">{name}</code>' in text for name in COLUMNS)


def test_the_page_names_the_address_that_the_reader_came_by(app: Flask) -> None:
    client = app.test_client()

    assert "SITE=http://try.example:5001\n" in client.get(
        "/partner", base_url="http://try.example:5001"
    ).get_data(as_text=True)
    settings = app.config["SETTINGS"]
    app.config["SETTINGS"] = replace(
        settings, environment="production", public_base_url="https://our.example"
    )
    try:
        text = client.get("/partner", base_url="http://try.example:5001").get_data(as_text=True)
    finally:
        app.config["SETTINGS"] = settings
    assert "SITE=https://our.example\n" in text
    assert "pingliang-demo-2026" not in text


def test_a_form_for_a_key_offers_a_test_key_first(app: Flask, partner: Visitor) -> None:
    assert re.search(r'<option value="test" selected', partner.get("/portal/keys"))
    assert 'href="/sign-in?next=/portal/keys"' in app.test_client().get("/partner").get_data(as_text=True)


def test_the_foot_of_the_portal_leads_to_the_partners_own_document(app: Flask, partner: Visitor) -> None:
    client = app.test_client()

    for text in (client.get("/partner").get_data(as_text=True), partner.get("/portal/keys")):
        assert '<a href="/partner/docs">接口说明</a>' in text
    assert '<a href="/api/docs">接口说明</a>' in client.get("/sign-in").get_data(as_text=True)
    assert "接口接口" not in client.get("/partner/docs").get_data(as_text=True)


def test_everybody_may_read_the_promises_and_only_a_partner_its_terms(app: Flask, partner: Visitor) -> None:
    public = app.test_client().get("/partner").get_data(as_text=True)
    own = partner.get("/partner")

    for word in ("六个月", "Deprecation", "Sunset", "Retry-After", "一分钟内"):
        assert word in public
    assert "天津武清泾静优选商贸有限公司" not in public
    assert "天津武清泾静优选商贸有限公司" in own
    assert "送货前1天的16:00" in own


def test_a_key_is_shown_once_and_ended_by_its_page(fresh_app: Flask) -> None:
    partner = Visitor(fresh_app, "tianjin.partner")
    made = partner.post("/portal/keys", 200, **key_form())
    text = made.get_data(as_text=True)
    found = re.search(r"pl_live_[a-z2-7]{12}_[0-9a-f]{64}", text)
    assert found
    assert made.headers["Cache-Control"] == "no-store"
    listed = partner.get("/portal/keys")
    assert found[0] not in listed
    assert found[0].split("_")[2] in listed
    program = Program(fresh_app, key=found[0])
    program.get("/catalogue")
    address = re.search(r'href="(/portal/keys/[0-9a-f-]+/revoke)"', listed)
    assert address
    assert "马上连不上" in partner.get(address[1])

    partner.post(address[1])

    program.get("/catalogue", 401)
    assert "已停用" in partner.get("/portal/keys")


def test_a_refused_key_form_keeps_what_was_typed_but_not_the_password(fresh_app: Flask) -> None:
    partner = Visitor(fresh_app, "tianjin.partner")

    refused = partner.post("/portal/keys", 401, **key_form(current_password="wrong-password"))

    text = refused.get_data(as_text=True)
    assert 'value="门店收银系统"' in text
    assert "wrong-password" not in text
    no_scope = partner.post("/portal/keys", 422, **key_form(scopes=[]))
    assert "请至少选一项用途" in no_scope.get_data(as_text=True)
    assert "还没有密钥" in partner.get("/portal/keys")


def test_a_seller_answers_by_page_what_a_channel_asks(fresh_app: Flask) -> None:
    program = Program(fresh_app)
    seller = Visitor(fresh_app, "coop.seller")
    item = next(i for i in program.items() if i["sku"] == "PL-0001")
    with psycopg.connect(
        fresh_app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True
    ) as owner:
        for number in ("P-1", "P-2"):
            program.post("/orders", order_body(number, [item], packs=2), 201)
            pass_the_cut_off(owner, number)
            program.post(f"/orders/{number}/cancel", {"reason": "门店装修"})

    catch_up(fresh_app)
    assert "渠道申请改订单" in inbox(fresh_app, "coop.seller")
    listed = seller.get("/sell/changes")
    agree = re.findall(r'href="(/sell/changes/[0-9a-f-]+/agree)"', listed)
    assert len(agree) == 2
    assert "门店装修" in listed
    assert "静宁苹果" in seller.get(agree[0])
    refuse = agree[0].replace("/agree", "/refuse")
    seller.post(refuse, 422, reason="")
    seller.post(refuse, reason="已经装车")
    seller.post(agree[1])
    assert "没有等答复的申请" in seller.get("/sell/changes")
    catch_up(fresh_app)
    assert "渠道申请改订单" not in inbox(fresh_app, "coop.seller")
    told = inbox(fresh_app, "tianjin.partner")
    assert "供应商同意改订单" in told
    assert "供应商不同意改订单" in told
    states = {n: program.get(f"/orders/{n}") for n in ("P-1", "P-2")}
    assert {states["P-1"]["state"], states["P-2"]["state"]} == {"approved", "cancelled"}
    assert "已经装车" in {c["decision_reason"] for o in states.values() for c in o["changes"]}
    stranger = Visitor(fresh_app, "coop2.seller")
    stranger.get(agree[0], 404)


def test_a_route_that_ends_is_announced_half_a_year_before(app: Flask) -> None:
    since, sunset = datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 6, 4, tzinfo=UTC)

    @deprecated(since, sunset, "/partner/v2/orders")
    def view() -> str:
        return "done"

    with app.test_request_context("/partner/v1/orders"):
        assert view() == "done"
        answer = announce_ends(Response("done"))
    assert answer.headers["Deprecation"] == "@1796083200"
    assert answer.headers["Sunset"] == "Fri, 04 Jun 2027 00:00:00 GMT"
    assert answer.headers["Link"] == '</partner/v2/orders>; rel="successor-version"'
    with pytest.raises(ValueError, match="six months"):
        deprecated(since, datetime(2027, 5, 1, tzinfo=UTC), "/partner/v2/orders")
