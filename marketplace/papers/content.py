"""The content of each paper: rows, sums, remarks, signatures, from what the queries found. Pure: no table is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from marketplace.accounts.models import PayerProfile
from marketplace.clock import business_day
from marketplace.orders.models import Acceptance, OrderLine, Shipment
from marketplace.papers.queries import CoveredOrder, OrderPaper, Party, Proof, Sent, Taken
from marketplace.papers.sheet import Column, Sheet, Sign
from marketplace.payments.capitals import in_capitals
from marketplace.payments.models import Invoice, Payment
from marketplace.trace.codes import shown
from marketplace.trace.models import Inspection, LotCertificate
from marketplace.trace.rules import PROOF_NAMES
from marketplace.values import kilograms, yuan

KEPT = "涂改无效；更正请在平台办理，重新打印。保存至食材保质期满后6个月，无保质期的保存2年。"
PURPOSES = {
    "canteen": "食堂食材", "union": "工会福利", "condolence": "慰问物资", "personal": "个人购买", "social": "社会采购",
    "resale": "渠道转售",
}  # fmt: skip
PURCHASE_STATES = {
    "awaiting_approval": "待审批", "approved": "已批准", "rejected": "已退回", "cancelled": "已取消",
    "expired": "已过期",
}  # fmt: skip
COPIES = ("第一联　供货单位存根", "第二联　采购单位", "第三联　财务")


def day(at: date | datetime | None) -> str:
    if at is None:
        return "—"
    local = business_day(at) if isinstance(at, datetime) else at
    return f"{local.year}年{local.month}月{local.day}日"


def days(several: Iterable[date]) -> str:
    return "、".join(day(each) for each in sorted(set(several)))


def goods(line: OrderLine) -> str:
    return f"{line.product_name}　{line.spec}"


def _on(deliver_on: date, drops: set[date]) -> str:
    """The day of a line, where a purchase is delivered on several."""
    return f"（{deliver_on.month}月{deliver_on.day}日送）" if len(drops) > 1 else ""


def approval(view: dict[str, Any], counties: dict[str, str], address: str) -> Sheet:
    """采购审批单: what is asked for, what of it counts, and room for three decisions."""
    rows: list[tuple[str, ...]] = []
    counted = 0
    drops = {line["deliver_on"] for order in view["orders"] for line in order["lines"]}
    for order in view["orders"]:
        for line in order["lines"]:
            eligible = line["eligible"]
            counted += line["goods_fen"] if eligible else 0
            rows.append((
                str(len(rows) + 1), f"{line['product_name']}　{line['spec']}{_on(line['deliver_on'], drops)}",
                order["seller"]["name"],
                counties.get(line["county_code"], ""), line["pack_unit"], f"{line['quantity']:,}",
                yuan(line["unit_price_fen"]), yuan(line["goods_fen"]), "是" if eligible else "否",
            ))  # fmt: skip
    buyer: Party = view["buyer"]
    payer: PayerProfile | None = view["payer"]
    total: int = view["total_fen"]
    remarks = [
        f"金额大写：人民币{in_capitals(total)}",
        f"其中计入预留份额的货款 {yuan(counted)}元；“计入”以下单时的产地、供应商和产品认定为准。",
    ]
    if view["note"]:
        remarks.append(f"说明：{view['note']}")
    if view["decision_reason"]:
        remarks.append(f"审批意见：{view['decision_reason']}")
    return Sheet(
        title="采购审批单",
        facts=[
            ("采购单号", view["number"]), ("申请日期", day(view["submitted_at"])),
            ("采购单位", buyer.name), ("送达日期", days(drops)),
            ("付款主体", payer.legal_name if payer else buyer.name), ("用途", PURPOSES[view["purpose"]]),
            ("送货地点", view["address"]), ("状态", PURCHASE_STATES[view["state"]]),
        ],
        columns=[
            Column("序", 4, "centre"), Column("品名规格", 18), Column("供应商", 18), Column("产地", 7, "centre"),
            Column("单位", 5, "centre"), Column("数量", 7, "number"), Column("单价（元）", 8, "number"),
            Column("金额（元）", 10, "number"), Column("计入", 5, "centre"),
        ],
        rows=rows,
        total=("合计", "", "", "", "", "", "", yuan(total), ""),
        remarks=remarks,
        signs=[
            Sign("经办", ("申请人", "日期")),
            Sign("部门意见", ("部门负责人", "日期")),
            Sign("单位审批", ("审批人", "日期"), "单位盖章"),
        ],
        foot=f"本单一式两份：经办部门、财务各一份。{KEPT}",
        address=address,
    )  # fmt: skip


def delivery(
    shipment: Shipment, paper: OrderPaper, sent: Sequence[Sent], counties: dict[str, str], address: str
) -> list[Sheet]:
    """送货单 in three copies: lots that really left, with their trace codes."""
    rows = [
        (
            str(number), goods(s.line), shown(s.lot.trace_code), counties.get(s.line.county_code, ""),
            s.lot.harvested_on.isoformat(), s.line.pack_unit, f"{s.quantity:,}", kilograms(s.quantity * s.line.net_g),
            "换批次" if s.substitution else "",
        )
        for number, s in enumerate(sent, start=1)
    ]  # fmt: skip
    packs = sum(s.quantity for s in sent)
    grams = sum(s.quantity * s.line.net_g for s in sent)
    carried = "，".join(part for part in (shipment.carrier, shipment.vehicle, shipment.tracking) if part)
    sheet = Sheet(
        title="送货单",
        facts=[
            ("送货单号", shipment.number), ("发货日期", day(shipment.shipped_on)),
            ("供货单位", paper.seller.name), ("订单号", paper.order.number),
            ("收货单位", paper.buyer.name), ("送达日期", days(s.line.deliver_on for s in sent)),
            ("收货地点", paper.address or paper.purchase.deliver_address), ("收货人", paper.contact),
            ("承运", carried), ("送货人", shipment.driver or ""),
        ],
        columns=[
            Column("序", 4, "centre"), Column("品名规格", 17), Column("批次追溯码", 15, "code"),
            Column("产地", 7, "centre"), Column("采收（生产）", 10, "centre"), Column("单位", 5, "centre"),
            Column("数量", 6, "number"), Column("净重（公斤）", 8.5, "number"), Column("备注", 7),
        ],
        rows=rows,
        total=("合计", "", "", "", "", "", f"{packs:,}", kilograms(grams), ""),
        remarks=["收货时请逐批核对追溯码；数量或品质不符，请当面在平台登记拒收，并在三联上注明。"],
        signs=[
            Sign("供货单位", ("发货人", "经办人"), "单位盖章"),
            Sign("承运", ("送货人", "车号")),
            Sign("收货单位", ("收货人", "收货时间"), "单位盖章"),
        ],
        foot=f"本单一式三联：供货单位、采购单位、财务各一联。{KEPT}",
        address=address,
    )  # fmt: skip
    return [Sheet(**{**sheet.__dict__, "copy": copy}) for copy in COPIES]


def _checked(certificates: Sequence[LotCertificate], samples: Sequence[Inspection]) -> str:
    """The proofs on file with a tick, those that are not with an empty box."""
    held = {c.kind.value for c in certificates}
    passed = any(s.passed for s in samples)
    boxes = [f"{'■' if kind in held else '□'}{name}" for kind, name in PROOF_NAMES.items()]
    return "　".join([*boxes, f"{'■' if passed else '□'}检测报告（合格）"])


def acceptance(
    paper: OrderPaper, lines: Sequence[Taken], acts: Sequence[Acceptance],
    certificates: Sequence[LotCertificate], samples: Sequence[Inspection], address: str,
) -> Sheet:  # fmt: skip
    """食材验收单: per lot what came, what was taken and refused, and why."""
    rows = [
        (
            str(n), goods(t.line), t.line.pack_unit, shown(t.lot.trace_code), f"{t.sent:,}", f"{t.accepted:,}",
            f"{t.refused:,}", yuan(t.line.unit_price_fen), yuan(t.accepted_fen), "；".join(t.reasons) or "合格",
        )
        for n, t in enumerate(lines, start=1)
    ]  # fmt: skip
    total = sum(t.accepted_fen for t in lines)
    allowance = sum(t.allowance_fen for t in lines)
    remarks = [
        f"金额大写：人民币{in_capitals(total)}" + (f"（已扣降价 {yuan(allowance)}元）" if allowance else "")
    ]
    remarks.append(f"查验证件（■为平台已存）：{_checked(certificates, samples)}")
    refused = [
        f"{goods(t.line)} 批次{t.lot.trace_code[:5]} 拒收{t.refused}{t.line.pack_unit}"
        for t in lines
        if t.refused
    ]
    remarks.append(f"拒收处理：{'；'.join(refused) if refused else '无拒收'}")
    inspectors = sorted({name for act in acts for name in act.inspectors})
    return Sheet(
        title="食材验收单",
        facts=[
            ("订单号", paper.order.number), ("验收日期", day(paper.order.accepted_on)),
            ("采购单位", paper.buyer.name), ("用途", PURPOSES[str(paper.purchase.purpose.value)]),
            ("供货单位", paper.seller.name), ("送货单号", "、".join(s["number"] for s in paper.view["shipments"])),
            ("验收人", "、".join(inspectors)), ("验收次数", f"{len(acts)}次"),
        ],
        columns=[
            Column("序", 4, "centre"), Column("品名规格", 15), Column("单位", 5, "centre"),
            Column("批次追溯码", 14, "code"), Column("送到", 6, "number"), Column("收下", 6, "number"),
            Column("拒收", 6, "number"), Column("单价（元）", 8, "number"), Column("金额（元）", 10, "number"),
            Column("验收意见", 9),
        ],
        rows=rows,
        total=(
            "合计", "", "", "", f"{sum(t.sent for t in lines):,}", f"{sum(t.accepted for t in lines):,}",
            f"{sum(t.refused for t in lines):,}", "", yuan(total), "",
        ),
        remarks=remarks,
        signs=[
            Sign("采购单位验收", ("验收人一", "验收人二"), "单位盖章"),
            Sign("供货单位", ("送货人", "经办人"), "单位盖章"),
            Sign("入库", ("保管员", "食堂负责人")),
        ],
        foot=f"本单一式三份：采购单位、供货单位、财务各一份。{KEPT}",
        address=address,
    )  # fmt: skip


def storage(paper: OrderPaper, lines: Sequence[Taken], address: str) -> Sheet:
    """入库单: what went into the store, with its shelf life."""
    kept = [t for t in lines if t.accepted]
    rows = [
        (
            str(n), goods(t.line), shown(t.lot.trace_code), t.lot.harvested_on.isoformat(),
            t.lot.best_before.isoformat(), t.line.pack_unit, f"{t.accepted:,}",
            kilograms(t.accepted * t.line.net_g), yuan(t.line.unit_price_fen), yuan(t.accepted_fen),
        )
        for n, t in enumerate(kept, start=1)
    ]  # fmt: skip
    total = sum(t.accepted_fen for t in kept)
    return Sheet(
        title="入库单",
        facts=[
            ("订单号", paper.order.number), ("入库日期", day(paper.order.accepted_on)),
            ("入库单位", paper.buyer.name), ("供货单位", paper.seller.name),
        ],
        columns=[
            Column("序", 4, "centre"), Column("品名规格", 15), Column("批次追溯码", 12, "code"),
            Column("采收（生产）", 10.5, "centre"), Column("保质期至", 10.5, "centre"), Column("单位", 5.6, "centre"),
            Column("数量", 6, "number"), Column("净重（公斤）", 9, "number"), Column("单价（元）", 8, "number"),
            Column("金额（元）", 10, "number"),
        ],
        rows=rows,
        total=(
            "合计", "", "", "", "", "", f"{sum(t.accepted for t in kept):,}",
            kilograms(sum(t.accepted * t.line.net_g for t in kept)), "", yuan(total),
        ),
        remarks=[f"金额大写：人民币{in_capitals(total)}"],
        signs=[Sign("入库", ("保管员", "日期")), Sign("经办", ("采购员", "日期")), Sign("审核", ("负责人", "日期"), "单位盖章")],
        foot=f"本单一式两份：库房、财务各一份。{KEPT}",
        address=address,
    )  # fmt: skip


def settlement(
    paper: OrderPaper, lines: Sequence[OrderLine], invoices: Sequence[Invoice], payments: Sequence[tuple[Payment, int]],
    address: str,
) -> Sheet:  # fmt: skip
    """结算单: ordered, accepted, invoiced, paid and left of one order."""
    order = paper.order
    rows = [
        (
            str(n), goods(line), line.pack_unit, f"{line.quantity:,}", f"{line.accepted_quantity:,}",
            f"{line.refused_quantity:,}", yuan(line.unit_price_fen), yuan(line.accepted_fen), yuan(line.paid_fen),
        )
        for n, line in enumerate(lines, start=1)
    ]  # fmt: skip
    left = order.accepted_fen - order.paid_fen
    papers = "、".join(f"{i.number}（{yuan(i.amount_fen)}元）" for i in invoices) or "无"
    paid = "、".join(f"{p.number}（{yuan(amount)}元）" for p, amount in payments) or "无"
    return Sheet(
        title="结算单",
        facts=[
            ("订单号", order.number), ("验收日期", day(order.accepted_on)),
            ("采购单位", paper.buyer.name), ("供货单位", paper.seller.name),
        ],
        columns=[
            Column("序", 4, "centre"), Column("品名规格", 20), Column("单位", 5, "centre"),
            Column("订购", 7, "number"), Column("收下", 7, "number"), Column("拒收", 7, "number"),
            Column("单价（元）", 9, "number"), Column("应付（元）", 11, "number"), Column("已付（元）", 11, "number"),
        ],
        rows=rows,
        total=("合计", "", "", "", "", "", "", yuan(order.accepted_fen), yuan(order.paid_fen)),
        remarks=[
            f"应付大写：人民币{in_capitals(order.accepted_fen)}", f"尚欠 {yuan(left)}元",
            f"发票：{papers}", f"付款单：{paid}",
        ],
        signs=[Sign("采购单位", ("经办人", "财务"), "单位盖章"), Sign("供货单位", ("经办人", "财务"), "单位盖章")],
        foot=f"本单一式两份：双方各一份。{KEPT}",
        address=address,
    )  # fmt: skip


def payment_request(
    payment: Payment, buyer: Party, seller: Party, profile: PayerProfile | None, covered: Sequence[CoveredOrder],
    invoices: Sequence[Invoice], address: str,
) -> Sheet:  # fmt: skip
    """付款申请: whom to pay, for which accepted orders, the amount in figures and in capitals."""
    rows = [
        (str(n), c.number, day(c.accepted_on), yuan(c.accepted_fen), yuan(c.amount_fen))
        for n, c in enumerate(covered, start=1)
    ]
    return Sheet(
        title="付款申请",
        facts=[
            ("付款单号", payment.number), ("应付日", day(payment.due_on)),
            ("付款单位", profile.legal_name if profile else buyer.name), ("转账附言", payment.transfer_code),
            ("收款单位", payment.payee_name), ("开户银行", payment.payee_bank),
            ("收款账号", payment.payee_account), ("供货单位", seller.name),
        ],
        columns=[
            Column("序", 5, "centre"), Column("订单号", 25, "centre"), Column("验收日期", 22, "centre"),
            Column("验收金额（元）", 22, "number"), Column("本次付款（元）", 22, "number"),
        ],
        rows=rows,
        total=("合计", "", "", "", yuan(payment.amount_fen)),
        remarks=[
            f"付款金额大写：人民币{in_capitals(payment.amount_fen)}",
            f"发票：{'、'.join(i.number for i in invoices) or '无'}",
            "转账时请在附言里写明转账附言码，供应商凭它核对到账。",
        ],
        signs=[
            Sign("经办", ("申请人", "日期")), Sign("财务审核", ("会计", "财务负责人")),
            Sign("单位审批", ("单位负责人", "日期"), "单位盖章"),
        ],
        foot=f"附：验收单、发票。{KEPT}",
        address=address,
    )  # fmt: skip


def bundle_list(shipment: Shipment, paper: OrderPaper, files: Sequence[Proof], address: str) -> Sheet:
    """The first page of 索证索票: what is in the file, what is missing, and the hash of each original."""
    rows = [
        (
            "1", "供货单位主体资格", paper.seller.credit_code, paper.seller.name, "平台登记",
        ),
        ("2", "送货单", shipment.number, "见后页", "平台出具"),
        *(
            (
                str(n), f.title, f.number, f.document.filename if f.document else "没有文件",
                f.document.sha256 if f.document else "—",
            )
            for n, f in enumerate(files, start=3)
        ),
    ]  # fmt: skip
    return Sheet(
        title="索证索票目录",
        facts=[
            ("送货单号", shipment.number),
            ("发货日期", day(shipment.shipped_on)),
            ("供货单位", paper.seller.name),
            ("采购单位", paper.buyer.name),
        ],
        columns=[
            Column("序", 4, "centre"),
            Column("材料", 16),
            Column("编号", 20),
            Column("文件", 22),
            Column("来源（SHA-256）", 30, "code"),
        ],
        rows=rows,
        remarks=["PDF 和图片附在后面；OFD、XML 等文件不能打印在内，请按 SHA-256 在平台下载核对。"],
        foot=KEPT,
        address=address,
    )
