"""Acts on products, lots and what is known of them."""

from __future__ import annotations

from typing import Any

from tests.matrix.acts import (
    COUNTY,
    REASON,
    SELLER,
    Prepared,
    act,
    given,
)  # fmt: skip
from tests.matrix.tenant import Json, Tenant, day

# The catalogue.


@act("catalog.list_products", by="buyer")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"seller": t.seller_id})


@act("catalog.show_product", by="buyer", sees=set())
def _(t: Tenant, user: str) -> Prepared:
    """A draft is nobody's on the public page, its seller's neither."""
    return Prepared({"product_id": t.kept("draft", t.product)})


@act("catalog.show_my_product", by="seller", sees=SELLER | COUNTY)
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


@act("catalog.recognise_product", by="county.office", sees=COUNTY, after=_withdraw)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product("submitted")})


@act(
    "catalog.refuse_product", by="county.office", sees=COUNTY,
    after=lambda t, p, r: t.world.post(t.seller, f"/products/{r['id']}/submit"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product("submitted")}, REASON)


@act(
    "catalog.withdraw_product", by="seller", sees=SELLER | COUNTY,
    after=lambda t, p, r: t.world.post(t.seller, f"/products/{r['id']}/submit"),
)  # fmt: skip
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product("recognised")}, REASON)


# Photos of a product.


def _with_photo(t: Tenant, product: str = "") -> dict[str, str]:
    product = product or t.product()
    body = {"document_id": t.world.photo(t.seller), "alt": t.word("photo")}
    shown = t.world.post(t.seller, f"/products/{product}/photos", body)["items"]
    return {"product_id": product, "photo_id": str(shown[-1]["id"])}


@act("product_photos.list_photos", by="buyer", sees=set())
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.kept("draft", t.product)})


@act("product_photos.list_my_photos", by="seller", sees=SELLER | COUNTY)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.kept("draft with a photo", lambda: _with_photo(t)["product_id"])})


@act("product_photos.add_photo", by="seller", sees=SELLER, changed=given(alt="另一句话"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"product_id": t.product()}, {"document_id": t.world.photo(t.seller), "alt": "一箱苹果"})


@act("product_photos.edit_photo", by="seller", sees=SELLER, changed=given(alt="另一句话"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(_with_photo(t), {"alt": "一箱苹果"})


@act("product_photos.remove_photo", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(_with_photo(t))


@act("product_photos.restore_photo", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    found = _with_photo(t)
    t.world.post(t.seller, f"/products/{found['product_id']}/photos/{found['photo_id']}/remove")
    return Prepared(found)


# Lots and what is known of them.


@act("trace.list_lots", by="seller")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(query={"product_id": t.goods["id"]})


def _hold(t: Tenant, p: Prepared, answer: Any) -> object:
    return t.world.post("market.regulator", f"/lots/{answer['id']}/hold", REASON)


@act("trace.add_lot", by="seller", sees=SELLER, changed=given(quantity=51), after=_hold)
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
    "items": [{"name": "毒死蜱", "value": "0.01", "limit": "0.05", "unit": "mg/kg"}],
    "passed": True,
}


def _sample(t: Tenant, user: str) -> Json:
    return {
        **SAMPLE,
        "sampled_on": day(),
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
