"""A partner's receiver of webhooks on this machine, and facts for it to receive."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

from flask import Flask

from marketplace.actors import Permission, system
from marketplace.channels.relay import Relay, hand_out
from marketplace.journal.sealing import Sealer
from marketplace.unit_of_work import transaction


@dataclass
class Got:
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


@dataclass
class Receiver:
    """`answer` says the status for the n-th message; all that came is kept in order."""

    url: str = ""
    answer: Callable[[Got], int] = lambda got: 204
    got: list[Got] = field(default_factory=list)

    def numbers(self, subject: UUID | None = None) -> list[int]:
        """The `n` of the facts that came, in order, of one subject or all."""
        return [
            g.event["data"]["n"]
            for g in self.got
            if subject is None or g.event["subject"]["id"] == str(subject)
        ]


@contextmanager
def receiving(answer: Callable[[Got], int] | None = None) -> Iterator[Receiver]:
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            promised = int(self.headers["Content-Length"])
            got = Got(dict(self.headers), self.rfile.read(promised))
            if len(got.body) < promised:
                # The sender ended in the middle of its message: nothing was received.
                return
            with lock:
                receiver.got.append(got)
            self.send_response(receiver.answer(got))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def allow_local(app: Flask) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], webhook_local=True)


def happen(
    channel: UUID, subject: UUID, n: int, kind: str = "channel.priced", subject_type: str = "price_list"
) -> None:
    """A fact that concerns a channel."""
    with transaction(system(), Permission.SYSTEM) as tx:
        tx.record(kind, subject_type, subject, parties=[channel], n=n, moves=[{"lot": "inner"}])


def hand_out_all() -> None:
    Sealer().seal_pending()
    while hand_out():
        pass


def bring(app: Flask, relay: Relay | None = None) -> None:
    """Seal, hand out, and send until nothing is due any more."""
    own = relay or Relay(app.config["SETTINGS"])
    hand_out_all()
    while own.tick():
        own.wait()
    if relay is None:
        own.close()
