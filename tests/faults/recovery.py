"""How long it takes until a payment agrees with the gateway again: a real worker, the real clock, nobody helps.

The signed events of a cell are lost, so that only the worker's own looks can find out, but for the faults that are
about events, and for a charge that the gateway had refused, which nobody can learn otherwise.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask

from marketplace.payments import inbox
from tests.faults.gateway_double import Double, Json, signed
from tests.faults.scenes import Outcome, Workers, broken, end_of, struck
from tests.faults.speed import gateway_settings
from tests.payments.factory import World, order_row
from tests.payments.paying_online import Payer, attempts, gateway, refunds
from tests.serving import CHECKOUT

PROMISED_SECONDS = 60.0
EVENTED = ("duplicate", "reordered", "late_success")
# After the promised time a cell is given up, with what is wrong there.
PATIENCE = PROMISED_SECONDS + 30


@dataclass
class Waiting:
    kind: str
    phase: str
    killed: bool
    payer: Payer
    payment: Json
    order_id: object
    since: float
    seconds: float | None = None

    def wrong(self) -> list[str]:
        with self.payer.double.lock:
            paid_fen = order_row(self.order_id)["paid_fen"]  # type: ignore[arg-type]
            found = list(broken(self.payer, self.payment, paid_fen))
        unknown = [state for state, *_ in attempts(self.payment["id"]) if state in ("pending", "action")]
        unknown += [f"refund {state}" for state, _ in refunds(self.payment["id"]) if state == "pending"]
        return found + unknown


@contextmanager
def worker(app: Flask, double: Double) -> Iterator[None]:
    """The worker as it is deployed, to which the gateway is well all the time."""
    env = {**app.config["TEST_ENVIRONMENT"], **gateway_settings(double)}
    env["PAYMENT_API_BASE"] = f"{double.base}/worker"
    process = subprocess.Popen(
        [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
        cwd=CHECKOUT,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def measure(
    app: Flask, world: World, double: Double, hands: Workers, cells: list[tuple[str, str, bool]]
) -> list[Outcome]:
    """Every cell struck one after the other, and watched until it agrees again."""
    found: list[Waiting] = []
    struck_all, watching = threading.Event(), threading.Lock()
    watcher = threading.Thread(target=_watch, args=(app, found, watching, struck_all), daemon=True)
    with worker(app, double):
        watcher.start()
        for kind, phase, killed in cells:
            one = _strike(app, world, double, hands, kind, phase, killed)
            with watching:
                found.append(one)
        struck_all.set()
        watcher.join()
    return [_outcome(each) for each in found]


def _strike(
    app: Flask, world: World, double: Double, hands: Workers, kind: str, phase: str, killed: bool
) -> Waiting:
    with gateway(app, double, payment_timeout_seconds=1.0):
        payer = Payer(world, double)
        double.strikes_under = app.config["SETTINGS"].payment_api_base.removeprefix(double.base) + "/"
        order, payment, _ = struck(app, payer, hands, kind, phase, killed)
        began = time.monotonic()
        with double.lock:
            told = [event for event in double.events if _payment_of(double, event) == payment["number"]]
        if kind == "duplicate":
            told = [event for event in told for _ in range(3)]
        if kind == "reordered":
            told.reverse()
        for event in told if kind in EVENTED else []:
            inbox.receive(*signed(event))
    return Waiting(kind, phase, killed, payer, payment, order.id, began)


def _payment_of(double: Double, event: Json) -> str | None:
    thing = event["data"]["object"]
    intent = thing if thing["object"] == "payment_intent" else double.intents[thing["payment_intent"]]
    number: str | None = intent["metadata"].get("payment")
    return number


def _watch(app: Flask, found: list[Waiting], watching: threading.Lock, struck_all: threading.Event) -> None:
    with app.app_context():
        while True:
            ended = struck_all.is_set()
            with watching:
                open_cells = [each for each in found if each.seconds is None]
            for each in open_cells:
                passed = time.monotonic() - each.since
                if not each.wrong() or passed > PATIENCE:
                    each.seconds = passed
            if ended and not open_cells:
                return
            time.sleep(0.2)


def _outcome(each: Waiting) -> Outcome:
    wrong = each.wrong()
    if each.seconds is not None and each.seconds > PROMISED_SECONDS:
        wrong.append(f"agreed after {each.seconds:.0f} s only")
    return Outcome(each.kind, each.phase, each.killed, end_of(each.payment), tuple(wrong), each.seconds)
