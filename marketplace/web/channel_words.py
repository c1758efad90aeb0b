"""The words of channels: their keys, agreements and requests; a part of `words.WORDS`."""

from __future__ import annotations

from collections.abc import Mapping

from marketplace.web.language import N_

CHANNEL_WORDS: Mapping[str, Mapping[str, str]] = {
    "trade_pattern": {
        "wholesale": N_("批发"),
        "consignment": N_("代销"),
        "drop_ship": N_("代发"),
        "group_purchase": N_("团购"),
        "call_off": N_("框架分批"),
    },
    "change_state": {
        "open": N_("待答复"),
        "agreed": N_("已同意"),
        "refused": N_("未同意"),
    },
    "consignment_state": {
        "sent": N_("在途"),
        "taken_over": N_("已接收"),
        "cancelled": N_("已撤回"),
    },
    "key_mode": {
        "live": N_("正式"),
        "test": N_("试用"),
    },
    "key_scope": {
        "catalogue": N_("读取目录"),
        "orders": N_("下单和查单"),
        "sales": N_("上报销售和盘点"),
        "statements": N_("结算单"),
        "events": N_("事件"),
    },
    "webhook_kind": {
        "order.*": N_("订单、发货与验收"),
        "change_request.*": N_("改单答复"),
        "invoice.*": N_("发票"),
        "payment.*": N_("付款"),
        "lot.*": N_("批次停售与召回"),
        "channel.*": N_("协议、价格与上下架"),
        "consignment.*": N_("代销送货"),
        "statement.*": N_("结算单"),
    },
    "sales_report": {
        "first": N_("首报"),
        "corrected": N_("更正"),
        "red": N_("冲红"),
    },
    "count_difference": {
        "spoilage": N_("坏了"),
        "loss": N_("少了"),
        "found": N_("多出"),
    },
    "count_cause": {
        "rotten": N_("腐坏"),
        "expired": N_("过期"),
        "damaged": N_("破损"),
        "stolen": N_("失窃"),
        "miscounted": N_("以前点错"),
        "unknown": N_("原因不明"),
    },
    "borne_by": {
        "seller": N_("供应商承担"),
        "channel": N_("渠道承担"),
        "carrier": N_("承运人承担"),
    },
    "statement_state": {
        "issued": N_("待核对"),
        "disputed": N_("有异议"),
        "agreed": N_("待付款"),
        "settled": N_("已结清"),
    },
    "statement_line_kind": {
        "sale": N_("售出"),
        "red": N_("冲红"),
        "spoilage": N_("损耗"),
        "loss": N_("短少"),
        "adjustment": N_("更正冲回"),
    },
    "dispute_state": {
        "open": N_("待答复"),
        "corrected": N_("已更正"),
        "upheld": N_("维持原数"),
        "withdrawn": N_("已撤回"),
    },
    "delivery_state": {
        "pending": N_("待送"),
        "delivered": N_("已送到"),
        "failed": N_("没送到"),
    },
    "delivery_failure": {
        "timeout": N_("超时没有答复"),
        "connection": N_("连不上"),
        "tls": N_("证书不对"),
        "private-address": N_("网址指向内部网络"),
        "not-https": N_("不是 https 网址"),
        "port": N_("端口不许用"),
        "bad-url": N_("网址不对"),
        "bad-host": N_("域名不对"),
    },
}

CHANNEL_LOOKS: Mapping[str, Mapping[str, str]] = {
    "statement_state": {"issued": "go", "disputed": "bad", "agreed": "go", "settled": "done"},
    "dispute_state": {"open": "go", "corrected": "done", "upheld": "done", "withdrawn": "done"},
    "delivery_state": {"pending": "go", "delivered": "done", "failed": "bad"},
    "change_state": {"agreed": "done", "refused": "bad"},
    "consignment_state": {"sent": "go", "taken_over": "done"},
}

CHANNEL_FACTS: Mapping[str, str] = {
    "partner_key.created": N_("新建渠道密钥"),
    "partner_key.revoked": N_("停用渠道密钥"),
    "channel.paired": N_("登记对口县区"),
    "channel.agreed": N_("签订渠道协议"),
    "channel.priced": N_("设定渠道价"),
    "channel.listed": N_("渠道上架"),
    "channel.withdrawn": N_("渠道下架"),
    "webhook.created": N_("新建推送地址"),
    "webhook.secret_renewed": N_("更换推送密钥"),
    "webhook.disabled": N_("停用推送地址"),
    "webhook.enabled": N_("恢复推送地址"),
    "change_request.asked": N_("渠道申请改单"),
    "change_request.agreed": N_("同意改单"),
    "change_request.refused": N_("不同意改单"),
    "sales.reported": N_("上报门店销售"),
    "sales.reversed": N_("冲红门店销售"),
    "consignment.sent": N_("代销送货"),
    "consignment.taken_over": N_("门店接收代销货"),
    "consignment.cancelled": N_("撤回代销送货"),
    "stock.counted": N_("门店盘点"),
    "statement.issued": N_("出具结算单"),
    "statement.disputed": N_("对结算单提异议"),
    "statement.answered": N_("答复结算单异议"),
    "statement.dispute_withdrawn": N_("撤回结算单异议"),
    "statement.agreed": N_("同意结算单"),
    "statement.declared": N_("渠道申报结算付款"),
    "statement.transfer_returned": N_("退回结算付款登记"),
    "statement.settled": N_("结算单已结清"),
}

CHANNEL_SUBJECTS: Mapping[str, str] = {
    "partner_key": N_("渠道密钥"),
    "channel_agreement": N_("渠道协议"),
    "channel_item": N_("渠道选品"),
    "webhook": N_("推送地址"),
    "change_request": N_("改单申请"),
    "consignment": N_("代销送货单"),
    "statement": N_("结算单"),
    "sales_report": N_("门店销售"),
    "stock_count": N_("门店盘点"),
}
