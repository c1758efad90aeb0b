"""The next step of an order for each side: one act with its page and deadline, or who is waited for. Pure.

`pending` lists what is open, the most pressing first; `next_step` reads that list for one side, `also_open` the rest. Labels are Chinese
message ids; `until` holds `{day}` where the deadline goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from marketplace.orders.states import EvaluationState, InvoiceState, OrderState, PaymentState

# Asked of buyers, so that a dispute about freshness has a near day; no rule ends an order for it.
ACCEPT_WITHIN_DAYS = 3


def N_(text: str) -> str:
    return text


class Part(StrEnum):
    BUYER = "buyer"
    MANAGER = "manager"
    SELLER = "seller"
    OTHER = "other"


@dataclass(frozen=True)
class Standing:
    """What is known of an order. Days are Shanghai's; `*_quantity` in packs.

    `cancel_asked_by` is the side that asked; `due_on` the day on which its money is due, `evaluate_by` the day on
    which the platform evaluates for a silent buyer.
    """

    state: OrderState
    invoice: InvoiceState = InvoiceState.NONE
    payment: PaymentState = PaymentState.NONE
    evaluation: EvaluationState = EvaluationState.NONE
    hold_until: datetime | None = None
    confirm_by: datetime | None = None
    deliver_on: date | None = None
    shipped_on: date | None = None
    due_on: date | None = None
    evaluate_by: date | None = None
    cancel_asked_by: Part | None = None
    to_ship: int = 0
    to_accept: int = 0
    to_return: int = 0
    allowance_open: bool = False
    accepted_fen: int = 0


@dataclass(frozen=True)
class Act:
    """Something that one side must do; `endpoint` is its page, `waiting` what the others read meanwhile."""

    key: str
    part: Part
    label: str
    waiting: str
    endpoint: str
    deadline: date | datetime | None = None
    until: str = N_("最迟{day}")


@dataclass(frozen=True)
class Step:
    """What a row shows. `endpoint` None: nothing to press. `look` is the class of the button, `chip` of the state.

    `waits_for` is the side that must act; None when nobody must.
    """

    key: str
    label: str
    endpoint: str | None
    look: str
    chip: str | None
    deadline: date | datetime | None
    until: str
    waits_for: Part | None
    late: bool

    @property
    def mine(self) -> bool:
        return self.endpoint is not None and self.waits_for is not None


_ENDED = frozenset({OrderState.CANCELLED, OrderState.LAPSED, OrderState.REFUSED})
_CANCELLABLE = frozenset({OrderState.CONFIRMED, OrderState.PART_SHIPPED, OrderState.PART_ACCEPTED})


def pending(order: Standing) -> list[Act]:
    """Open acts of all sides, the most pressing of each side first."""
    if order.state is OrderState.AWAITING_APPROVAL:
        return [
            Act(
                "approve", Part.MANAGER, N_("审批"), N_("等管理员审批"), "managing.approve", order.hold_until,
                N_("库存留到{day}"),
            )
        ]  # fmt: skip
    acts: list[Act] = []
    if order.cancel_asked_by in (Part.BUYER, Part.SELLER) and order.state in _CANCELLABLE:
        other = Part.SELLER if order.cancel_asked_by is Part.BUYER else Part.BUYER
        acts.append(Act("answer_cancel", other, N_("回复取消"), N_("等对方同意取消"), "trading.cancel_order"))
    if order.state is OrderState.PLACED:
        acts.append(
            Act(
                "confirm", Part.SELLER, N_("接单"), N_("等供应商接单"), "selling.confirm", order.confirm_by,
                N_("过了{day}自动取消"),
            )
        )  # fmt: skip
    if order.to_accept:
        by = None if order.shipped_on is None else order.shipped_on + timedelta(days=ACCEPT_WITHIN_DAYS)
        acts.append(
            Act(
                "accept", Part.BUYER, N_("开始验收"), N_("等验收"), "buying.accept", by, N_("请在{day}前验完")
            )
        )
    if order.to_ship and order.state in _CANCELLABLE:
        acts.append(
            Act(
                "ship",
                Part.SELLER,
                N_("发货"),
                N_("等发货"),
                "selling.ship",
                order.deliver_on,
                N_("应在{day}送到"),
            )
        )
    if order.allowance_open:
        acts.append(
            Act(
                "agree_allowance",
                Part.SELLER,
                N_("答复降价"),
                N_("等供应商答复降价"),
                "selling.agree_allowance",
            )
        )
    if order.to_return:
        acts.append(
            Act("return", Part.SELLER, N_("处理退货"), N_("等供应商处理退货"), "selling.return_goods")
        )
    if order.accepted_fen > 0:
        acts += _money(order)
    return acts


def _money(order: Standing) -> list[Act]:
    due = order.due_on
    acts: list[Act] = []
    if order.invoice in (InvoiceState.NONE, InvoiceState.RETURNED) and order.state is OrderState.ACCEPTED:
        acts.append(Act("invoice", Part.SELLER, N_("开发票"), N_("等供应商开票"), "money.issue"))
    if order.invoice is InvoiceState.ISSUED:
        acts.append(Act("check_invoice", Part.BUYER, N_("核对发票"), N_("等采购单位验票"), "money.invoice"))
    if order.payment is PaymentState.DECLARED:
        acts.append(
            Act("confirm_payment", Part.SELLER, N_("确认到账"), N_("等供应商确认到账"), "money.payment")
        )
    elif order.payment is PaymentState.OPEN:
        acts.append(
            Act(
                "slip", Part.BUYER, N_("上传付款凭证"), N_("等采购单位付款"), "money.slip", due,
                N_("应付日{day}"),
            )
        )  # fmt: skip
    elif (
        order.payment in (PaymentState.NONE, PaymentState.PART_PAID) and order.invoice is InvoiceState.CHECKED
    ):
        acts.append(
            Act("pay", Part.BUYER, N_("办付款"), N_("等采购单位付款"), "money.open", due, N_("应付日{day}"))
        )
    elif order.payment is PaymentState.REFUND_DUE:
        acts.append(Act("refund", Part.SELLER, N_("退款"), N_("等供应商退款"), "money.payment"))
    paid = order.payment is PaymentState.PAID and order.state is OrderState.ACCEPTED
    if paid and order.evaluation is EvaluationState.NONE:
        acts.append(
            Act(
                "evaluate", Part.BUYER, N_("写评价"), N_("等采购单位评价"), "buying.evaluate", order.evaluate_by,
                N_("到{day}没有评价，系统代评"),
            )
        )  # fmt: skip
    return acts


def next_step(order: Standing, part: Part, now: datetime, today: date) -> Step:
    """The one thing that `part` does next with an order, or waits for."""
    acts = pending(order)
    first = next((act for act in acts if act.part is part), acts[0] if acts else None)
    if first is not None:
        return _seen(first, part, now, today)
    if part is Part.BUYER and order.state in _ENDED | {OrderState.ACCEPTED}:
        return Step("again", N_("再买一次"), "buying.buy_again", "", None, None, "", None, False)
    return Step("none", N_("没有要办的"), None, "", None, None, "", None, False)


def also_open(order: Standing, part: Part, shown: Step, now: datetime, today: date) -> list[Step]:
    """What is open besides the step that is `shown`: an invoice is due while refused packs are still on their way."""
    return [_seen(act, part, now, today) for act in pending(order) if act.key != shown.key]


def _seen(act: Act, part: Part, now: datetime, today: date) -> Step:
    """An act as `part` sees it: with its page for the side that acts, as something waited for by the others."""
    late = is_past(act.deadline, now, today)
    if act.part is not part:
        return Step(act.key, act.waiting, None, "", None, act.deadline, act.until, act.part, late)
    return Step(
        act.key, act.label, act.endpoint, _look(act, late, now, today), "bad" if late else "act", act.deadline,
        act.until, part, late,
    )  # fmt: skip


def is_past(deadline: date | datetime | None, now: datetime, today: date) -> bool:
    """An instant is past after it, a day only when the next one has begun."""
    if isinstance(deadline, datetime):
        return deadline < now
    return deadline is not None and deadline < today


def _look(act: Act, late: bool, now: datetime, today: date) -> str:
    if late:
        return "late"
    soon = act.deadline is not None and (
        act.deadline < now + timedelta(days=1)
        if isinstance(act.deadline, datetime)
        else act.deadline <= today
    )
    return "next" if soon or act.key in ("accept", "confirm", "approve") else "soft"


def is_open(order: Standing) -> bool:
    """Whether anybody still has to do something."""
    return bool(pending(order))
