"""The daily file: each of its rows is a row of the tables, its sum is theirs to the fen, and it never changes."""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from flask import Flask

from marketplace import clock
from marketplace.actors import Door, system
from marketplace.channels import statement_disputes, statement_paying, statements
from marketplace.channels.reconciliation_rules import NOT_OWED_SINCE, bearers_in_file, kinds_of_fact
from marketplace.channels.states import BorneBy
from tests.channels.consigned import LAST_DAY, PERIOD, open_shop
from tests.channels.partner import Program, channel_actor, order_body
from tests.channels.sending import Sender
from tests.channels.sent import sent_order
from tests.story import Teller, bearer

CHANNEL, SELLER = "tianjin.partner", "coop.seller"


@pytest.fixture(scope="module")
def day() -> date:
    return clock.today() + timedelta(days=1)


@pytest.fixture(scope="module")
def program(app: Flask) -> Program:
    return Program(app, CHANNEL)


@pytest.fixture
def noon(day: date) -> Iterator[Any]:
    """The clock stands at the noon of `day`; what is yielded moves it on by days."""

    def noon_of(later: int) -> timedelta:
        at = datetime.combine(day + timedelta(days=later), time(12), tzinfo=clock.SHANGHAI)
        return at - clock.real_now()

    shift = [noon_of(0)]
    clock.run_ahead(lambda: shift[0])
    yield lambda later: shift.__setitem__(0, noon_of(later))
    clock.run_as_before()


def traded_day(app: Flask, owner: psycopg.Connection, program: Program) -> None:
    """A day with an order that is taken over in part, paid, one that is cancelled, sales, a count and a statement."""
    teller = Teller(app, bearer(app))
    order = sent_order(app, program, "REC-1", packs=4)["orders"][0]
    listed = teller.ask("GET", "/orders?limit=100", SELLER)["items"]
    order_id = next(o["id"] for o in listed if o["number"] == order["number"])
    row = order["shipments"][0]["lines"][0]
    taken = {"line_id": row["line_id"], "trace_code": row["trace_code"], "accepted_quantity": row["quantity"] - 1,
             "refused_quantity": 1, "allowance_fen": 150, "reason": "压坏"}  # fmt: skip
    teller.ask("POST", f"/orders/{order_id}/accept", CHANNEL, {"lines": [taken]})
    teller.ask("POST", f"/orders/{order_id}/agree-allowance", SELLER)
    payment = teller.ask(
        "POST", "/payments", CHANNEL, {"method": "transfer", "orders": [{"order_id": order_id}]}
    )
    slip = {"amount_fen": payment["amount_fen"], "paid_on": clock.today().isoformat(), "bank_reference": "REC0001",
            "payer_name": "渠道", "document_id": teller.file(CHANNEL, "slip")}  # fmt: skip
    teller.ask("POST", f"/payments/{payment['id']}/slips", CHANNEL, slip)
    teller.ask("POST", f"/payments/{payment['id']}/confirm", SELLER)

    items = program.items()[:2]
    program.post("/orders", order_body("REC-2", items, packs=2), 201)
    program.post("/orders/REC-2/cancel", {"reason": "不要了"})

    sender = Sender(app)
    sent = sender.send(10, 4)
    body = {"lines": [{"trace_code": sent["lines"][0]["trace_code"], "accepted_quantity": 7}]}
    program.post(f"/consignments/{sent['id']}/take-over", body)
    teller.ask("POST", f"/consignments/{sender.send(3)['id']}/cancel", SELLER)
    sender.send(2)

    shop = open_shop(owner)
    shop.report(LAST_DAY, (10, 4180), (2, 3900))
    shop.report(LAST_DAY, (-2, 3900), red=True, version=2)
    shop.count(LAST_DAY, spoilage=2, loss=-1, price=4180)
    shop.count(LAST_DAY, spoilage=5, loss=0, price=4180, borne_by="seller")
    shop.count(LAST_DAY, spoilage=0, loss=3, price=4180, borne_by="carrier")
    with app.app_context():
        made = statements.issue_statement(
            system(Door.JOB), channel_id=shop.channel, seller_id=shop.seller, period=PERIOD
        ).result
        channel, seller = channel_actor(CHANNEL), shop.seller_actor()
        wrong = next(line["id"] for line in made["lines"] if line["quantity"] == 10)
        made = statement_disputes.raise_dispute(
            channel, made["id"], wrong, quantity=9, reason="少一箱"
        ).result
        statement_disputes.answer_dispute(seller, made["id"], made["disputes"][0]["id"], accept=True)
        for actor in (channel, seller):
            statements.agree_statement(actor, made["id"])
        statement_paying.settle_statement(seller, made["id"], paid_on=clock.today(), bank_reference="REC0002")


