"""Figures of real rows: counted at once, equal in every grouping, and explained down to the plot."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
import sqlalchemy as sa
import time_machine

from marketplace.actors import Permission, Role, system
from marketplace.clock import today
from marketplace.database import db
from marketplace.errors import Conflict, Forbidden, NotFound, RuleViolation
from marketplace.journal.checkpoints import make_key
from marketplace.journal.sealing import Notary, Sealer
from marketplace.quota import explain, figures, service
from marketplace.quota.grouping import WITH_RESERVE, By, parse_as_of
from marketplace.quota.ledger import EntryKind
from marketplace.quota.models import LineStanding, ReserveEntry
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from tests.quota.world import DAY, HUATING, JINGNING, KONGTONG, City, Want

SIGNER, VKEY = make_key("pingliang.example/journal")
STAGES = ("ordered_fen", "accepted_fen", "paid_fen", "evaluated_fen", "counted_fen")


def approve(city: City, agency: str, base_fen: int = 1_000_000, year: int = 2026, **fields) -> None:
    """An approved declaration; by default a tenth of `base_fen`."""
    typed = {"canteen": "own", "share_bp": 1000, **fields}
    manager = city.manager(agency)
    filed = service.file_declaration(
        manager, agency_id=city.agencies[agency], year=year, base_fen=base_fen, **typed
    ).result
    service.submit_declaration(manager, filed["id"])
    service.approve_declaration(city.finance, filed["id"])


def row_of(table: dict, key) -> dict:
    return next(row for row in table["items"] if row["key"] == str(key))


def all_entries(city: City, actor=None, **filters) -> list[dict]:
    rows, after = [], None
    while True:
        page = explain.entries(
            db.session(), actor or city.poverty_office, year=2026, limit=3, after=after, **filters
        )
        rows += page["items"]
        after = page["next"]
        if after is None:
            return rows


def summary(city: City, actor=None, **arguments) -> dict:
    return figures.summary(db.session(), actor or city.poverty_office, **{"year": 2026, **arguments})


def entries_of(bought) -> list[tuple]:
    """(kind, amount, period, adjusts) of a purchase's entries in the order of their booking."""
    rows = db.session().execute(
        sa.select(ReserveEntry.kind, ReserveEntry.amount_fen, ReserveEntry.period, ReserveEntry.adjusts)
        .where(ReserveEntry.order_id == bought.order)
        .order_by(ReserveEntry.id)
    )
    return [(row.kind.value, row.amount_fen, row.period, row.adjusts) for row in rows]


def test_an_order_is_booked_stage_by_stage_the_moment_it_happens(city: City):
    bought = city.buy("school", Want(10))
    assert entries_of(bought) == []
    city.confirm(bought)
    city.ship(bought)
    city.accept(bought)
    city.pay(bought, amounts=[4_000])
    city.evaluate(bought)
    city.pay(bought, amounts=[6_000])
    assert entries_of(bought) == [
        ("ordered", 10_000, "2026-11", False),
        ("accepted", 10_000, "2026-11", False),
        ("paid", 4_000, "2026-11", False),
        ("evaluated", 10_000, "2026-11", False),
        ("counted", 4_000, "2026-11", False),
        ("paid", 6_000, "2026-11", False),
        ("counted", 6_000, "2026-11", False),
    ]
    standing = db.session().get_one(LineStanding, bought.lines[0])
    assert (standing.ordered_fen, standing.accepted_fen, standing.paid_fen) == (10_000, 10_000, 10_000)
    assert (standing.evaluated, standing.evaluated_fen, standing.counted_fen) == (True, 10_000, 10_000)
    assert standing.states == "accepted,evaluated,paid"


def test_an_order_cancelled_before_its_confirmation_leaves_no_entry(city: City):
    bought = city.buy("school", Want(5))
    city.cancel(bought, confirmed=False)
    assert entries_of(bought) == []


def test_an_order_cancelled_after_its_confirmation_takes_the_ordered_back(city: City):
    bought = city.buy("school", Want(5))
    city.confirm(bought)
    city.cancel(bought)
    assert entries_of(bought) == [("ordered", 5_000, "2026-11", False), ("ordered", -5_000, "2026-11", False)]


