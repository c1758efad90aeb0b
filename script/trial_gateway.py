"""A payment gateway for trying by hand: `localstripe` from the package registry, in an environment of its own.

It is no part of the locked requirements: it is installed when somebody asks for it, and speaks with the marketplace
over HTTP alone. It knows no idempotency keys and does not refuse to give back too much; the tests have a double.
"""

from __future__ import annotations

import http.client
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from environment import ROOT, fail

RELEASE = "localstripe==1.15.10"
KEY = "sk_test_trial_of_the_marketplace"
READY_SECONDS = 30


@dataclass(frozen=True)
class TrialGateway:
    """Where it answers, and the secret that will sign its events."""

    port: int
    secret: str

    def settings(self) -> Mapping[str, str]:
        return {
            "PAYMENT_API_BASE": f"http://127.0.0.1:{self.port}",
            "PAYMENT_API_KEY": KEY,
            "PAYMENT_MEANS": "pm_card_visa,pm_card_chargeCustomerFail",
            "PAYMENT_WEBHOOK_SECRETS": self.secret,
        }

    def tell_where_events_go(self, site_port: int) -> None:
        url = f"http://127.0.0.1:{site_port}/webhooks/payments"
        body = urlencode({"url": url, "secret": self.secret})
        status = _ask(self.port, "POST", "/_config/webhooks/marketplace", body)
        if status != 200:
            fail(f"the trial gateway does not take the address of the events ({status})")


@contextmanager
def trial_gateway() -> Iterator[TrialGateway]:
    """Installed if need be, started, and stopped at the end."""
    program = _installed()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = subprocess.Popen(
        [str(program), "--port", str(port), "--from-scratch"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while _ask(port, "GET", "/v1/payment_intents?limit=1", "") != 200:
            if process.poll() is not None:
                fail(f"the trial gateway ended by itself (exit code {process.returncode})")
            if time.monotonic() > deadline:
                fail(f"the trial gateway does not answer after {READY_SECONDS} s")
            time.sleep(0.2)
        yield TrialGateway(port, f"whsec_{secrets.token_hex(16)}")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.poll() is None:
            process.kill()
            process.wait()


def _installed() -> Path:
    folder = ROOT / ".venv-gateway"
    program = folder / "bin" / "localstripe"
    if not os.access(program, os.X_OK):
        print(f"Installing {RELEASE} into {folder.name} ...", file=sys.stderr, flush=True)
        for order in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", RELEASE],
        ):
            done = subprocess.run(
                order, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
            )
            if done.returncode:
                lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
                fail(f"the trial gateway can't be installed: {lines[-1]}")
    return program


def _ask(port: int, method: str, path: str, body: str) -> int:
    """The status of an answer; 0 for none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        headers = {
            "Authorization": f"Bearer {KEY}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
