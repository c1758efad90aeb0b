"""Acts on what channels ask of sellers. The partners' own routes are tried in tests/channels/test_isolation.py."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from uuid import UUID

from marketplace.accounts.service import add_organisation
from marketplace.actors import Door, system
from marketplace.channels import agreements
from tests.channels.partner import Program, order_body
from tests.channels.stocked import Stocked, bring
from tests.conftest import PASSWORD
from tests.matrix.acts import COUNTY, REASON, SELLER, Prepared, act, given
from tests.matrix.tenant import Json, Tenant, day
from tests.matrix.world import World


def carried_by(t: Tenant) -> tuple[Program, UUID]:
    """The first channel's program, and the tenant's product in its assortment."""
    world = t.world
    program = world.__dict__.setdefault("program", None) or Program(world.app)
    world.__dict__["program"] = program
    channel, prices = world.owner.execute(
        "select organisation_id, id from price_list where code = 'TJ-WQ-2026'"
    ).fetchone() or (None, None)  # fmt: skip
    product = UUID(t.goods["id"])
    listed = world.one(
        "select count(*) from channel_item where product_id = %s and channel_id = %s and withdrawn_at is null",
        product,
        channel,
    )
    if not listed:
        office = system(Door.IMPORT)
        with world.app.app_context():
            agreements.list_item(office, channel_id=channel, product_id=product)
            agreements.set_prices(office, price_list_id=prices, product_id=product, ladder=[(1, 5000)])
    return program, product


def shop_sale(t: Tenant) -> None:
    """Three packs of the tenant's goods come to the channel's shop; one is sold on a day of its own, one spoils."""
    program, product = carried_by(t)
    row = t.world.owner.execute(
        "select l.id, l.trace_code, l.code, '', l.product_id, l.seller_id, s.id, s.place_id, a.place_id, 5000"
        " from channel_agreement a join place p on p.id = a.place_id join organisation o on o.id = a.channel_id,"
        " lot l join stock s on s.lot_id = l.id where a.pattern = 'consignment' and o.code = 'ORG-CH-WQ'"
        " and l.product_id = %s and s.place_id <> a.place_id order by s.on_hand - s.reserved desc, l.id limit 1",
        [product],
    ).fetchone()
    assert row is not None
    lot = Stocked(*row)
    with t.world.app.app_context():
        bring(lot, 3)
    line, on = {"trace_code": lot.trace_code, "quantity": 1}, next(_DAYS)
    program.post("/sales-reports", {"business_day": on, "lines": [line]}, 201)
    held = t.world.one("select on_hand from stock where lot_id = %s and place_id = %s", lot.lot_id, lot.shop)
    spoilt = {"kind": "spoilage", "quantity": 1, "cause": "rotten", "borne_by": "seller"}
    line = {"trace_code": lot.trace_code, "counted": held - 1, "differences": [spoilt]}
    program.post("/stock-counts", {"counted_on": on, "lines": [line]}, 201)


def change_request(t: Tenant) -> str:
    """A channel's order of the tenant's goods that the channel wants to cancel after its cut-off."""
    world, number = t.world, f"M-{t.tag}-{t.world.number()}"
    program, product = carried_by(t)
    body = order_body(number, [{"partner_sku": None, "min_order_quantity": t.goods["min_order_quantity"]}])
    body["lines"] = [{"product_id": str(product), "quantity": t.goods["min_order_quantity"]}]
    program.post("/orders", body, 201)
    world.owner.execute("update partner_order set cut_off_at = now() where partner_order_no = %s", [number])
    asked = program.post(f"/orders/{number}/cancel", {"reason": t.word("change")})
    return str(asked["order"]["changes"][0]["id"])


@act("changes.agree_change", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"request_id": change_request(t)})


@act("changes.refuse_change", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"request_id": change_request(t)}, REASON)


_DAYS = ((date(2026, 2, 1) + timedelta(days=n)).isoformat() for n in itertools.count())


def consignment_body(t: Tenant) -> Json:
    """One pack of a lot of the tenant's goods for the channel's shop."""
    code = t.world.one(
        "select l.trace_code from lot l join stock s on s.lot_id = l.id where l.product_id = %s and"
        " l.state = 'released' order by l.best_before desc, s.on_hand - s.reserved desc, l.id limit 1",
        carried_by(t)[1],
    )
    return {**WUQING, "lines": [{"trace_code": code, "quantity": 1}]}


def consignment(t: Tenant) -> str:
    return str(t.world.post(t.seller, "/consignments", consignment_body(t))["id"])


@act(
    "consignments.add_consignment",
    by="seller",
    sees=SELLER,
    changed=given(lines=[{"trace_code": "x", "quantity": 2}]),
)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(body=consignment_body(t))


# The channel that it came to is the demo partner's, who reads it on the pages of the portal.
@act("consignments.show_consignment", by="seller", sees=SELLER | COUNTY | {"role:channel_partner"})
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"consignment_id": t.kept("consignment", lambda: consignment(t))})


@act("consignments.cancel_consignment", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"consignment_id": consignment(t)})


WUQING = {"channel_code": "ORG-CH-WQ"}
_TURNS = itertools.count()
# None of them is paired by the seed.
_PAIRS = itertools.cycle(
    [
        *(("ORG-CH-JN", code) for code in ("620802", "620821", "620823", "620825", "620826", "620881")),
        *(("ORG-CH-WQ", code) for code in ("620802", "620822", "620823", "620825", "620881")),
        *(("ORG-CH-HX", code) for code in ("620821", "620822", "620823", "620826", "620881")),
    ]
)


def _carried(t: Tenant) -> str:
    """A product that the channel carries now, another one each time."""
    return str(
        t.world.one(
            "select product_id from channel_item i join organisation o on o.id = i.channel_id"
            " where o.code = 'ORG-CH-WQ' and i.withdrawn_at is null order by listed_at, i.id offset %s limit 1",
            next(_TURNS) % 4,
        )
    )


@act("channel_office.list_channel_items", by="county.office")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(WUQING)


@act("channel_office.add_pair", by="county.office", changed=given(source="另一份"))
def _(t: Tenant, user: str) -> Prepared:
    channel, county = next(_PAIRS)
    return Prepared(
        {"channel_code": channel}, {"county_code": county, "district_code": "120112", "source": "通知"}
    )


@act("channel_office.add_price_list", by="county.office", changed=given(name="另一个"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(WUQING, {"code": f"TJ-{t.tag}-{t.world.number()}", "name": "渠道价"})


@act("channel_office.make_agreement", by="county.office", changed=given(due_days=9))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(
        WUQING,
        {"pattern": "wholesale", "price_list_code": "TJ-WQ-2026", "order_cut_off": "16:00", "lead_days": 1,
         "confirm_within_h": 24, "ship_within_h": 48, "period_end_day": 31, "due_days": 15,
         "valid_from": day(400 + t.world.number())},
    )  # fmt: skip


@act(
    "channel_office.set_prices",
    by="county.office",
    changed=given(ladder=[{"min_quantity": 1, "price_fen": 9}]),
)
def _(t: Tenant, user: str) -> Prepared:
    ladder = [{"min_quantity": 1, "price_fen": 4000 + t.world.number()}]
    return Prepared(WUQING, {"price_list_code": "TJ-WQ-2026", "product_id": _carried(t), "ladder": ladder})


@act("channel_office.carry_item", by="county.office", changed=given(box_quantity=7))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(WUQING, {"product_id": _carried(t), "partner_sku": f"M{t.tag}{t.world.number()}"})


@act("channel_office.withdraw_item", by="county.office")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({**WUQING, "product_id": _carried(t)})


KEY = {"name": "收银系统", "mode": "test", "scopes": ["catalogue"], "days": 30, "current_password": PASSWORD}


def fresh_channel(t: Tenant) -> str:
    """A person of a channel that has no keys yet: only two of a mode may be in force."""
    code = f"ORG-CH-{t.tag}{t.world.number()}"
    with t.world.app.app_context():
        add_organisation(
            system(Door.CLI),
            code=code,
            name=f"渠道{code}",
            kind="channel",
            subkind="company",
            region_code="120103",
        )
    return t.world.fresh_user("channel_partner", code)[0]


def ended_key(world: World) -> None:
    """A key that the demo partner made and ended."""
    made = world.post("tianjin.partner", "/partner-keys", KEY)
    world.post("tianjin.partner", f"/partner-keys/{made['id']}/revoke")


@act("partner_keys.create_key", by="tianjin.partner")
def _(t: Tenant, user: str) -> Prepared:
    return Prepared(user=fresh_channel(t), body=KEY)


# Another channel's: the demo partner finds it no more than one that is not there.
@act("partner_keys.revoke_key", by="tianjin.partner", sees=())
def _(t: Tenant, user: str) -> Prepared:
    owner = fresh_channel(t)
    return Prepared({"key_id": t.world.post(owner, "/partner-keys", KEY)["id"]}, user=owner)
