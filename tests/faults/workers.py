"""`python -m tests.faults.workers`: loads the application once and forks a child for each line of an act.

A line `<gateway> <act> <payment> <organisation> <user> <fen>` is answered with the child's process id; it waits for
the line `go`, acts, and the end is told as `killed` or `ended`.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from uuid import UUID

from flask import Flask

from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role
from marketplace.payments import jobs, service
from tests.conftest import make_app
from tests.faults.scenes import settings_of


def main() -> None:
    app = make_app({name: value for name, value in os.environ.items() if name.isupper()})
    print("ready", flush=True)
    while line := sys.stdin.readline():
        base, act, payment, organisation, user, fen = line.split()
        ready, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)
            _act(app, base, act, UUID(payment), UUID(organisation), UUID(user), int(fen))
            os._exit(0)
        os.close(ready)
        print(child, flush=True)
        assert sys.stdin.readline() == "go\n"
        os.write(go, b"x")
        os.close(go)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print("killed" if killed else "ended", flush=True)


def _act(app: Flask, base: str, act: str, payment: UUID, organisation: UUID, user: UUID, fen: int) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], **settings_of(base))
    role = Role.SELLER if act == "refund" else Role.BUYER
    actor = Actor(user, "x", organisation, None, "620826", role, ROLE_PERMISSIONS[role], Door.API)
    with app.app_context():
        if act == "pay":
            service.pay_online(actor, payment)
        elif act == "refund":
            service.refund_payment(actor, payment, amount_fen=fen, reason="货损")
        else:
            jobs.reconcile(0.0)


if __name__ == "__main__":
    main()