def test_an_allowance_lowers_what_counts(city: City):
    bought = city.trade("school", Want(10))
    city.allow(bought, 0, 1_500)
    assert entries_of(bought)[-3:] == [
        ("accepted", -1_500, "2026-11", False),
        ("evaluated", -1_500, "2026-11", False),
        ("counted", -1_500, "2026-11", False),
    ]


def test_a_line_of_an_unlisted_county_is_booked_in_every_stage_but_counted(city: City):
    bought = city.trade("school", Want(10, HUATING), Want(2))
    standing = db.session().get_one(LineStanding, bought.lines[0])
    assert (standing.accepted_fen, standing.paid_fen, standing.evaluated_fen) == (10_000, 10_000, 10_000)
    assert (standing.counted_fen, standing.eligible, standing.ineligible_reason) == (
        0, False, "county_not_listed",
    )  # fmt: skip
    assert [e for e in entries_of(bought) if e[0] == "counted"] == [("counted", 2_000, "2026-11", False)]


def test_trade_of_no_agency_is_booked_without_one_and_never_counted(city: City):
    before = summary(city)["total"]
    bought = city.trade(None, Want(10), purpose="social")
    rows = db.session().execute(
        sa.select(ReserveEntry.agency_id, ReserveEntry.kind).where(ReserveEntry.order_id == bought.order)
    )
    assert {(row.agency_id, row.kind.value) for row in rows} == {
        (None, "ordered"), (None, "accepted"), (None, "paid"), (None, "evaluated"),
    }  # fmt: skip
    assert summary(city)["total"] == before


def test_a_fact_about_lines_that_were_never_confirmed_is_refused_whole(city: City):
    bought = city.buy("school", Want(3))
    with pytest.raises(LookupError, match="never confirmed"):
        city.evaluate(bought)
    assert entries_of(bought) == []


def test_goods_accepted_after_16_hours_utc_on_31_december_belong_to_the_next_year(city: City):
    bought = city.buy("hospital", Want(7), day=date(2026, 12, 30))
    city.confirm(bought, date(2026, 12, 30))
    city.ship(bought, date(2026, 12, 30))
    with time_machine.travel(datetime(2026, 12, 31, 15, 59, tzinfo=UTC), tick=False):
        city.accept(bought, today(), packs=[3])
    with time_machine.travel(datetime(2026, 12, 31, 16, 0, tzinfo=UTC), tick=False):
        city.accept(bought, today(), packs=[4])
    assert entries_of(bought)[1:] == [
        ("accepted", 3_000, "2026-12", False),
        ("accepted", 4_000, "2027-01", False),
    ]


def test_trade_adds_up_to_one_total_in_every_grouping(city: City):
    city.trade("school", Want(10), Want(4, KONGTONG, "010103"), purpose="union")
    city.trade("hospital", Want(6, HUATING), day=date(2026, 10, 9))
    city.trade("vocational", Want(9, KONGTONG))
    city.trade("college", Want(1_000))
    totals = []
    for by in By:
        table = summary(city, by=by)
        for stage in STAGES:
            assert sum(row[stage] for row in table["items"]) == table["total"][stage], (by, stage)
        totals.append({stage: table["total"][stage] for stage in STAGES})
        assert ("reserve_fen" in table["items"][0]) == (by in WITH_RESERVE)
    assert all(total == totals[0] for total in totals)
    assert totals[0]["counted_fen"] < totals[0]["evaluated_fen"]
    origin = summary(city, by=By.ORIGIN_COUNTY)
    assert {row["key"]: row["name"] for row in origin["items"]} == {
        JINGNING: "静宁县", HUATING: "华亭市", KONGTONG: "崆峒区",
    }  # fmt: skip
    assert row_of(origin, HUATING)["counted_fen"] == 0
    by_buyer = summary(city, by=By.BUYER_COUNTY)
    assert row_of(by_buyer, JINGNING)["counted_fen"] == 9_000
    assert row_of(summary(city, by=By.PURPOSE), "union")["name"] == "工会福利"
    assert "college" not in [row["name"].removeprefix("单位") for row in summary(city)["items"]]


