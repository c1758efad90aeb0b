"""Acts on purchases, orders, invoices, payments, declarations and figures."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

from marketplace.clock import today
from tests.matrix.acts import (
    ACTS,
    AGENCY,
    BUYER,
    CITY,
    COUNTY,
    PAPER,
    REASON,
    SELLER,
    TRADE,
    Prepared,
    act,
    given,
)  # fmt: skip
from tests.matrix.tenant import Tenant

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


@act("payments.pay_online", by="buyer", sees=BUYER, changed=given(means="alipay"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment("online")["id"]}, {"means": "pm_card_visa"})


@act("payments.refund_payment", by="seller", sees=SELLER | COUNTY, changed=given(amount_fen=2))
def _(t: Tenant, user: str) -> Prepared:
    payment = t.payment("captured")
    body = {"amount_fen": 1, "order_id": payment["orders"][0]["order_id"], **REASON}
    return Prepared({"payment_id": payment["id"]}, body)


@act("payments.resolve_attempt", by="county.office", sees=COUNTY, changed=given(outcome="void"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment("aside")["id"]}, {"outcome": "captured", **REASON})


@act("payments.settle_payout", by="seller", sees=SELLER | COUNTY, changed=given(fee_fen=0))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment("captured")["id"]}, {"amount_fen": 2, "fee_fen": 1})


@act("payments.cancel_payment", by="buyer", sees=BUYER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"payment_id": t.payment()["id"]})


# Declarations and figures.


@act("quota.list_declarations", by="manager")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"agency_id": t.agency_id})


@act("quota.missing_declarations", by="manager")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"year": today().year})


@act(
    "quota.file_declaration", by="manager", sees=AGENCY, changed=given(share_bp=2000),
    after=lambda t, p, r: t.world.post(t.manager, f"/declarations/{r['id']}/submit"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=t.declaration_body())


@act("quota.get_declaration", by="manager", sees=AGENCY | CITY)
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


@act("quota.approve_declaration", by="finance.reviewer", sees=CITY)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"declaration_id": t.declaration("submitted")})


@act("quota.return_declaration", by="finance.reviewer", sees=CITY)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"declaration_id": t.declaration("submitted")}, REASON)


for _endpoint in ("quota_summary", "quota_summary_file"):

    @act(f"quota.{_endpoint}", by="manager")
    def _(t: Tenant, user: str) -> Prepared:
        return Prepared(query={"year": today().year})


@act("quota.quota_entries", by="manager")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"year": today().year, "by": "agency", "key": t.agency_id})


@act("quota.quota_pace", by="manager", sees=AGENCY | CITY)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"year": today().year, "agency_id": t.agency_id})


_MONTHS = (f"{year}-{month:02d}" for year, month in itertools.product(range(2000, 2018), range(1, 13)))


@act("quota.close_period", by="county.office")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"period": next(_MONTHS)})
