"""Every route of the partners x strangers, keys without its scope, and the keys of another channel.

Generated from the URL map: a new route is tried by itself, and one with a new parameter fails here until somebody
says what object of a channel stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask
from werkzeug.routing import Rule

from marketplace.actors import Door, Permission, system
from marketplace.channels import statements
from marketplace.channels.states import SCOPE_PERMISSIONS, Scope
from marketplace.clock import today
from tests.channels.consigned import LAST_DAY, PERIOD, open_shop
from tests.channels.partner import Program, new_key, order_body
from tests.channels.sending import Sender
from tests.channels.sent import sent_order
from tests.channels.stocked import PACKS, stocked
from tests.trace.world import PDF

# Parameter -> what makes an object of a channel that stands there, and a value that nothing has.
MAKERS: dict[str, tuple[Callable[[Program], str], str]] = {
    "product_id": (lambda p: str(p.items()[0]["product_id"]), "00000000-0000-7000-8000-000000000000"),
    "partner_order_no": (
        lambda p: str(p.post("/orders", order_body("ISO-1", p.items()[:1]), 201)["partner_order_no"]),
        "ISO-NEVER",
    ),
    "document_id": (
        lambda p: _paper(p),
        "00000000-0000-7000-8000-000000000000",
    ),
    "slip_id": (lambda p: str(p.slip(PDF)["id"]), "00000000-0000-7000-8000-000000000000"),
    "trace_code": (lambda p: _trace_code(p), "PLNOSUCHCODE"),
    "statement_id": (lambda p: str(_statement(p)["id"]), "00000000-0000-7000-8000-000000000000"),
    "dispute_id": (lambda p: _dispute(p), "00000000-0000-7000-8000-000000000000"),
    "consignment_id": (
        lambda p: str(Sender(p.client.application).send(1)["id"]),
        "00000000-0000-7000-8000-000000000000",
    ),
    "webhook_id": (lambda p: _webhook(p), "00000000-0000-7000-8000-000000000000"),
    "report_id": (lambda p: _sales_report(p), "00000000-0000-7000-8000-000000000000"),
    "count_id": (lambda p: _stock_count(p), "00000000-0000-7000-8000-000000000000"),
    "delivery_id": (
        lambda p: str(p.post(f"/webhooks/{_webhook(p)}/ping", {}, 202)["id"]),
        "00000000-0000-7000-8000-000000000000",
    ),
}


# Parameters that name nothing of anybody's: each channel has its own answer to them, tried where its content is.
NO_OBJECT = {"day": "2026-01-01"}


def _statement(program: Program) -> Any:
    """The channel's statement of last month, made once."""
    found = program.get("/statements")["items"]
    if not found:
        app = program.client.application
        url = app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"]
        with psycopg.connect(url, autocommit=True) as owner, app.app_context():
            shop = open_shop(owner)
            shop.report(LAST_DAY, (3, 1000))
            statements.issue_statement(
                system(Door.JOB), channel_id=shop.channel, seller_id=shop.seller, period=PERIOD
            )
        found = program.get("/statements")["items"]
    return program.get(f"/statements/{found[0]['id']}")


def _dispute(program: Program) -> str:
    made = _statement(program)
    body = {"line_id": made["lines"][0]["id"], "quantity": 2, "reason": "x"}
    return str(program.post(f"/statements/{made['id']}/disputes", body)["disputes"][0]["id"])


def _paper(program: Program) -> str:
    found = sent_order(program.client.application, program, "ISO-SENT")["orders"][0]["certificates"]
    return str(found[0]["document_id"])


def _trace_code(program: Program) -> str:
    order = sent_order(program.client.application, program, "ISO-TRACED")["orders"][0]
    return str(order["lines"][0]["lots"][0]["trace_code"])


def _sales_report(program: Program) -> str:
    """Of a day on which nothing was sold."""
    body = {"business_day": "2026-02-01", "lines": []}
    return str(program.post("/sales-reports", body, 201)["id"])


def _stock_count(program: Program) -> str:
    """Of a shop where all is as the books say."""
    app = program.client.application
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        lot = stocked(app, owner)[0]
    body = {"counted_on": today().isoformat(), "lines": [{"trace_code": lot.trace_code, "counted": PACKS}]}
    return str(program.post("/stock-counts", body, 201)["id"])


def _webhook(program: Program) -> str:
    return str(program.post("/webhooks", {"url": "https://partner.example/hooks"}, 201)["id"])


# Bodies of unsafe routes with an object in their path, so that the object is looked up at all.
BODIES: dict[str, Any] = {
    "partner_orders.cancel_order": {"reason": "x"},
    "partner_statements.dispute_line": {
        "line_id": "00000000-0000-7000-8000-000000000000", "quantity": 1, "reason": "x",
    },
    "partner_statements.answer_dispute": {"accept": True},
    "partner_statements.declare_transfer": {"paid_on": "2026-11-02", "bank_reference": "ISO-0001"},
    "partner_sandbox.sandbox_spoil": {"quantity": 1},
    "partner_sandbox_shop.sandbox_answer": {"accept": True},
    "partner_orders.reduce_order": {
        "reason": "x", "lines": [{"line_id": "00000000-0000-7000-8000-000000000000", "quantity": 1}],
    },
}  # fmt: skip


