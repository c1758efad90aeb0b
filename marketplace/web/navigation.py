"""The menus: what stands in the header, at the side of a desk and at the thumb, by permission and role.

An entry whose page does not exist, or whose permission the reader lacks, is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flask import url_for

from marketplace.actors import Actor, Role
from marketplace.web.edge import PUBLIC
from marketplace.web.language import N_, translated


@dataclass(frozen=True)
class Entry:
    endpoint: str
    label: str
    badge: str | None = None
    # What the number counts, for those who hear the menu.
    counts: str = ""


@dataclass(frozen=True)
class Link:
    """An entry as the template shows it. `number` is None where there is no badge; `counts` says of what."""

    address: str
    label: str
    current: bool
    number: int | None
    counts: str = ""


@dataclass(frozen=True)
class Menu:
    """`side_name` is the word of the role beside the mark; `pocket` is the bar at the thumb on phones."""

    side_name: str
    top: tuple[Link, ...]
    side: tuple[Link, ...]
    pocket: bool
    desk: str | None


_SHOP = (
    Entry("shop.catalogue", N_("产品目录")),
    Entry("shop.sellers", N_("产地与合作社")),
    Entry("shop.trace_search", N_("追溯")),
)
_OFFICE_TOP = (Entry("offices.quota", N_("份额执行")), *_SHOP)

_BUYER = (
    Entry("buying.today", N_("今天")),
    Entry("buying.basket", N_("采购单"), "basket", N_("行货品")),
    Entry("buying.purchases", N_("审批")),
    Entry("trading.orders", N_("订单")),
    Entry("money.invoices", N_("发票")),
    Entry("money.payments", N_("付款")),
    Entry("buying.templates", N_("常用单")),
    Entry("buying.ledger", N_("进货查验台账")),
)
_MANAGER = (
    Entry("managing.today", N_("今天")),
    Entry("managing.approvals", N_("待审批"), "approvals", N_("单等审批")),
    Entry("buying.purchases", N_("采购单")),
    Entry("trading.orders", N_("订单")),
    Entry("money.payments", N_("付款")),
    Entry("offices.declarations", N_("份额填报")),
    Entry("offices.quota", N_("执行情况")),
)
_SELLER = (
    Entry("selling.today", N_("待办"), "to_confirm", N_("单待确认")),
    Entry("trading.orders", N_("订单"), "to_ship", N_("单待发货")),
    Entry("selling.lots", N_("批次")),
    Entry("money.seller_money", N_("票款"), "to_invoice", N_("单待开票")),
    Entry("selling.products", N_("产品")),
    Entry("selling_changes.requests", N_("渠道改单")),
    Entry("channels.of_seller", N_("渠道去向")),
    Entry("selling_statements.listed", N_("代销结算")),
)
_POVERTY = (
    Entry("offices.quota", N_("份额执行")),
    Entry("offices.entries", N_("明细")),
    Entry("offices.missing", N_("未填报与落后")),
    Entry("offices.declarations", N_("份额填报")),
    Entry("offices.recognition", N_("产品认定")),
    Entry("channels.listed", N_("天津渠道")),
    Entry("office_statements.listed", N_("代销结算")),
    Entry("trading.orders", N_("订单")),
    Entry("money.disputes", N_("到账争议")),
    Entry("offices.journal", N_("日志与证明")),
    Entry("offices.policies", N_("政策规则")),
)
_FINANCE = (
    Entry("offices.declarations", N_("份额填报")),
    Entry("offices.quota", N_("份额执行")),
    Entry("offices.entries", N_("明细")),
    Entry("trading.orders", N_("订单")),
    Entry("money.payments", N_("付款")),
    Entry("offices.journal", N_("日志与证明")),
)
_REGULATOR = (
    Entry("regulating.today", N_("今天")),
    Entry("regulating.lots", N_("批次")),
    Entry("regulating.inspections", N_("抽检")),
    Entry("offices.journal", N_("日志与证明")),
)
_SETTLEMENT = (
    Entry("money.payments", N_("付款")),
    Entry("online.settlement", N_("渠道结算")),
    Entry("offices.journal", N_("日志与证明")),
)
_PARTNER = (
    Entry("portal.today", N_("伙伴门户")),
    Entry("portal_orders.orders", N_("渠道订单")),
    Entry("portal_stock.stock", N_("门店库存")),
    Entry("portal_sales.sales", N_("门店销售")),
    Entry("trading.orders", N_("验收与付款")),
    Entry("portal_statements.listed", N_("代销结算")),
    Entry("portal.keys", N_("接口密钥")),
    Entry("portal_webhooks.endpoints", N_("事件推送")),
    Entry("offices.journal", N_("日志与证明")),
)
_ADMIN = (
    Entry("admin.organisations", N_("单位")),
    Entry("admin.users", N_("用户")),
    Entry("offices.policies", N_("政策规则")),
    Entry("offices.journal", N_("日志与证明")),
)

_SIDES: Mapping[Role, tuple[Entry, ...]] = {
    Role.BUYER: _BUYER,
    Role.CONTRACTOR_BUYER: _BUYER,
    Role.MANAGER: _MANAGER,
    Role.SELLER: _SELLER,
    Role.POVERTY_OFFICE: _POVERTY,
    Role.FINANCE_REVIEWER: _FINANCE,
    Role.MARKET_REGULATOR: _REGULATOR,
    Role.SETTLEMENT_CLERK: _SETTLEMENT,
    Role.CHANNEL_PARTNER: _PARTNER,
    Role.PLATFORM_ADMIN: _ADMIN,
}
_SIDE_NAMES: Mapping[Role, str] = {
    Role.BUYER: N_("采购端"),
    Role.CONTRACTOR_BUYER: N_("采购端"),
    Role.MANAGER: N_("采购端"),
    Role.SELLER: N_("产地端"),
    Role.CHANNEL_PARTNER: N_("渠道端"),
    Role.PLATFORM_ADMIN: N_("管理端"),
}


def menu_of(
    actor: Actor,
    views: Mapping[str, Callable[..., object]],
    endpoint: str | None,
    count: Callable[[str], int],
) -> Menu:
    """The menus of `actor` on the page `endpoint`."""
    role = actor.role

    def links(entries: tuple[Entry, ...]) -> tuple[Link, ...]:
        return tuple(
            Link(
                url_for(e.endpoint),
                translated(e.label),
                e.endpoint == endpoint,
                count(e.badge) if e.badge else None,
                translated(e.counts) if e.counts else "",
            )
            for e in entries
            if e.endpoint in views and _may(actor, views[e.endpoint])
        )

    side = links(_SIDES[role]) if role is not None else ()
    name = "" if role is None else translated(_SIDE_NAMES.get(role, N_("监管端")))
    top = (
        _SHOP if role in (None, Role.BUYER, Role.CONTRACTOR_BUYER, Role.MANAGER, Role.SELLER) else _OFFICE_TOP
    )
    return Menu(name, links(top), side, role is Role.SELLER, side[0].address if side else None)


def _may(actor: Actor, view: Callable[..., object]) -> bool:
    declared = getattr(view, "declared_access", None)
    return declared == PUBLIC or (isinstance(declared, tuple) and any(actor.can(p) for p in declared))
