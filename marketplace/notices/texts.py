"""What a notice says, in the reader's language, and where it leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketplace.values import yuan


@dataclass(frozen=True)
class Text:
    """Message id with places for `number`, `amount`, `name`, `year`, `trace_code`, `packs`; `endpoint` takes the subject's id as `id_name`."""

    text: str
    endpoint: str
    id_name: str = ""


def N_(text: str) -> str:
    """Marks a message for translation; it is translated where it is shown."""
    return text


_ORDER = ("trading.order", "order_id")
_PURCHASE = ("buying.purchase", "purchase_id")
_PAYMENT = ("money.payment", "payment_id")
_INVOICE = ("money.invoice", "invoice_id")
_STATEMENT = ("selling_statements.one", "statement_id")
_SHOP_STATEMENT = ("portal_statements.one", "statement_id")
_MESSAGE_ASIDE = N_("支付渠道有一条通知对不上，请处理")
_STATEMENT_MADE = N_("结算单%(number)s（%(amount)s元）出来了，请核对")
_STATEMENT_DISPUTED = N_("对方对结算单%(number)s的明细有异议，请答复")

TEXTS: Mapping[str, Text] = {
    "approve": Text(N_("采购单%(number)s（%(amount)s元）等你审批"), *_PURCHASE),
    "approved": Text(N_("采购单%(number)s已批准，供应商已收到订单"), *_PURCHASE),
    "rejected": Text(N_("采购单%(number)s被退回，请看审批意见"), *_PURCHASE),
    "expired": Text(N_("采购单%(number)s没有在期限内审批，已过期，库存已放回"), *_PURCHASE),
    "confirm": Text(N_("新订单%(number)s（%(amount)s元），请确认能否供货"), *_ORDER),
    "confirmed": Text(N_("供应商已确认订单%(number)s，正在备货"), *_ORDER),
    "ship": Text(N_("订单%(number)s待发货"), *_ORDER),
    "lapsed": Text(N_("订单%(number)s逾期没有确认，已自动取消，库存已放回"), *_ORDER),
    "cancelled": Text(N_("订单%(number)s已取消"), *_ORDER),
    "agree_cancel": Text(N_("对方申请取消订单%(number)s，请答复"), *_ORDER),
    "change": Text(N_("渠道申请改订单%(number)s，请答复"), "selling_changes.requests"),
    "change_agreed": Text(N_("供应商同意改订单%(number)s"), *_ORDER),
    "change_refused": Text(N_("供应商不同意改订单%(number)s，请看原因"), *_ORDER),
    "take_over": Text(
        N_("代销送货单%(number)s在路上，到货请点收"), "portal_stock.take_over", "consignment_id"
    ),
    "taken_over": Text(
        N_("门店已接收代销送货单%(number)s，请看收了多少"), "consignment_pages.shown", "consignment_id"
    ),
    "statement_check": Text(_STATEMENT_MADE, *_STATEMENT),
    "shop_statement_check": Text(_STATEMENT_MADE, *_SHOP_STATEMENT),
    "statement_answer": Text(_STATEMENT_DISPUTED, *_STATEMENT),
    "shop_statement_answer": Text(_STATEMENT_DISPUTED, *_SHOP_STATEMENT),
    "statement_pay": Text(N_("结算单%(number)s（%(amount)s元）双方已确认，请付款"), *_SHOP_STATEMENT),
    "statement_close": Text(N_("结算单%(number)s双方已确认，渠道不用付款，请办结"), *_STATEMENT),
    "statement_receipt": Text(N_("渠道已付结算单%(number)s（%(amount)s元），请确认到账"), *_STATEMENT),
    "statement_returned": Text(
        N_("供应商没有找到结算单%(number)s的那笔转账，请核对后重新登记"), *_SHOP_STATEMENT
    ),
    "accept": Text(N_("订单%(number)s已发货，到货后请验收"), *_ORDER),
    "invoice": Text(N_("订单%(number)s已验收，请开发票"), *_ORDER),
    "returns": Text(N_("订单%(number)s有拒收的货，请登记处理"), *_ORDER),
    "allowance": Text(N_("订单%(number)s买方要求降价接收，请答复"), *_ORDER),
    "evaluate": Text(N_("订单%(number)s已到账，请评价；评价后计入份额"), *_ORDER),
    "evaluated": Text(N_("订单%(number)s已评价"), *_ORDER),
    "check": Text(N_("发票%(number)s（%(amount)s元）待核对"), *_INVOICE),
    "pay": Text(N_("订单%(number)s的发票已核对，请付款"), *_ORDER),
    "slip": Text(N_("付款单%(number)s（%(amount)s元）待转账并上传凭证"), *_PAYMENT),
    "receipt": Text(N_("付款单%(number)s（%(amount)s元）买方已付款，请确认到账"), *_PAYMENT),
    "slip_file": Text(N_("付款单%(number)s还缺凭证文件，请补交"), *_PAYMENT),
    "decide_silent": Text(N_("付款单%(number)s（%(amount)s元）供应商逾期没有回音，请核实凭证"), *_PAYMENT),
    "compare": Text(N_("付款单%(number)s和支付渠道的金额不符，请核对"), *_PAYMENT),
    "gateway_message": Text(_MESSAGE_ASIDE, "online.messages"),
    "gateway_message_clerk": Text(_MESSAGE_ASIDE, "online.messages"),
    "refund_again": Text(N_("付款单%(number)s的退款没有成功，请重新办理"), *_PAYMENT),
    "refunded": Text(N_("付款单%(number)s有一笔钱退回来了，请看退了多少"), *_PAYMENT),
    "disputed": Text(N_("付款单%(number)s供应商说没有收到，已交扶贫办核实"), *_PAYMENT),
    "decide": Text(N_("付款单%(number)s（%(amount)s元）有争议，请核实凭证"), *_PAYMENT),
    "refused": Text(N_("付款单%(number)s的凭证被驳回，请核对后重新付款"), *_PAYMENT),
    "review": Text(N_("%(year)s年份额填报待审核"), "offices.declaration", "declaration_id"),
    "declared": Text(N_("%(year)s年份额填报已审核通过"), "offices.declaration", "declaration_id"),
    "declare_again": Text(
        N_("%(year)s年份额填报被退回，请改后再报"), "offices.declaration", "declaration_id"
    ),
    "recognise": Text(N_("产品“%(name)s”待认定"), "offices.recognition"),
    "recognised": Text(N_("产品“%(name)s”已认定，可以上批次"), "selling.product", "product_id"),
    "mend_product": Text(N_("产品“%(name)s”未通过认定，请看原因"), "selling.product", "product_id"),
    "held": Text(N_("批次%(trace_code)s已暂停销售"), "selling.lot", "lot_id"),
    "held_goods": Text(N_("批次%(trace_code)s已暂停销售，收到的请先封存"), "trading.orders"),
    "held_in_shop": Text(
        N_("批次%(trace_code)s已暂停销售：门店里和路上的%(packs)s件请封存，不要再卖"), "portal_stock.stock"
    ),
    "unheld_in_shop": Text(
        N_("批次%(trace_code)s已恢复销售：门店里和路上的%(packs)s件又可以卖"), "portal_stock.stock"
    ),
    "held_at_channel": Text(
        N_("批次%(trace_code)s已暂停销售，%(name)s还有%(packs)s件，请联系门店封存"), "selling.lot", "lot_id"
    ),
    "webhook_disabled": Text(N_("一个推送地址一直没有收下事件，已停用；修好后请恢复"), "offices.journal"),
    "second_factor_reset": Text(N_("有人申请重置二次验证，要另一位管理员办理"), "admin.user", "user_id"),
    "approve_account": Text(N_("收款账户有变更，请复核"), "money.bank_accounts"),
}


def values_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """The places of a text, from what the notice keeps; a missing one is a dash."""
    amount = facts.get("amount_fen")
    return {
        "number": str(facts.get("number", "—")),
        "amount": "—" if amount is None else yuan(int(amount)),
        "name": str(facts.get("name", "—")),
        "year": str(facts.get("year", "—")),
        "packs": str(facts.get("packs", "—")),
        "trace_code": str(facts.get("trace_code", "—")),
    }


def in_chinese(topic: str, facts: Mapping[str, Any]) -> str:
    """The text as it is sent by e-mail and webhook."""
    return TEXTS[topic].text % values_of(facts)
