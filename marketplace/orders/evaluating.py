"""评价: the buyer's word on an accepted order, or the automatic one for a buyer who is silent."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace import clock
from marketplace.actors import Actor, Permission
from marketplace.errors import Conflict, RuleViolation, WrongState
from marketplace.orders import queries
from marketplace.orders.locking import Side, lock_order, record
from marketplace.orders.models import Evaluation, Order, OrderLine
from marketplace.orders.states import EvaluationState, OrderState, PaymentState
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction

DEFAULT_EVALUATION_DAYS = 30
AUTOMATIC_SCORE = 5


class EvaluatedAlready(Conflict):
    slug = "evaluated-already"
    title = "这个订单已经评价过"


def evaluate_order(
    actor: Actor, order_id: UUID, score: int, comment: str | None, *, once: Once = NO_ONCE
) -> Reply:
    """The buyer evaluates (评价) an accepted order, once: score 1 to 5. The comment stays in its row.

    Raises WrongState (`wrong-state`), EvaluatedAlready (`evaluated-already`), RuleViolation (`invalid`).
    """
    with transaction(actor, Permission.ORDER_EVALUATE, once) as tx:
        order = lock_order(tx, actor, order_id, Side.BUYER)
        if not 1 <= score <= 5:
            raise RuleViolation("评分从1到5", errors=[{"pointer": "#/score", "detail": "评分从1到5"}])
        _evaluate(tx, order, score, comment, EvaluationState.GIVEN)
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def evaluate_silent_order(actor: Actor, order_id: UUID) -> Reply:
    """Evaluate for a buyer who was silent, marked as automatic: accepted and paid, and the policy's days passed.

    The days (`evaluation_days`) count from the later of the day of complete acceptance and the day of the last
    payment: only then is it the buyer's turn. Raises WrongState (`wrong-state`) before that, EvaluatedAlready
    (`evaluated-already`).
    """
    with transaction(actor, Permission.SYSTEM) as tx:
        order = lock_order(tx, actor, order_id)
        until = silent_until(tx.session, tx.started_at)
        silent = all(day is not None and day <= until for day in (order.accepted_on, order.paid_on))
        if not silent or order.payment_state is not PaymentState.PAID:
            raise WrongState(state=order.state.value, event="evaluate")
        _evaluate(tx, order, AUTOMATIC_SCORE, None, EvaluationState.AUTOMATIC)
        return tx.answer(queries.order_view(tx.session, actor, order_id))


def silent_until(session: Session, at: datetime) -> date:
    """Orders accepted and paid by this day have waited `evaluation_days` for their buyer's evaluation at `at`."""
    days = queries.policy_number(session, "evaluation_days", at, DEFAULT_EVALUATION_DAYS)
    return clock.business_day(at) - timedelta(days=days)


def silent_orders(session: Session, at: datetime, limit: int) -> list[UUID]:
    """Orders that may be evaluated for their buyer at `at`, the longest silent first, at most `limit`."""
    since = sa.func.greatest(Order.accepted_on, Order.paid_on)
    return list(
        session.scalars(
            sa.select(Order.id)
            .where(
                Order.state == OrderState.ACCEPTED,
                Order.payment_state == PaymentState.PAID,
                Order.evaluation_state == EvaluationState.NONE,
                Order.accepted_on.is_not(None),
                Order.paid_on.is_not(None),
                since <= silent_until(session, at),
            )
            .order_by(since, Order.id)
            .limit(limit)
        )
    )


def _evaluate(tx: Transaction, order: Order, score: int, comment: str | None, state: EvaluationState) -> None:
    if order.evaluation_state is not EvaluationState.NONE:
        raise EvaluatedAlready
    if order.state is not OrderState.ACCEPTED:
        raise WrongState(state=order.state.value, event="evaluate")
    automatic = state is EvaluationState.AUTOMATIC
    order.evaluation_state = state
    order.version += 1
    tx.session.add(
        Evaluation(
            order_id=order.id,
            score=score,
            comment=comment,
            automatic=automatic,
            evaluated_by=tx.actor.user_id,
            evaluated_at=tx.started_at,
        )
    )
    line_ids = tx.session.scalars(
        sa.select(OrderLine.id).where(OrderLine.order_id == order.id).order_by(OrderLine.id)
    )
    record(
        tx,
        "order.evaluated",
        order,
        score=score,
        automatic=automatic,
        lines=[str(line_id) for line_id in line_ids],
    )
