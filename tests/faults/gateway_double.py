"""A payment gateway of our own over HTTP: scripted faults, an account of what it really charged, signed events.

It keeps idempotency keys as the specification says (the same key answers the same) and refuses to give back more than
it charged. Any path before `/v1/` is taken, so that each test has an address, and thereby a breaker, of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

KEY = "sk_test_of_our_own_double"
SECRET = "whsec_of_our_own_double"

Json = dict[str, Any]


@dataclass
class Call:
    phase: str
    method: str
    path: str
    form: dict[str, str]
    headers: dict[str, str]


@dataclass
class Fault:
    """What happens to calls of one phase: `times` of them, or all.

    `kill` names a process that is killed when the call has come, and been applied where the fault applies it. `under`
    is the beginning of the paths that it happens to.
    """

    kind: str
    phase: str
    times: int | None = 1
    kill: int | None = None
    under: str = "/"


@dataclass
class Double:
    base: str = ""
    seconds: float = 0.3
    hang: float = 3.0
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    intents: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    events: deque[Json] = field(default_factory=deque)
    answers: dict[str, tuple[int, Json]] = field(default_factory=dict)
    declines: bool = False
    keeps_keys: bool = True
    watch: Callable[[Call], None] | None = None
    late: list[str] = field(default_factory=list)
    drawn: int = 0
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    # Where faults strike from now on; calls under other paths find the gateway well.
    strikes_under: str = "/"
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fail(self, kind: str, phase: str, times: int | None = 1, kill: int | None = None) -> None:
        with self.lock:
            self.faults.append(Fault(kind, phase, times, kill, self.strikes_under))

    def heal(self) -> None:
        with self.lock:
            self.faults.clear()
            self.declines = False
            while self.late:
                self.succeed(self.late.pop())

    def charges(self, payment_number: str) -> list[Json]:
        """What was really taken from the payer of a payment."""
        return [
            i
            for i in self.intents.values()
            if i["metadata"].get("payment") == payment_number and i["status"] == "succeeded"
        ]

    def given_back(self, intent: str) -> int:
        return sum(
            r["amount"]
            for r in self.refunds.values()
            if r["payment_intent"] == intent and r["status"] == "succeeded"
        )

    def succeed(self, intent_id: str) -> None:
        """The charge goes through after all."""
        with self.lock:
            intent = self.intents[intent_id]
            intent["status"], intent["amount_received"] = "succeeded", intent["amount"]
            intent["last_payment_error"] = None
            self.tell("payment_intent.succeeded", intent)

    def tell(self, kind: str, thing: Json) -> Json:
        with self.lock:
            self.drawn += 1
            event = {
                "id": f"evt_{self.tag}_{self.drawn:06d}",
                "object": "event",
                "type": kind,
                "created": int(time.time()),
                "data": {"object": json.loads(json.dumps(thing))},
            }
            self.events.append(event)
            return event

    def new_id(self, prefix: str) -> str:
        self.drawn += 1
        return f"{prefix}_{self.tag}_{self.drawn:06d}"


def signed(event: Json, secret: str = SECRET, at: int | None = None) -> tuple[bytes, str]:
    """The raw bytes and the Stripe-Signature of an event."""
    body = json.dumps(event).encode()
    stamp = int(time.time()) if at is None else at
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return body, f"t={stamp},v1={digest}"


class Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


def _create(double: Double, form: dict[str, str]) -> Json:
    if form.get("currency") != "cny" or not 0 < int(form["amount"]) <= 99_999_999:
        raise Refused(400, "parameter_invalid")
    known = form.get("payment_method")
    intent: Json = {
        "id": double.new_id("pi"),
        "object": "payment_intent",
        "amount": int(form["amount"]),
        "amount_received": 0,
        "currency": "cny",
        "status": "requires_confirmation" if known else "requires_payment_method",
        "metadata": {k[9:-1]: v for k, v in form.items() if k.startswith("metadata[")},
        "last_payment_error": None,
        "next_action": None,
        "confirmed": 0,
    }
    double.intents[intent["id"]] = intent
    return intent


def _confirm(double: Double, intent: Json) -> Json:
    if intent["status"] not in ("requires_confirmation", "requires_payment_method"):
        raise Refused(400, "payment_intent_unexpected_state")
    if double.declines:
        intent["status"] = "requires_payment_method"
        intent["last_payment_error"] = {"code": "card_declined", "decline_code": "insufficient_funds"}
        double.tell("payment_intent.payment_failed", intent)
        raise Refused(402, "card_declined")
    intent["status"], intent["amount_received"] = "succeeded", intent["amount"]
    intent["confirmed"] += 1
    double.tell("payment_intent.processing", {**intent, "status": "processing", "amount_received": 0})
    double.tell("payment_intent.succeeded", intent)
    return intent


def _cancel(double: Double, intent: Json) -> Json:
    if intent["status"] in ("succeeded", "canceled"):
        raise Refused(400, "payment_intent_unexpected_state")
    intent["status"] = "canceled"
    double.tell("payment_intent.canceled", intent)
    return intent


def _refund(double: Double, form: dict[str, str]) -> Json:
    intent = _found(double.intents, form["payment_intent"])
    amount = int(form["amount"])
    if (
        intent["status"] != "succeeded"
        or double.given_back(intent["id"]) + amount > intent["amount_received"]
    ):
        raise Refused(400, "charge_already_refunded")
    refund: Json = {
        "id": double.new_id("re"),
        "object": "refund",
        "amount": amount,
        "currency": "cny",
        "status": "succeeded",
        "payment_intent": intent["id"],
        "metadata": {k[9:-1]: v for k, v in form.items() if k.startswith("metadata[")},
    }
    double.refunds[refund["id"]] = refund
    double.tell("refund.created", {**refund, "status": "pending"})
    double.tell("refund.updated", refund)
    return refund


def _found(things: dict[str, Json], name: str) -> Json:
    if name not in things:
        raise Refused(404, "resource_missing")
    return things[name]


def phase_of(method: str, path: str) -> str:
    """`create`, `confirm`, `cancel`, `read`, `refund` or `refunds` (reading them)."""
    parts = path.split("/v1/", 1)[1].split("?")[0].split("/")
    if parts[0] == "refunds":
        return "refund" if method == "POST" else "refunds"
    if method == "GET":
        return "read"
    return "create" if len(parts) == 1 else parts[2]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    double: Double

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def _serve(self, method: str) -> None:
        double = self.double
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        call = Call(phase_of(method, self.path), method, self.path, dict(parse_qsl(raw)), dict(self.headers))
        with double.lock:
            double.calls.append(call)
            fault = next(
                (f for f in double.faults if f.phase == call.phase and call.path.startswith(f.under)), None
            )
            if fault is not None and fault.times is not None:
                fault.times -= 1
                if fault.times == 0:
                    double.faults.remove(fault)
        if double.watch is not None:
            double.watch(call)
        self._answer(call, fault)

    def _answer(self, call: Call, fault: Fault | None) -> None:
        kind = "" if fault is None else fault.kind
        applied = kind not in ("reset_before", "429", "409", "never")
        status, body = self._applied(call, kind) if applied else (0, {})
        if fault is not None and fault.kill is not None:
            os.kill(fault.kill, signal.SIGKILL)
        if kind in ("reset_before", "reset_after"):
            self._reset()
        elif kind in ("timeout", "never"):
            time.sleep(self.double.hang)
            self._reset()
        elif kind == "500_after":
            self._send(500, b'{"error": {"type": "api_error"}}')
        elif kind == "garbage":
            self._send(200, b"<html>maintenance</html>")
        elif kind == "429":
            self._send(429, b'{"error": {"type": "rate_limit_error"}}')
        elif kind == "409":
            self._send(409, b'{"error": {"type": "idempotency_error"}}')
        else:
            if kind == "slow":
                time.sleep(self.double.seconds)
            self._send(status, json.dumps(body).encode())

    def _applied(self, call: Call, kind: str) -> tuple[int, Json]:
        double = self.double
        with double.lock:
            key = call.headers.get("Idempotency-Key")
            if key is not None and double.keeps_keys and key in double.answers:
                return double.answers[key]
            try:
                answer = 200, self._act(call, kind)
            except Refused as refused:
                error = {"code": refused.code, "type": "card_error" if refused.status == 402 else "invalid"}
                answer = refused.status, {"error": error}
            answer = answer[0], json.loads(json.dumps(answer[1]))
            if key is not None:
                double.answers[key] = answer
            return answer

    def _act(self, call: Call, kind: str) -> Json:
        double = self.double
        parts = urlsplit(call.path).path.split("/v1/", 1)[1].split("/")
        done: Json
        if call.phase == "create":
            done = _create(double, call.form)
        elif call.phase == "refund":
            done = _refund(double, call.form)
        elif call.phase == "refunds" and len(parts) == 1:
            wanted = dict(parse_qsl(urlsplit(call.path).query))["payment_intent"]
            rows = [r for r in double.refunds.values() if r["payment_intent"] == wanted]
            return {"object": "list", "data": rows, "has_more": False}
        elif call.phase == "refunds":
            done = _found(double.refunds, parts[1])
        else:
            done = _found(double.intents, parts[1])
            if call.phase == "confirm" and kind == "late_success":
                done["status"] = "requires_payment_method"
                done["last_payment_error"] = {"code": "card_declined"}
            elif call.phase == "confirm":
                done = _confirm(double, done)
            elif call.phase == "cancel":
                done = _cancel(double, done)
        if kind == "wrong_amount":
            return {
                **done,
                "amount": done["amount"] + 1,
                **({"amount_received": done["amount"] + 1} if "amount_received" in done else {}),
            }
        if kind == "late_success":
            # It says no, and does it all the same: a refund at once, a charge when the double is healed.
            if call.phase in ("create", "confirm"):
                double.late.append(done["id"])
            raise Refused(402, "card_declined")
        return done

    def _send(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:  # the caller is gone
            self.close_connection = True

    def _reset(self) -> None:
        """Closed with a reset in place of an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed is part of the script."""


@contextmanager
def running_double(**given: Any) -> Iterator[Double]:
    double = Double(**given)
    handler = type("BoundHandler", (Handler,), {"double": double})
    server = _Server(("127.0.0.1", 0), handler)
    double.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
