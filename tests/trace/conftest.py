"""One world per module on a migrated database without rows; the clock stands at noon of 2026-11-24."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from tests.trace.world import NOON, PASSWORD, World, make_world


@pytest.fixture(scope="module")
def module_world(empty_app: Flask) -> World:
    with time_machine.travel(NOON, tick=False), empty_app.app_context():
        return make_world()


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOON, tick=False) as coordinates:
        yield coordinates


@pytest.fixture
def world(empty_app: Flask, module_world: World, clock: time_machine.Traveller) -> Iterator[World]:
    with empty_app.app_context():
        yield module_world


@pytest.fixture
def http(empty_app: Flask, module_world: World, clock: time_machine.Traveller) -> FlaskClient:
    return empty_app.test_client()


@pytest.fixture
def signed(http: FlaskClient) -> Callable[[str], dict[str, str]]:
    def headers(username: str) -> dict[str, str]:
        answer = http.post("/api/v1/tokens", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 201, answer.get_data(as_text=True)
        return {"Authorization": f"Bearer {answer.get_json()['token']}"}

    return headers
