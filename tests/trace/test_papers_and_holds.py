"""Papers shared by lots, samples that speak for others, holds on holds, and counts, on real rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from marketplace.catalog import service as catalog
from marketplace.catalog.models import Lot, MovementKind, Place, Stock, StockMovement
from marketplace.catalog.stock import Move, apply_moves, lock_stock_of_lots
from marketplace.database import db
from marketplace.documents.service import store_document
from marketplace.errors import Conflict, Forbidden, NotFound, RuleViolation, WrongState
from marketplace.journal.models import Fact
from marketplace.trace import queries, service
from marketplace.trace.guards import NotReleasable
from marketplace.values import uuid7
from tests.trace.world import GROWER_NAME, HARVEST, NOON, OTHER_CODE, PDF, TODAY, World


def count(model: Any) -> int:
    db.session.rollback()
    return int(db.session.scalar(sa.select(sa.func.count()).select_from(model)) or 0)


def state(lot_id: UUID) -> str:
    db.session.rollback()
    found: str = db.session.execute(sa.select(Lot.state).where(Lot.id == lot_id)).scalar_one().value
    return found


def fact_kinds(lot_id: UUID) -> list[str]:
    db.session.rollback()
    return list(
        db.session.scalars(sa.select(Fact.kind).where(Fact.subject_id == lot_id).order_by(Fact.number))
    )


def books(lot_id: UUID) -> list[tuple[int, int, int, int]]:
    """On hand and reserved of each stock row, and the same as sums of its movements."""
    db.session.rollback()
    sums = sa.func.sum(StockMovement.on_hand_delta), sa.func.sum(StockMovement.reserved_delta)
    rows = db.session.execute(
        sa.select(Stock.on_hand, Stock.reserved, *sums)
        .join(StockMovement, StockMovement.stock_id == Stock.id)
        .where(Stock.lot_id == lot_id)
        .group_by(Stock.id)
    )
    return [(a, b, int(c), int(d)) for a, b, c, d in rows]


def reserve(lot_id: UUID, packs: int) -> UUID:
    """Hold packs for an order, as placing does."""
    order, session = uuid7(), db.session()
    session.rollback()
    locked = lock_stock_of_lots(session, [lot_id])
    apply_moves(
        session,
        locked,
        [Move(i, MovementKind.RESERVED, reserved=packs, order_id=order) for i in locked],
        NOON,
    )
    session.commit()
    return order


def refusals(refusal: pytest.ExceptionInfo[NotReleasable]) -> list[str]:
    return [reason["code"] for reason in refusal.value.data["reasons"]]


def test_the_store_of_a_seller_is_made_once(world: World) -> None:
    world.lot()
    world.lot()
    assert count(Place) == 1


def test_facts_of_a_lot_hold_no_name_of_a_grower(world: World) -> None:
    lot = world.released()
    assert fact_kinds(lot["id"]) == ["lot.added", "lot.certified", "lot.inspected", "lot.released"]
    bodies = db.session.scalars(sa.select(Fact.body)).all()
    assert [body for body in bodies if GROWER_NAME in body] == []


def test_a_product_that_is_not_recognised_takes_no_lot(world: World) -> None:
    wish = catalog.ProductWish(
        sku="D1", family="苹果", name="草稿苹果", spec="散装", category_code="010301", county_code="620826",
        pack_unit="箱", net_g=5000, min_order_quantity=1, ladder=[(1, 4500)], storage="常温",
    )  # fmt: skip
    draft = catalog.add_product(world.seller, wish).result["id"]
    before = count(Lot)
    with pytest.raises(WrongState) as refusal:
        world.lot(product_id=draft)
    assert refusal.value.code == "product-not-recognised"
    assert count(Lot) == before


def test_all_wrong_fields_of_a_lot_are_told_at_once(world: World) -> None:
    before, origin = count(Lot), world.origins()[0]
    with pytest.raises(RuleViolation) as refusal:
        world.lot(
            harvested_on=TODAY + timedelta(days=1),
            best_before=TODAY,
            origins=[
                origin | {"township_code": "620825102"},
                origin | {"township_code": "999999999", "grower_id": uuid7()},
            ],
        )
    assert [e["pointer"] for e in refusal.value.data["errors"]] == [
        "#/harvested_on",
        "#/best_before",
        "#/origins/0/township_code",
        "#/origins/1/township_code",
        "#/origins/1/grower_id",
    ]
    assert count(Lot) == before


def test_a_product_without_shelf_life_needs_its_last_day(world: World) -> None:
    with pytest.raises(RuleViolation) as refusal:
        world.lot(product_id=world.beef)
    assert [e["pointer"] for e in refusal.value.data["errors"]] == ["#/best_before"]


@pytest.mark.parametrize("places", [0, 51])
def test_a_lot_has_1_to_50_origins(world: World, places: int) -> None:
    before = count(Lot)
    with pytest.raises(RuleViolation):
        world.lot(origins=world.origins()[:1] * places)
    assert count(Lot) == before


def test_a_code_of_a_lot_is_used_once_by_a_seller(world: World) -> None:
    world.lot(code="LOT-X")
    with pytest.raises(Conflict) as refusal:
        world.lot(code="LOT-X")
    assert refusal.value.code == "already-there"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"product_name": "静宁梨"}, "certificate-product"),
        ({"holder_credit_code": OTHER_CODE}, "certificate-holder"),
        ({"quantity": 599}, "certificate-quantity"),
        ({"issued_on": date(2026, 10, 4)}, "certificate-too-early"),
        ({"valid_until": date(2026, 11, 23)}, "certificate-expired"),
    ],
)
def test_a_paper_that_disagrees_with_its_lot_stops_it(
    world: World, changes: dict[str, Any], code: str
) -> None:
    lot = world.lot()
    world.sampled(lot["id"])
    world.certified(lot["id"], **changes)
    with pytest.raises(NotReleasable) as refusal:
        service.release_lot(world.seller, lot["id"])
    assert refusals(refusal) == [code]
    assert state(lot["id"]) == "draft"
    assert fact_kinds(lot["id"])[-1] == "lot.certified"


def test_one_paper_covers_several_lots_up_to_its_quantity(world: World) -> None:
    lots = [world.lot(quantity=300) for _ in range(3)]
    for lot in lots[:2]:
        world.certified(lot["id"], number="HGZ-SHARED", quantity=600)
        world.sampled(lot["id"])
        service.release_lot(world.seller, lot["id"])
    world.certified(lots[2]["id"], number="HGZ-SHARED", quantity=600)
    with pytest.raises(NotReleasable) as refusal:
        service.release_lot(world.seller, lots[2]["id"])
    assert refusals(refusal) == ["certificate-overused"]
    assert state(lots[2]["id"]) == "draft"


def test_a_paper_number_of_another_seller_and_product_is_refused(world: World) -> None:
    world.certified(world.lot()["id"], number="HGZ-ONE")
    theirs = service.add_lot(
        world.other_seller,
        product_id=world.other_product,
        quantity=1,
        harvested_on=HARVEST,
        origins=[{"township_code": "620825102", "village": "吴家沟", "plot": "1"}],
    ).result
    file = store_document(
        world.other_seller, kind="certificate", filename="o.pdf", content=PDF + b"%other\n%%EOF\n"
    ).result
    world.sampled(theirs["id"])
    service.certify_lot(
        world.other_seller, theirs["id"], kind="commitment", number="HGZ-ONE", issued_on=HARVEST, quantity=1000,
        document_id=file["id"],
    )  # fmt: skip
    with pytest.raises(NotReleasable) as refusal:
        service.release_lot(world.other_seller, theirs["id"])
    assert refusals(refusal) == ["certificate-number-holder", "certificate-number-product"]


def test_a_passed_sample_of_the_product_speaks_for_its_next_lot(world: World) -> None:
    world.released()
    lot = world.lot()
    world.certified(lot["id"])
    assert service.release_lot(world.seller, lot["id"]).result["state"].value == "released"


def test_only_the_regulator_ends_the_hold_of_a_failed_sample(world: World) -> None:
    sick, sibling = (world.released(origins=world.origins("病园")) for _ in range(2))
    world.sampled(sick["id"], passed=False)
    assert [state(sick["id"]), state(sibling["id"])] == ["held", "held"]
    with pytest.raises(WrongState) as refusal:
        service.unhold_lot(world.seller, sibling["id"])
    assert refusal.value.code == "held-by-regulator"
    assert service.unhold_lot(world.regulator, sibling["id"]).result["state"].value == "released"
    with pytest.raises(NotReleasable) as stands:
        service.unhold_lot(world.regulator, sick["id"])
    assert refusals(stands) == ["sample-failed"]
    assert state(sick["id"]) == "held"


def test_the_fact_of_a_hold_names_the_orders_and_not_the_reason(world: World) -> None:
    lot = world.released()
    order = reserve(lot["id"], 5)
    service.hold_lot(world.seller, lot["id"], reason="箱子破了")
    body = db.session.scalar(
        sa.select(Fact.body).where(Fact.subject_id == lot["id"], Fact.kind == "lot.held")
    )
    assert f'"orders":["{order}"]' in body
    assert '"reserved":5' in body
    assert "箱子破了" not in body
    with pytest.raises(WrongState):
        service.hold_lot(world.seller, lot["id"], reason="再停一次")
    assert fact_kinds(lot["id"])[-2:] == ["lot.released", "lot.held"]


def test_a_lot_stays_off_sale_until_the_last_hold_is_lifted(world: World) -> None:
    lot = world.released()
    service.hold_lot(world.seller, lot["id"], reason="核对")
    service.hold_lot(world.regulator, lot["id"], reason="核查")
    assert service.unhold_lot(world.seller, lot["id"]).result["state"].value == "held"
    with pytest.raises(WrongState):
        service.unhold_lot(world.seller, lot["id"])
    assert service.unhold_lot(world.regulator, lot["id"]).result["state"].value == "released"


def test_a_held_draft_becomes_a_draft_again(world: World) -> None:
    lot = world.lot()
    service.hold_lot(world.regulator, lot["id"], reason="核查")
    assert service.unhold_lot(world.regulator, lot["id"]).result["state"].value == "draft"


def test_an_office_reads_the_lots_of_its_region_and_certifies_none(world: World) -> None:
    lot = world.lot()
    assert queries.lot_view(db.session(), world.office, lot["id"])["id"] == lot["id"]
    with pytest.raises(NotFound):
        queries.private_view(db.session(), world.far_office, lot["id"])
    with pytest.raises(Forbidden):
        service.certify_lot(
            world.office, lot["id"], kind="commitment", issued_on=HARVEST, document_id=world.document
        )
    assert fact_kinds(lot["id"]) == ["lot.added"]


def test_moves_and_counts_keep_the_books(world: World) -> None:
    lot = world.released()

    def booked(kind: str, quantity: int) -> int:
        moved = service.move_stock(world.seller, lot["id"], kind=kind, quantity=quantity, reason="盘点")
        return int(moved.result["on_hand"])

    assert booked("stocktake", 580) == 580
    assert booked("sold_elsewhere", 30) == 550
    assert booked("stocktake", 570) == 570
    with pytest.raises(RuleViolation) as refusal:
        booked("stocktake", 571)
    assert refusal.value.code == "more-than-the-lot"
    assert books(lot["id"]) == [(570, 0, 570, 0)]


@pytest.mark.parametrize(("kind", "quantity"), [("shipped", 1), ("received", 1), ("spoilage", 0)])
def test_moves_of_orders_and_empty_moves_are_refused(world: World, kind: str, quantity: int) -> None:
    lot = world.lot()
    with pytest.raises(RuleViolation):
        service.move_stock(world.seller, lot["id"], kind=kind, quantity=quantity, reason="x")
    assert books(lot["id"]) == [(600, 0, 600, 0)]


def test_a_list_of_lots_is_paged_within_the_scope(world: World) -> None:
    first, second = world.lot(), world.lot()
    page = queries.list_lots(db.session(), world.seller, limit=1)
    following = queries.list_lots(db.session(), world.seller, limit=1, after=page["next"])
    assert [page["items"][0]["id"], following["items"][0]["id"]] == [second["id"], first["id"]]
    nobody = replace(world.seller, organisation_id=uuid7())
    assert queries.list_lots(db.session(), nobody)["items"] == []
