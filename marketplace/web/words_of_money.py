"""The words for the states of payments, attempts at the gateway and refunds; `words.py` takes them in."""

from __future__ import annotations

from collections.abc import Mapping

from marketplace.web.language import N_

MONEY_WORDS: Mapping[str, Mapping[str, str]] = {
    "payment_state": {
        "none": N_("未付款"),
        "open": N_("已开付款单"),
        "declared": N_("待确认到账"),
        "part_paid": N_("部分付款"),
        "paid": N_("已付清"),
        "refund_due": N_("待退款"),
        "refunded": N_("已退款"),
    },
    "payment_document_state": {
        "open": N_("待交凭证"),
        "declared": N_("待确认到账"),
        "disputed": N_("有争议"),
        "paid": N_("已到账"),
        "refused": N_("凭证被驳回"),
        "cancelled": N_("已取消"),
    },
    # What an open payment for the gateway waits for, where a transfer's would wait for its slip.
    "online_turn": {
        "unpaid": N_("待在线支付"),
        "asked": N_("等支付渠道答复"),
        "stopped": N_("待人工核对"),
    },
    "payment_method": {"transfer": N_("对公转账"), "gateway": N_("在线支付")},
    "payment_means": {
        "alipay": N_("支付宝"),
        "wechat_pay": N_("微信支付"),
        "card": N_("银行卡"),
        "pm_card_visa": N_("测试卡（成功）"),
        "pm_card_chargeCustomerFail": N_("测试卡（扣款失败）"),
    },
    "attempt_state": {
        "pending": N_("正在核对"),
        "action": N_("等您确认"),
        "failed": N_("未成功"),
        "quarantined": N_("待人工核对"),
        "captured": N_("已扣款"),
    },
    "attempt_end": {"captured": N_("记为已扣款"), "void": N_("作废，可以再付")},
    "gateway_event_why": {
        "unreadable": N_("看不懂的内容"),
        "another-intent": N_("付款单对应的是另一笔渠道交易"),
        "amount-differs": N_("金额或币种与付款单不符"),
        "failed-after-refund": N_("退款已登记退回，渠道后来说没退成"),
        "names-nothing-here": N_("一天内没有找到它说的付款"),
        "above-captured": N_("退款超过了收到的金额"),
        "wrong-state": N_("与付款单现在的状态不合"),
        "other": N_("与账面不合"),
    },
    "gateway_event_end": {
        "again": N_("再处理一次（原因已经排除）"),
        "settled": N_("了结：已在支付渠道或付款单上另行处理"),
        "foreign": N_("了结：不是本平台的交易"),
    },
    "refund_state": {"pending": N_("退款中"), "refunded": N_("已退回"), "failed": N_("未退成")},
}

MONEY_LOOKS: Mapping[str, Mapping[str, str]] = {
    "payment_state": {"declared": "go", "part_paid": "go", "paid": "done"},
    "payment_document_state": {"declared": "go", "disputed": "bad", "paid": "done", "refused": "bad"},
    "online_turn": {"asked": "go", "stopped": "bad"},
    "attempt_state": {
        "pending": "go",
        "action": "act",
        "failed": "bad",
        "quarantined": "bad",
        "captured": "done",
    },
    "refund_state": {"pending": "go", "refunded": "done", "failed": "bad"},
}
