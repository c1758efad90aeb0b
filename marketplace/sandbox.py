"""The partners' sandbox beside the marketplace: the same code on the schema `sandbox`, with a clock that can be moved.

One server answers for both. The key of a request decides: `pl_test_…` at the partners' door goes to the sandbox, all
else to the marketplace, so that neither can reach the other's rows.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask
from flask.signals import appcontext_popped, appcontext_pushed

from marketplace import clock

PREFIX = "/partner/v1/"
TEST_KEY = "bearer pl_test_"
_CLOCK = "clock-ahead-seconds"
_moving = Lock()


class SandboxDoor:
    """Passes requests with a test key on to the sandbox, which is made when the first one comes."""

    def __init__(self, live: WSGIApplication, make: Callable[[], Flask]) -> None:
        self._live = live
        self._make = make
        self._sandbox: Flask | None = None
        self._making = Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(PREFIX):
            given = environ.get("HTTP_AUTHORIZATION", "").lstrip().lower()
            if given.startswith(TEST_KEY):
                return self.sandbox()(environ, start_response)
        return self._live(environ, start_response)

    def sandbox(self) -> Flask:
        with self._making:
            if self._sandbox is None:
                self._sandbox = self._make()
            return self._sandbox


def tell_time(app: Flask, state: Path) -> None:
    """In every context of `app`, and only there, the clock runs ahead by what its state folder says."""

    def by() -> timedelta:
        return ahead(state)

    def pushed(_app: Flask, **_: Any) -> None:
        clock.run_ahead(by)

    def popped(_app: Flask, **_: Any) -> None:
        clock.run_as_before()

    appcontext_pushed.connect(pushed, app, weak=False)
    appcontext_popped.connect(popped, app, weak=False)


def ahead(state: Path) -> timedelta:
    """How far the sandbox's clock was moved, in whole seconds."""
    try:
        return timedelta(seconds=int((state / _CLOCK).read_text("ascii")))
    except FileNotFoundError:
        return timedelta(0)


def move_clock(state: Path, by: timedelta) -> timedelta:
    """Move the sandbox's clock forward for good; returns how far it is ahead now."""
    with _moving:
        total = ahead(state) + by
        state.mkdir(parents=True, exist_ok=True)
        draft = state / f".{_CLOCK}-{secrets.token_hex(6)}"
        draft.write_text(str(int(total.total_seconds())), "ascii")
        os.replace(draft, state / _CLOCK)
    return total