@pytest.mark.parametrize("by", list(By))
def test_the_entries_behind_each_figure_add_up_to_it(city: City, by: By):
    table = summary(city, by=by)
    traded = [row for row in table["items"] if row["ordered_fen"]]
    assert traded
    for row in traded:
        for kind in EntryKind:
            rows = all_entries(city, by=by, key=row["key"], kind=kind)
            assert sum(entry["amount_fen"] for entry in rows) == row[f"{kind.value}_fen"]
    whole = all_entries(city, by=by)
    assert len({(e["fact_id"], e["line_id"], e["kind"]) for e in whole}) == len(whole)
    for stage in STAGES:
        told = sum(e["amount_fen"] for e in whole if f"{e['kind'].value}_fen" == stage)
        assert told == table["total"][stage]


def test_an_entry_leads_to_its_order_its_lots_and_their_plots(city: City):
    bought = city.trade("hospital", Want(2, KONGTONG))
    rows = [r for r in all_entries(city, by=By.AGENCY, key=str(city.agencies["hospital"]))
            if r["line_id"] == bought.lines[0]]  # fmt: skip
    counted = next(row for row in rows if row["kind"] is EntryKind.COUNTED)
    code = f"1{KONGTONG}0103010000000"[:20]
    assert counted["order_number"] == bought.number
    assert counted["amount_fen"] == 2_000
    assert counted["trace_codes"] == [code]
    assert counted["plots"] == [
        {"trace_code": code, "township": "崆峒区城关镇", "village": f"村{n}", "plot": f"地块{KONGTONG}-{n}"}
        for n in (1, 2)
    ]
    assert counted["fact_seq"] is None


def test_completion_exceeds_100_percent_and_ranks_follow_it(fresh_city: City):
    city = fresh_city
    approve(city, "school", base_fen=166_823)
    approve(city, "hospital", base_fen=1_000_000)
    approve(city, "primary", base_fen=0, canteen="shared", represented_by=city.agencies["school"])
    city.trade("school", Want(1, price_fen=18_951))
    city.trade("hospital", Want(50))
    table = summary(city)
    school, hospital = (row_of(table, city.agencies[name]) for name in ("school", "hospital"))
    assert (school["reserve_fen"], school["counted_fen"], school["completion_bp"], school["rank"]) == (
        16_683, 18_951, 11_359, 1,
    )  # fmt: skip
    assert (hospital["reserve_fen"], hospital["completion_bp"], hospital["rank"]) == (100_000, 5_000, 2)
    assert [row["rank"] for row in table["items"]] == [1, 2, None, None, None]
    shared = row_of(table, city.agencies["primary"])
    assert (shared["declared"], shared["missing"], shared["completion_bp"]) == (1, 0, None)
    assert table["total"]["reserve_fen"] == 116_683
    assert table["total"]["completion_bp"] == 5_909
    assert (table["total"]["agencies"], table["total"]["declared"], table["total"]["missing"]) == (5, 3, 2)
    department = row_of(summary(city, by=By.DEPARTMENT), city.agencies["edu"])
    assert (department["agencies"], department["reserve_fen"], department["counted_fen"]) == (
        4,
        16_683,
        18_951,
    )
    county = row_of(summary(city, by=By.BUYER_COUNTY), KONGTONG)
    assert (county["agencies"], county["reserve_fen"], county["counted_fen"]) == (4, 116_683, 68_951)


def test_a_draft_never_counts_and_a_new_version_only_once_approved(fresh_city: City):
    city = fresh_city
    manager, school = city.manager("school"), city.agencies["school"]
    filed = service.file_declaration(
        manager, agency_id=school, year=2026, canteen="own", base_fen=500_000, share_bp=1000
    ).result
    service.submit_declaration(manager, filed["id"])
    assert row_of(summary(city), school)["reserve_fen"] == 0
    service.approve_declaration(city.finance, filed["id"])
    assert row_of(summary(city), school)["reserve_fen"] == 50_000
    service.file_declaration(
        manager, agency_id=school, year=2026, canteen="own", base_fen=800_000, share_bp=1000
    )
    assert row_of(summary(city), school)["reserve_fen"] == 50_000
    service.submit_declaration(manager, filed["id"])
    service.approve_declaration(city.finance, filed["id"])
    assert row_of(summary(city), school)["reserve_fen"] == 80_000


