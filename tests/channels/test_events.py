"""The feed of a channel: its own events in the order of their sealing, without what only we need."""

from __future__ import annotations

from uuid import UUID, uuid4

from flask import Flask

from marketplace.channels.states import Scope
from marketplace.journal.sealing import Sealer
from tests.channels.partner import Program, channel_actor, new_key
from tests.channels.receiver import happen


def test_a_channel_reads_its_events_in_the_order_of_their_sealing_and_no_other_channels(
    fresh_app: Flask,
) -> None:
    with fresh_app.app_context():
        first = channel_actor("tianjin.partner").organisation_id
        second = channel_actor("tianjin2.partner").organisation_id
        assert isinstance(first, UUID)
        assert isinstance(second, UUID)
        Sealer().seal_pending()
        program, other = Program(fresh_app), Program(fresh_app, "tianjin2.partner")
        start = max(_last(program), _last(other))
        subjects = [uuid4(), uuid4()]
        for n in range(6):
            happen(first if n % 3 else second, subjects[n % 2], n)
        happen(first, uuid4(), 99, kind="user.disabled", subject_type="user")
        Sealer().seal_pending()

    page = program.get("/events", after=start)

    assert [(e["kind"], e["data"]) for e in page["items"]] == [
        ("channel.priced", {"n": n}) for n in (1, 2, 4, 5)
    ]
    assert page["next"] is None
    places = [e["seq"] for e in page["items"]]
    assert places == sorted(set(places))
    assert [e["data"]["n"] for e in other.get("/events", after=start)["items"]] == [0, 3]
    in_twos = program.get("/events", after=start, limit=2)
    assert [e["data"]["n"] for e in in_twos["items"]] == [1, 2]
    assert in_twos["next"] == in_twos["items"][-1]["seq"]
    assert [e["data"]["n"] for e in program.get("/events", after=in_twos["next"])["items"]] == [4, 5]


def test_a_key_without_the_scope_reads_no_events(app: Flask) -> None:
    program = Program(app, key=str(new_key(app, scopes=(Scope.ORDERS,))["key"]))

    assert program.get("/events", 403)["permission"] == "channel:events"
    assert program.get("/webhooks", 403)["permission"] == "channel:events"


def test_a_place_is_a_number(app: Flask) -> None:
    program = Program(app, "tianjin2.partner")

    for wrong in ("-1", "x", str(2**63), "1.5"):
        program.get("/events", 422, after=wrong)


def _last(program: Program) -> int:
    after = 0
    while True:
        page = program.get("/events", after=after, limit=100)
        after = page["items"][-1]["seq"] if page["items"] else after
        if page["next"] is None:
            return after
