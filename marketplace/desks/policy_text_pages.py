"""The value of a policy rule as a person reads it; for every page that shows rules. No route of its own."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext

from marketplace.policies import rules
from marketplace.values import yuan
from marketplace.web.language import N_, in_english, translated

blueprints: list[Any] = []

_STATES = {"accepted": N_("已验收"), "paid": N_("已付款"), "evaluated": N_("已评价")}


def policy_text(key: str, value: Any) -> str:
    """`value` of `key` in words with its unit. A key that has no words of its own is shown by its kind of value."""
    return str(_text(key, value))


def _text(key: str, value: Any) -> Any:
    if isinstance(value, bool):
        return gettext("是") if value else gettext("否")
    if isinstance(value, int):
        return _number(key, value)
    if key == "counted_states":
        joint = ", " if in_english() else "、"
        return joint.join(translated(_STATES[state]) for state in rules.counted_states(value))
    if isinstance(value, dict):
        return _parts(key, value)
    return ""


def _number(key: str, value: int) -> Any:
    if key in ("hold_hours", "confirm_hours"):
        return gettext("%(n)s个工作小时", n=value)
    if key == "slip_silence_days":
        return gettext("%(n)s个工作日", n=value)
    if key == "late_interest_bp_per_day":
        return gettext("每日万分之%(n)s", n=value)
    return gettext("%(n)s天", n=value)


def _parts(key: str, value: dict[str, Any]) -> Any:
    if key == "reserve_share_bp":
        share = rules.reserve_share(value)
        if share.encouraged_bp is not None:
            encouraged = yuan(share.encouraged_bp)
            return gettext("不低于%(least)s%%，鼓励%(more)s%%", least=yuan(share.minimum_bp), more=encouraged)
        return gettext("不低于%(least)s%%", least=yuan(share.minimum_bp))
    if key == "reserve_base":
        base = rules.reserve_base(value)
        parts = [gettext("年度食堂食材采购总额")] if base.canteen else []
        parts += [gettext("工会福利采购")] if base.union else []
        return gettext("和").join(parts)
    if key == "declaration_deadline":
        day = {"month": value["month"], "day": value["day"]}
        return gettext("每年%(month)s月%(day)s日", **day)
    if key == "payment_due_days":
        due = rules.payment_due(value)
        return gettext("验收后%(days)s日内，最长%(most)s日", days=due.days, most=due.maximum)
    if key == "inspectors_required":
        school, others = rules.inspectors_required(value, "school"), value["default"]
        return gettext("学校%(school)s人，其他%(others)s人", school=school, others=others)
    if key == "certificate_rule":
        return gettext("批次要有合格证或承诺达标合格证，保存%(n)s个月", n=value["keep_months"])
    return ""
