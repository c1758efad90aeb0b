"""A worker's relay alone, in processes that a test kills: `python -m tests.channels.relay_process`.

Each line that comes in starts one, which says its process id when it is at work; the next can be asked for when it
is gone.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from datetime import timedelta

from flask import Flask

from marketplace.channels.relay import Relay, hand_out
from tests.conftest import make_app


def work(app: Flask) -> None:
    with app.app_context():
        relay = Relay(replace(app.config["SETTINGS"], webhook_local=True), lease=timedelta(seconds=0.5))
        print(os.getpid(), flush=True)
        while True:
            hand_out()
            relay.tick()
            time.sleep(0.02)


def main() -> None:
    app = make_app(dict(os.environ))
    for _ in sys.stdin:
        # Nothing is connected and no thread is running yet: the copy begins as a process of its own would.
        child = os.fork()
        if child == 0:
            work(app)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
