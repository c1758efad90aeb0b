"""Orders from confirmation to evaluation, on real rows: amounts, stock and facts move together or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from marketplace import clock
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Permission, Role, system
from marketplace.catalog.models import Lot, LotState, MovementKind, Place, Stock
from marketplace.catalog.stock import InsufficientStock, Move, add_stock, apply_moves, lock_stock
from marketplace.database import db
from marketplace.errors import NotFound, RuleViolation, WrongState
from marketplace.orders import evaluating, fulfilment, takeover
from marketplace.orders.fulfilment import ShipLine, ShipWish
from marketplace.orders.models import Allocation, Order, OrderLine, ShipmentLine
from marketplace.orders.states import PaymentState
from marketplace.orders.takeover import AcceptLine, AcceptWish, ReturnLine
from marketplace.quota.verify import verify
from marketplace.unit_of_work import Reply, Transaction, transaction
from marketplace.values import uuid7
from tests.quota.world import DAY, JINGNING, Bought, City, Want, build

pytestmark = pytest.mark.usefixtures("city")


@pytest.fixture(scope="module")
def module_city(empty_app: Flask) -> City:
    with empty_app.app_context():
        return build()


@pytest.fixture
def city(empty_app: Flask, module_city: City) -> Iterator[City]:
    with empty_app.app_context():
        yield module_city


def seller(city: City) -> Actor:
    return _actor(city, Role.SELLER, city.sellers[JINGNING], "seller")


def buyer(city: City, agency: str = "school") -> Actor:
    return _actor(city, Role.BUYER, city.agencies[agency], "agency")


def _actor(city: City, role: Role, organisation: UUID, kind: str) -> Actor:
    return Actor(
        city.users[role.value], role.value, organisation, kind, None, role, ROLE_PERMISSIONS[role], Door.API
    )


def another_lot(city: City, quantity: int, *, state: LotState = LotState.RELEASED, days: int = 500) -> Lot:
    """One more lot of the Jingning apples, in the seller's store."""
    product, _, _ = city.lots[JINGNING, "010301"]
    with transaction(system(), Permission.SYSTEM) as tx:
        tail = str(uuid7().int)[-15:]
        lot = Lot(
            id=uuid7(), product_id=product, seller_id=city.sellers[JINGNING], code=f"L-{tail}",
            trace_code=f"1K7QM{tail}", quantity=quantity, harvested_on=DAY, best_before=DAY + timedelta(days=days),
            state=state, created_at=tx.started_at,
        )  # fmt: skip
        tx.session.add(lot)
        tx.session.flush()
        place = tx.session.scalars(sa.select(Place.id)).first()
        assert place is not None
        stock = add_stock(tx.session, lot.id, place)
        received = [Move(stock.id, MovementKind.RECEIVED, on_hand=quantity)]
        told = apply_moves(tx.session, {stock.id: stock}, received, tx.started_at)
        tx.record("lot.added", "lot", lot.id, moves=told)
    db.session.refresh(lot)
    return lot


def recall(lot_id: UUID) -> None:
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.session.get_one(Lot, lot_id).state = LotState.RECALLED
        tx.record("test.changed", "lot", lot_id)


def stock_of(lot_id: UUID) -> tuple[int, int]:
    found = db.session.execute(
        sa.text("select sum(on_hand), sum(reserved) from stock where lot_id = :l"), {"l": lot_id}
    ).one()
    db.session.rollback()
    return int(found[0]), int(found[1])


def order_of(bought: Bought) -> Order:
    db.session.rollback()
    return db.session.get_one(Order, bought.order, populate_existing=True)


def line_of(bought: Bought, place: int = 0) -> OrderLine:
    db.session.rollback()
    return db.session.get_one(OrderLine, bought.lines[place], populate_existing=True)


def last_fact(bought: Bought) -> tuple[str, dict[str, Any]]:
    found = db.session.execute(
        sa.text("select kind, body from fact where subject_id = :s order by id desc limit 1"),
        {"s": bought.order},
    ).one()
    db.session.rollback()
    return found.kind, json.loads(found.body)["data"]


def bought_and_confirmed(city: City, packs: int, agency: str = "school") -> Bought:
    bought = city.buy(agency, Want(packs))
    fulfilment.confirm_order(seller(city), bought.order)
    return bought


def ship(city: City, bought: Bought, packs: int, *lots: tuple[str, int]) -> Reply:
    wish = ShipWish([ShipLine(bought.lines[0], packs, list(lots) or None)], carrier="陇运")
    return fulfilment.ship_order(seller(city), bought.order, wish)


