"""A signed event, the page that comes back and the reconciler bring the same news at the same instant: one settlement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa
from flask import Flask

from marketplace.actors import Permission, system
from marketplace.database import db
from marketplace.orders.locking import lock_order
from marketplace.orders.models import Order
from marketplace.payments import inbox, jobs
from marketplace.payments.models import GatewayEvent
from marketplace.unit_of_work import transaction
from tests.faults.gateway_double import running_double, signed
from tests.payments.factory import World, facts, rows
from tests.payments.paying_online import Payer, attempts, gateway, payment_state
from tests.payments.test_online import verified

AMOUNT = 45_000


@pytest.fixture
def payer(empty_app: Flask, world: World) -> Iterator[Payer]:
    with running_double() as double, gateway(empty_app, double):
        yield Payer(world, double)


def at_once(app: Flask, acts: list[Callable[[], object]]) -> None:
    """Each act in a thread of its own; whatever one of them raises is raised here."""
    barrier = Barrier(len(acts))

    def run(act: Callable[[], object]) -> None:
        with app.app_context():
            barrier.wait()
            act()

    with ThreadPoolExecutor(len(acts)) as pool:
        list(pool.map(run, acts))


@pytest.mark.parametrize("round_number", range(3))
def test_events_pages_and_reconciler_at_once_settle_a_payment_once(
    payer: Payer, empty_app: Flask, round_number: int
) -> None:
    payment = payer.opened(payer.world.order([(4500, 10)]))
    payer.double.fail("500_after", "confirm")
    payer.pay(payment)
    assert payment_state(payment["id"]) == "open"
    told = payer.double.events[-1]
    # The same fact under two ids of the gateway, and one of them twice.
    for event in (told, told, {**told, "id": f"{told['id']}_twin"}):
        inbox.receive(*signed(event))
    numbers = [n for (n,) in rows(sa.select(GatewayEvent.id).where(GatewayEvent.ended_at.is_(None)))]

    at_once(
        empty_app,
        [
            *(lambda number=number: inbox.apply_event(number) for number in numbers * 2),
            # Each asks the gateway itself, where its one place is free.
            *(lambda: jobs.reconcile(0.0) for _ in range(3)),
        ],
    )

    assert attempts(payment["id"]) == [("captured", AMOUNT, 0, True)]
    assert [f["kind"] for f in facts(payment["id"])].count("payment.captured") == 1
    assert payment_state(payment["id"]) == "paid"
    verified()


class _Enough(Exception):
    """Ends an act that was to be looked at, with what it saw."""


def test_a_lock_shows_what_another_has_committed_meanwhile(payer: Payer) -> None:
    order, seller = payer.world.order([(4500, 10)]), payer.actor("seller")

    def act() -> None:
        with transaction(system(), Permission.SYSTEM) as tx:
            row = tx.session.get_one(Order, order.id)
            before = row.version
            with db.engine.begin() as other:
                other.execute(sa.update(Order).where(Order.id == order.id).values(version=before + 1))
            raise _Enough(lock_order(tx, seller, order.id) is row, row.version - before)

    with pytest.raises(_Enough) as seen:
        act()

    assert seen.value.args == (True, 1)
