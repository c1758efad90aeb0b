"""What each route of the API needs to succeed, who reaches its object, and what another body would be.

A new route under /api/v1 is added here with `@act`; the tests that read the URL map fail until it is. An object is
made in the state in which the act succeeds, so that nothing but its scope can refuse somebody else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.conftest import PASSWORD
from tests.matrix.pointers import leaves, read
from tests.matrix.world import TODAY, Json, Tenant, day

BUYING = frozenset({"buyer", "manager", "department"})
PRINCIPAL = frozenset({"principal", "principal_department"})
# Offices of the city; those of the county of tenants A and C; those of that county, asking for tenant B.
OFFICE = frozenset({"office", "county", "outside"})
COUNTY = frozenset({"office", "county"})
SELLER = frozenset({"seller"})
BUYER = frozenset({"buyer"})
AGENCY = frozenset({"manager", "department"}) | PRINCIPAL
TRADE = BUYING | PRINCIPAL | SELLER | OFFICE
PAPER = BUYING | SELLER | COUNTY
EVERYBODY = frozenset({"everybody"})


@dataclass(frozen=True)
class Prepared:
    """One request that succeeds for `user` (by default the tenant's, by the act)."""

    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    user: str = ""
    form: Json | None = None
    query: Json | None = None
    # By pointer: what stands for another tenant's object, where that of its own request is nobody's secret.
    others: Mapping[str, Any] = field(default_factory=dict)

    def value(self, place: str) -> Any:
        """What stands here at a pointer of the body or a name of the query, for another tenant's request to try."""
        if place in self.others:
            return self.others[place]
        return read(self.body, place) if place.startswith("/") else (self.query or {})[place]

    def holds(self, place: str) -> bool:
        return place in self.others or place in leaves(self.body) or place in (self.query or {})


@dataclass(frozen=True)
class Act:
    """`sees`: who reaches the object, by the words of `players`. `changed` makes another valid body for a key."""

    prepare: Callable[[Tenant, str], Prepared]
    by: str
    sees: frozenset[str]
    personal: bool = False
    ends_session: bool = False
    changed: Callable[[Any], Any] | None = None
    after: Callable[[Tenant, Prepared, Any], object] | None = None

    def made(self, tenant: Tenant, user: str = "") -> Prepared:
        natural = user or getattr(tenant, self.by, self.by)
        prepared = self.prepare(tenant, natural)
        return prepared if prepared.user else replace(prepared, user=natural)


ACTS: dict[str, Act] = {}


def act(endpoint: str, by: str, sees: Iterable[str] = EVERYBODY, **more: Any) -> Any:
    def keep(prepare: Callable[[Tenant, str], Prepared]) -> Callable[[Tenant, str], Prepared]:
        ACTS[endpoint] = Act(prepare, by, frozenset(sees), **more)
        return prepare

    return keep


def given(**changes: Any) -> Callable[[Any], Any]:
    return lambda body: {**body, **changes}


REASON = {"reason": "写明原因"}

# Accounts.


@act("accounts.create_token", by="buyer")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body={"username": t.world.fresh_user()[0], "password": PASSWORD})