def test_figures_of_a_past_moment_are_those_of_the_largest_tree_signed_by_then(fresh_city: City):
    city, sealer, notary = fresh_city, Sealer(), Notary(SIGNER)
    start = datetime.now(UTC)
    approve(city, "school", base_fen=500_000)
    city.trade("school", Want(10))
    first_size = sealer.seal_pending()
    notary.make_checkpoint()
    first = datetime.now(UTC)
    city.trade("school", Want(5))
    approve(city, "school", base_fen=800_000)
    sealed_later = sealer.seal_pending()
    unsigned = datetime.now(UTC)
    live = summary(city)
    assert row_of(live, city.agencies["school"])["counted_fen"] == 15_000
    assert live["as_of"]["tree_size"] == first_size + sealed_later
    for moment in (first, unsigned):
        then = summary(city, as_of=moment)
        row = row_of(then, city.agencies["school"])
        assert (row["counted_fen"], row["reserve_fen"]) == (10_000, 50_000)
        assert then["as_of"]["tree_size"] == first_size
        assert then["as_of"]["time"] <= first
        assert then["basis"]["sealed_only"] is True
        rows = all_entries(city, kind=EntryKind.COUNTED, as_of=moment)
        assert [(r["amount_fen"], r["fact_seq"] <= first_size) for r in rows] == [(10_000, True)]
    notary.make_checkpoint()
    after = row_of(summary(city, as_of=datetime.now(UTC)), city.agencies["school"])
    assert (after["counted_fen"], after["reserve_fen"]) == (15_000, 80_000)
    before = summary(city, as_of=start)
    assert (before["as_of"]["tree_size"], before["total"]["ordered_fen"], before["total"]["reserve_fen"]) == (
        0,
        0,
        0,
    )


def test_a_day_as_a_moment_means_its_end_in_shanghai():
    assert parse_as_of("2026-11-24") == datetime(2026, 11, 24, 15, 59, 59, 999_999, tzinfo=UTC)
    assert parse_as_of("2026-11-24T12:00:00+08:00") == datetime(2026, 11, 24, 4, tzinfo=UTC)
    with pytest.raises(ValueError):
        parse_as_of("2026-11-24T12:00:00")


def test_late_acts_of_a_closed_month_stand_in_the_open_one_as_adjustments(fresh_city: City):
    city = fresh_city
    bought = city.buy("school", Want(10), day=date(2026, 10, 20))
    city.confirm(bought, date(2026, 10, 20))
    city.ship(bought, date(2026, 10, 20))
    closed = service.close_period(city.poverty_office, "2026-10").result
    assert closed["period"] == "2026-10"
    city.accept(bought, date(2026, 10, 30))
    assert entries_of(bought) == [
        ("ordered", 10_000, "2026-10", False),
        ("accepted", 10_000, "2026-11", True),
    ]
    months = summary(city, by=By.MONTH)
    assert {row["key"]: row["accepted_fen"] for row in months["items"]} == {"2026-10": 0, "2026-11": 10_000}


def test_a_month_is_closed_once_and_only_after_its_end(fresh_city: City):
    office = fresh_city.poverty_office
    service.close_period(office, "2026-09")
    with pytest.raises(Conflict) as again:
        service.close_period(office, "2026-09")
    assert again.value.code == "already-closed"
    with pytest.raises(RuleViolation) as early:
        service.close_period(office, f"{today().year + 1}-01")
    assert early.value.code == "period-not-over"
    for text in ("2026-13", "2026-9", "x"):
        with pytest.raises(RuleViolation) as bad:
            service.close_period(office, text)
        assert bad.value.code == "invalid"
    with pytest.raises(Forbidden):
        service.close_period(fresh_city.finance, "2026-08")
    assert db.session().execute(sa.text("select array_agg(period) from period_close")).scalar_one() == [
        "2026-09"
    ]