def accept(city: City, bought: Bought, *lines: AcceptLine, **more: Any) -> Reply:
    return takeover.accept_order(buyer(city), bought.order, AcceptWish(list(lines), **more))


def planned_code(bought: Bought) -> str:
    return db.session.get_one(Lot, bought.lots[0]).trace_code


def test_a_confirmed_order_tells_what_was_ordered_in_fen(city: City) -> None:
    bought = bought_and_confirmed(city, 20)
    assert order_of(bought).state.value == "confirmed"
    kind, data = last_fact(bought)
    assert kind == "order.confirmed"
    assert data["lines"] == [{"line": str(bought.lines[0]), "ordered_fen": 20_000}]
    with pytest.raises(WrongState):
        fulfilment.confirm_order(seller(city), bought.order)


def test_a_buyer_of_another_agency_finds_no_order_to_accept(city: City) -> None:
    bought = bought_and_confirmed(city, 2)
    ship(city, bought, 2)
    wish = AcceptWish([AcceptLine(bought.lines[0], None, 2)])
    with pytest.raises(NotFound):
        takeover.accept_order(buyer(city, "edu"), bought.order, wish)
    assert order_of(bought).state.value == "shipped"


def test_an_overdue_order_is_not_confirmed_but_lapses_and_frees_its_stock(city: City) -> None:
    bought = city.buy("school", Want(7))
    on_hand, reserved = stock_of(bought.lots[0])
    with pytest.raises(WrongState):
        fulfilment.lapse_order(system(), bought.order)
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.session.get_one(Order, bought.order).confirm_by = clock.now() - timedelta(minutes=1)
        tx.record("test.changed", "order", uuid7())
    with pytest.raises(fulfilment.ConfirmOverdue):
        fulfilment.confirm_order(seller(city), bought.order)
    fulfilment.lapse_order(system(), bought.order)
    assert order_of(bought).state.value == "lapsed"
    assert stock_of(bought.lots[0]) == (on_hand, reserved - 7)
    kind, data = last_fact(bought)
    assert (kind, data["confirmed"]) == ("order.lapsed", False)


def test_a_placed_order_is_cancelled_by_one_side_alone(city: City) -> None:
    bought = city.buy("school", Want(5))
    on_hand, reserved = stock_of(bought.lots[0])
    fulfilment.cancel_order(buyer(city), bought.order, "改期")
    assert order_of(bought).state.value == "cancelled"
    assert stock_of(bought.lots[0]) == (on_hand, reserved - 5)
    assert last_fact(bought)[1]["lines"] == [
        {"line": str(bought.lines[0]), "quantity": 5, "goods_fen": 5_000}
    ]


def test_a_confirmed_order_is_cancelled_when_the_other_side_agrees(city: City) -> None:
    bought = bought_and_confirmed(city, 5)
    before = stock_of(bought.lots[0])
    fulfilment.cancel_order(seller(city), bought.order, "霜冻")
    assert order_of(bought).state.value == "confirmed"
    assert last_fact(bought)[0] == "order.cancel_asked"
    with pytest.raises(fulfilment.CancelAsked):
        fulfilment.cancel_order(seller(city), bought.order, "霜冻")
    assert stock_of(bought.lots[0]) == before
    fulfilment.cancel_order(buyer(city), bought.order, "同意")
    assert (order_of(bought).state.value, order_of(bought).cancel_reason) == ("cancelled", "霜冻")
    assert stock_of(bought.lots[0]) == (before[0], before[1] - 5)


def test_after_a_partial_shipment_only_the_remainder_is_cancelled_and_the_order_is_complete(
    city: City,
) -> None:
    bought = bought_and_confirmed(city, 10)
    ship(city, bought, 6)
    accept(city, bought, AcceptLine(bought.lines[0], None, 6))
    assert order_of(bought).state.value == "part_accepted"
    fulfilment.cancel_order(buyer(city), bought.order, "不再需要")
    fulfilment.cancel_order(seller(city), bought.order, "同意")
    order, line = order_of(bought), line_of(bought)
    assert (order.state.value, order.accepted_on) == ("accepted", clock.today())
    assert (line.cancelled_quantity, line.shipped_quantity, line.accepted_fen) == (4, 6, 6_000)
    with pytest.raises(WrongState):
        fulfilment.cancel_order(buyer(city), bought.order, "再取消")