@act("accounts.end_token", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(user=t.world.fresh_user()[0])


@act("accounts.change_password", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(
        user=t.world.fresh_user()[0],
        body={"current_password": PASSWORD, "new_password": "another-password-2026"},
    )


@act("accounts.sign_out_everywhere", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(user=t.world.fresh_user()[0])


@act("accounts.enrol_second_factor", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(user=t.world.fresh_user()[0], body={"current_password": PASSWORD})


@act("accounts.confirm_second_factor", by="buyer", ends_session=True)
def _(t: Tenant, user: str) -> Prepared:
    fresh, _ = t.world.fresh_user()
    return Prepared(user=fresh, body={"otp": t.world.second_factor(fresh)})


@act("accounts.propose_bank_account", by="seller")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=t.bank_account_body())


@act("accounts.approve_bank_account", by="seller", sees=SELLER, after=lambda t, p, r: t.bank_account())
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"account_id": t.bank_account()})


@act("accounts.add_user", by="platform.admin")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(
        body={"username": f"made{t.world.number()}", "name": "某某", "password": PASSWORD,
              "organisation_id": t.seller_id, "role": "seller"}
    )  # fmt: skip


def _disable(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post("platform.admin", f"/users/{p.params['user_id']}/disable")


@act(
    "accounts.set_role", by="platform.admin", sees=OFFICE, changed=given(role="market_regulator"), after=_disable
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    fresh = t.world.fresh_user("poverty_office", "ORG-OFF-POV")[1]
    return Prepared({"user_id": fresh}, {"role": "finance_reviewer"})


@act("accounts.disable_user", by="platform.admin", sees=OFFICE)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"user_id": t.world.fresh_user()[1]})


@act("accounts.reset_second_factor", by="platform.admin", sees=OFFICE, after=_disable)
def _(t: Tenant, user: str) -> Prepared:
    name, fresh = t.world.fresh_user()
    t.world.second_factor(name)
    return Prepared({"user_id": fresh})


# Documents and the journal: everybody has some of his own.


@act("documents.store_document", by="seller")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(form={"kind": "other", "file": t.world.file(f"file {t.world.number()}")})


@act("documents.show_document", by="seller", sees=SELLER | OFFICE, personal=True)
def _(t: Tenant, user: str) -> Prepared:
    """Tenants' words are in their own files only."""
    words = t.word("file") if user == t.seller else "own file"
    return Prepared({"document_id": t.kept(f"document {user}", lambda: t.world.upload(user, "other", words))})


ACTS["documents.send_document"] = ACTS["documents.show_document"]


@act(
    "journal.show_proof", by="buyer", personal=True,
    sees=BUYING | PRINCIPAL | {"role:poverty_office", "role:finance_reviewer"},
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    def seal() -> int:
        if user != t.buyer:
            t.world.upload(user, "other", "own file")
            t.world.seal()
            return t.world.first_fact(user)
        bought = t.purchase()["id"]
        t.world.seal()
        return int(
            t.world.one(
                "select seq from seal join fact on fact.id = fact_id where kind = 'purchase.submitted'"
                " and subject_id = %s",
                bought,
            )
        )

    return Prepared({"seq": t.kept(f"proof {user}", seal)})


@act("journal.show_consistency", by="buyer")
def _(t: Tenant, user: str) -> Prepared:
    def sizes() -> tuple[int, int]:
        t.upload("other")
        t.world.seal()
        first = t.world.one("select max(tree_size) from checkpoint")
        t.upload("other")
        t.world.seal()
        return first, t.world.one("select max(tree_size) from checkpoint")

    old, new = t.kept("sizes", sizes)
    return Prepared({"size": new}, query={"from": old})


# Policies.


@act("policies.set_policy", by="county.office", changed=given(title="另一条"))
def _(t: Tenant, user: str) -> Prepared:
    number = t.world.number()
    return Prepared(
        body={"key": "late_interest_bp_per_day", "value": 5, "valid_from": day(400 + number), "title": "逾期利息",
              "source": f"通知{number}"}
    )  # fmt: skip


@act("policies.set_eligibility", by="county.office", changed=given(source="另一份通知"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(
        body={"county_code": "620802", "from_year": 2001, "to_year": 2002, "source": f"通知{t.world.number()}"}
    )  # fmt: skip


# The catalogue.


@act("catalog.list_products", by="buyer")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"seller": t.seller_id})


@act("catalog.show_product", by="buyer", sees=set())
def _(t: Tenant, user: str) -> Prepared:
    """A draft is nobody's on the public page, its seller's neither."""
    return Prepared({"product_id": t.kept("draft", t.product)})


@act("catalog.show_my_product", by="seller", sees=SELLER | OFFICE)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.kept("draft", t.product)})


def _withdraw(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post("county.office", f"/products/{answer['id']}/withdraw", REASON)


@act(
    "catalog.create_product", by="seller", changed=given(storage="冷藏"),
    after=lambda t, p, r: t.world.post(t.seller, f"/products/{r['id']}/submit"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=t.product_body())


@act(
    "catalog.edit_product", by="seller", sees=SELLER, changed=given(storage="冷藏"),
    after=lambda t, p, r: t.world.post(t.seller, f"/products/{r['id']}/submit"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product()}, {"storage": "阴凉干燥"})


@act("catalog.submit_product", by="seller", sees=SELLER, after=_withdraw)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product()})


