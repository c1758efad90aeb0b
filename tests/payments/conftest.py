"""One world per module, on a migrated database without rows; the clock stands at noon of 2026-11-24."""

from collections.abc import Iterator

import pytest
import time_machine
from flask import Flask

from tests.payments.factory import NOON, World, make_world


@pytest.fixture(scope="module")
def module_world(empty_app: Flask) -> World:
    with empty_app.app_context():
        return make_world()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def world(empty_app: Flask, module_world: World, clock: time_machine.Traveller) -> Iterator[World]:
    with empty_app.app_context():
        yield module_world
