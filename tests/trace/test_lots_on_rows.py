"""Lots on real rows: what goes on sale, what takes it off again, and what a stranger may read of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from marketplace import clock
from marketplace.accounts.models import Organisation, OrganisationKind
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Permission, Role, system
from marketplace.catalog.models import Category, MovementKind, Product
from marketplace.catalog.stock import InsufficientStock, Move, apply_moves, lock_stock_of_lots
from marketplace.database import db
from marketplace.documents.models import Document, DocumentKind, DocumentState
from marketplace.errors import Conflict, Forbidden, NotFound, RuleViolation, WrongState
from marketplace.trace import labels, service
from marketplace.trace.codes import make_trace_code
from marketplace.trace.guards import NotReleasable
from marketplace.unit_of_work import transaction
from marketplace.values import uuid7
from tests.quota.world import JINGNING, KONGTONG, City, build

CREDIT_CODES = {"coop": "91620826MA7EXAMPL1", "coop2": "91620826MA7EXAMPL2"}
GROWER_NAME = "王不应公开"
PLOT = "三号园不应公开"
ITEMS = [{"name": "毒死蜱", "value": "0.01", "limit": "0.02", "unit": "mg/kg"}]
BAD_ITEMS = [{"name": "毒死蜱", "value": "0.05", "limit": "0.02", "unit": "mg/kg"}]


@dataclass
class Trade:
    """Two sellers of the county, each with a product whose lots need a 承诺达标合格证 that it has a file for."""

    city: City
    sellers: dict[str, UUID] = field(default_factory=dict)
    products: dict[str, UUID] = field(default_factory=dict)
    documents: dict[str, UUID] = field(default_factory=dict)

    def seller(self, name: str = "coop") -> Actor:
        return _actor(self.city, Role.SELLER, self.sellers[name], "seller", JINGNING)

    def regulator(self, region: str = "620800") -> Actor:
        return _actor(self.city, Role.MARKET_REGULATOR, self.city.agencies["edu"], "office", region)

    def lot(
        self, name: str = "coop", *, plot: str = PLOT, quantity: int = 600, **more: Any
    ) -> dict[str, Any]:
        origin = {"township_code": f"{JINGNING}100", "village": "塬上村", "plot": plot}
        wish: dict[str, Any] = {"harvested_on": clock.today() - timedelta(days=3), "origins": [origin]} | more
        found: dict[str, Any] = service.add_lot(
            self.seller(name), product_id=self.products[name], quantity=quantity, **wish
        ).result
        return found

    def certify(self, lot: dict[str, Any], name: str = "coop", **more: Any) -> None:
        wish: dict[str, Any] = {
            "kind": "commitment",
            "issued_on": clock.today(),
            "document_id": self.documents[name],
        } | more
        service.certify_lot(self.seller(name), lot["id"], **wish)

    def released(self, name: str = "coop", **more: Any) -> dict[str, Any]:
        lot = self.lot(name, **more)
        self.certify(lot, name)
        found: dict[str, Any] = service.release_lot(self.seller(name), lot["id"]).result
        return found


def _actor(city: City, role: Role, organisation: UUID, kind: str, region: str) -> Actor:
    permissions = ROLE_PERMISSIONS[role]
    return Actor(city.users[role.value], role.value, organisation, kind, region, role, permissions, Door.API)


@pytest.fixture(scope="module")
def module_trade(empty_app: Flask) -> Trade:
    with empty_app.app_context():
        trade = Trade(build())
        at = datetime(2026, 1, 1, tzinfo=UTC)
        trade.sellers = {"coop": trade.city.sellers[JINGNING], "coop2": uuid7()}
        with transaction(system(), Permission.SYSTEM) as tx:
            session = tx.session
            session.add(Category(code="0199", name="鲜果", proofs=["commitment"], shelf_life_days=180))
            session.add(
                Organisation(
                    id=trade.sellers["coop2"], code="coop2", name="单位coop2", pinyin_key="coop2",
                    kind=OrganisationKind.SELLER, region_code=JINGNING, created_at=at,
                )
            )  # fmt: skip
            session.flush()
            for name, seller in trade.sellers.items():
                session.get_one(Organisation, seller).credit_code = CREDIT_CODES[name]
                product, document = uuid7(), uuid7()
                trade.products[name], trade.documents[name] = product, document
                session.add(
                    Product(
                        id=product, seller_id=seller, sku=f"{name}-1", family="苹果", name="静宁苹果", spec="80#",
                        category_code="0199", county_code=JINGNING, pack_unit="箱", net_g=5000, priced_by="pack",
                        min_order_quantity=1, order_multiple=1, storage="冷藏", state="recognised",
                        price_fen=1_000, search_name="-", search_pinyin="-", search_initials="-", tokens=[],
                        card="{}", created_at=at,
                    )
                )  # fmt: skip
                session.add(_document(document, seller, at))
            session.flush()
            tx.record("test.built", "city", uuid7())
        return trade


def _document(key: UUID, seller: UUID, at: datetime) -> Document:
    return Document(
        id=key, organisation_id=seller, kind=DocumentKind.CERTIFICATE, filename="合格证.pdf", size=1,
        content_type="application/pdf", sha256=f"{key.int:064x}", storage_key=str(key), state=DocumentState.STORED, created_at=at,
    )  # fmt: skip


@pytest.fixture
def trade(empty_app: Flask, module_trade: Trade) -> Iterator[Trade]:
    with empty_app.app_context():
        yield module_trade


def row_of(lot: dict[str, Any]) -> tuple[str, int, int]:
    """State, packs on hand and facts about the lot."""
    found = db.session.execute(
        sa.text(
            "select l.state, (select sum(on_hand) from stock s where s.lot_id = l.id),"
            " (select count(*) from fact f where f.subject_id = l.id) from lot l where l.id = :id"
        ),
        {"id": lot["id"]},
    ).one()
    db.session.rollback()
    return found[0], int(found[1]), int(found[2])


def facts_of(subject: UUID) -> list[tuple[str, dict[str, Any]]]:
    rows = db.session.execute(
        sa.text("select kind, body from fact where subject_id = :s order by id"), {"s": subject}
    ).all()
    db.session.rollback()
    return [(row.kind, json.loads(row.body)["data"]) for row in rows]


def test_a_new_lot_is_a_draft_in_stock_and_its_fact_holds_every_pack(trade: Trade) -> None:
    lot = trade.lot()
    assert (lot["state"].value, lot["on_hand"], lot["reserved"]) == ("draft", 600, 0)
    assert lot["best_before"] == lot["harvested_on"] + timedelta(days=180)
    assert [place["place"]["name"] for place in lot["stock"]] == ["产地库"]
    assert [reason["code"] for reason in lot["blocking"]] == ["certificate-missing"]
    [(kind, data)] = facts_of(lot["id"])
    assert kind == "lot.added"
    assert (data["quantity"], data["trace_code"], data["code"]) == (600, lot["trace_code"], lot["code"])
    assert [(m["kind"], m["on_hand"], m["reserved"]) for m in data["moves"]] == [("received", 600, 0)]


def test_the_import_names_the_seller_and_a_seller_no_other(trade: Trade) -> None:
    origin = {"township_code": f"{JINGNING}100", "village": "塬上村", "plot": "a"}
    wish: dict[str, Any] = {
        "product_id": trade.products["coop2"], "quantity": 5, "harvested_on": clock.today(), "origins": [origin],
        "seller_id": trade.sellers["coop2"], "code": "IMPORTED-1",
    }  # fmt: skip
    lot = service.add_lot(system(Door.IMPORT), **wish).result
    assert (lot["code"], lot["seller"]["id"]) == ("IMPORTED-1", trade.sellers["coop2"])
    with pytest.raises(Conflict) as again:
        service.add_lot(system(Door.IMPORT), **wish)
    assert again.value.code == "already-there"
    with pytest.raises(NotFound):
        service.add_lot(trade.seller("coop"), **wish | {"code": "IMPORTED-2"})


def test_a_lot_of_another_county_or_of_tomorrow_is_refused_with_every_field(trade: Trade) -> None:
    origin = {"township_code": f"{KONGTONG}100", "village": "塬上村", "plot": "a"}
    with pytest.raises(RuleViolation) as refused:
        trade.lot(harvested_on=clock.today() + timedelta(days=1), origins=[origin])
    assert [error["pointer"] for error in refused.value.data["errors"]] == [
        "#/harvested_on",
        "#/origins/0/township_code",
    ]


def test_a_lot_without_its_paper_is_not_released(trade: Trade) -> None:
    lot = trade.lot()
    before = row_of(lot)
    with pytest.raises(NotReleasable) as refused:
        service.release_lot(trade.seller(), lot["id"])
    assert [reason["code"] for reason in refused.value.data["reasons"]] == ["certificate-missing"]
    assert row_of(lot) == before == ("draft", 600, 1)


def test_a_paper_of_another_holder_is_filed_but_releases_nothing(trade: Trade) -> None:
    lot = trade.lot()
    trade.certify(lot, holder_credit_code=CREDIT_CODES["coop2"])
    with pytest.raises(NotReleasable) as refused:
        service.release_lot(trade.seller(), lot["id"])
    assert [reason["code"] for reason in refused.value.data["reasons"]] == ["certificate-holder"]
    assert row_of(lot) == ("draft", 600, 2)


def test_another_sellers_file_is_no_paper(trade: Trade) -> None:
    lot = trade.lot()
    with pytest.raises(RuleViolation) as refused:
        trade.certify(lot, document_id=trade.documents["coop2"])
    assert [error["pointer"] for error in refused.value.data["errors"]] == ["#/document_id"]
    assert row_of(lot) == ("draft", 600, 1)


def test_a_paper_number_covers_no_more_packs_than_it_was_written_for(trade: Trade) -> None:
    first, second = trade.lot(quantity=600), trade.lot(quantity=500)
    for lot in (first, second):
        trade.certify(lot, number="HGZ-ONE", quantity=1_000)
    with pytest.raises(NotReleasable) as refused:
        service.release_lot(trade.seller(), first["id"])
    assert [reason["code"] for reason in refused.value.data["reasons"]] == ["certificate-overused"]
    assert row_of(first) == ("draft", 600, 2)


def test_a_lot_whose_papers_agree_goes_on_sale_once(trade: Trade) -> None:
    lot = trade.released()
    assert (lot["state"].value, lot["blocking"]) == ("released", [])
    kinds = [kind for kind, _ in facts_of(lot["id"])]
    assert kinds == ["lot.added", "lot.certified", "lot.released"]
    assert dict(facts_of(lot["id"]))["lot.certified"]["kind"] == "commitment"
    with pytest.raises(WrongState):
        service.release_lot(trade.seller(), lot["id"])
    assert row_of(lot) == ("released", 600, 3)


def test_a_held_lot_is_not_released(trade: Trade) -> None:
    lot = trade.lot()
    trade.certify(lot)
    service.hold_lot(trade.seller(), lot["id"], reason="复核")
    with pytest.raises(WrongState):
        service.release_lot(trade.seller(), lot["id"])
    assert row_of(lot) == ("held", 600, 3)


def test_another_seller_finds_no_lot(trade: Trade) -> None:
    lot = trade.released()
    stranger = trade.seller("coop2")
    with pytest.raises(NotFound):
        service.release_lot(stranger, lot["id"])
    with pytest.raises(NotFound):
        service.hold_lot(stranger, lot["id"], reason="复核")
    with pytest.raises(NotFound):
        service.move_stock(stranger, lot["id"], kind="spoilage", quantity=1, reason="坏果")
    with pytest.raises(NotFound):
        service.hold_lot(trade.regulator(KONGTONG), lot["id"], reason="核查")
    assert row_of(lot) == ("released", 600, 3)


def test_a_failed_sample_holds_the_lot_and_its_siblings_alone(trade: Trade) -> None:
    lot, sibling = trade.released(plot="同一园"), trade.released("coop2", plot="同一园")
    other_plot = trade.released(plot="另一园")
    other_day = trade.released(plot="同一园", harvested_on=clock.today() - timedelta(days=2))
    service.inspect_lot(trade.regulator(), lot["id"], sampled_on=clock.today(), items=BAD_ITEMS, passed=False)
    assert [row_of(each)[0] for each in (lot, sibling, other_plot, other_day)] == [
        "held", "held", "released", "released",
    ]  # fmt: skip
    assert [kind for kind, _ in facts_of(lot["id"])[3:]] == ["lot.inspected", "lot.held"]
    assert [kind for kind, _ in facts_of(sibling["id"])[3:]] == ["lot.held"]
    with pytest.raises(WrongState) as refused:
        service.unhold_lot(trade.seller("coop2"), sibling["id"])
    assert refused.value.code == "held-by-regulator"
    assert row_of(sibling)[0] == "held"
    with pytest.raises(NotReleasable):
        service.unhold_lot(trade.regulator(), lot["id"])
    assert row_of(lot)[0] == "held"
    assert service.unhold_lot(trade.regulator(), sibling["id"]).result["state"].value == "released"


def test_a_passed_sample_with_a_value_above_its_limit_is_refused(trade: Trade) -> None:
    lot = trade.released()
    with pytest.raises(RuleViolation) as refused:
        service.inspect_lot(
            trade.regulator(), lot["id"], sampled_on=clock.today(), items=BAD_ITEMS, passed=True
        )
    assert (refused.value.code, refused.value.data["item"]) == ("inspection-contradiction", "毒死蜱")
    assert row_of(lot) == ("released", 600, 3)


def test_a_seller_files_no_sample_of_its_own_lot(trade: Trade) -> None:
    lot = trade.released()
    with pytest.raises(Forbidden):
        service.inspect_lot(trade.seller(), lot["id"], sampled_on=clock.today(), items=ITEMS, passed=True)
    assert row_of(lot) == ("released", 600, 3)


def test_a_sellers_own_hold_does_not_end_the_regulators(trade: Trade) -> None:
    lot = trade.released()
    service.hold_lot(trade.seller(), lot["id"], reason="复核")
    service.hold_lot(trade.regulator(), lot["id"], reason="核查")
    assert service.unhold_lot(trade.seller(), lot["id"]).result["state"].value == "held"
    assert service.unhold_lot(trade.regulator(), lot["id"]).result["state"].value == "released"


def test_a_campaigns_number_is_used_once(trade: Trade) -> None:
    wish: dict[str, Any] = {
        "county_code": JINGNING, "product_name": "白菜", "campaign": "2026秋季", "sample_number": "1",
        "sampled_on": date(2026, 9, 1), "items": ITEMS, "passed": True,
    }  # fmt: skip
    assert service.add_inspection(trade.regulator(), **wish).result["passed"] is True
    with pytest.raises(Conflict) as again:
        service.add_inspection(trade.regulator(), **wish)
    assert again.value.code == "already-there"


def test_packs_that_an_order_holds_do_not_spoil(trade: Trade) -> None:
    lot = trade.released(quantity=100)
    with transaction(system(), Permission.SYSTEM) as tx:
        locked = lock_stock_of_lots(tx.session, [lot["id"]])
        moves = [Move(key, MovementKind.RESERVED, reserved=90, order_id=uuid7()) for key in locked]
        apply_moves(tx.session, locked, moves, tx.started_at)
        tx.record("test.reserved", "lot", lot["id"])
    with pytest.raises(InsufficientStock) as refused:
        service.move_stock(trade.seller(), lot["id"], kind="spoilage", quantity=11, reason="坏果")
    assert refused.value.data["shortages"][0]["available"] == 10
    assert row_of(lot)[1] == 100
    left = service.move_stock(trade.seller(), lot["id"], kind="spoilage", quantity=10, reason="坏果").result
    assert (left["on_hand"], left["reserved"]) == (90, 90)
    kind, data = facts_of(lot["id"])[-1]
    assert (kind, data["kind"], data["moves"][0]["on_hand"]) == ("stock.moved", "spoilage", -10)
    assert "坏果" not in json.dumps(data, ensure_ascii=False)


def test_a_count_shows_no_more_than_was_harvested(trade: Trade) -> None:
    lot = trade.released(quantity=100)
    with pytest.raises(RuleViolation) as refused:
        service.move_stock(trade.seller(), lot["id"], kind="stocktake", quantity=101, reason="盘点")
    assert refused.value.code == "more-than-the-lot"
    assert row_of(lot) == ("released", 100, 3)


def test_a_seller_does_not_call_its_grower_a_poverty_household(trade: Trade) -> None:
    wish: dict[str, Any] = {
        "name": GROWER_NAME, "township_code": f"{JINGNING}100", "village": "塬上村", "poverty_household": True,
    }  # fmt: skip
    own = service.add_grower(trade.seller(), code="G-1", **wish).result
    loaded = service.add_grower(
        system(Door.IMPORT), code="G-2", seller_id=trade.sellers["coop"], **wish
    ).result
    assert (own["poverty_household"], loaded["poverty_household"]) == (False, True)
    [(_, data)] = facts_of(own["id"])
    assert GROWER_NAME not in json.dumps(data, ensure_ascii=False)


def test_a_stranger_reads_the_story_without_people_plots_or_files(empty_app: Flask, trade: Trade) -> None:
    grower = service.add_grower(
        trade.seller(), code="G-9", name=GROWER_NAME, township_code=f"{JINGNING}100", village="塬上村"
    ).result
    origin = {
        "township_code": f"{JINGNING}100", "village": "塬上村", "plot": PLOT, "grower_id": grower["id"],
        "weight_g": 3_000_000, "paid_fen": 777_777,
    }  # fmt: skip
    lot = trade.released(origins=[origin])
    client = empty_app.test_client()
    answer = client.get(f"/api/v1/trace/{lot['trace_code_shown'].lower()}")
    page = client.get(f"/t/{lot['trace_code']}")
    assert (answer.status_code, page.status_code) == (200, 200)
    story = answer.get_json()
    assert (story["trace_code"], story["state"], story["quantity"]) == (lot["trace_code"], "released", 600)
    assert story["origins"] == [{"township": "静宁县城关镇", "village": "塬上村"}]
    assert story["stock"] == {"received": 600, "shipped": 0, "reserved": 0, "available": 600, "other": 0}
    assert lot["trace_code_shown"] in page.get_data(as_text=True)
    for text in (answer.get_data(as_text=True), page.get_data(as_text=True)):
        hidden = (GROWER_NAME, PLOT, "777777", "7,777.77", str(grower["id"]), str(trade.documents["coop"]))
        assert [word for word in hidden if word in text] == []


def test_unknown_forged_and_mistyped_codes_answer_alike(empty_app: Flask, trade: Trade) -> None:
    known = trade.released()["trace_code"]
    keys = empty_app.config["SETTINGS"].trace_keys
    mistyped = known[:5] + ("0" if known[5] != "0" else "1") + known[6:]
    codes = [make_trace_code(keys), make_trace_code(["a-key-that-is-not-ours"]), mistyped, "x"]
    client = empty_app.test_client()
    answers = [client.get(f"/api/v1/trace/{code}") for code in codes]
    pages = [client.get(f"/t/{code}") for code in codes]
    assert {answer.status_code for answer in [*answers, *pages]} == {404}
    members = [
        {name: value for name, value in answer.get_json().items() if name not in ("instance", "request_id")}
        for answer in answers
    ]
    assert members == [members[0]] * 4
    # Only the page's own address, to which the choice of a language leads back, is another.
    told = {
        page.get_data(as_text=True).replace(f"/t/{code}", "") for code, page in zip(codes, pages, strict=True)
    }
    assert len(told) == 1
    assert "没有这个追溯码" in pages[0].get_data(as_text=True)


def test_a_sheet_of_labels_has_a_page_for_every_twenty_one() -> None:
    label = labels.Label(
        product="静宁苹果", spec="80#一级", county="静宁县", seller="塬上果业合作社<a&b>",
        code="1K7QM-2V9XA-TF4G8-CNRH3", harvested_on=date(2026, 10, 12),
        address="https://example.org/t/1K7QM2V9XATF4G8CNRH3",
    )  # fmt: skip
    one, two = labels.pdf_sheet(label, 21), labels.pdf_sheet(label, 22)
    assert one.startswith(b"%PDF-")
    assert (one.count(b"/Type /Page\n"), two.count(b"/Type /Page\n")) == (1, 2)
    assert b"/FontFile2" in one  # the letters go with it
    assert b"/Subtype /Image" not in one
    svg = labels.svg_sheet(label, 22)
    assert svg.count("<use ") == 21
    assert "塬上果业合作社&lt;a&amp;b&gt;" in svg
