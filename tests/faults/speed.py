"""How fast lists and purchases are while the gateway is well, dead, or silent for 30 s, with payers at work all the time."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.desks.trading import Trader
from tests.faults.gateway_double import KEY, SECRET, Double
from tests.serving import Site

MODES = ("well", "dead", "silent")
SUBJECTS = ("list", "purchase")
PAYERS = 2


class SiteTrader(Trader):
    """The acts of trade over HTTP."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def call(self, method: str, path: str, user: str, body: Any = None, status: int = 200) -> Any:
        answer = self.site.call(method, path, user, json=body) if body else self.site.call(method, path, user)
        assert answer.status_code == status, answer.text
        return answer.json()


@dataclass
class Run:
    """Milliseconds of one subject in one mode of one round."""

    mode: str
    subject: str
    times: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        return sorted(self.times)[int(len(self.times) * 0.95)]


def gateway_settings(double: Double) -> dict[str, str]:
    return {
        "PAYMENT_API_BASE": double.base,
        "PAYMENT_API_KEY": KEY,
        "PAYMENT_MEANS": "pm_card_visa",
        "PAYMENT_WEBHOOK_SECRETS": SECRET,
    }


def open_payments(trader: SiteTrader, many: int) -> list[str]:
    """Payments for the gateway that wait to be paid: small parts of few orders."""
    made: list[str] = []
    while len(made) < many:
        order = trader.accepted_order()
        part = order["accepted_fen"] // 40
        for _ in range(min(40, many - len(made))):
            body = {"method": "gateway", "orders": [{"order_id": order["id"], "amount_fen": part}]}
            made.append(trader.call("POST", "/payments", "canteen.buyer", body, 201)["id"])
    return made


@contextmanager
def payers(site: Site, payments: list[str]) -> Iterator[list[int]]:
    """People who press "pay" without a pause, one payment after the other; yields the statuses that they got."""
    stop, lock = threading.Event(), threading.Lock()
    statuses: list[int] = []

    def press() -> None:
        while not stop.is_set():
            with lock:
                payment = payments.pop(0)
                payments.append(payment)
            answer = site.call("POST", f"/payments/{payment}/pay", "canteen.buyer", json={})
            statuses.append(answer.status_code)
            time.sleep(0.05)

    with ThreadPoolExecutor(PAYERS) as pool:
        pressing = [pool.submit(press) for _ in range(PAYERS)]
        try:
            yield statuses
        finally:
            stop.set()
    for each in pressing:
        each.result()


def set_mode(double: Double, mode: str) -> None:
    double.heal()
    if mode == "well":
        return
    for phase in ("create", "confirm", "cancel", "read", "refund", "refunds"):
        double.fail("reset_before" if mode == "dead" else "never", phase, times=None)


def measure(site: Site, trader: SiteTrader, mode: str, many: int, product: dict[str, Any]) -> list[Run]:
    runs = [Run(mode, subject) for subject in SUBJECTS]
    for place in range(many):
        began = time.perf_counter()
        site.get(f"/products?limit=20&available=true&min_price_fen={place % 50}", "canteen2.buyer")
        runs[0].times.append((time.perf_counter() - began) * 1000)
        if place % 4 == 0:
            body = purchase_body(product)
            began = time.perf_counter()
            site.post("/purchases", "canteen2.buyer", body, 201)
            runs[1].times.append((time.perf_counter() - began) * 1000)
    return runs


def purchase_body(product: dict[str, Any]) -> dict[str, Any]:
    from datetime import timedelta

    from marketplace.clock import today
    from tests.desks.trading import DELIVER_TO

    return {
        "purpose": "canteen",
        "deliver_on": (today() + timedelta(days=3)).isoformat(),
        "deliver_to": DELIVER_TO,
        "lines": [{"product_id": product["id"], "quantity": product["min_order_quantity"]}],
    }


def compare(site: Site, double: Double, rounds: int, many: int, payments: int = 120) -> list[Run]:
    """Alternated: each round measures every mode once. The gateway's silence outlasts every call."""
    trader = SiteTrader(site)
    waiting = open_payments(trader, payments)
    products = site.get("/products?available=true&eligible=true&limit=50", "canteen2.buyer")["items"]
    product = max(products, key=lambda p: p.get("available_quantity") or 0)
    found: list[Run] = []
    measure(site, trader, "well", max(4, many // 4), product)
    for number in range(rounds):
        for mode in MODES if number % 2 == 0 else reversed(MODES):
            set_mode(double, mode)
            with payers(site, waiting):
                time.sleep(0.5)
                found += measure(site, trader, mode, many, product)
    double.heal()
    return found


def summary(runs: list[Run]) -> dict[tuple[str, str], tuple[float, float]]:
    """(mode, subject) -> the medians over the rounds of median and p95, in milliseconds."""
    return {
        (mode, subject): (
            statistics.median(r.median for r in runs if (r.mode, r.subject) == (mode, subject)),
            statistics.median(r.p95 for r in runs if (r.mode, r.subject) == (mode, subject)),
        )
        for mode in MODES
        for subject in SUBJECTS
    }


def table(runs: list[Run]) -> str:
    found = summary(runs)
    lines = ["| subject | gateway | median ms | of well | p95 ms | of well |", "|---|---|---|---|---|---|"]
    for subject in SUBJECTS:
        well = found["well", subject]
        for mode in MODES:
            median, p95 = found[mode, subject]
            lines.append(
                f"| {subject} | {mode} | {median:.1f} | {median / well[0]:.2f} | {p95:.1f} | {p95 / well[1]:.2f} |"
            )
    return "\n".join(lines)
