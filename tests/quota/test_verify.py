"""Whoever changes a table, a fact, a seal or a checkpoint is found, even the owner of the tables."""

from __future__ import annotations

import hashlib
import json
import threading
from datetime import date

import psycopg
import pytest
import sqlalchemy as sa
from flask import current_app

from marketplace.actors import Permission, system
from marketplace.database import db
from marketplace.journal.checkpoints import make_key
from marketplace.journal.keys import signing_key
from marketplace.journal.sealing import Notary, Sealer
from marketplace.quota import service
from marketplace.quota.rebuild import Rebuilt
from marketplace.quota.verify import Report, verify
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from tests.quota.test_figures import SIGNER, VKEY, approve
from tests.quota.world import HUATING, City, Want
from tests.timing import computing


def busy(city: City) -> None:
    """Trade of every kind, declarations and a closed month; sealed and signed, then a little more, unsealed."""
    city.trade("school", Want(10), Want(4, HUATING))
    late = city.buy("hospital", Want(3), day=date(2026, 10, 2))
    city.confirm(late, date(2026, 10, 2))
    service.close_period(city.poverty_office, "2026-10")
    city.ship(late, date(2026, 10, 3))
    city.accept(late, date(2026, 10, 5), packs=[2], refused=1)
    city.cancel(_confirmed(city))
    city.allow(city.trade("school", Want(6)), 0, 500)
    city.trade(None, Want(5), purpose="social")
    approve(city, "school")
    approve(city, "school", base_fen=2_000_000)
    Sealer().seal_pending()
    Notary(SIGNER).make_checkpoint()
    city.trade("hospital", Want(2))


def _confirmed(city: City):
    bought = city.buy("hospital", Want(8))
    city.confirm(bought)
    return bought


def check() -> Report:
    db.session().rollback()
    return verify(db.engine, [VKEY])


def found(report: Report) -> set[str]:
    return {difference.what for difference in report.differences}


def test_an_untouched_marketplace_verifies_while_facts_are_still_unsealed(fresh_city: City):
    busy(fresh_city)
    report = check()
    assert [d.line() for d in report.differences] == []
    facts, entries = db.session().execute(
        sa.text("select (select count(*) from fact), (select count(*) from reserve_entry)")
    ).one()  # fmt: skip
    assert (report.facts, report.entries, report.lines) == (facts, entries, 7)
    assert report.unsealed == 7
    assert (report.sealed + report.unsealed, report.stock_rows) == (facts, 6)
    assert (report.checkpoints, report.signatures) == (1, 1)


@pytest.mark.parametrize(
    ("tampering", "what"),
    [
        ("update stock set on_hand = on_hand + 1 where id = (select min(id) from stock)", "stock.on_hand"),
        ("update stock set on_sale = not on_sale where id = (select min(id) from stock)", "stock.on_sale"),
        ("update stock set best_before = best_before + 1", "stock.best_before"),
        ("update stock_movement set on_hand_delta = on_hand_delta + 1 where id = 1",
         "stock_movement.on_hand_delta"),
        ("update order_line set accepted_fen = accepted_fen + 100 where accepted_fen > 0",
         "order_line.accepted_fen"),
        ("update order_line set eligible = true where not eligible", "order_line.eligible"),
        ("update orders set paid_fen = paid_fen + 1", "orders.paid_fen"),
        ("update line_standing set counted_fen = counted_fen + 100", "line_standing.counted_fen"),
        ("update reserve_entry set amount_fen = amount_fen + 1 where id = 1", "reserve_entry.amount_fen"),
        ("update reserve_entry set year = 2027, period = '2027-01' where id = 1", "reserve_entry.year"),
        ("update reserve_entry set agency_id = null where id = 1", "reserve_entry.agency_id"),
        ("delete from reserve_entry where id = 1", "reserve_entry"),
        ("insert into reserve_entry (fact_id, kind, amount_fen, occurred_on, recorded_at, year, period, adjusts,"
         " source, agency_id, purpose, county_code, buyer_county_code, category_code, eligible, policy_version,"
         " order_id, order_number, line_id) select gen_random_uuid(), kind, 100, occurred_on, recorded_at, year,"
         " period, adjusts, source, agency_id, purpose, county_code, buyer_county_code, category_code, eligible,"
         " policy_version, order_id, order_number, line_id from reserve_entry limit 1", "reserve_entry"),
        ("update money_posting set amount_fen = -amount_fen", "money_posting.amount_fen"),
        ("update money_entry set occurred_on = occurred_on + 1", "money_entry.occurred_on"),
        ("delete from money_posting", "money_posting"),
        ("update declaration_version set reserve_fen = reserve_fen - 1 where number = 2",
         "declaration_version.reserve_fen"),
        ("update declaration set approved_version = 1", "declaration.approved_version"),
        ("delete from period_close", "period_close"),
        ("update fact set kind = 'order.shipped' where kind = 'order.accepted'", "fact.kind"),
        ("update fact set recorded_at = recorded_at + interval '1 second' where number = 3", "fact.recorded_at"),
        ("update fact set parties = '{}' where kind = 'purchase.submitted'", "fact.parties"),
        ("update fact set body = replace(body, '\"paid_fen\":10000', '\"paid_fen\":20000')", "seal.leaf_hash"),
        ("update seal set leaf_hash = sha256('x') where seq = 2", "seal.leaf_hash"),
        ("delete from fact where number = 2", "fact"),
        ("delete from seal where seq = 2", "seal.seq"),
        ("update checkpoint set root = sha256('x')", "checkpoint.root"),
        ("update checkpoint set note = replace(note, 'pingliang', 'elsewhere')", "checkpoint.note"),
    ],
)  # fmt: skip
def test_tampering_by_the_owner_of_the_tables_is_found(
    fresh_city: City, tables_owner: psycopg.Connection, tampering: str, what: str
):
    busy(fresh_city)
    assert tables_owner.execute(tampering).rowcount > 0
    assert what in found(check())


