"""Acts on what channels ask of sellers. The partners' own routes are tried in tests/channels/test_isolation.py."""

from __future__ import annotations

from uuid import UUID

from marketplace.actors import Door, system
from marketplace.channels import agreements
from tests.channels.partner import Program, order_body
from tests.matrix.acts import REASON, SELLER, Prepared, act
from tests.matrix.tenant import Tenant


def _change_request(t: Tenant) -> str:
    """A channel's order of the tenant's goods that the channel wants to cancel after its cut-off."""
    world, number = t.world, f"M-{t.tag}-{t.world.number()}"
    program = world.__dict__.setdefault("program", None) or Program(world.app)
    world.__dict__["program"] = program
    channel, prices = world.owner.execute(
        "select organisation_id, id from price_list where code = 'TJ-WQ-2026'"
    ).fetchone() or (None, None)  # fmt: skip
    product = UUID(t.goods["id"])
    listed = world.one(
        "select count(*) from channel_item where product_id = %s and channel_id = %s", product, channel
    )
    if not listed:
        office = system(Door.IMPORT)
        with world.app.app_context():
            agreements.list_item(office, channel_id=channel, product_id=product)
            agreements.set_prices(office, price_list_id=prices, product_id=product, ladder=[(1, 5000)])
    body = order_body(number, [{"partner_sku": None, "min_order_quantity": t.goods["min_order_quantity"]}])
    body["lines"] = [{"product_id": str(product), "quantity": t.goods["min_order_quantity"]}]
    program.post("/orders", body, 201)
    world.owner.execute("update partner_order set cut_off_at = now() where partner_order_no = %s", [number])
    asked = program.post(f"/orders/{number}/cancel", {"reason": t.word("change")})
    return str(asked["order"]["changes"][0]["id"])


@act("changes.agree_change", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"request_id": _change_request(t)})


@act("changes.refuse_change", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"request_id": _change_request(t)}, REASON)
