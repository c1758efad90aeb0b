"""The words for every code that a page shows: states with their chip, kinds, purposes, roles.

A page never prints a code of the database. `word("order_state", "placed")` is the Chinese word, or the English one;
`chip(...)` adds the class that says whose turn it is (see the look: `act` is yours, `go` under way, `done`, `bad`).
"""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from marketplace.web.channel_words import CHANNEL_LOOKS, CHANNEL_WORDS
from marketplace.web.fact_words import DOOR, FACT_KIND, FACT_SUBJECT
from marketplace.web.language import N_, translated
from marketplace.web.words_of_money import MONEY_LOOKS, MONEY_WORDS

WORDS: Mapping[str, Mapping[str, str]] = {
    **MONEY_WORDS,
    **CHANNEL_WORDS,
    "role": {
        "buyer": N_("采购员"),
        "manager": N_("管理员（申报与审批）"),
        "contractor_buyer": N_("承包商采购员"),
        "seller": N_("供应商"),
        "poverty_office": N_("扶贫办"),
        "finance_reviewer": N_("财政局审核人"),
        "settlement_clerk": N_("收款登记员"),
        "market_regulator": N_("市场监管局"),
        "channel_partner": N_("渠道伙伴"),
        "platform_admin": N_("平台管理员"),
    },
    "organisation_kind": {
        "agency": N_("预算单位"),
        "state_firm": N_("国有企业"),
        "financial": N_("金融机构"),
        "union": N_("工会"),
        "seller": N_("供应商"),
        "contractor": N_("承包商"),
        "channel": N_("渠道"),
        "social_buyer": N_("社会采购方"),
        "office": N_("主管部门"),
        "lab": N_("检测机构"),
        "carrier": N_("承运方"),
    },
    "canteen_mode": {
        "own": N_("自办食堂"),
        "none": N_("没有食堂"),
        "shared": N_("合用食堂"),
        "outsourced": N_("食堂外包"),
    },
    "purpose": {
        "canteen": N_("食堂食材"),
        "union": N_("工会福利"),
        "condolence": N_("慰问物资"),
        "personal": N_("个人购买"),
        "social": N_("社会采购"),
        "resale": N_("渠道转售"),
    },
    "product_state": {
        "draft": N_("草稿"),
        "submitted": N_("待认定"),
        "recognised": N_("已认定"),
        "refused": N_("未通过认定"),
        "withdrawn": N_("已下架"),
    },
    "lot_state": {
        "draft": N_("未放行"),
        "released": N_("可售"),
        "held": N_("暂停销售"),
        "recalled": N_("已召回"),
    },
    "movement_kind": {
        "received": N_("入库"),
        "reserved": N_("留给订单"),
        "released": N_("解除保留"),
        "shipped": N_("发货"),
        "returned": N_("退回"),
        "spoilage": N_("损耗（腐坏）"),
        "shrinkage": N_("短少"),
        "sold_elsewhere": N_("线下卖出"),
        "stocktake": N_("盘点更正"),
        "own_use": N_("自用"),
        "transfer": N_("调拨"),
        "sold": N_("门店售出"),
    },
    "certificate_kind": {
        "commitment": N_("承诺达标合格证"),
        "quarantine": N_("动物检疫合格证明"),
        "meat_inspection": N_("肉品品质检验合格证"),
        "factory_report": N_("出厂检验报告"),
        "sc_licence": N_("食品生产许可证"),
    },
    "certification": {
        "geographical_indication": N_("地理标志"),
        "green": N_("绿色食品"),
        "organic": N_("有机产品"),
        "pollution_free": N_("无公害农产品"),
        "trademark": N_("商标"),
        "time_honoured": N_("老字号"),
        "sc_licence": N_("食品生产许可"),
    },
    "seller_kind": {
        "cooperative": N_("农民专业合作社"),
        "company": N_("企业"),
        "family_farm": N_("家庭农场"),
        "village_collective": N_("村集体经济组织"),
        "": N_("供应商"),
    },
    "hold_cause": {
        "seller": N_("供应商自行暂停"),
        "regulator": N_("市场监管局暂停"),
        "failed_sample": N_("抽检不合格"),
    },
    "purchase_state": {
        "awaiting_approval": N_("待审批"),
        "approved": N_("已批准"),
        "rejected": N_("已退回"),
        "cancelled": N_("已取消"),
        "expired": N_("已过期"),
    },
    "order_state": {
        "awaiting_approval": N_("待审批"),
        "placed": N_("待供应商确认"),
        "confirmed": N_("备货中"),
        "part_shipped": N_("部分发货"),
        "shipped": N_("已发货，待验收"),
        "part_accepted": N_("部分验收"),
        "accepted": N_("已验收"),
        "refused": N_("全部拒收"),
        "cancelled": N_("已取消"),
        "lapsed": N_("逾期未确认，已取消"),
    },
    "policy": {
        "reserve_share_bp": N_("预留比例"),
        "reserve_base": N_("预留基数"),
        "reserve_non_decreasing": N_("预留额逐年不减"),
        "declaration_deadline": N_("预留份额填报截止日"),
        "counted_states": N_("计入条件"),
        "payment_due_days": N_("验收后付款期限"),
        "late_interest_bp_per_day": N_("逾期付款利息"),
        "hold_hours": N_("待审批时占用库存"),
        "confirm_hours": N_("供应商确认订单期限"),
        "inspectors_required": N_("验收人数"),
        "invoice_before_payment": N_("付款前必须验票"),
        "freight_counts": N_("运费计入份额"),
        "external_832_counts": N_("832平台采购计入合计"),
        "slip_silence_days": N_("付款凭证无回应期限"),
        "evaluation_days": N_("自动评价期限"),
        "certificate_rule": N_("合格证制度"),
    },
    # An order's one word over its four machines (orders.states.headline).
    "order_headline": {
        "awaiting_approval": N_("待审批"),
        "placed": N_("待供应商确认"),
        "confirmed": N_("备货中"),
        "part_shipped": N_("部分发货"),
        "shipped": N_("已发货，待验收"),
        "part_accepted": N_("部分验收"),
        "refused": N_("全部拒收"),
        "cancelled": N_("已取消"),
        "lapsed": N_("逾期未确认，已取消"),
        "awaiting_invoice": N_("已验收，待开票"),
        "awaiting_invoice_check": N_("发票待核对"),
        "awaiting_payment": N_("待付款"),
        "payment_declared": N_("待确认到账"),
        "payment_part_paid": N_("部分付款"),
        "awaiting_evaluation": N_("待评价"),
        "refund_due": N_("待退款"),
        "refunded": N_("已退款"),
        "completed": N_("已完成"),
    },
    # What an ordered amount waits for until it counts.
    "waits_for": {
        "approval": N_("没审批"),
        "confirmation": N_("没确认"),
        "not_accepted": N_("没验收"),
        "not_paid": N_("没付款"),
        "not_evaluated": N_("没评价"),
        "not_eligible": N_("不符合计入条件"),
        "refused": N_("拒收或降价"),
    },
    # What happened, as the journal tells it.
    "fact_kind": FACT_KIND,
    # What a fact is about, and the way by which its act came in.
    "fact_subject": FACT_SUBJECT,
    "door": DOOR,
    "agency_subkind": {
        "default": N_("其他单位"),
        "school": N_("学校"),
        "hospital": N_("医院"),
        "university": N_("高校"),
        "kindergarten": N_("幼儿园"),
        "nursing_home": N_("养老院"),
    },
    "ineligible_reason": {
        "county_not_listed": N_("产地不在当年的片区县名单"),
        "seller_not_admitted": N_("供应商还没有准入"),
        "no_agency": N_("采购单位不是预算单位"),
    },
    "invoice_state": {
        "none": N_("未开票"),
        "issued": N_("待验票"),
        "checked": N_("已验票"),
        "returned": N_("已退票"),
    },
    "invoice_kind": {
        "digital_ordinary": N_("数电票（普通发票）"),
        "digital_special": N_("数电票（增值税专用发票）"),
        "ordinary": N_("增值税普通发票"),
        "special": N_("增值税专用发票"),
    },
    "evaluation_state": {"none": N_("未评价"), "given": N_("已评价"), "automatic": N_("系统默认评价")},
    "declaration_state": {
        "draft": N_("草稿"),
        "submitted": N_("待审核"),
        "approved": N_("已审核"),
        "returned": N_("已退回"),
        "withdrawn": N_("已撤回"),
    },
    "quota_by": {
        "agency": N_("预算单位"),
        "department": N_("主管部门"),
        "origin_county": N_("产地县"),
        "buyer_county": N_("采购单位所在县"),
        "category": N_("品类"),
        "purpose": N_("用途"),
        "month": N_("月份"),
    },
    "entry_kind": {
        "ordered": N_("已确认订单"),
        "accepted": N_("已验收"),
        "paid": N_("已付款"),
        "evaluated": N_("已评价"),
        "counted": N_("计入"),
    },
    "document_kind": {
        "certificate": N_("合格证明"),
        "inspection": N_("检测报告"),
        "invoice": N_("发票"),
        "slip": N_("付款凭证"),
        "acceptance": N_("验收材料"),
        "licence": N_("证照"),
        "photo": N_("照片"),
        "other": N_("其他"),
    },
    "place_kind": {"store": N_("供应商库房"), "station": N_("服务站"), "shop": N_("门店")},
    "priced_by": {"pack": N_("按件计价"), "weight": N_("按重量计价")},
    "bank_account_state": {
        "pending": N_("待复核"),
        "waiting": N_("已批准，等生效"),
        "active": N_("使用中"),
        "replaced": N_("已更换"),
    },
}