def test_a_fact_rewritten_with_its_seal_is_found_by_the_signed_root(
    fresh_city: City, tables_owner: psycopg.Connection
):
    busy(fresh_city)
    seq, body = tables_owner.execute(
        "select s.seq, f.body from seal s join fact f on f.id = s.fact_id where f.kind = 'payment.confirmed'"
    ).fetchone()
    forged = body.replace('"paid_fen":10000', '"paid_fen":20000')
    assert forged != body
    leaf = hashlib.sha256(b"\x00" + seq.to_bytes(8, "big") + forged.encode()).digest()
    tables_owner.execute(
        "update fact set body = %s where id = (select fact_id from seal where seq = %s)", [forged, seq]
    )
    tables_owner.execute("update seal set leaf_hash = %s where seq = %s", [leaf, seq])
    report = check()
    assert "checkpoint.root" in found(report)
    assert "seal.leaf_hash" not in found(report)
    assert {"order_line.paid_fen", "line_standing.paid_fen", "reserve_entry.amount_fen"} <= found(report)


def test_a_checkpoint_of_another_key_does_not_pass(fresh_city: City):
    busy(fresh_city)
    other = make_key("pingliang.example/journal")[1]
    assert found(verify(db.engine, [other])) == {"checkpoint.note"}
    assert found(verify(db.engine, [other, VKEY])) == set()
    assert found(verify(db.engine)) == set()


def test_a_fact_that_contradicts_the_others_is_named_and_the_rest_is_still_compared():
    rebuilt = Rebuilt()
    rebuilt.feed(
        {"id": "f1", "kind": "order.confirmed", "data": {"lines": [{"line": "l", "ordered_fen": 1}]}}
    )
    rebuilt.feed({"id": "f2", "kind": "stock.moved", "data": {"moves": [
        {"lot": "a", "place": "b", "on_hand": 3, "reserved": 0}]}})  # fmt: skip
    assert [(r.fact, r.why) for r in rebuilt.refusals] == [("f1", "KeyError: 'l'")]
    assert rebuilt.stock == {("a", "b"): [3, 0]}


def test_the_command_prints_one_line_of_counts_and_ok(fresh_city: City):
    busy(fresh_city)
    db.session().rollback()
    runner = current_app.test_cli_runner()
    result = runner.invoke(args=["verify", "--key", VKEY])
    assert result.exit_code == 0, result.output
    words = result.stdout.split()
    assert words[-1] == "ok"
    counts = dict(word.split("=") for word in words[:-1])
    assert counts["unsealed"] == "7"
    assert counts["stock_rows"] == "6"
    assert counts["checkpoints"] == "1"


def test_the_command_names_each_difference_and_fails(fresh_city: City, tables_owner: psycopg.Connection):
    city = fresh_city
    city.trade("school", Want(10))
    Sealer().seal_pending()
    Notary(signing_key(current_app.config["SETTINGS"])).make_checkpoint()
    tables_owner.execute("update stock set reserved = 7 where id = 1")
    lot, place = tables_owner.execute("select lot_id, place_id from stock where id = 1").fetchone()
    db.session().rollback()
    result = current_app.test_cli_runner().invoke(args=["verify"])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == f"stock.reserved at lot {lot} place {place}: expected 0, found 7"
    assert lines[-1].endswith("differences=1")


def test_verify_is_right_while_the_marketplace_trades_and_seals(fresh_city: City):
    city, stop, failures = fresh_city, threading.Event(), []
    app = current_app._get_current_object()

    def at_work(act) -> None:
        try:
            with app.app_context():
                while not stop.is_set():
                    act()
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    sealer = Sealer()
    threads = [
        threading.Thread(target=at_work, args=(lambda: city.trade("school", Want(1)),)),
        threading.Thread(target=at_work, args=(sealer.seal_pending,)),
    ]
    for thread in threads:
        thread.start()
    try:
        reports = [check() for _ in range(12)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert [[d.line() for d in report.differences] for report in reports] == [[]] * 12
    assert reports[-1].facts > reports[0].facts


def test_20_000_facts_a_second_are_replayed(fresh_city: City, tables_owner: psycopg.Connection):
    """Copies of one real fact of stock stand for a long history; only the replay is timed."""
    with transaction(system(), Permission.SYSTEM) as tx:
        lot, place = tx.session.execute(sa.text("select lot_id, place_id from stock where id = 1")).one()
        moves = [{"lot": str(lot), "place": str(place), "kind": "stocktake", "on_hand": 0, "reserved": 0}]
        tx.record("stock.moved", "lot", lot, occurred_on="2026-11-20", moves=moves, orders=[])
    body, fact = tables_owner.execute("select body, id::text from fact where kind = 'stock.moved'").fetchone()
    assert json.loads(body)["id"] == fact
    ids = [str(uuid7()) for _ in range(40_000)]
    tables_owner.execute(
        "insert into fact (id, kind, recorded_at, actor_id, door, subject_type, subject_id, parties, body)"
        " select cast(n.id as uuid), f.kind, f.recorded_at, f.actor_id, f.door, f.subject_type, f.subject_id,"
        " f.parties, replace(f.body, f.id::text, n.id)"
        " from unnest(cast(%s as text[])) n(id), fact f where f.id::text = %s",
        [ids, fact],
    )
    Sealer().seal_pending()
    with computing() as spent:
        report = check()
    assert report.differences == []
    assert report.sealed >= 40_000
    assert report.facts / spent.seconds >= 20_000
