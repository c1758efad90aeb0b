"""Acts on statements of consignment: of a channel's shop in which the tenant's goods were sold."""

from __future__ import annotations

import itertools
from datetime import date
from typing import Any

from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Role, system
from marketplace.channels import statement_disputes, statement_paying, statements
from marketplace.clock import today
from tests.channels.consigned import Shop
from tests.matrix.acts import COUNTY, SELLER, Prepared, act, given
from tests.matrix.tenant import Tenant

# Of a channel that is none of the players.
CHANNEL_CODE = "ORG-CH-HX"


def sold(t: Tenant) -> tuple[Shop, str]:
    """Packs of the tenant sold in a month of long ago that no other sale is in; the month."""
    world = t.world
    n = next(world.__dict__.setdefault("months", itertools.count()))
    period = f"{2002 + n // 12}-{n % 12 + 1:02d}"
    world.owner.execute(
        "update channel_agreement set valid_from = '2001-01-01' where pattern = 'consignment'"
    )
    row: Any = world.owner.execute(
        "select a.channel_id, a.place_id, p.seller_id, p.id, l.id, s.id from channel_agreement a"
        " join organisation o on o.id = a.channel_id and o.code = %s, product p"
        " join lot l on l.product_id = p.id join stock s on s.lot_id = l.id"
        " where a.pattern = 'consignment' and p.id = %s order by l.id limit 1",
        (CHANNEL_CODE, t.goods["id"]),
    ).fetchone()
    shop = Shop(world.owner, *row)
    shop.report(date.fromisoformat(f"{period}-15"), (5, 1000), (2, 900))
    return shop, period


def statement(t: Tenant, *, disputed: str = "", agreed: bool = False) -> Any:
    """A statement on which nobody has acted yet, or with an open dispute of one side, or agreed and paid."""
    shop, period = sold(t)
    with t.world.app.app_context():
        made = statements.issue_statement(
            system(Door.JOB), channel_id=shop.channel, seller_id=shop.seller, period=period
        ).result
        channel = Actor(
            None, "channel", shop.channel, "channel", None, Role.CHANNEL_PARTNER,
            ROLE_PERMISSIONS[Role.CHANNEL_PARTNER], Door.WEB,
        )  # fmt: skip
        if disputed:
            made = statement_disputes.raise_dispute(
                channel if disputed == "channel" else shop.seller_actor(),
                made["id"],
                made["lines"][0]["id"],
                quantity=3,
                reason=t.word("dispute"),
            ).result
        if agreed:
            statements.agree_statement(channel, made["id"])
            statements.agree_statement(shop.seller_actor(), made["id"])
            made = statement_paying.declare_transfer(
                channel, made["id"], paid_on=today(), bank_reference=f"ST{t.world.number():06d}"
            ).result
        return made


@act("statements.show_statement", by="seller", sees=SELLER | COUNTY)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"statement_id": t.kept("statement", lambda: statement(t, disputed="channel"))["id"]})


@act("statements.issue_statement", by="county.office", sees=COUNTY, changed=given(period="2001-02"))
def _(t: Tenant, user: str) -> Prepared:
    shop, period = sold(t)
    return Prepared(body={"channel_code": CHANNEL_CODE, "seller_id": str(shop.seller), "period": period})


@act("statements.dispute_line", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    made = statement(t)
    line = str(made["lines"][0]["id"])
    return Prepared(
        {"statement_id": made["id"]}, {"line_id": line, "quantity": 4, "reason": t.word("dispute")}
    )


@act("statements.answer_dispute", by="seller", sees=SELLER, changed=given(answer="另一句"))
def _(t: Tenant, user: str) -> Prepared:
    made = statement(t, disputed="channel")
    return Prepared(
        {"statement_id": made["id"], "dispute_id": made["disputes"][0]["id"]},
        {"accept": True, "answer": t.word("answer")},
    )


@act("statements.withdraw_dispute", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    made = statement(t, disputed="seller")
    return Prepared({"statement_id": made["id"], "dispute_id": made["disputes"][0]["id"]})


@act("statements.agree_statement", by="seller", sees=SELLER)
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"statement_id": statement(t)["id"]})


@act("statements.return_transfer", by="seller", sees=SELLER, changed=given(reason="另一句"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"statement_id": statement(t, agreed=True)["id"]}, {"reason": t.word("return")})


@act("statements.settle_statement", by="seller", sees=SELLER, changed=given(bank_reference="OTHER001"))
def _(t: Tenant, user: str) -> Prepared:
    return Prepared({"statement_id": statement(t, agreed=True)["id"]}, {})
