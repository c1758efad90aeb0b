"""How the value of a rule is typed and told: fields instead of JSON, words instead of keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext
from marshmallow import ValidationError, fields

from marketplace.policies.rules import STATES
from marketplace.policies.schemas import PolicyIn
from marketplace.web.forms import read_form
from marketplace.web.language import N_, translated
from marketplace.web.pages import percent
from marketplace.web.schemas import integer
from marketplace.web.words import WORDS, word

blueprints: list[Any] = []


@dataclass(frozen=True)
class Asked:
    """A field of a rule's form: `kind` percent, number, yes, state, json; `member` of the value, "" for all of it."""

    name: str
    member: str
    kind: str
    label: str
    optional: bool = False


_FLAG = (Asked("v_flag", "", "yes", N_("是")),)
_NUMBER = (Asked("v_number", "", "number", N_("数值")),)
FORMS: Mapping[str, tuple[Asked, ...]] = {
    "reserve_share_bp": (
        Asked("v_minimum_bp", "minimum", "percent", N_("最低比例（%）")),
        Asked("v_encouraged_bp", "encouraged", "percent", N_("鼓励比例（%）"), optional=True),
    ),
    "reserve_base": (
        Asked("v_canteen", "canteen", "yes", N_("食堂食材采购计入基数")),
        Asked("v_union", "union", "yes", N_("工会福利计入基数")),
    ),
    "declaration_deadline": (
        Asked("v_month", "month", "number", N_("月")),
        Asked("v_day", "day", "number", N_("日")),
    ),
    "counted_states": tuple(Asked(f"v_{state}", state, "state", state) for state in STATES),
    "payment_due_days": (
        Asked("v_days", "days", "number", N_("默认天数")),
        Asked("v_maximum", "maximum", "number", N_("最长天数")),
    ),
    "inspectors_required": (
        Asked("v_default", "default", "number", N_("其他单位")),
        Asked("v_school", "school", "number", N_("学校"), optional=True),
        Asked("v_hospital", "hospital", "number", N_("医院"), optional=True),
    ),
    "reserve_non_decreasing": _FLAG,
    "invoice_before_payment": _FLAG,
    "freight_counts": _FLAG,
    "external_832_counts": _FLAG,
    "certificate_rule": (Asked("v_json", "", "json", N_("内容（JSON）")),),
}


def form_of(key: str) -> tuple[Asked, ...]:
    return FORMS.get(key, _NUMBER)


def part_of_value(asked: Asked, value: Any) -> Any:
    """What a field shows of a rule's present value."""
    if asked.kind == "json":
        return "" if value is None else json.dumps(value, ensure_ascii=False, indent=1)
    if value is None:
        return None
    if asked.kind == "state":
        return asked.member in value
    return value.get(asked.member) if asked.member else value


class _Json(fields.String):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return json.loads(super()._deserialize(value, attr, data, **kwargs))
        except ValueError:
            raise ValidationError(gettext('要写成JSON，如 {"keep_months":6}')) from None


def read_policy(key: str) -> dict[str, Any]:
    """The posted form as `set_policy` takes it. Raises FormInvalid (`invalid`)."""
    kinds: dict[str, Any] = {
        "percent": lambda a: integer(0, 10_000, required=not a.optional),
        "number": lambda a: integer(0, 100_000, required=not a.optional),
        "yes": lambda _: fields.Boolean(load_default=False),
        "state": lambda _: fields.Boolean(load_default=False),
        "json": lambda _: _Json(required=True),
    }
    asked = form_of(key)
    members = {a.name: kinds[a.kind](a) for a in asked}
    schema = PolicyIn.from_dict({**members, "value": fields.Raw(load_default=None)}, name="PolicyForm")
    given = read_form(schema(), key=key)
    typed = {a.name: given.pop(a.name, None) for a in asked}
    return {**given, "value": _composed(asked, typed)}


def _composed(asked: tuple[Asked, ...], typed: Mapping[str, Any]) -> Any:
    if asked[0].kind == "state":
        return [a.member for a in asked if typed[a.name]]
    if not asked[0].member:
        return typed[asked[0].name]
    return {a.member: typed[a.name] for a in asked if typed[a.name] is not None}


def value_text(key: str, value: Any) -> Any:
    """The value of a rule as people say it."""
    if isinstance(value, bool):
        return gettext("是") if value else gettext("否")
    if key == "reserve_share_bp":
        least = gettext("不低于%(share)s", share=percent(value["minimum"]))
        more = value.get("encouraged")
        return least + gettext("，鼓励到%(share)s", share=percent(more)) if more is not None else str(least)
    if key == "counted_states":
        return gettext("、").join(word("entry_kind", state) for state in value)
    if key == "declaration_deadline":
        return gettext("%(month)s月%(day)s日", month=value["month"], day=value["day"])
    if key == "payment_due_days":
        return gettext("%(days)s天，最长%(maximum)s天", days=value["days"], maximum=value["maximum"])
    if key == "inspectors_required":
        told = [f"{translated(WORDS['agency_subkind'].get(k, k))} {n}" for k, n in value.items()]
        return gettext("；").join(told)
    if key == "reserve_base":
        names = {"canteen": gettext("食堂食材采购"), "union": gettext("工会福利")}
        return gettext("、").join(str(names[k]) for k, counts in value.items() if counts) or "—"
    if key == "certificate_rule":
        return gettext("%(name)s，存%(months)s个月", name=value["document"], months=value["keep_months"])
    unit = _UNITS.get(key)
    return translated(unit) % {"n": value} if unit is not None else str(value)


_UNITS = {
    "hold_hours": N_("%(n)s个工作小时"),
    "confirm_hours": N_("%(n)s个工作小时"),
    "evaluation_days": N_("%(n)s天"),
    "slip_silence_days": N_("%(n)s个工作日"),
    "late_interest_bp_per_day": N_("每日万分之%(n)s"),
}
_VERSION = re.compile(r"([a-z0-9_]+)@(\d{4}-\d{2}-\d{2})\.(\d+)", re.ASCII)


def versions_text(versions: Iterable[str]) -> Any:
    """Policy versions as lines of the ledger hold them (`counted_states@2019-01-01.1`), in words."""
    found = {pair for text in versions for pair in _VERSION.findall(text)}
    told = [
        gettext("%(rule)s%(day)s第%(n)s版", rule=word("policy", key), day=day, n=revision)
        for key, day, revision in sorted(found)
        if key in WORDS["policy"]
    ]
    return gettext("、").join(told) or "—"
