"""A client of the payment gateway: a Stripe-shaped API, never called inside a transaction.

What the gateway did is unknown until it says so: only a definite refusal is a refusal, everything else (no answer, a
reset, 5xx, 409, 429, an answer that makes no sense) is `GatewayUnknown`. Calls that change something carry the id of
our own row as idempotency key, and come back to the same object however often they are repeated.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import requests
from flask import current_app

from marketplace.config import Settings
from marketplace.errors import Unavailable, UpstreamFailure

CURRENCY = "cny"
CONNECT_SECONDS = 2.0
MAX_ANSWER_BYTES = 1_000_000
# A breaker opens after so many failures in so many seconds, and lets one probe through after a while.
FAILURES = 5
WINDOW_SECONDS = 10.0
PROBE_SECONDS = 5.0
# Calls at once in one process: a quarter of the threads that serve requests there.
AT_ONCE = 1


class GatewayUnknown(UpstreamFailure):
    """The gateway may or may not have done what was asked. To be asked again, never to be taken as a refusal."""

    slug = "gateway-unknown"
    title = "支付渠道没有明确答复，结果待核对"


class GatewayClosed(Unavailable):
    """Not asked at all: the gateway failed repeatedly a moment ago, or enough calls wait for it already."""

    slug = "gateway-unavailable"
    title = "支付渠道暂时不可用，请稍后再试或改用转账"


class GatewayRefused(Exception):
    """The gateway says no, and nothing happened. `code` is its own word for the reason."""

    def __init__(self, code: str, status: int) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Intent:
    """A payment intent as the gateway sees it now. `received_fen` is what it charged, 0 before success."""

    id: str
    status: str
    received_fen: int
    currency: str
    failure_code: str | None = None
    next_url: str | None = None


@dataclass(frozen=True)
class GatewayRefund:
    id: str
    status: str
    amount_fen: int
    currency: str
    ours: str | None
    failure_code: str | None = None


@dataclass
class Breaker:
    """Closed while calls succeed; open after FAILURES in WINDOW_SECONDS; then one probe at a time until one succeeds."""

    clock: Callable[[], float] = time.monotonic
    failures: deque[float] = field(default_factory=deque)
    opened_at: float | None = None
    probing: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_open(self) -> bool:
        with self.lock:
            return self._shut(self.clock())

    def enter(self) -> None:
        """Raises GatewayClosed while open; a caller that passes is the probe if it was open before."""
        with self.lock:
            if self._shut(self.clock()):
                raise GatewayClosed(retry_after=int(PROBE_SECONDS))
            self.probing = self.opened_at is not None

    def succeeded(self) -> None:
        with self.lock:
            if self.opened_at is not None:
                self.failures.clear()
                self.opened_at, self.probing = None, False

    def failed(self) -> None:
        with self.lock:
            moment = self.clock()
            self.failures.append(moment)
            while self.failures[0] < moment - WINDOW_SECONDS:
                self.failures.popleft()
            if self.opened_at is not None or len(self.failures) >= FAILURES:
                self.opened_at = moment
            self.probing = False

    def _shut(self, moment: float) -> bool:
        if self.opened_at is None:
            return False
        return self.probing or moment - self.opened_at < PROBE_SECONDS


@dataclass
class Guard:
    """What all calls of one process to one gateway share."""

    breaker: Breaker = field(default_factory=Breaker)
    places: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))

    @contextmanager
    def call(self) -> Iterator[None]:
        """Raises GatewayClosed instead of waiting. No answer counts as a failure, a refusal does not."""
        if not self.places.acquire(blocking=False):
            raise GatewayClosed(retry_after=1)
        try:
            self.breaker.enter()
            answered = False
            try:
                yield
                answered = True
            except GatewayRefused:
                answered = True
                raise
            finally:
                if answered:
                    self.breaker.succeeded()
                else:
                    self.breaker.failed()
        finally:
            self.places.release()


_guards: dict[str, Guard] = {}


@dataclass(frozen=True)
class Gateway:
    base: str
    key: str = field(repr=False)
    version: str
    timeout: float
    means: tuple[str, ...]

    @property
    def guard(self) -> Guard:
        return _guards.setdefault(self.base, Guard())

    def create_intent(self, attempt: UUID, amount_fen: int, means: str, payment_number: str) -> Intent:
        """An intent that charges nothing yet. A method that begins with `pm_` is one the gateway knows already."""
        values = {
            "amount": str(amount_fen),
            "currency": CURRENCY,
            "metadata[attempt]": str(attempt),
            "metadata[payment]": payment_number,
        }
        values |= {"payment_method": means} if means.startswith("pm_") else {"payment_method_types[0]": means}
        return seen_intent(self._post("/v1/payment_intents", values, f"{attempt}-create"))

    def confirm_intent(self, attempt: UUID, intent: str, means: str, return_url: str) -> Intent:
        """Charge it. Asked twice, an intent is charged once: the gateway's own state sees to that."""
        values: dict[str, str] = {}
        if not means.startswith("pm_"):
            values = {"payment_method_data[type]": means, "return_url": return_url}
        path = f"/v1/payment_intents/{quote(intent, safe='')}/confirm"
        return seen_intent(self._post(path, values, f"{attempt}-confirm"))

    def cancel_intent(self, attempt: UUID, intent: str) -> Intent:
        path = f"/v1/payment_intents/{quote(intent, safe='')}/cancel"
        return seen_intent(self._post(path, {}, f"{attempt}-cancel"))

    def read_intent(self, intent: str) -> Intent:
        return seen_intent(self._get(f"/v1/payment_intents/{quote(intent, safe='')}"))

    def create_refund(self, refund: UUID, intent: str, amount_fen: int) -> GatewayRefund:
        values = {"payment_intent": intent, "amount": str(amount_fen), "metadata[refund]": str(refund)}
        return _refund(self._post("/v1/refunds", values, str(refund)))

    def read_refund(self, gateway_id: str) -> GatewayRefund:
        return _refund(self._get(f"/v1/refunds/{quote(gateway_id, safe='')}"))

    def refunds_of(self, intent: str) -> list[GatewayRefund]:
        """All refunds of an intent; looked through before one is asked for again, whatever became of its key."""
        found: list[GatewayRefund] = []
        after: dict[str, str] = {}
        while True:
            query = urlencode({"payment_intent": intent, "limit": "100", **after})
            answer = self._get(f"/v1/refunds?{query}")
            rows = answer.get("data")
            if not isinstance(rows, list):
                raise GatewayUnknown
            found += [_refund(row) for row in rows]
            if not answer.get("has_more") or not rows:
                return found
            after = {"starting_after": found[-1].id}

    def _post(self, path: str, values: Mapping[str, str], key: str) -> dict[str, Any]:
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": key}
        return self._call("POST", path, urlencode(values).encode(), headers)

    def _get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path, None, {})

    def _call(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> dict[str, Any]:
        headers |= {"Authorization": f"Bearer {self.key}", "Stripe-Version": self.version}
        deadline = time.monotonic() + self.timeout
        with self.guard.call():
            try:
                with requests.request(
                    method,
                    f"{self.base}{path}",
                    data=body,
                    headers=headers,
                    timeout=(min(CONNECT_SECONDS, self.timeout), self.timeout),
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    return _read(answer.status_code, _whole(answer, deadline))
            except requests.RequestException as error:
                raise GatewayUnknown from error


def configured_gateway() -> Gateway | None:
    """The gateway of the running application; None where none is set and transfer is the only way."""
    settings: Settings | None = current_app.config.get("SETTINGS")
    if settings is None or settings.payment_api_base is None or settings.payment_api_key is None:
        return None
    return Gateway(
        settings.payment_api_base.rstrip("/"),
        settings.payment_api_key,
        settings.payment_api_version,
        settings.payment_timeout_seconds,
        settings.payment_means,
    )


def webhook_secrets() -> tuple[str, ...]:
    """The secrets that events may be signed with, the newest first; none where no gateway is set."""
    settings: Settings | None = current_app.config.get("SETTINGS")
    return () if settings is None else settings.payment_webhook_secrets


def merchant_of_record() -> str | None:
    """The holder of the supervised account that the gateway pays out to; None: the seller himself."""
    settings: Settings | None = current_app.config.get("SETTINGS")
    return None if settings is None else settings.payment_merchant


def return_address(payment: UUID) -> str:
    """Where the gateway's own page sends the payer back to."""
    settings: Settings = current_app.config["SETTINGS"]
    return f"{settings.public_base_url}/payments/{payment}"


def _whole(answer: requests.Response, deadline: float) -> bytes:
    """The body, unless it trickles beyond the deadline or grows beyond any sensible answer."""
    body = b""
    for part in answer.iter_content(16_384):
        body += part
        if len(body) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
            raise GatewayUnknown
    return body


def _read(status: int, body: bytes) -> dict[str, Any]:
    """Raises GatewayRefused for a definite no, GatewayUnknown for everything that is neither yes nor no."""
    try:
        answer = json.loads(body)
    except ValueError:
        raise GatewayUnknown(status=status) from None
    if not isinstance(answer, dict):
        raise GatewayUnknown(status=status)
    if status == 200:
        return answer
    error = answer.get("error")
    if status in (400, 401, 402, 403, 404) and isinstance(error, dict):
        code = error.get("decline_code") or error.get("code") or error.get("type") or "refused"
        raise GatewayRefused(str(code)[:100], status)
    raise GatewayUnknown(status=status)


def seen_intent(answer: Mapping[str, Any]) -> Intent:
    """A payment intent of an answer or of an event. Raises GatewayUnknown for what is none."""
    if answer.get("object") != "payment_intent":
        raise GatewayUnknown
    succeeded = answer.get("status") == "succeeded"
    received = answer.get("amount_received", answer.get("amount")) if succeeded else 0
    error = answer.get("last_payment_error")
    action = answer.get("next_action")
    redirect = action.get("redirect_to_url") if isinstance(action, dict) else None
    url = redirect.get("url") if isinstance(redirect, dict) else None
    return Intent(
        id=_text(answer, "id"),
        status=_text(answer, "status"),
        received_fen=_whole_number(received),
        currency=_text(answer, "currency").lower(),
        failure_code=_code(error),
        next_url=url if isinstance(url, str) and url.startswith(("https://", "http://")) else None,
    )


def _refund(answer: Any) -> GatewayRefund:
    if not isinstance(answer, dict) or answer.get("object") != "refund":
        raise GatewayUnknown
    metadata = answer.get("metadata")
    ours = metadata.get("refund") if isinstance(metadata, dict) else None
    reason = answer.get("failure_reason")
    return GatewayRefund(
        id=_text(answer, "id"),
        status=str(answer.get("status") or "pending"),
        amount_fen=_whole_number(answer.get("amount")),
        currency=_text(answer, "currency").lower(),
        ours=ours if isinstance(ours, str) else None,
        failure_code=reason[:100] if isinstance(reason, str) else None,
    )


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 255:
        raise GatewayUnknown
    return value


def _whole_number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise GatewayUnknown
    return value


def _code(error: Any) -> str | None:
    if not isinstance(error, dict):
        return None
    code = error.get("decline_code") or error.get("code") or "declined"
    return str(code)[:100]