@act("catalog.recognise_product", by="county.office", sees=OFFICE, after=_withdraw)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product("submitted")})


@act(
    "catalog.refuse_product", by="county.office", sees=OFFICE,
    after=lambda t, p, r: t.world.post(t.seller, f"/products/{r['id']}/submit"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product("submitted")}, REASON)


@act(
    "catalog.withdraw_product", by="seller", sees=SELLER | OFFICE,
    after=lambda t, p, r: t.world.post(t.seller, f"/products/{r['id']}/submit"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product("recognised")}, REASON)


# Lots and what is known of them.


@act("trace.list_lots", by="seller")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"product_id": t.goods["id"]})


def _hold(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post("market.regulator", f"/lots/{answer['id']}/hold", REASON)


@act("trace.add_lot", by="seller", sees=SELLER, after=_hold)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=t.lot_body())


for _endpoint in ("show_lot", "show_private", "labels_pdf", "labels_svg"):

    @act(f"trace.{_endpoint}", by="seller", sees=SELLER | COUNTY)
    def _(t: Tenant, user: str) -> Prepared:
        return Prepared({"lot_id": t.kept("lot", t.lot)})


@act("trace.certify_lot", by="seller", sees=SELLER, changed=given(quantity=51), after=_hold)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"lot_id": t.lot()}, t.certificate_body())


SAMPLE = {
    "sampled_on": TODAY.isoformat(),
    "items": [{"name": "毒死蜱", "value": "0.01", "limit": "0.05", "unit": "mg/kg"}],
    "passed": True,
}


def _sample(t: Tenant, user: str) -> Json:
    return {
        **SAMPLE,
        "sample_number": f"S{t.world.number()}",
        "document_id": t.world.upload(user, "inspection", "报告"),
    }


@act("trace.inspect_lot", by="market.regulator", sees=COUNTY, changed=given(campaign="另一次"), after=_hold)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"lot_id": t.lot()}, _sample(t, user), others={"/document_id": t.upload("inspection")})


@act("trace.add_inspection", by="market.regulator", changed=given(campaign="另一次"))
def _(t: Tenant, user: str) -> Prepared:
    body = _sample(t, user) | {"county_code": "620826", "product_name": "苹果", "campaign": "产地抽检"}
    return Prepared(body=body, others={"/document_id": t.upload("inspection")})


@act("trace.release_lot", by="seller", sees=SELLER, after=_hold)
def _(t: Tenant, user: str) -> Prepared:
    lot = t.lot()
    t.world.post(t.seller, f"/lots/{lot}/certificates", t.certificate_body())
    return Prepared({"lot_id": lot})


@act(
    "trace.hold_lot", by="seller", sees=SELLER | COUNTY,
    after=lambda t, p, r: t.world.post(t.seller, f"/lots/{r['id']}/unhold"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"lot_id": t.lot("released")}, REASON)


@act("trace.unhold_lot", by="seller", sees=SELLER | COUNTY, after=_hold)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"lot_id": t.lot("held")}, REASON)


@act("trace.move_stock", by="seller", sees=SELLER, after=_hold)
def _(t: Tenant, user: str) -> Prepared:
    body = {"kind": "spoilage", "quantity": 1, "reason": "压坏", "place_id": t.place()}
    return Prepared({"lot_id": t.lot()}, body)


@act("trace.add_grower", by="seller", changed=given(village="下塬村"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=t.grower_body())


@act("trace.trace", by="buyer")
def _(t: Tenant, user: str) -> Prepared:
    code = t.world.one("select min(trace_code) from lot where seller_id = %s", t.seller_id)
    return Prepared({"trace_code": code})


# Purchases and orders.


@act("orders.create_purchase", by="buyer", sees=BUYER, changed=given(note="另一句"))
def _(t: Tenant, user: str) -> Prepared:
    others = {"/lines/0/product_id": t.kept("draft", t.product), "/for_agency_id": t.agency_id}
    return Prepared(body=t.purchase_body(), others=others)


ACTS["orders.create_purchase"] = replace(
    ACTS["orders.create_purchase"],
    after=lambda t, p, r: t.world.post(t.manager, f"/purchases/{r['id']}/approve"),
)


@act("orders.show_purchase", by="buyer", sees=TRADE - SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"purchase_id": t.kept("purchase", t.purchase)["id"]})