# What a state looks like to somebody for whom it is neither late nor his turn; a desk may say `act` instead.
LOOKS: Mapping[str, Mapping[str, str]] = {
    **MONEY_LOOKS,
    **CHANNEL_LOOKS,
    "product_state": {"recognised": "done", "refused": "bad", "withdrawn": "bad"},
    "lot_state": {"released": "done", "held": "bad", "recalled": "bad"},
    "purchase_state": {"approved": "done", "rejected": "bad", "expired": "bad"},
    "order_state": {
        "confirmed": "go", "part_shipped": "go", "shipped": "go", "part_accepted": "go", "accepted": "done",
        "refused": "bad", "lapsed": "bad",
    },
    "order_headline": {
        "confirmed": "go", "part_shipped": "go", "shipped": "go", "part_accepted": "go", "refused": "bad",
        "lapsed": "bad", "awaiting_invoice": "go", "awaiting_invoice_check": "go", "awaiting_payment": "go",
        "payment_declared": "go", "payment_part_paid": "go", "awaiting_evaluation": "go", "refund_due": "bad",
        "completed": "done",
    },
    "invoice_state": {"checked": "done", "returned": "bad"},
    "evaluation_state": {"given": "done", "automatic": "done"},
    "declaration_state": {"submitted": "go", "approved": "done", "returned": "bad"},
    "bank_account_state": {"active": "done"},
}  # fmt: skip


def word(family: str, code: object) -> str:
    """The word for a code in the reader's language. Raises KeyError for one that has none: a defect, shown early."""
    return translated(WORDS[family][str(getattr(code, "value", code))])


def chip(family: str, code: object, look: str | None = None) -> Markup:
    """The state as a chip; `look` overrides the usual one, for "your turn" (`act`) or "late" (`bad`)."""
    plain = str(getattr(code, "value", code))
    shape = look if look is not None else LOOKS.get(family, {}).get(plain, "")
    kind = f"chip chip--{shape}" if shape else "chip"
    return Markup('<span class="{}">{}</span>').format(kind, word(family, plain))


def choices(family: str, only: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """(code, word) pairs for a select box, in the order they are listed here."""
    return [(code, translated(text)) for code, text in WORDS[family].items() if not only or code in only]
