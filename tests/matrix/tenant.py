"""A buying and a selling organisation that trade with each other, each object in the state that an act needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from marketplace.clock import today
from tests.conftest import PASSWORD

if TYPE_CHECKING:
    from tests.matrix.world import World

Json = dict[str, Any]


def day(offset: int = 0) -> str:
    return date.isoformat(today() + timedelta(days=offset))


@dataclass
class Tenant:
    """A buying and a selling organisation that trade with each other alone."""

    world: World
    tag: str
    buyer: str
    manager: str
    seller: str
    second: str
    agency_id: str
    seller_id: str
    for_agency: str | None = None
    _kept: dict[str, Any] = field(default_factory=dict)

    @property
    def canary(self) -> str:
        return f"canary-{self.tag}-7c19"

    def word(self, what: str) -> str:
        """A free text of this tenant that nobody else typed."""
        return f"{self.canary} {what} {self.world.number()}"

    def kept(self, name: str, make: Callable[[], Any]) -> Any:
        """An object that several reads share; made once."""
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def upload(self, kind: str, user: str | None = None) -> str:
        return self.world.upload(user or self.seller, kind, self.word(kind))

    # What the seller has.

    @cached_property
    def goods(self) -> Json:
        """The seller's product with the most stock."""
        items = self.world.get(None, "/products", seller=self.seller_id, available="true", limit=100)["items"]
        return dict(max(items, key=lambda p: (p["available_quantity"], p["id"])))

    @cached_property
    def township(self) -> str:
        return str(
            self.world.one("select min(code) from township where county_code = %s", self.goods["county"]["code"])
        )  # fmt: skip

    def product_body(self) -> Json:
        return {
            "sku": f"{self.tag}-{self.world.number()}",
            "family": "苹果",
            "name": "苹果",
            "spec": "一级 5公斤",
            "category_code": self.goods["category"]["code"],
            "county_code": self.goods["county"]["code"],
            "pack_unit": "箱",
            "net_g": 5000,
            "min_order_quantity": 1,
            "price_ladder": [{"min_quantity": 1, "price_fen": 5000}],
            "storage": "常温",
        }

    def product(self, state: str = "draft") -> str:
        body = self.product_body()
        if state == "private":
            body["name"] = self.word("product")
        made = str(self.world.post(self.seller, "/products", body)["id"])
        if state in ("submitted", "recognised"):
            self.world.post(self.seller, f"/products/{made}/submit")
        if state == "recognised":
            self.world.post("county.office", f"/products/{made}/recognise")
        return made

    def grower_body(self) -> Json:
        code = f"G{self.tag}{self.world.number()}"
        return {"code": code, "name": "张三", "township_code": self.township, "village": "上塬村"}

    def grower(self) -> str:
        return str(
            self.world.post(self.seller, "/growers", self.grower_body() | {"name": self.word("张三")})["id"]
        )

    def lot_body(self) -> Json:
        grower = self.kept("grower", self.grower)
        origin = {"township_code": self.township, "village": "上塬村", "plot": "甲地块", "grower_id": grower}
        return {
            "product_id": self.goods["id"],
            "quantity": 50,
            "harvested_on": (today() - timedelta(days=2)).isoformat(),
            "origins": [origin],
        }

    def lot(self, state: str = "draft", *, user: str | None = None) -> str:
        body = self.lot_body()
        body["origins"][0]["plot"] = self.word("plot")
        made = str(self.world.post(self.seller, "/lots", body)["id"])
        if state != "draft":
            self.world.post(self.seller, f"/lots/{made}/certificates", self.certificate_body())
            self.world.post(self.seller, f"/lots/{made}/release")
        if state == "held":
            self.world.post(self.seller, f"/lots/{made}/hold", {"reason": self.word("hold")})
        return made

    def certificate_body(self) -> Json:
        return {
            "kind": "commitment",
            "number": f"CDH-{self.tag}-{self.world.number()}",
            "issued_on": (today() - timedelta(days=2)).isoformat(),
            "quantity": 50,
            "document_id": self.upload("certificate"),
        }

    def place(self) -> str:
        return str(
            self.world.one("select id from place where organisation_id = %s order by name limit 1", self.seller_id)
        )  # fmt: skip

    def bank_account_body(self) -> Json:
        return {
            "account_name": "合作社",
            "bank_name": "平凉示范农村商业银行",
            "bank_branch_number": "402833090001",
            "account_number": f"62998800{self.world.number():08d}",
            "current_password": PASSWORD,
        }

    def bank_account(self) -> str:
        """Proposed by the second person, so that the first may approve it."""
        words = {"account_name": self.word("account"), "bank_name": self.word("bank")}
        return str(self.world.post(self.second, "/bank-accounts", self.bank_account_body() | words)["id"])

    # What the buyer does.

    def purchase_body(self, *, canary: bool = False) -> Json:
        def said(text: str) -> str:
            return self.word(text) if canary else text

        quantity = self.goods["min_order_quantity"] + 2 * self.goods["order_multiple"]
        body = {
            "purpose": "canteen",
            "deliver_on": (today() + timedelta(days=3)).isoformat(),
            "deliver_to": {"name": said("王老师"), "phone": "13800000000", "address": said("食堂")},
            "lines": [{"product_id": self.goods["id"], "quantity": quantity}],
            "payer_profile_id": self.payer_profile(),
            "canteen_id": self.canteen(),
            "reference": said(f"BZ-{self.tag}-{self.world.number()}"),
            "note": said("备注"),
        }
        return body if self.for_agency is None else body | {"for_agency_id": self.for_agency}

    def payer_profile(self) -> str:
        return str(
            self.world.one(
                "select id from payer_profile where organisation_id = %s and purpose = 'canteen'"
                " order by is_default desc, id limit 1",
                self.agency_id,
            )
        )

    def canteen(self) -> str:
        return str(
            self.world.one("select id from canteen where organisation_id = %s order by id limit 1", self.agency_id)
        )  # fmt: skip

    def purchase(self, state: str = "awaiting_approval") -> Json:
        made = self.world.post(self.buyer, "/purchases", self.purchase_body(canary=True))
        if state == "approved":
            self.world.post(self.manager, f"/purchases/{made['id']}/approve")
        return dict(made)

    def order(self, state: str = "placed", *, refused: int = 0, allowance_fen: int = 0) -> Json:
        """An order that has come to `state`: placed, confirmed, shipped, accepted."""
        order_id = self.purchase("approved")["orders"][0]["id"]
        steps: dict[str, Callable[[str], Any]] = {
            "confirmed": lambda i: self.world.post(self.seller, f"/orders/{i}/confirm"),
            "shipped": lambda i: self.world.post(
                self.seller, f"/orders/{i}/ship",
                self.ship_body(self.show(i)) | {n: self.word(n) for n in ("carrier", "tracking", "driver")},
            ),
            "accepted": lambda i: self.world.post(
                self.buyer, f"/orders/{i}/accept",
                self.accept_body(self.show(i), refused, allowance_fen, self.word("reason"))
                | {"inspectors": [self.word("甲"), self.word("乙")]},
            ),
        }  # fmt: skip
        for name, step in steps.items():
            if state == "placed":
                break
            step(order_id)
            if name == state:
                break
        return self.show(order_id)

    def show(self, order_id: str) -> Json:
        return dict(self.world.get(self.seller, f"/orders/{order_id}"))

    def ship_body(self, order: Json) -> Json:
        lines = [{"line_id": line["id"], "quantity": line["quantity"]} for line in order["lines"]]
        return {"lines": lines, "carrier": "自送"}

    def accept_body(
        self, order: Json, refused: int = 0, allowance_fen: int = 0, reason: str = "压坏"
    ) -> Json:
        rows = [row for shipment in order["shipments"] for row in shipment["lines"]]
        lines = [
            {"line_id": row["line_id"], "trace_code": row["trace_code"], "refused_quantity": refused if n == 0 else 0,
             "accepted_quantity": row["quantity"] - (refused if n == 0 else 0),
             "allowance_fen": allowance_fen if n == 0 else 0, "reason": reason}
            for n, row in enumerate(rows)
        ]  # fmt: skip
        return {
            "lines": lines,
            "inspectors": ["李师傅", "王老师"],
            "document_id": self.upload("acceptance", self.buyer),
        }

    def invoice_body(self, order: Json) -> Json:
        return {
            "number": f"26{self.world.number():018d}",
            "kind": "digital_ordinary",
            "issued_on": today().isoformat(),
            "amount_fen": order["accepted_fen"],
            "tax_free": True,
            "orders": [{"order_id": order["id"], "amount_fen": order["accepted_fen"]}],
            "document_id": self.upload("invoice"),
        }

    def invoice(self) -> str:
        return str(self.world.post(self.seller, "/invoices", self.invoice_body(self.order("accepted")))["id"])

    def payment(self, state: str = "open") -> Json:
        online = state in ("online", "captured", "aside")
        method = "gateway" if online else "transfer"
        body = {"method": method, "orders": [{"order_id": self.order("accepted")["id"]}]}
        made = dict(self.world.post(self.buyer, "/payments", body))
        if state == "aside":
            self.world.gateway.fail("wrong_amount", "confirm")
        if state in ("captured", "aside"):
            self.world.post(self.buyer, f"/payments/{made['id']}/pay", {})
        if state != "open" and not online:
            slip = self.slip_body(made) | {"payer_name": self.word("payer")}
            if state == "bare":
                del slip["document_id"]
            made = dict(self.world.post(self.buyer, f"/payments/{made['id']}/slips", slip))
        if state == "disputed":
            self.world.post(self.seller, f"/payments/{made['id']}/dispute", {"reason": self.word("dispute")})
        return made

    def slip_body(self, payment: Json) -> Json:
        return {
            "amount_fen": payment["amount_fen"],
            "paid_on": today().isoformat(),
            "bank_reference": f"HLX{self.tag}{self.world.number()}",
            "payer_name": "支付中心",
            "document_id": self.upload("slip", self.buyer),
        }

    def declaration_body(self) -> Json:
        year = self.kept("year", lambda: itertools.count(2030))
        return {
            "agency_id": self.agency_id,
            "year": next(year),
            "canteen": "own",
            "base_fen": 10_000_000,
            "share_bp": 1500,
            "contact": "办公室",
            "remark": "食堂",
        }

    def declaration(self, state: str = "draft") -> str:
        words = {"contact": self.word("contact"), "remark": self.word("remark")}
        made = str(self.world.post(self.manager, "/declarations", self.declaration_body() | words)["id"])
        if state != "draft":
            self.world.post(self.manager, f"/declarations/{made}/submit")
        return made

    def fill(self) -> None:
        """Leave an object with a typed reason in every list."""
        post, word = self.world.post, self.word
        self.product("private")
        self.lot("held")
        self.bank_account()
        post(self.manager, f"/purchases/{self.purchase()['id']}/reject", {"reason": word("reject")})
        post(self.buyer, f"/purchases/{self.purchase()['id']}/cancel", {"reason": word("cancel")})
        post(self.seller, f"/orders/{self.order()['id']}/cancel", {"reason": word("cancel")})
        done = self.order("accepted", refused=1, allowance_fen=100)["id"]
        post(self.buyer, f"/orders/{done}/evaluate", {"score": 4, "comment": word("comment")})
        self.payment("disputed")
        post(self.buyer, f"/invoices/{self.invoice()}/return", {"reason": word("return")})
        if self.for_agency is None:
            declared = self.declaration("submitted")
            post("finance.reviewer", f"/declarations/{declared}/return", {"reason": word("return")})