# What the tables say of the channel's only day of trade: kind, trace code, packs, fen.
TABLES = """
with own as (select po.partner_order_no, o.* from partner_order po join orders o using (purchase_id)
             where po.channel_id = %(channel)s),
     line as (select l.*, own.number, own.partner_order_no from order_line l join own on own.id = l.order_id)
select 'order', number, '', quantity::bigint, goods_fen from line
union all
select 'cancelled', number, '', -cancelled_quantity, -cancelled_quantity * unit_price_fen from line
where cancelled_quantity > 0
union all
select 'shipped', number, s.trace_code, s.quantity, s.quantity * unit_price_fen
from shipment_line s join line on line.id = s.line_id
union all
select 'accepted', number, t.trace_code, a.accepted_quantity, a.accepted_quantity * unit_price_fen
from acceptance_line a join line on line.id = a.line_id join lot t on t.id = a.lot_id
union all
select 'refused', number, t.trace_code, a.refused_quantity, a.refused_quantity * unit_price_fen
from acceptance_line a join line on line.id = a.line_id join lot t on t.id = a.lot_id
union all
select 'allowance', number, t.trace_code, null, -a.allowance_fen
from acceptance_line a join line on line.id = a.line_id join lot t on t.id = a.lot_id
union all
select 'payment', number, '', null, paid_fen from own where paid_fen > 0
union all
select case when r.red then 'red' else 'sold' end, '', t.trace_code, l.quantity, l.amount_fen
from sales_report r join sales_report_line l on l.report_id = r.id join lot t on t.id = l.lot_id
where r.channel_id = %(channel)s
union all
select k.kind || case l.borne_by when 'channel' then '' else '_not_owed' end, '', t.trace_code, k.packs,
       case l.borne_by when 'channel' then k.packs * l.unit_price_fen else 0 end
from stock_count c join stock_count_line l on l.count_id = c.id join lot t on t.id = l.lot_id
cross join lateral (values ('spoilage', l.spoilage), ('loss', l.loss)) as k(kind, packs)
where c.channel_id = %(channel)s and k.packs <> 0
union all
select 'statement', '', '', null, sum(amount_fen) from statement_line l join statement s on s.id = l.statement_id
where s.channel_id = %(channel)s and not exists (
    select from statement_line a where a.statement_id = s.id and a.kind = 'adjustment' and a.position <= l.position)
union all
select 'statement_change', '', '', null, sum(amount_fen) from statement_line l join statement s on s.id = l.statement_id
where s.channel_id = %(channel)s and exists (
    select from statement_line a where a.statement_id = s.id and a.kind = 'adjustment' and a.position <= l.position)
union all
select k.kind, '', l.trace_code, k.packs, 0
from consignment c join consignment_line l on l.consignment_id = c.id cross join lateral (values
    ('consigned', l.quantity),
    ('consignment_taken_over', case c.state when 'taken_over' then l.accepted end),
    ('consignment_returned', case c.state when 'taken_over' then l.accepted - l.quantity end),
    ('consignment_cancelled', case c.state when 'cancelled' then -l.quantity end)
) as k(kind, packs) where c.channel_id = %(channel)s and k.packs <> 0
union all
select 'settlement', '', '', null, total_fen from statement where channel_id = %(channel)s and state = 'settled'
"""