def rules(app: Flask) -> list[Rule]:
    return sorted(
        (r for r in app.url_map.iter_rules() if r.rule.startswith("/partner/v1/")),
        key=lambda r: (r.rule, r.endpoint),
    )


def method_of(rule: Rule) -> str:
    return next(m for m in ("GET", "POST", "PUT", "DELETE") if m in (rule.methods or ()))


def path_of(rule: Rule, values: dict[str, str]) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], rule.rule)


@pytest.fixture(scope="module")
def objects(app: Flask) -> dict[str, tuple[str, str]]:
    """Of each parameter: an object of the first channel, and an absent one."""
    program = Program(app, "tianjin.partner")
    return {name: (make(program), absent) for name, (make, absent) in MAKERS.items()}


@pytest.fixture
def nothing_changes(owner: psycopg.Connection) -> Iterator[None]:
    def rows() -> Any:
        return owner.execute(
            "select (select count(*) from fact where kind not like 'partner_key.%'), (select count(*) from purchase), (select sum(reserved) from stock)"
        ).fetchone()

    before = rows()
    yield
    assert rows() == before


def test_every_parameter_has_its_object(app: Flask) -> None:
    known = {name for rule in rules(app) for name in rule.arguments}
    assert known == {*MAKERS, *NO_OBJECT}, (
        "name what stands in a partner's route in MAKERS (tests/channels/test_isolation.py)"
    )
    assert len(rules(app)) >= 8


def test_strangers_and_keys_without_the_scope_are_kept_out(
    app: Flask, objects: dict[str, tuple[str, str]], nothing_changes: None
) -> None:
    client = app.test_client()
    wrong = []
    with_one: dict[Scope, dict[str, str]] = {}
    for rule in rules(app):
        access = app.view_functions[rule.endpoint].declared_access  # type: ignore[attr-defined]
        path = path_of(rule, {**NO_OBJECT, **{name: mine for name, (mine, _) in objects.items()}})
        method = method_of(rule)
        body = {} if method != "GET" else None
        if client.open(path, method=method, json=body).status_code != 401:
            wrong.append(f"a stranger {method} {rule.rule}")
        scope = next((s for s in Scope if not SCOPE_PERMISSIONS[s] & set(access)), None)
        if scope is None:
            continue
        if scope not in with_one:
            made = new_key(app, "tianjin2.partner", scopes=(scope,))
            with_one[scope] = {"Authorization": f"Bearer {made['key']}"}
        if client.open(path, method=method, json=body, headers=with_one[scope]).status_code != 403:
            wrong.append(f"a key for {scope} {method} {rule.rule}")
    assert wrong == []
    assert all(
        any(p.value.startswith("channel:") for p in app.view_functions[r.endpoint].declared_access)  # type: ignore[attr-defined]
        for r in rules(app)
    )


def test_another_channels_objects_answer_as_absent_ones(
    fresh_app: Flask,
) -> None:
    mine = Program(fresh_app, "tianjin.partner")
    objects = {name: (make(mine), absent) for name, (make, absent) in MAKERS.items()}
    other = Program(fresh_app, "tianjin2.partner")
    wrong = []
    for rule in rules(fresh_app):
        if not rule.arguments - set(NO_OBJECT):
            continue
        method = method_of(rule)
        body = BODIES.get(rule.endpoint, {}) if method != "GET" else None
        answers = [
            other.client.open(
                path_of(rule, {name: both[n] for name, both in objects.items()}),
                method=method, json=body, headers=other.headers,
            )
            for n in (0, 1)
        ]  # fmt: skip
        if [a.status_code for a in answers] != [404, 404] or answers[0].get_data() != answers[1].get_data():
            wrong.append(f"{method} {rule.rule}: {[a.status_code for a in answers]}")
    assert wrong == []
    told, shown = [], set()
    secret = {name: own for name, (own, _) in objects.items() if name != "product_id"}
    for rule in rules(fresh_app):
        if rule.arguments or method_of(rule) != "GET":
            continue
        mine_reads, other_reads = (
            reader.client.get(rule.rule, headers=reader.headers).get_data(as_text=True)
            for reader in (mine, other)
        )
        shown |= {name for name, own in secret.items() if own in mine_reads}
        told += [f"{rule.rule} tells {name}" for name, own in secret.items() if own in other_reads]
    assert told == []
    # The lists do show these to their own channel, or looking for them would prove nothing.
    assert shown >= {
        "partner_order_no",
        "statement_id",
        "consignment_id",
        "webhook_id",
        "report_id",
        "count_id",
    }
    assert Permission.CHANNEL_ORDER in SCOPE_PERMISSIONS[Scope.ORDERS]
