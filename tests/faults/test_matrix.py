"""Faults at every phase of a gateway payment: one charge, nothing charged is called failed, nothing paid is lost.

A sample stands for the whole here; `script/faults` plays every cell and prints the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask

from tests.faults.gateway_double import Double, running_double
from tests.faults.recovery import PROMISED_SECONDS, measure
from tests.faults.scenes import KINDS, PHASES, Workers, play, table, workers
from tests.payments.factory import World, make_world

WHOLE = os.environ.get("FAULTS") == "all"
SAMPLE = [
    ("reset_before", "create", True),
    ("500_after", "create", False),
    ("reset_after", "confirm", True),
    ("timeout", "confirm", False),
    ("wrong_amount", "confirm", False),
    ("late_success", "confirm", True),
    ("late_success", "confirm", False),
    ("garbage", "read", False),
    ("409", "read", True),
    ("reset_after", "refund", True),
    ("duplicate", "refund", False),
    ("reordered", "confirm", False),
    ("never", "create", False),
]
# A killed payer, a lost answer, a charge after a refusal, a killed refund: each of its own way back.
TIMED = [
    ("reset_after", "confirm", True),
    ("500_after", "create", False),
    ("late_success", "confirm", False),
    ("reset_after", "refund", True),
]
CELLS = [(k, p, d) for k in KINDS for p in PHASES for d in (False, True)] if WHOLE else SAMPLE


@pytest.fixture(scope="module")
def world(empty_app: Flask) -> World:
    with empty_app.app_context():
        return make_world()


@pytest.fixture(scope="module")
def hands(empty_app: Flask, world: World) -> Iterator[Workers]:
    with workers(empty_app) as running:
        yield running


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with running_double(hang=1.3) as running:
        yield running


def test_the_promise_holds_under_every_fault(
    empty_app: Flask, world: World, hands: Workers, double: Double, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = []
    with empty_app.app_context():
        for kind, phase, killed in CELLS:
            outcomes.append(play(empty_app, world, double, hands, kind, phase, killed))
    if WHOLE:
        with capsys.disabled():
            print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {len(outcomes)} cells\n{table(outcomes)}")
    assert [f"{o.kind} {o.phase} {o.killed}: {o.wrong}" for o in outcomes if o.wrong] == []


def test_nothing_is_paid_without_its_order_after_a_minute(
    empty_app: Flask, world: World, hands: Workers, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_double(hang=1.3) as double, empty_app.app_context():
        outcomes = measure(empty_app, world, double, hands, CELLS if WHOLE else TIMED)
    longest = max(o.seconds or 0.0 for o in outcomes)
    if WHOLE:
        with capsys.disabled():
            print(
                f"\nseconds until all agreed, at most {longest:.1f} of {PROMISED_SECONDS:.0f}\n{table(outcomes)}"
            )
    assert [f"{o.kind} {o.phase} {o.killed}: {o.wrong}" for o in outcomes if o.wrong] == []
    assert longest <= PROMISED_SECONDS