def test_each_row_is_one_of_the_tables_and_a_closed_day_keeps_its_bytes(
    app: Flask, owner: psycopg.Connection, program: Program, day: date, noon: Any
) -> None:
    traded_day(app, owner, program)
    path = f"/partner/v1/reconciliation/{day}.csv"
    early = program.client.get(path, headers=program.headers)
    assert (early.status_code, early.get_json()["closes_at"]) == (
        409, f"{day + timedelta(days=1)}T00:10:00+08:00",
    )  # fmt: skip

    noon(1)
    first = program.client.get(path, headers=program.headers)
    program.post("/orders", order_body("REC-3", program.items()[:1]), 201)
    noon(9)
    again = program.client.get(path, headers=program.headers)
    assert first.get_data() == again.get_data()

    content = first.get_data()
    digest = sha256(content)
    assert first.headers["Repr-Digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    total = rows.pop()
    seen = Counter(
        (r["kind"], r["order_number"], r["trace_code"], int(r["quantity"]) if r["quantity"] else None,
         int(r["amount_fen"]))
        for r in rows
    )  # fmt: skip
    channel = owner.execute("select id from organisation where code = 'ORG-CH-WQ'").fetchone()
    assert channel is not None
    last = owner.execute("select max(number) from orders").fetchone()
    expected = Counter(
        tuple(r) for r in owner.execute(TABLES, {"channel": channel[0]}) if r[1] != (last or [""])[0]
    )
    assert seen == expected
    assert {kind for kind, *_ in seen} == {
        "order", "cancelled", "shipped", "accepted", "refused", "allowance", "payment", "sold", "red", "spoilage",
        "loss", "statement", "statement_change", "settlement", "consigned", "consignment_taken_over",
        "consignment_returned", "consignment_cancelled", "spoilage_not_owed", "loss_not_owed",
    }  # fmt: skip
    assert {(r["quantity"], r["unit_price_fen"]) for r in rows if "not_owed" in r["kind"]} == {
        ("5", ""),
        ("3", ""),
    }
    assert sum(n * key[3] for key, n in seen.items() if key[0] == "consigned") == 10 + 4 + 3 + 2
    assert {
        bool(r["seller_id"] and r["product_id"] and r["reference"]) for r in rows if "consign" in r["kind"]
    } == {True}
    assert (total["row"], int(total["amount_fen"])) == ("total", sum(key[4] * n for key, n in seen.items()))
    assert [int(r["row"]) for r in rows] == list(range(1, len(rows) + 1))
    assert {r["partner_order_no"] for r in rows if r["order_number"]} == {"REC-1", "REC-2"}

    sums = program.get(f"/reconciliation/{day}")
    assert (sums["rows"], sums["sha256"]) == (len(rows), digest.hexdigest())
    assert sums["total_fen"] == int(total["amount_fen"]) == sum(k["amount_fen"] for k in sums["kinds"])
    packs_and_fen: dict[str, list[int]] = {}
    for row in rows:
        sum_of_kind = packs_and_fen.setdefault(row["kind"], [0, 0, 0])
        sum_of_kind[0] += 1
        sum_of_kind[1] += int(row["quantity"] or 0)
        sum_of_kind[2] += int(row["amount_fen"])
    assert {k["kind"]: [k["rows"], k["quantity"], k["amount_fen"]] for k in sums["kinds"]} == packs_and_fen
    document = app.test_client().get("/partner/openapi.json").get_json()
    described = document["components"]["schemas"]["ReconciliationOut"]["properties"]
    assert described["total_fen"]["description"].startswith("a check sum")


def test_files_that_were_handed_out_without_packs_that_nobody_owes_stay_without_them() -> None:
    before, since = NOT_OWED_SINCE - timedelta(days=1), NOT_OWED_SINCE
    assert bearers_in_file(before) == {BorneBy.CHANNEL}
    assert bearers_in_file(since) == set(BorneBy)
    assert {kind for kind in kinds_of_fact(since) if kind.startswith("consignment.")} == {
        "consignment.sent", "consignment.taken_over", "consignment.cancelled",
    }  # fmt: skip
    assert kinds_of_fact(before) == {
        kind for kind in kinds_of_fact(since) if not kind.startswith("consignment.")
    }


def test_another_channels_day_has_none_of_it(app: Flask, day: date, noon: Any) -> None:
    noon(1)
    other = Program(app, "tianjin2.partner")
    sums = other.get(f"/reconciliation/{day}")

    assert (sums["rows"], sums["total_fen"], sums["kinds"]) == (0, 0, [])


def test_a_day_that_is_none_is_absent(program: Program) -> None:
    for word in ("2026-13-01", "20261101", "yesterday", "1999-12-31", "0001-01-01", "9999-12-31"):
        for path in (f"/reconciliation/{word}", f"/reconciliation/{word}.csv"):
            assert program.get(path, 404)["type"].endswith("not-found")