def test_planned_packs_leave_the_reservation_and_the_shelf_together(city: City) -> None:
    bought = bought_and_confirmed(city, 10)
    on_hand, reserved = stock_of(bought.lots[0])
    ship(city, bought, 4)
    assert order_of(bought).state.value == "part_shipped"
    assert stock_of(bought.lots[0]) == (on_hand - 4, reserved - 4)
    with pytest.raises(RuleViolation) as refused:
        ship(city, bought, 7)
    assert refused.value.data["errors"][0]["pointer"] == "#/lines/0/quantity"
    assert stock_of(bought.lots[0]) == (on_hand - 4, reserved - 4)
    ship(city, bought, 6)
    assert order_of(bought).state.value == "shipped"


def test_another_lot_is_a_substitution_and_sets_the_planned_packs_free(city: City) -> None:
    bought = bought_and_confirmed(city, 10)
    other = another_lot(city, 3)
    on_hand, reserved = stock_of(bought.lots[0])
    with pytest.raises(InsufficientStock):
        ship(city, bought, 4, (other.trace_code, 4))
    assert stock_of(other.id) == (3, 0)
    ship(city, bought, 10, (planned_code(bought), 7), (other.trace_code, 3))
    assert stock_of(other.id) == (0, 0)
    assert stock_of(bought.lots[0]) == (on_hand - 7, reserved - 10)
    told = [(row["quantity"], row["substitution"]) for row in last_fact(bought)[1]["lines"]]
    assert told == [(7, False), (3, True)]


def test_a_held_or_expired_lot_is_not_shipped(city: City) -> None:
    bought = bought_and_confirmed(city, 4)
    held, past = another_lot(city, 4, state=LotState.HELD), another_lot(city, 4, days=0)
    for lot in (held, past):
        with pytest.raises(fulfilment.LotNotShippable) as refused:
            ship(city, bought, 4, (lot.trace_code, 4))
        assert refused.value.data["trace_codes"] == [lot.trace_code]
        assert stock_of(lot.id) == (4, 0)
    assert order_of(bought).state.value == "confirmed"


def test_more_taken_over_than_came_is_refused_with_the_numbers_that_would_do(city: City) -> None:
    bought = bought_and_confirmed(city, 20)
    ship(city, bought, 20)
    with pytest.raises(RuleViolation) as refused:
        accept(city, bought, AcceptLine(bought.lines[0], None, 19, 3, reason="压伤"))
    (error,) = refused.value.data["errors"]
    assert error["pointer"] == "#/lines/0/accepted_quantity"
    assert error["detail"].split("：", 1)[1] == (
        "收下19箱，拒收3箱，合计22箱，比送来的20箱多2箱。收下改成17，或拒收改成1。"
    )
    assert (line_of(bought).accepted_quantity, order_of(bought).accepted_fen) == (0, 0)


def test_a_refusal_needs_a_reason_and_several_lots_need_their_codes(city: City) -> None:
    bought = bought_and_confirmed(city, 10)
    other = another_lot(city, 3)
    ship(city, bought, 10, (planned_code(bought), 7), (other.trace_code, 3))
    with pytest.raises(takeover.LotNeeded):
        accept(city, bought, AcceptLine(bought.lines[0], None, 10))
    with pytest.raises(RuleViolation) as refused:
        accept(city, bought, AcceptLine(bought.lines[0], other.trace_code, 2, 1))
    assert refused.value.data["errors"][0]["pointer"] == "#/lines/0/reason"
    accept(
        city,
        bought,
        AcceptLine(bought.lines[0], planned_code(bought), 7),
        AcceptLine(bought.lines[0], other.trace_code, 2, 1, reason="压伤"),
    )
    order = order_of(bought)
    assert (order.state.value, order.accepted_fen, order.accepted_on) == ("accepted", 9_000, clock.today())
    assert last_fact(bought)[1]["complete"] is True


def test_goods_refused_altogether_end_the_order_without_anything_owed(city: City) -> None:
    bought = bought_and_confirmed(city, 3)
    ship(city, bought, 3)
    accept(city, bought, AcceptLine(bought.lines[0], None, 0, 3, reason="变质"))
    order = order_of(bought)
    assert (order.state.value, order.accepted_fen, order.accepted_on) == ("refused", 0, None)