@act(
    "orders.approve_purchase", by="manager", sees={"manager", "principal"},
    after=lambda t, p, r: t.world.post(t.seller, f"/orders/{r['orders'][0]['id']}/confirm"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"purchase_id": t.purchase()["id"]})


@act("orders.reject_purchase", by="manager", sees={"manager", "principal"})
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"purchase_id": t.purchase()["id"]}, REASON)


@act("orders.cancel_purchase", by="buyer", sees=BUYER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"purchase_id": t.purchase()["id"]}, REASON)


@act("orders.show_order", by="seller", sees=TRADE)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"order_id": t.kept("order", lambda: t.order("accepted", refused=1))["id"]})


def _ship(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post(t.seller, f"/orders/{answer['id']}/ship", t.ship_body(answer))


def _evaluate(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post(t.buyer, f"/orders/{answer['id']}/evaluate", {"score": 5})


@act("orders.confirm_order", by="seller", sees=SELLER, after=_ship)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"order_id": t.order("placed")["id"]})


@act(
    "orders.ship_order", by="seller", sees=SELLER, changed=given(carrier="另一家"),
    after=lambda t, p, r: t.world.post(t.buyer, f"/orders/{r['id']}/accept", t.accept_body(r)),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    order = t.order("confirmed")
    return Prepared({"order_id": order["id"]}, t.ship_body(order))


@act(
    "orders.cancel_order", by="seller", sees=SELLER | BUYER,
    after=lambda t, p, r: t.world.post(t.buyer, f"/orders/{r['id']}/cancel", REASON),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"order_id": t.order("confirmed")["id"]}, REASON)


@act("orders.accept_order", by="buyer", sees=BUYER, changed=given(inspectors=["甲", "乙"]), after=_evaluate)
def _(t: Tenant, user: str) -> Prepared:
    order = t.order("shipped")
    return Prepared({"order_id": order["id"]}, t.accept_body(order))


@act("orders.agree_allowance", by="seller", sees=SELLER, after=_evaluate)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"order_id": t.order("accepted", allowance_fen=100)["id"]})


@act("orders.return_goods", by="seller", sees=SELLER, after=_evaluate)
def _(t: Tenant, user: str) -> Prepared:
    order = t.order("accepted", refused=2)
    line = order["shipments"][0]["lines"][0]
    parts = {n: line[n] for n in ("line_id", "trace_code")} | {"quantity": 1, "disposition": "loss"}
    return Prepared({"order_id": order["id"]}, {"lines": [parts]})


def _restocked(body: Any) -> Any:
    return {"lines": [{**body["lines"][0], "disposition": "restock"}]}


ACTS["orders.return_goods"] = replace(ACTS["orders.return_goods"], changed=_restocked)


@act(
    "orders.evaluate_order", by="buyer", sees=BUYER, changed=given(score=1),
    after=lambda t, p, r: t.world.post(t.seller, "/invoices", t.invoice_body(r)),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"order_id": t.order("accepted")["id"]}, {"score": 5, "comment": "新鲜"})


# Invoices and payments.


def _accepted(t: Tenant) -> str:
    return str(t.kept("accepted", lambda: t.order("accepted"))["id"])


for _endpoint in ("list_invoices", "list_payments"):

    @act(f"payments.{_endpoint}", by="buyer")
    def _(t: Tenant, user: str) -> Prepared:
        return Prepared(query={"order_id": _accepted(t)})


@act(
    "payments.issue_invoice", by="seller", sees=SELLER, changed=given(kind="digital_special"),
    after=lambda t, p, r: t.world.post(t.buyer, f"/invoices/{r['id']}/check"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=t.invoice_body(t.order("accepted")))


@act("payments.get_invoice", by="seller", sees=PAPER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"invoice_id": t.kept("invoice", t.invoice)})


