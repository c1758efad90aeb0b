"""Every page outside the API x everybody, from the URL map: the same walls as in front of the API's routes.

A page's parameters name the objects of the API's reads (`PARAMETERS`), so a new page is in this table by itself unless
it has a parameter of a new name. Forms are posted empty: what a filled one may do is the service's word, which
tests/test_access_matrix.py tries.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from flask import Flask
from werkzeug.test import TestResponse

from marketplace.notices.following import follow
from tests.matrix.acts import TRADE, Act, Prepared
from tests.matrix.players import PLAYERS, Player
from tests.matrix.routes import ABSENT, ABSENT_ID
from tests.matrix.table import ACTS
from tests.matrix.tenant import Tenant
from tests.matrix.world import World


def _shipment(tenant: Tenant, user: str) -> Prepared:
    order = tenant.kept("shipped", lambda: tenant.order("shipped"))
    return Prepared({"shipment_id": order["shipments"][0]["id"]})


def _notice(tenant: Tenant, user: str) -> Prepared:
    """Of a purchase that waits for its manager."""
    purchase = tenant.kept("awaited", tenant.purchase)
    tenant.world.seal()
    with tenant.world.app.app_context():
        while follow():
            pass
    found = "select max(id) from notice where subject_id = %s"
    return Prepared({"notice_id": tenant.world.one(found, purchase["id"])})


# Parameter of a page -> the act of the API, or one of our own, that makes its object and says who reaches it.
PARAMETERS: Mapping[str, str | Act] = {
    "account_id": "accounts.approve_bank_account",
    "consignment_id": "consignments.show_consignment",
    "declaration_id": "quota.get_declaration",
    "document_id": "documents.show_document",
    "invoice_id": "payments.get_invoice",
    "lot_id": "trace.show_lot",
    "notice_id": Act(_notice, "manager", frozenset({"manager", "principal"})),
    "order_id": "orders.show_order",
    "payment_id": "payments.get_payment",
    "photo_id": "product_photos.edit_photo",
    "product_id": "catalog.show_my_product",
    "purchase_id": "orders.show_purchase",
    "request_id": "changes.refuse_change",
    "seq": "journal.show_proof",
    "shipment_id": Act(_shipment, "seller", TRADE),
    "statement_id": "statements.show_statement",
    "user_id": "accounts.disable_user",
}
ADD_HERE = "name the act that makes its object in PARAMETERS, or a public value in VALUES (tests/matrix/test_page_access.py)"
# Parameters that name nothing of anybody's, with a value that is good.
VALUES: Mapping[str, Any] = {
    # Offices see every channel; of a seller's it is tests/desks/test_channels_pages.py.
    "channel_id": "00000000-0000-7000-8000-000000000000",
    "code": "620826",
    # A picture's address is its hash; who sees which is in tests/catalog/test_photos.py.
    "digest": "0" * 64,
    "filename": "look.css",
    # A channel's own: tests/channels/test_keys.py has the other channel's.
    "key_id": "00000000-0000-7000-8000-000000000000",
    # So is what stands in these, tried by tests/desks/test_portal_trade_pages.py and tests/channels/test_isolation.py.
    "line_id": "00000000-0000-7000-8000-000000000000",
    "dispute_id": "00000000-0000-7000-8000-000000000000",
    "delivery_id": "00000000-0000-7000-8000-000000000000",
    "report_id": "00000000-0000-7000-8000-000000000000",
    "count_id": "00000000-0000-7000-8000-000000000000",
    # The gateway's messages are no one's of the two tenants: tests/desks/test_online_pages.py tries who may decide.
    "number": 1,
    "organisation_code": "ORG-COOP-01",
    "partner_order_no": "NEVER-PLACED",
    "period": "2026-10",
    "seller_id": "00000000-0000-7000-8000-000000000000",
    "slug": "not-found",
    "trace_code": "00000000000000000000",
    "webhook_id": "00000000-0000-7000-8000-000000000000",
    "year": 2026,
}
# Parameters of public pages, where the only objects that are not everybody's are those that are on no page yet.
ON_NO_PAGE = {"product_id": "catalog.show_product"}
# Tables that a refused page may write, with the reason.
LOG_LIKE = {
    "throttle": "tries and requests are counted before anything is judged",
    "web_session": "the last use of a session is noted once a minute",
    "trace_scan": "readings of a public story are counted",
}
SIGNS = {"account.sign_in", "account.sign_out"}


@dataclass(frozen=True)
class Page:
    endpoint: str
    rule: str
    methods: tuple[str, ...]
    params: Mapping[str, str]
    access: Any

    @property
    def public(self) -> bool:
        return not isinstance(self.access, tuple)

    def act_of(self, name: str) -> Act | None:
        known = ON_NO_PAGE.get(name) if self.public else PARAMETERS.get(name)
        return ACTS[known] if isinstance(known, str) else known

    @property
    def objects(self) -> list[str]:
        return [name for name in self.params if self.act_of(name) is not None]

    def path(self, values: Mapping[str, Any]) -> str:
        path = self.rule
        for name, value in values.items():
            path = re.sub(rf"<(?:[a-z]+:)?{name}>", str(value), path)
        return path


def pages(app: Flask) -> list[Page]:
    found = []
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/api/", "/partner/")) or rule.endpoint in SIGNS:
            continue
        access = app.view_functions[rule.endpoint].declared_access  # type: ignore[attr-defined]
        methods = tuple(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        params = {name: type(converter).__name__ for name, converter in rule._converters.items()}
        if access != "operations":
            found.append(Page(rule.endpoint, rule.rule, methods, params, access))
    return sorted(found, key=lambda p: p.rule)


@pytest.fixture(scope="module")
def world(app: Flask) -> Iterator[World]:
    with psycopg.connect(app.config["TEST_ENVIRONMENT"]["DATABASE_OWNER_URL"], autocommit=True) as owner:
        made = World(app, owner)
        for tenant in made.tenants:
            tenant.fill()
        made.seal()
        yield made


@pytest.fixture(scope="module")
def table(app: Flask) -> list[Page]:
    return pages(app)


def test_every_parameter_of_a_page_is_known(table: list[Page]) -> None:
    unknown = {
        f"{page.rule} {name}"
        for page in table
        for name in page.params
        if name not in PARAMETERS and name not in VALUES and name not in ON_NO_PAGE
    }
    assert sorted(unknown) == [], ADD_HERE


@pytest.mark.parametrize("number", ["9223372036854775808", "1" * 30, "-1", "abc", "１"])
def test_a_notice_that_no_number_names_marks_none_as_read(world: World, number: str) -> None:
    _notice(world.a, "")
    world.browse("canteen.manager", "GET", "/")
    before = state(world)

    answer = world.browse("canteen.manager", "POST", "/notices/read", {"notice_id": number})

    assert answer.status_code == 404
    assert state(world) == before


@pytest.mark.parametrize("player", PLAYERS, ids=lambda p: p.name or "a stranger")
def test_pages_keep_out_whom_they_should(player: Player, table: list[Page], world: World) -> None:
    wrong: list[str] = []
    world.browse(player.name, "GET", "/")
    visit = _Visit(player, world, wrong)
    visit.make_objects(table)
    before = state(world)
    for page in table:
        visit.what_must_be_refused(page)
    changed = [name for name, rows in state(world).items() if rows != before[name]]
    assert not wrong, "\n".join(wrong)
    assert changed == [], f"refused pages wrote to {changed}"

    for page in table:
        visit.what_may_be_seen(page)

    assert not wrong, "\n".join(wrong)


def state(world: World) -> dict[str, tuple[int, int]]:
    return {name: rows for name, rows in world.fingerprint().items() if name not in LOG_LIKE}


class _Visit:
    """One reader's way through all pages."""

    def __init__(self, player: Player, world: World, wrong: list[str]) -> None:
        self.player = player
        self.world = world
        self.wrong = wrong

    def make_objects(self, table: list[Page]) -> None:
        for page in table:
            for tenant in self.world.tenants:
                self._values(page, tenant)

    def what_must_be_refused(self, page: Page) -> None:
        for method in page.methods:
            if not self._may(page):
                self._never(page, method)
                continue
            for tenant in self.world.tenants:
                for name in page.objects:
                    if not self._reaches(page, name, tenant):
                        self._same_as_absent(page, method, name, tenant)

    def what_may_be_seen(self, page: Page) -> None:
        """Pages are opened; forms are not sent."""
        if not self._may(page) or "GET" not in page.methods:
            return
        for tenant in self.world.tenants if page.objects else self.world.tenants[:1]:
            if not all(self._reaches(page, name, tenant) for name in page.objects):
                continue
            answer = self._open(page, "GET", self._values(page, tenant))
            refused = answer.status_code in (401, 403) or answer.status_code >= 500
            # A form for an act that this reader has no part in may be absent; a page to read may not.
            missing = answer.status_code == 404 and bool(page.objects) and "POST" not in page.methods
            if refused or missing:
                self._complain(page, "GET", f"{answer.status_code}, though he may ({tenant.tag})")

    def _may(self, page: Page) -> bool:
        return page.public or any(p in self.player.permissions for p in page.access)

    def _reaches(self, page: Page, name: str, tenant: Tenant) -> bool:
        act = page.act_of(name)
        assert act is not None
        return bool(self.player.words(tenant.tag) & act.sees)

    def _values(self, page: Page, tenant: Tenant) -> dict[str, Any]:
        values = dict(VALUES)
        for name in page.objects:
            values[name] = tenant.kept(
                f"page {page.public} {name}", lambda n=name: self._made(page, n, tenant)
            )
        return values

    def _made(self, page: Page, name: str, tenant: Tenant) -> Any:
        act = page.act_of(name)
        assert act is not None
        return act.made(tenant).value(name)

    def _never(self, page: Page, method: str) -> None:
        answer = self._open(page, method, self._values(page, self.world.b))
        if self.player.role is None:
            to_door = answer.status_code == 303 and "/sign-in" in answer.headers["Location"]
            if not to_door and answer.status_code != 401:
                self._complain(page, method, f"{answer.status_code}, not sent to sign in")
        elif answer.status_code != 403:
            self._complain(page, method, f"{answer.status_code}, not 403")

    def _same_as_absent(self, page: Page, method: str, name: str, tenant: Tenant) -> None:
        theirs = self._values(page, tenant)
        absent = {**theirs, name: ABSENT.get(page.params[name], ABSENT_ID)}
        seen = [self._essence(self._open(page, method, v), page.path(v), v[name]) for v in (theirs, absent)]
        if seen[0] != seen[1]:
            self._complain(
                page, method, f"{name} of {tenant.tag} answers {seen[0][0]}, an absent one {seen[1][0]}"
            )
        elif seen[0][0] < 400:
            self._complain(page, method, f"{name} of {tenant.tag} is not refused: {seen[0][0]}")

    def _open(self, page: Page, method: str, values: Mapping[str, Any]) -> TestResponse:
        form = {} if method == "POST" else None
        answer = self.world.browse(self.player.name, method, page.path(values), form)
        text = answer.get_data()
        for tag in sorted(self.player.blind_to):
            if f"canary-{tag}-".encode() in text:
                self._complain(page, method, f"shows words of {tag}")
        return answer

    def _essence(self, answer: TestResponse, path: str, value: Any) -> tuple[int, str]:
        """Status and text, without the id that was asked, the number of the request and the keys of forms."""
        # In this order: a short number stands in a path, but by chance also inside of the request's number.
        text = answer.get_data(as_text=True).replace(answer.headers["X-Request-ID"], "REQUEST")
        text = re.sub(r"\b[0-9a-f]{32}\b", "KEY", text)
        for written in (path, quote(path, safe="")):
            text = text.replace(written, "PATH")
        return answer.status_code, text if str(value).isdecimal() else text.replace(str(value), "ID")

    def _complain(self, page: Page, method: str, what: str) -> None:
        self.wrong.append(f"{self.player.name or 'a stranger'} {method} {page.rule}: {what}")