def test_a_school_takes_goods_over_with_two_named_inspectors(city: City) -> None:
    bought = bought_and_confirmed(city, 2)
    ship(city, bought, 2)
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.session.execute(
            sa.text("update organisation set subkind = 'school' where id = :i"),
            {"i": city.agencies["school"]},
        )
        tx.record("test.changed", "organisation", uuid7())
    try:
        with pytest.raises(takeover.InspectorsNeeded):
            accept(city, bought, AcceptLine(bought.lines[0], None, 2), inspectors=("甲", "甲"))
        assert line_of(bought).accepted_quantity == 0
        accept(city, bought, AcceptLine(bought.lines[0], None, 2), inspectors=("甲", "乙"))
    finally:
        with transaction(system(), Permission.SYSTEM) as tx:
            tx.session.execute(
                sa.text("update organisation set subkind = null where id = :i"),
                {"i": city.agencies["school"]},
            )
            tx.record("test.changed", "organisation", uuid7())
    assert order_of(bought).state.value == "accepted"
    assert "甲" not in json.dumps(last_fact(bought)[1], ensure_ascii=False)


def test_a_reduction_lowers_what_is_owed_only_when_the_seller_agrees(city: City) -> None:
    bought = bought_and_confirmed(city, 10)
    ship(city, bought, 10)
    accept(city, bought, AcceptLine(bought.lines[0], None, 10, allowance_fen=500, reason="果径偏小"))
    assert order_of(bought).accepted_fen == 10_000
    takeover.agree_allowance(seller(city), bought.order)
    assert (order_of(bought).accepted_fen, line_of(bought).accepted_fen) == (9_500, 9_500)
    assert last_fact(bought)[1]["lines"] == [
        {"line": str(bought.lines[0]), "lot": str(bought.lots[0]), "accepted_fen": -500}
    ]
    with pytest.raises(takeover.NoAllowance):
        takeover.agree_allowance(seller(city), bought.order)


def test_refused_packs_go_back_to_stock_or_are_booked_as_loss_never_twice(city: City) -> None:
    bought = bought_and_confirmed(city, 10)
    ship(city, bought, 10)
    accept(city, bought, AcceptLine(bought.lines[0], None, 6, 4, reason="错发"))
    on_hand, reserved = stock_of(bought.lots[0])
    code = planned_code(bought)
    back = [ReturnLine(bought.lines[0], code, 3, "restock"), ReturnLine(bought.lines[0], code, 1, "loss")]
    takeover.return_goods(seller(city), bought.order, back)
    assert stock_of(bought.lots[0]) == (on_hand + 3, reserved)
    row = db.session.scalars(sa.select(ShipmentLine).where(ShipmentLine.line_id == bought.lines[0])).one()
    assert (row.refused, row.restocked, row.lost) == (4, 3, 1)
    with pytest.raises(RuleViolation):
        takeover.return_goods(seller(city), bought.order, back[1:])
    assert stock_of(bought.lots[0]) == (on_hand + 3, reserved)


def test_refused_packs_of_a_recalled_lot_can_only_be_lost(city: City) -> None:
    bought = bought_and_confirmed(city, 2)
    other = another_lot(city, 2)
    ship(city, bought, 2, (other.trace_code, 2))
    accept(city, bought, AcceptLine(bought.lines[0], None, 0, 2, reason="农残"))
    recall(other.id)
    back = ReturnLine(bought.lines[0], other.trace_code, 2, "restock")
    with pytest.raises(takeover.LotNotRestockable):
        takeover.return_goods(seller(city), bought.order, [back])
    assert stock_of(other.id) == (0, 0)
    loss = ReturnLine(bought.lines[0], other.trace_code, 2, "loss")
    takeover.return_goods(seller(city), bought.order, [loss])
    assert last_fact(bought)[1]["moves"] == []


def test_an_accepted_order_is_evaluated_once_and_the_comment_stays_out_of_the_fact(city: City) -> None:
    bought = bought_and_confirmed(city, 1)
    ship(city, bought, 1)
    with pytest.raises(WrongState):
        evaluating.evaluate_order(buyer(city), bought.order, 5, None)
    accept(city, bought, AcceptLine(bought.lines[0], None, 1))
    evaluating.evaluate_order(buyer(city), bought.order, 4, "苹果很甜")
    kind, data = last_fact(bought)
    assert (kind, data["score"], data["automatic"]) == ("order.evaluated", 4, False)
    assert data["lines"] == [str(bought.lines[0])]
    assert "苹果" not in json.dumps(data, ensure_ascii=False)
    with pytest.raises(evaluating.EvaluatedAlready):
        evaluating.evaluate_order(buyer(city), bought.order, 1, None)