@act("payments.check_invoice", by="buyer", sees=BUYER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"invoice_id": t.invoice()})


@act("payments.return_invoice", by="buyer", sees=BUYER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"invoice_id": t.invoice()}, REASON)


@act(
    "payments.open_payment", by="buyer", sees=BUYER, changed=lambda b: {"orders": b["orders"], "method": "gateway"},
    after=lambda t, p, r: t.world.post(t.buyer, f"/payments/{r['id']}/cancel"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body={"method": "transfer", "orders": [{"order_id": t.order("accepted")["id"]}]})


@act("payments.get_payment", by="buyer", sees=PAPER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.kept("payment", lambda: t.payment("declared"))["id"]})


def _confirm(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post(t.seller, f"/payments/{answer['id']}/confirm")


@act("payments.file_slip", by="buyer", sees=BUYER, changed=given(payer_name="另一个户名"), after=_confirm)
def _(t: Tenant, user: str) -> Prepared:
    payment = t.payment()
    return Prepared({"payment_id": payment["id"]}, t.slip_body(payment))


@act("payments.complete_slip", by="buyer", sees=BUYER, after=_confirm)
def _(t: Tenant, user: str) -> Prepared:
    payment = t.payment("bare")
    return Prepared(
        {"payment_id": payment["id"], "slip_id": payment["slips"][0]["id"]},
        {"document_id": t.upload("slip", t.buyer)},
    )


ACTS["payments.complete_slip"] = replace(
    ACTS["payments.complete_slip"],
    changed=given(document_id="00000000-0000-7000-8000-000000000000"),
)


@act("payments.confirm_payment", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment("declared")["id"]})


@act("payments.dispute_payment", by="seller", sees=SELLER, after=_confirm)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment("declared")["id"]}, REASON)


@act("payments.uphold_payment", by="county.office", sees=COUNTY)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment("disputed")["id"]})


@act("payments.refuse_payment", by="county.office", sees=COUNTY)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment("disputed")["id"]}, REASON)


@act("payments.cancel_payment", by="buyer", sees=BUYER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment()["id"]})


# Declarations and figures.


@act("quota.list_declarations", by="manager")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"agency_id": t.agency_id})


@act("quota.missing_declarations", by="manager")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"year": TODAY.year})


@act(
    "quota.file_declaration", by="manager", sees=AGENCY, changed=given(share_bp=2000),
    after=lambda t, p, r: t.world.post(t.manager, f"/declarations/{r['id']}/submit"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=t.declaration_body())


@act("quota.get_declaration", by="manager", sees=AGENCY | OFFICE)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"declaration_id": t.kept("declaration", t.declaration)})


def _withdraw_declaration(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post(t.manager, f"/declarations/{answer['id']}/withdraw")


def _submit_declaration(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post(t.manager, f"/declarations/{answer['id']}/submit")


@act("quota.submit_declaration", by="manager", sees=AGENCY, after=_withdraw_declaration)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"declaration_id": t.declaration()})


@act("quota.withdraw_declaration", by="manager", sees=AGENCY, after=_submit_declaration)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"declaration_id": t.declaration("submitted")})


@act("quota.approve_declaration", by="finance.reviewer", sees=OFFICE)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"declaration_id": t.declaration("submitted")})


@act("quota.return_declaration", by="finance.reviewer", sees=OFFICE)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"declaration_id": t.declaration("submitted")}, REASON)


for _endpoint in ("quota_summary", "quota_summary_file"):

    @act(f"quota.{_endpoint}", by="manager")
    def _(t: Tenant, user: str) -> Prepared:
        return Prepared(query={"year": TODAY.year})


@act("quota.quota_entries", by="manager")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"year": TODAY.year, "by": "agency", "key": t.agency_id})


@act("quota.quota_pace", by="manager", sees=AGENCY | OFFICE)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"year": TODAY.year, "agency_id": t.agency_id})


_MONTHS = (f"{year}-{month:02d}" for year, month in itertools.product(range(2000, 2018), range(1, 13)))


@act("quota.close_period", by="county.office")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"period": next(_MONTHS)})