def test_pace_tells_what_is_still_to_buy_and_why_the_rest_waits(fresh_city: City):
    city = fresh_city
    approve(city, "school", base_fen=1_000_000)
    city.trade("school", Want(30))
    city.confirm(city.buy("school", Want(10)))
    half = city.buy("school", Want(8))
    city.confirm(half)
    city.ship(half)
    city.accept(half, packs=[6], refused=2)
    city.pay(half, amounts=[2_000])
    city.trade("school", Want(3, HUATING))
    answer = explain.pace(
        db.session(), city.manager("school"), agency_id=city.agencies["school"], year=2026, day=DAY
    )
    assert (answer["reserve_fen"], answer["counted_fen"], answer["remaining_fen"]) == (
        100_000,
        30_000,
        70_000,
    )
    assert {row["reason"]: row["amount_fen"] for row in answer["uncounted"]} == {
        "not_accepted": 10_000,
        "not_paid": 4_000,
        "not_evaluated": 2_000,
        "not_eligible": 3_000,
        "refused": 2_000,
    }
    assert (answer["under_way_fen"], answer["to_order_fen"]) == (16_000, 54_000)
    assert (answer["last_day"], answer["days_left"]) == (date(2026, 12, 31), 41)
    assert (answer["completion_bp"], answer["elapsed_bp"], answer["pace_bp"]) == (3_000, 8_877, -5_877)


def test_a_manager_sees_his_agency_and_its_units_and_nobody_elses(city: City):
    city.trade("school", Want(1))
    city.trade("hospital", Want(1))
    own = summary(city, city.manager("school"))
    assert [row["key"] for row in own["items"]] == [str(city.agencies["school"])]
    assert {e["agency_id"] for e in all_entries(city, city.manager("school"))} == {city.agencies["school"]}
    department = summary(city, city.manager("edu", "school", "primary", "vocational"))
    assert {row["key"] for row in department["items"]} == {
        str(city.agencies[name]) for name in ("edu", "school", "primary", "vocational")
    }
    for absent in (city.agencies["hospital"], uuid7(), city.sellers[JINGNING]):
        with pytest.raises(NotFound):
            explain.pace(db.session(), city.manager("school"), agency_id=absent, year=2026)
    for read in (figures.summary, explain.entries):
        with pytest.raises(Forbidden):
            read(db.session(), city.actor(Role.BUYER, city.agencies["school"]), year=2026)


def test_a_table_names_its_rule_its_cut_off_and_its_unit(city: City):
    city.trade("school", Want(1))
    basis = summary(city)["basis"]
    assert basis["policy_versions"] == ["counted_states@2019-01-01.1"]
    assert basis["counted_states"] == ["accepted", "paid", "evaluated"]
    assert basis["counted"] == "已验收、已付款、已评价"
    assert basis["unit"] == "分"
    assert basis["cut_off"]["tree_size"] == 0


def test_a_long_table_is_paged_without_losing_its_total(city: City):
    whole = summary(city)
    first = summary(city, limit=2)
    rest = summary(city, limit=1_000, after=first["next"])
    assert [r["key"] for r in first["items"] + rest["items"]] == [r["key"] for r in whole["items"]]
    assert first["total"] == rest["total"] == whole["total"]
    assert rest["next"] is None


def test_two_payments_for_one_line_at_once_are_both_counted(city: City):
    """The standing is read under its lock, so the second fold starts from the first one's result."""
    import threading

    from flask import current_app

    bought = city.trade("school", Want(100))
    app, failures = current_app._get_current_object(), []

    def allow() -> None:
        try:
            with app.app_context():
                city.allow(bought, 0, 1_000)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=allow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    counted = [amount for kind, amount, _, _ in entries_of(bought) if kind == "counted"]
    assert counted == [100_000, -1_000, -1_000, -1_000, -1_000]


def test_the_system_may_read_everything(city: City):
    with transaction(system(), Permission.SYSTEM) as tx:
        table = figures.summary(tx.session, system(), year=2026)
        tx.record("test.read", "test", uuid7())
    assert len(table["items"]) == 5


def test_the_number_of_queries_does_not_grow_with_the_rows(city: City):
    seen: list[str] = []

    def count(connection, cursor, statement, *rest) -> None:
        seen.append(statement)

    counts = []
    for _ in range(2):
        city.trade("school", Want(1), Want(1, KONGTONG, "010103"))
        seen.clear()
        sa.event.listen(db.engine, "before_cursor_execute", count)
        for by in (By.AGENCY, By.CATEGORY):
            summary(city, by=by)
        explain.entries(db.session(), city.poverty_office, year=2026, limit=100)
        explain.pace(db.session(), city.poverty_office, agency_id=city.agencies["school"], year=2026)
        sa.event.remove(db.engine, "before_cursor_execute", count)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 16