def test_two_lines_may_exchange_their_planned_lots(city: City) -> None:
    """The packs that the first line gives up serve the second, and the other way round, with nothing free."""
    first, second = another_lot(city, 5), another_lot(city, 5)
    bought = city.buy("school", Want(5), Want(5))
    with transaction(system(), Permission.SYSTEM) as tx:
        _replan(tx, bought, [first, second])
    fulfilment.confirm_order(seller(city), bought.order)
    assert (stock_of(first.id), stock_of(second.id)) == ((5, 5), (5, 5))
    lines = [
        ShipLine(bought.lines[0], 5, [(second.trace_code, 5)]),
        ShipLine(bought.lines[1], 5, [(first.trace_code, 5)]),
    ]
    fulfilment.ship_order(seller(city), bought.order, ShipWish(lines, carrier="陇运"))
    assert (stock_of(first.id), stock_of(second.id)) == ((0, 0), (0, 0))
    assert [row["substitution"] for row in last_fact(bought)[1]["lines"]] == [True, True]
    assert order_of(bought).state.value == "shipped"


def _replan(tx: Transaction, bought: Bought, lots: list[Lot]) -> None:
    """Hold each line's packs on another lot than it was bought from."""
    allocations = tx.session.scalars(
        sa.select(Allocation).where(Allocation.line_id.in_(bought.lines)).order_by(Allocation.id)
    ).all()
    stocks = {
        row.lot_id: row.id
        for row in tx.session.scalars(sa.select(Stock).where(Stock.lot_id.in_([x.id for x in lots])))
    }
    locked = lock_stock(tx.session, [*stocks.values(), *(a.stock_id for a in allocations)])
    moves = []
    for allocation, lot in zip(allocations, lots, strict=True):
        moves.append(Move(allocation.stock_id, MovementKind.RELEASED, reserved=-allocation.quantity))
        moves.append(Move(stocks[lot.id], MovementKind.RESERVED, reserved=allocation.quantity))
        allocation.stock_id, allocation.lot_id = stocks[lot.id], lot.id
        allocation.trace_code = lot.trace_code
    told = apply_moves(tx.session, locked, moves, tx.started_at)
    tx.record("test.changed", "order", bought.order, moves=told)


def test_a_silent_buyer_evaluates_automatically_once_the_days_have_passed(city: City) -> None:
    bought = bought_and_confirmed(city, 1)
    ship(city, bought, 1)
    accept(city, bought, AcceptLine(bought.lines[0], None, 1))
    with pytest.raises(WrongState):
        evaluating.evaluate_silent_order(system(), bought.order)
    with transaction(system(), Permission.SYSTEM) as tx:
        order = tx.session.get_one(Order, bought.order)
        order.payment_state = PaymentState.PAID
        order.accepted_on = clock.today() - timedelta(days=60)
        order.paid_on = clock.today() - timedelta(days=29)
        tx.record("test.changed", "order", bought.order)
    with pytest.raises(WrongState):
        evaluating.evaluate_silent_order(system(), bought.order)
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.session.get_one(Order, bought.order).paid_on = clock.today() - timedelta(days=30)
        tx.record("test.changed", "order", bought.order)
    evaluating.evaluate_silent_order(system(), bought.order)
    assert order_of(bought).evaluation_state.value == "automatic"
    assert last_fact(bought)[1]["automatic"] is True


def test_the_facts_of_all_these_acts_rebuild_every_stock_row_line_and_order(city: City) -> None:
    bought = bought_and_confirmed(city, 10)
    other = another_lot(city, 2)
    ship(city, bought, 8, (planned_code(bought), 6), (other.trace_code, 2))
    refused = AcceptLine(bought.lines[0], other.trace_code, 1, 1, reason="压伤")
    accept(city, bought, AcceptLine(bought.lines[0], planned_code(bought), 6, 0, 100, "偏小"), refused)
    takeover.agree_allowance(seller(city), bought.order)
    back = ReturnLine(bought.lines[0], other.trace_code, 1, "restock")
    takeover.return_goods(seller(city), bought.order, [back])
    fulfilment.cancel_order(seller(city), bought.order, "霜冻")
    fulfilment.cancel_order(buyer(city), bought.order, "同意")
    assert (order_of(bought).state.value, order_of(bought).accepted_fen) == ("accepted", 6_900)
    report = verify(db.engine)
    assert report.differences == []
    assert report.stock_rows > 0
