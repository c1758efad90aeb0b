"""What each policy key may hold, and typed readers of the values. Pure.

A value of the wrong shape is refused when it is set, so readers never meet one. The sources of the values
themselves stand in the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from marketplace.errors import RuleViolation

STATES = ("accepted", "paid", "evaluated")


class PolicyShape(RuleViolation):
    slug = "policy-shape"
    title = "政策规则的值不符合要求"


class UnknownPolicy(RuleViolation):
    slug = "unknown-policy"
    title = "没有这一项政策规则"


@dataclass(frozen=True)
class ReserveShare:
    """Basis points of the base: the least, and what is encouraged where a notice says so."""

    minimum_bp: int
    encouraged_bp: int | None


@dataclass(frozen=True)
class ReserveBase:
    """Which yearly spending forms the base of the reserve."""

    canteen: bool
    union: bool


@dataclass(frozen=True)
class PaymentDue:
    """Calendar days after acceptance: by default, and at most."""

    days: int
    maximum: int


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _whole(low: int, high: int) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        return None if _is_whole(value, low, high) else f"要是{low}到{high}的整数"

    return check


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "要是 true 或 false"


def _members(value: Any, required: set[str], optional: set[str]) -> str | None:
    if not isinstance(value, dict) or not required <= set(value) <= required | optional:
        return f"要是对象，必有{'、'.join(sorted(required))}，可有{'、'.join(sorted(optional)) or '无'}"
    return None


def _reserve_share(value: Any) -> str | None:
    problem = _members(value, {"minimum"}, {"encouraged"})
    if problem is None and not all(_is_whole(v, 0, 10_000) for v in value.values()):
        problem = "份额要是0到10000的整数（万分之一）"
    if problem is None and value.get("encouraged", 10_000) < value["minimum"]:
        problem = "鼓励的份额不能低于最低份额"
    return problem


def _reserve_base(value: Any) -> str | None:
    problem = _members(value, {"canteen", "union"}, set())
    if problem is None and not all(isinstance(v, bool) for v in value.values()):
        problem = "每一项要是 true 或 false"
    return problem


def _deadline(value: Any) -> str | None:
    problem = _members(value, {"month", "day"}, set())
    if problem is None:
        try:
            date(2023, value["month"], value["day"])
        except (TypeError, ValueError):
            problem = "没有这一天"
    return problem


def _counted_states(value: Any) -> str | None:
    good = isinstance(value, list) and value and all(v in STATES for v in value if isinstance(v, str))
    if not good or not all(isinstance(v, str) for v in value) or len(set(value)) != len(value):
        return f"要是{'、'.join(STATES)}中的一项或几项，不重复"
    return None


def _payment_due(value: Any) -> str | None:
    problem = _members(value, {"days", "maximum"}, set())
    if problem is None and not all(_is_whole(v, 1, 365) for v in value.values()):
        problem = "天数要是1到365的整数"
    if problem is None and value["days"] > value["maximum"]:
        problem = "默认天数不能超过最长天数"
    return problem


def _inspectors(value: Any) -> str | None:
    if not isinstance(value, dict) or "default" not in value:
        return "要是对象，必有 default"
    if not all(_is_whole(v, 1, 5) for v in value.values()):
        return "人数要是1到5的整数"
    return None


def _certificate(value: Any) -> str | None:
    lists = {"required_of", "encouraged_of", "products"}
    problem = _members(
        value, {"document", "required_of", "keep_months"}, lists | {"per", "reissue_on_mixing"}
    )
    if problem is None and not _is_whole(value["keep_months"], 1, 600):
        problem = "保存月数要是1到600的整数"
    if problem is None and not all(
        isinstance(value.get(name, []), list) and all(isinstance(v, str) for v in value.get(name, []))
        for name in lists
    ):
        problem = "名单要是文字的列表"
    return problem


def _not_yet(value: Any) -> str | None:
    """Known to the policies and read by no figure: who says yes would wait for a change that never comes."""
    return _flag(value) or ("平台还不这样计算，现在只能是否" if value else None)


SHAPES: dict[str, Callable[[Any], str | None]] = {
    "reserve_share_bp": _reserve_share,
    "reserve_base": _reserve_base,
    "reserve_non_decreasing": _flag,
    "declaration_deadline": _deadline,
    "counted_states": _counted_states,
    "payment_due_days": _payment_due,
    "late_interest_bp_per_day": _whole(0, 1_000),
    "hold_hours": _whole(1, 2_400),
    "confirm_hours": _whole(1, 2_400),
    "inspectors_required": _inspectors,
    "invoice_before_payment": _flag,
    "freight_counts": _not_yet,
    "external_832_counts": _not_yet,
    "slip_silence_days": _whole(1, 365),
    "evaluation_days": _whole(1, 365),
    "certificate_rule": _certificate,
}


def check_value(key: str, value: Any) -> None:
    """Raises UnknownPolicy (`unknown-policy`), PolicyShape (`policy-shape`)."""
    if key not in SHAPES:
        raise UnknownPolicy(key=key)
    problem = SHAPES[key](value)
    if problem is not None:
        raise PolicyShape(f"{key}：{problem}", key=key)


def reserve_share(value: Mapping[str, int]) -> ReserveShare:
    return ReserveShare(value["minimum"], value.get("encouraged"))


def reserve_base(value: Mapping[str, bool]) -> ReserveBase:
    return ReserveBase(value["canteen"], value["union"])


def declaration_deadline(value: Mapping[str, int], year: int) -> date:
    """The last day on which the declaration of `year` may be filed."""
    return date(year, value["month"], value["day"])


def counted_states(value: list[str]) -> tuple[str, ...]:
    """The states that must hold before a line counts, in the order they come about."""
    return tuple(state for state in STATES if state in value)


def payment_due(value: Mapping[str, int]) -> PaymentDue:
    return PaymentDue(value["days"], value["maximum"])


def inspectors_required(value: Mapping[str, int], subkind: str | None) -> int:
    """How many people sign an acceptance at an agency of `subkind` (school, hospital …)."""
    return value.get(subkind or "default", value["default"])


def scope_chain(scope: str) -> list[str]:
    """Region codes whose rules hold in `scope`, the nearest first: county, city, everywhere ("")."""
    chain = [scope]
    if len(scope) >= 6:
        chain += [scope[:6], scope[:4] + "00", scope[:2] + "0000"]
    return list(dict.fromkeys([*chain, ""]))
