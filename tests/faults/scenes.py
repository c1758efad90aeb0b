"""The matrix of faults: each kind of fault at each phase of a payment, with and without a worker killed by it.

`play` takes one payment through one fault, lets everything recover as it would in production (signed events, the
reconciler), and says what is wrong with the end: nothing, if the promise holds. The gateway's own account of what it
charged is the judge.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

from flask import Flask

from marketplace.payments.gateway import GatewayClosed, GatewayUnknown
from tests.faults.gateway_double import KEY, SECRET, Double, Json
from tests.payments.factory import Ordered, World, order_row
from tests.payments.paying_online import CARD, Payer, attempts, gateway, payment_state, refunds

KINDS = (
    "reset_before", "reset_after", "timeout", "500_after", "slow", "garbage", "429", "409", "wrong_amount",
    "duplicate", "reordered", "late_success", "never",
)  # fmt: skip
PHASES = ("create", "confirm", "read", "refund")
ROUNDS = 4
HALF = 20_000
AMOUNT = 45_000


@dataclass(frozen=True)
class Outcome:
    """How a cell ended, in a word, and every promise that it broke."""

    kind: str
    phase: str
    killed: bool
    end: str
    wrong: tuple[str, ...]
    # From the fault until everything agreed again, where it was measured.
    seconds: float | None = None


class Workers:
    """A process that has the application loaded and makes a child for each act; a child may be killed."""

    def __init__(self, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.workers"],
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._out.readline() == "ready\n"

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def begin(self, base: str, act: str, *words: object) -> int:
        """Have a child do `act` against the gateway at `base`; answers its process id at once."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, (base, act, *words))) + "\n")
        self._process.stdin.flush()
        return int(self._out.readline())

    def go(self) -> bool:
        """Let the child go; whether it was killed."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._out.readline() == "killed\n"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._out.close()


@contextmanager
def workers(app: Flask) -> Iterator[Workers]:
    running = Workers(app.config["TEST_ENVIRONMENT"])
    try:
        yield running
    finally:
        running.close()


def play(
    app: Flask, world: World, double: Double, hands: Workers, kind: str, phase: str, killed: bool
) -> Outcome:
    with gateway(app, double, payment_timeout_seconds=1.0):
        payer = Payer(world, double)
        order, payment, died = struck(app, payer, hands, kind, phase, killed)
        for _ in range(ROUNDS):
            _hear(payer, kind)
            payer.reconcile()
        _hear(payer, kind)
        wrong = list(broken(payer, payment, order_row(order.id)["paid_fen"]))
        if killed and not died:
            wrong.append("nobody was killed")
        return Outcome(kind, phase, killed, end_of(payment), tuple(wrong))


def struck(
    app: Flask, payer: Payer, hands: Workers, kind: str, phase: str, killed: bool
) -> tuple[Ordered, Json, bool]:
    """A payment taken to its fault; the gateway is well again. Also whether the one who acted was killed."""
    order = payer.world.order([(4500, 10)])
    payment = payer.opened(order)
    base = app.config["SETTINGS"].payment_api_base
    _prepare(payer, payment, phase)
    fault = None if kind in ("duplicate", "reordered") else kind
    died = _act(payer, hands, base, payment, phase, fault, killed)
    payer.double.heal()
    return order, payment, died


def _prepare(payer: Payer, payment: Json, phase: str) -> None:
    """What has to have happened before the phase."""
    if phase == "read":
        payer.double.fail("500_after", "confirm")
        payer.pay(payment)
        payer.double.events.clear()
    elif phase == "refund":
        payer.pay(payment)
        payer.double.events.clear()


def _act(
    payer: Payer, hands: Workers, base: str, payment: Json, phase: str, fault: str | None, killed: bool
) -> bool:
    """The call that the fault hits; with `killed` in a process that the gateway's answer finds dead."""
    act = {"read": "reconcile", "refund": "refund"}.get(phase, "pay")
    times = None if fault == "never" else 1
    if killed:
        actor = payer.seller if phase == "refund" else payer.buyer
        who = payer.world.organisations[actor]
        child = hands.begin(base, act, payment["id"], who, payer.actor(actor).user_id, HALF)
        payer.double.fail(fault or "", phase, times, kill=child)
        return hands.go()
    if fault is not None:
        payer.double.fail(fault, phase, times)
    if act == "reconcile":
        payer.reconcile()
    elif act == "refund":
        payer.refund(payment, HALF)
    else:
        payer.pay(payment)
    return False


def _hear(payer: Payer, kind: str) -> None:
    told = list(payer.double.events)
    payer.double.events.clear()
    if kind == "duplicate":
        told = [event for event in told for _ in range(3)]
    if kind == "reordered":
        told.reverse()
    # The queue tries such an event again, and so does the reconciler.
    with suppress(GatewayUnknown, GatewayClosed):
        payer.deliver(told)


def broken(payer: Payer, payment: Json, paid_fen: int) -> Iterator[str]:
    """Promises that the end of a payment breaks, by what the gateway itself says that it did."""
    charges = payer.double.charges(payment["number"])
    ours = attempts(payment["id"])
    held_back = any(state == "quarantined" for state, *_ in ours)
    if len(charges) > 1:
        yield f"charged {len(charges)} times"
    if any(i["confirmed"] > 1 for i in payer.double.intents.values()):
        yield "an intent was confirmed twice"
    captured = sum(captured for _, captured, _, _ in ours)
    really = sum(i["amount_received"] for i in charges)
    if captured != really and not held_back:
        yield f"{really} fen were charged, {captured} are known here"
    if charges and any(state == "failed" for state, *_ in ours) and not captured:
        yield "what was charged is called failed"
    given = sum(payer.double.given_back(i["id"]) for i in charges)
    done = sum(fen for state, fen in refunds(payment["id"]) if state == "refunded")
    if given != done and not any(r["amount"] != HALF for r in payer.double.refunds.values()):
        yield f"{given} fen were given back, {done} are known here"
    if given > really:
        yield "more was given back than charged"
    if captured and paid_fen != captured - done:
        yield f"the order has {paid_fen} fen of {captured - done}"
    if captured and payment_state(payment["id"]) != "paid":
        yield "paid, but the payment does not say so"


def end_of(payment: Json) -> str:
    states = [state for state, *_ in attempts(payment["id"])]
    asked = refunds(payment["id"])
    if asked:
        return "+".join(f"refund {state}" for state, _ in asked)
    return "+".join(states) or "not begun"


def settings_of(base: str) -> dict[str, object]:
    return {
        "payment_api_base": base,
        "payment_api_key": KEY,
        "payment_means": (CARD, "alipay"),
        "payment_webhook_secrets": (SECRET,),
        "payment_timeout_seconds": 1.0,
    }


def table(outcomes: list[Outcome]) -> str:
    """One line a fault, a column for each phase, without and with a killed worker."""
    columns = [(phase, killed) for phase in PHASES for killed in (False, True)]
    cells = {(o.kind, o.phase, o.killed): o for o in outcomes}
    lines = ["| fault | " + " | ".join(f"{p}{', killed' if k else ''}" for p, k in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for kind in KINDS:
        row = [cells.get((kind, phase, killed)) for phase, killed in columns]
        if any(row):
            lines.append(f"| {kind} | " + " | ".join("" if o is None else _cell(o) for o in row) + " |")
    return "\n".join(lines)


def _cell(outcome: Outcome) -> str:
    if outcome.seconds is not None and not outcome.wrong:
        return f"{outcome.seconds:.1f}"
    return outcome.end if not outcome.wrong else f"WRONG: {'; '.join(outcome.wrong)} ({outcome.end})"
