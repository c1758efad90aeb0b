"""A whole site of its own with an order in every state: for the accessibility test and for screenshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flask import Flask

from marketplace.journal.sealing import Sealer
from marketplace.notices.following import follow
from tests.channels.pavilion import furnish
from tests.conftest import Server, cloned_app
from tests.serving import Site, running_site
from tests.story import STEPS, Teller, bearer


@dataclass
class Traded:
    app: Flask
    site: Site


def trade(app: Flask) -> None:
    """One order for every step of the story, a declaration, a channel's trade, and the notices of it all."""
    teller = Teller(app, bearer(app))
    agency = teller.ask("GET", "/me", "canteen.manager")["organisation"]["id"]
    filed = teller.ask(
        "POST",
        "/declarations",
        "canteen.manager",
        {"agency_id": agency, "year": 2026, "canteen": "own", "base_fen": 100_000_000, "share_bp": 1500,
         "contact": "办公室", "remark": "学校食堂"},
    )  # fmt: skip
    teller.ask("POST", f"/declarations/{filed['id']}/submit", "canteen.manager")
    teller.ask("POST", f"/declarations/{filed['id']}/approve", "finance.reviewer")
    for step in STEPS:
        story = teller.play(step)
    teller.ask("POST", f"/orders/{story.order_id}/evaluate", "canteen.buyer", {"score": 5, "comment": "新鲜"})
    furnish(app)
    with app.app_context():
        Sealer().seal_pending()
        while follow():
            pass


@contextmanager
def traded_site(server: Server, template: str, state: Path) -> Iterator[Traded]:
    with cloned_app(server, template, state) as app:
        trade(app)
        with running_site(app.config["TEST_ENVIRONMENT"]) as site:
            yield Traded(app, site)
