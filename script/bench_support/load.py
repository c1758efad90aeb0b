"""The load: lasting connections in one event loop, so that the generator costs little beside what it measures.

A unit of work is a generator that yields requests and is sent (status, body): one request for a read, two for a
purchase that is placed and approved. At the end of the time nothing new begins and what has begun is waited for, so
that answers and rows can be compared.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

Unit = Generator[bytes, tuple[int, bytes], None]
ANSWER_SECONDS = 30.0


class Broken(Exception):
    """The server closed a connection or did not answer."""


def get(path: str, token: str | None = None, *, cookie: str | None = None) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: application/json"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if cookie is not None:
        lines.append(f"Cookie: {cookie}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(path: str, body: Any, token: str | None = None, key: str | None = None) -> bytes:
    data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Accept: application/json",
        f"Content-Length: {len(data)}",
    ]
    if body is not None:
        lines.append("Content-Type: application/json")
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if key is not None:
        lines.append(f"Idempotency-Key: {key}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def one(request: bytes) -> Unit:
    """A unit of a single request."""
    yield request


@dataclass
class Outcome:
    """What one run brought: units done, seconds, latencies in ms (sorted), answers by status, cache hits, CPU."""

    units: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    cached: int = 0
    answered_bytes: int = 0
    generator_cpu_us: float = 0.0
    spread: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.units / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        if not self.latencies_ms:
            return 0.0
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))]


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unit: Unit | None = None
        self.begun = 0.0
        self.buffer = bytearray()
        self.needed = -1
        self.head = b""

    def begin(self, unit: Unit) -> None:
        self.unit = unit
        self.begun = time.perf_counter()
        self.socket.sendall(next(unit))

    def read(self) -> tuple[int, bytes, bytes] | None:
        """(status, head, body) when an answer is complete, else None."""
        data = self.socket.recv(262_144)
        if not data:
            raise Broken("the server closed a connection")
        self.buffer += data
        if self.needed < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            self.head = bytes(self.buffer[:end]).lower()
            at = self.head.find(b"content-length: ")
            if at < 0:
                raise Broken("an answer without Content-Length")
            self.needed = end + 4 + int(self.head[at + 16 :].split(b"\r\n", 1)[0])
        if len(self.buffer) < self.needed:
            return None
        body = bytes(self.buffer[self.needed - int(self._length()) : self.needed])
        del self.buffer[: self.needed]
        self.needed = -1
        return int(self.head[9:12]), self.head, body

    def _length(self) -> bytes:
        at = self.head.find(b"content-length: ")
        return self.head[at + 16 :].split(b"\r\n", 1)[0]


def drive(
    port: int,
    make: Callable[[], Unit],
    *,
    connections: int,
    seconds: float,
    spread: Callable[[Sequence[int]], list[int]] | None = None,
) -> Outcome:
    """Keep `connections` busy with units of `make` for `seconds`; raises Broken when the server fails to answer."""
    made = [_Connection(port) for _ in range(connections)]
    outcome = Outcome()
    latencies: deque[float] = deque()
    try:
        with selectors.DefaultSelector() as selector:
            for each in made:
                selector.register(each.socket, selectors.EVENT_READ, each)
            cpu, start = time.process_time(), time.perf_counter()
            until = start + seconds
            for each in made:
                each.begin(make())
            busy = connections
            while busy:
                ready = selector.select(ANSWER_SECONDS)
                if not ready:
                    raise Broken(f"no answer within {ANSWER_SECONDS:.0f} s")
                for key, _ in ready:
                    connection: _Connection = key.data
                    answer = connection.read()
                    if answer is None:
                        continue
                    status, head, body = answer
                    outcome.statuses[status] += 1
                    outcome.cached += b"\r\nage: " in head
                    outcome.answered_bytes += len(body)
                    assert connection.unit is not None
                    try:
                        connection.socket.sendall(connection.unit.send((status, body)))
                        continue
                    except StopIteration:
                        now = time.perf_counter()
                    latencies.append((now - connection.begun) * 1000)
                    if now < until:
                        connection.begin(make())
                    else:
                        busy -= 1
            outcome.seconds = time.perf_counter() - start
            outcome.generator_cpu_us = (time.process_time() - cpu) * 1e6 / max(1, len(latencies))
            if spread is not None:
                outcome.spread = spread([each.socket.getsockname()[1] for each in made])
    finally:
        for each in made:
            each.socket.close()
    outcome.units = len(latencies)
    outcome.latencies_ms = sorted(latencies)
    return outcome


def ask(port: int, request: bytes) -> tuple[int, bytes]:
    """One request on a connection of its own."""
    connection = _Connection(port)
    try:
        connection.socket.sendall(request)
        while (answer := connection.read()) is None:
            pass
        return answer[0], answer[2]
    finally:
        connection.socket.close()
