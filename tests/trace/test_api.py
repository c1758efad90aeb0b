"""Lots and the public story over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
import structlog
from flask.testing import FlaskClient

from marketplace.catalog.models import Lot, LotState
from marketplace.clock import today
from marketplace.database import db
from marketplace.trace import scans, story
from marketplace.trace.codes import ALPHABET, check_symbol, make_trace_code, shown
from marketplace.trace.keyring import trace_keys
from marketplace.trace.models import TraceScan
from marketplace.trace.story_schemas import StoryOut
from marketplace.values import uuid7
from tests.serving import free_port
from tests.trace.world import GROWER_NAME, HARVEST, PLOT, World

SignIn = Callable[[str], dict[str, str]]


def lot_in(world: World) -> dict[str, Any]:
    origins = [o | {"grower_id": str(o["grower_id"])} for o in world.origins()]
    return {
        "product_id": str(world.product),
        "quantity": 600,
        "harvested_on": HARVEST.isoformat(),
        "origins": origins,
    }


def test_a_seller_brings_a_lot_on_sale_and_anybody_reads_its_story(
    world: World, http: FlaskClient, signed: SignIn
) -> None:
    seller, regulator = signed("one.seller"), signed("regulator")
    made = http.post("/api/v1/lots", json=lot_in(world), headers=seller)
    assert made.status_code == 201, made.get_data(as_text=True)
    lot = made.get_json()
    assert lot["state"] == "draft"
    refused = http.post(f"/api/v1/lots/{lot['id']}/release", headers=seller)
    assert refused.status_code == 422
    assert refused.get_json()["type"].endswith("/lot-not-releasable")
    assert refused.get_json()["reasons"][0]["code"] == "certificate-missing"
    paper = {
        "kind": "commitment",
        "number": "HGZ-API",
        "issued_on": "2026-10-13",
        "quantity": 600,
        "document_id": str(world.document),
    }
    assert http.post(f"/api/v1/lots/{lot['id']}/certificates", json=paper, headers=seller).status_code == 201
    sample = {
        "sampled_on": "2026-10-15",
        "items": [
            {"name": "毒死蜱", "value": 0.008, "limit": 0.02, "unit": "mg/kg"},
            {"name": "甲胺磷", "value": "未检出", "limit": "0.05", "unit": "mg/kg"},
        ],
        "passed": True,
        "document_id": str(world.lab_document),
    }
    filed = http.post(f"/api/v1/lots/{lot['id']}/inspections", json=sample, headers=regulator)
    assert filed.status_code == 201, filed.get_data(as_text=True)
    released = http.post(f"/api/v1/lots/{lot['id']}/release", headers=seller)
    assert released.get_json()["state"] == "released"

    story = http.get(f"/api/v1/trace/{shown(lot['trace_code']).lower()}").get_json()
    assert story["trace_code"] == lot["trace_code"]
    assert (story["product"]["name"], story["county"]["name"]) == ("静宁苹果", "静宁县")
    assert story["origins"] == [{"township": "城川镇", "village": "上塬村"}]
    assert story["harvested_on"] == "2026-10-12"
    assert story["households"] == {"count": 3, "paid_fen": 2_100_000}
    assert [c["number"] for c in story["certificates"]] == ["HGZ-API"]
    assert len(story["certificates"][0]["sha256"]) == 64
    assert story["inspections"][0]["recorded_by"] == "平凉市市场监督管理局"
    assert story["state"] == "released"
    assert story["recall"] is None
    assert [(e["kind"], e["said"]) for e in story["events"]] == [
        ("harvested", True),
        ("certified", True),
        ("inspected", False),
        ("released", True),
    ]


def test_a_lot_with_a_missing_origin_is_refused_with_its_pointer(
    world: World, http: FlaskClient, signed: SignIn
) -> None:
    answer = http.post("/api/v1/lots", json=lot_in(world) | {"origins": []}, headers=signed("one.seller"))
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["pointer"] == "#/origins"


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "2200-01-01", "9999-12-31"])
def test_a_harvest_no_calendar_of_ours_knows_is_refused_and_makes_no_lot(
    world: World, http: FlaskClient, signed: SignIn, day: str
) -> None:
    before = db.session.scalar(sa.select(sa.func.count()).select_from(Lot))
    answer = http.post(
        "/api/v1/lots", json=lot_in(world) | {"harvested_on": day}, headers=signed("one.seller")
    )
    assert answer.status_code == 422, answer.get_data(as_text=True)
    assert answer.get_json()["errors"] == [
        {"pointer": "#/harvested_on", "detail": "要在1900-01-01到2199-12-31之间"}
    ]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Lot)) == before


def test_a_harvest_of_a_later_day_without_best_before_is_refused(
    world: World, http: FlaskClient, signed: SignIn
) -> None:
    answer = http.post(
        "/api/v1/lots", json=lot_in(world) | {"harvested_on": "2199-12-31"}, headers=signed("one.seller")
    )
    assert answer.status_code == 422, answer.get_data(as_text=True)
    assert {"pointer": "#/harvested_on", "detail": "采收日还没有到"} in answer.get_json()["errors"]


def test_a_repeated_request_makes_one_lot(world: World, http: FlaskClient, signed: SignIn) -> None:
    headers = signed("one.seller") | {"Idempotency-Key": "lot-1"}
    first = http.post("/api/v1/lots", json=lot_in(world), headers=headers)
    again = http.post("/api/v1/lots", json=lot_in(world), headers=headers)
    assert first.data == again.data
    assert again.headers["Idempotent-Replayed"] == "true"


def test_another_sellers_lot_answers_as_absent(world: World, http: FlaskClient, signed: SignIn) -> None:
    lot = world.lot()
    headers = signed("two.seller")
    theirs = http.get(f"/api/v1/lots/{lot['id']}", headers=headers)
    absent = http.get("/api/v1/lots/00000000-0000-7000-8000-000000000000", headers=headers)
    assert (theirs.status_code, theirs.data) == (404, absent.data)
    assert http.get(f"/api/v1/lots/{lot['id']}").status_code == 401


def test_the_public_story_holds_no_grower_no_plot_and_no_file(
    world: World, http: FlaskClient, signed: SignIn
) -> None:
    lot = world.released()
    code = lot["trace_code"]
    hidden = [GROWER_NAME, PLOT, "GR-0", str(world.document), str(world.lab_document), "秘密原因"]
    hidden += [str(g) for g in world.growers]
    http.post(f"/api/v1/lots/{lot['id']}/hold", json={"reason": "秘密原因"}, headers=signed("one.seller"))
    for address in (f"/api/v1/trace/{code}", f"/t/{code}"):
        answer = http.get(address)
        assert answer.status_code == 200
        assert [word for word in hidden if word in answer.get_data(as_text=True)] == []
    private = http.get(f"/api/v1/lots/{lot['id']}/private", headers=signed("office")).get_data(as_text=True)
    assert PLOT in private
    assert "GR-0" in private
    assert str(world.document) in private
    assert GROWER_NAME not in private


def test_unknown_forged_and_mistyped_codes_answer_alike(world: World, http: FlaskClient) -> None:
    unknown = make_trace_code(trace_keys())
    forged = make_trace_code(("a key that somebody else has made",))
    real = world.released()["trace_code"]
    mistyped = real[:-1] + ALPHABET[(ALPHABET.index(real[-1]) + 1) % 32]
    strange = "U" * 19
    strange += check_symbol("0" * 19)
    for where in ("/api/v1/trace/", "/t/"):
        asked = (unknown, forged, mistyped, strange, "x", "苹果")
        answers = [http.get(where + code) for code in asked]
        assert {a.status_code for a in answers} == {404}
        # The page's switch of language leads back to the address that was asked, and is all that differs.
        pairs = zip(answers, asked, strict=True)
        assert len({a.get_data(as_text=True).replace(where + code, where) for a, code in pairs}) == 1
        told = [{k: v for k, v in a.headers.items() if k not in ("X-Request-Id", "Date")} for a in answers]
        assert all(headers.keys() == told[0].keys() for headers in told)


def test_scans_are_counted_by_day_and_shown(world: World, http: FlaskClient) -> None:
    lot = world.released()
    for _ in range(3):
        http.get(f"/api/v1/trace/{lot['trace_code']}")
    assert http.get(f"/api/v1/trace/{lot['trace_code']}").get_json()["scans"] == 3


def test_counts_wait_for_a_locked_counter_and_the_reading_does_not(world: World, http: FlaskClient) -> None:
    lot = world.released()
    scans.count_scan(lot["id"])
    scans.flush()
    with db.engine.connect() as other:
        other.execute(sa.select(TraceScan).where(TraceScan.lot_id == lot["id"]).with_for_update()).all()
        assert http.get(f"/api/v1/trace/{lot['trace_code']}").get_json()["scans"] == 1
        scans.flush()
        assert scans.waiting(lot["id"]) == 1
        other.rollback()
    scans.flush()
    assert scans.waiting(lot["id"]) == 0
    assert http.get(f"/api/v1/trace/{lot['trace_code']}").get_json()["scans"] == 2


def test_the_last_scans_are_written_before_the_pool_closes(world: World) -> None:
    lot = world.released()
    scans.count_scan(lot["id"])

    scans.close(db.engine)

    assert scans.waiting(lot["id"]) == 0
    written = sa.select(TraceScan.count).where(TraceScan.lot_id == lot["id"])
    assert db.session().scalars(written).all() == [1]


@pytest.mark.parametrize(("stands", "warnings"), [(False, 0), (True, 1)])
def test_a_process_that_ends_after_its_database_says_nothing_of_its_last_scans(
    stands: bool, warnings: int
) -> None:
    refused = sa.create_engine(f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/gone")
    here = scans._Waiting()
    here.add(refused, uuid7(), today())

    with structlog.testing.capture_logs() as logs:
        if stands:
            here.write(refused)
        else:
            here.end(refused)

    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("scans_not_written", "warning")
    ] * warnings


def test_few_households_are_no_public_figure(world: World, http: FlaskClient) -> None:
    lot = world.lot(origins=world.origins()[:2])
    assert http.get(f"/api/v1/trace/{lot['trace_code']}").get_json()["households"] is None


def test_a_paper_that_disagrees_is_not_shown(world: World, http: FlaskClient) -> None:
    lot = world.lot()
    world.certified(lot["id"], product_name="静宁梨")
    assert http.get(f"/api/v1/trace/{lot['trace_code']}").get_json()["certificates"] == []


def test_the_page_says_first_what_stops_a_lot(world: World, http: FlaskClient) -> None:
    lot = world.released()

    def page() -> str:
        return http.get(f"/t/{lot['trace_code']}").get_data(as_text=True)

    assert "在售，抽检合格" in page()
    world.sampled(lot["id"], passed=False, sampled_on=HARVEST)
    assert "抽检不合格。已经买到的请先封存" in page()
    recall(lot["id"])
    assert "正在召回" in page()
    assert (
        http.get(f"/api/v1/trace/{lot['trace_code']}")
        .get_json()["recall"]["advice"]
        .startswith("这一批正在召回")
    )


def recall(lot_id: UUID) -> None:
    db.session.rollback()
    db.session.execute(sa.update(Lot).where(Lot.id == lot_id).values(state=LotState.RECALLED))
    db.session.commit()


def test_the_page_has_no_inline_script_and_no_foreign_address(world: World, http: FlaskClient) -> None:
    lot = world.released()
    for address in (f"/t/{lot['trace_code']}", "/t/nothing", "/"):
        page = http.get(address).get_data(as_text=True)
        assert page.count("<script") == page.count('<script src="/static/')
        assert "style=" not in page
        assert "http://" not in page
        assert "https://" not in page
    assert "对照标签再看一遍" in http.get("/t/nothing").get_data(as_text=True)
    assert http.get("/static/look.css").status_code == 200


def test_growers_are_listed_to_their_own_seller(world: World, http: FlaskClient, signed: SignIn) -> None:
    wish = {"code": "GR-9", "name": "丙", "township_code": "620826108", "village": "上塬村"}
    made = http.post("/api/v1/growers", json=wish, headers=signed("one.seller"))
    assert made.status_code == 201
    assert http.post("/api/v1/growers", json=wish, headers=signed("one.seller")).status_code == 409
    mine = http.get("/api/v1/growers", headers=signed("one.seller")).get_json()["items"]
    theirs = http.get("/api/v1/growers", headers=signed("two.seller")).get_json()["items"]
    assert "GR-9" in [g["code"] for g in mine]
    assert theirs == []
    assert http.get("/api/v1/growers", headers=signed("office")).status_code == 403


def test_a_move_that_takes_reserved_packs_is_a_conflict(
    world: World, http: FlaskClient, signed: SignIn
) -> None:
    lot = world.released()
    wish = {"kind": "spoilage", "quantity": 601, "reason": "冻坏"}
    answer = http.post(f"/api/v1/lots/{lot['id']}/movements", json=wish, headers=signed("one.seller"))
    assert answer.status_code == 409
    assert answer.get_json()["shortages"] == [
        {"product_id": str(world.product), "asked": 601, "available": 600}
    ]


def test_the_story_counts_every_pack(world: World, http: FlaskClient, signed: SignIn) -> None:
    lot = world.released()
    for kind, quantity in (("spoilage", 7), ("sold_elsewhere", 3)):
        wish = {"kind": kind, "quantity": quantity, "reason": "x"}
        http.post(f"/api/v1/lots/{lot['id']}/movements", json=wish, headers=signed("one.seller"))
    stock = json.loads(http.get(f"/api/v1/trace/{lot['trace_code']}").data)["stock"]
    assert stock == {"received": 600, "shipped": 0, "reserved": 0, "available": 590, "other": 10}


def test_the_story_is_what_the_schema_would_dump(world: World, http: FlaskClient, signed: SignIn) -> None:
    lot = world.released()
    for act in ("hold", "unhold"):
        http.post(f"/api/v1/lots/{lot['id']}/{act}", json={"reason": "x"}, headers=signed("one.seller"))
    for code in (lot["trace_code"], world.lot()["trace_code"]):
        told = StoryOut().dump(story.story(None, code))
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        assert http.get(f"/api/v1/trace/{code}").get_data(as_text=True) == body


def test_a_story_is_one_query_whatever_it_holds(world: World) -> None:
    lot = world.released()
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        by_driver = story.story(None, lot["trace_code"])
        assert len(sent) == 1
        by_session = story.story(db.session(), lot["trace_code"])
        assert len(sent) == 2
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    assert by_driver == by_session
    assert (len(by_driver["certificates"]), len(by_driver["inspections"])) == (1, 1)
