"""A worker's relay alone, in a process that a test kills: `python -m tests.channels.relay_process`."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta

from marketplace.channels.relay import Relay, hand_out
from tests.conftest import make_app


def main() -> None:
    app = make_app(dict(os.environ))
    with app.app_context():
        relay = Relay(replace(app.config["SETTINGS"], webhook_local=True), lease=timedelta(seconds=0.5))
        print("ready", flush=True)
        while True:
            hand_out()
            relay.tick()
            time.sleep(0.02)


if __name__ == "__main__":
    main()
