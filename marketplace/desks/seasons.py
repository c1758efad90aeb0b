"""Months of a product's season as sellers write it: "10月采收，贮存至次年6月", "12-4月", "秋冬", "7月起", "全年". Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

ALL = frozenset(range(1, 13))
_PARTS = {"春": (3, 5), "夏": (6, 8), "秋": (9, 11), "冬": (12, 2)}
_RANGE = re.compile(r"(\d{1,2})月?(?:-|–|—|~|至|到)(\d{1,2})月")
_FROM = re.compile(r"(\d{1,2})月起")
_UNTIL = re.compile(r"(?:贮存|储存|冷藏|供应|存)?[至到](?:次年|翌年)?(\d{1,2})月")
_ONE = re.compile(r"(\d{1,2})月")


@dataclass(frozen=True)
class Season:
    """Months (1 to 12) of the harvest, and those in which the goods come from the store."""

    harvest: frozenset[int]
    stored: frozenset[int]

    @property
    def all_year(self) -> bool:
        return self.harvest | self.stored == ALL and not self.stored


def season_of(text: str | None) -> Season:
    """What can be read from the text; a text without a month is no season at all, and no error."""
    if not text:
        return Season(frozenset(), frozenset())
    if "全年" in text:
        return Season(ALL, frozenset())
    head, _, tail = text.replace(",", "，").partition("，")
    harvest = _months(head)
    if not harvest:
        return Season(frozenset(), frozenset())
    until = _UNTIL.search(tail)
    stored: frozenset[int] = frozenset()
    if until and _is_month(until[1]):
        stored = _run(_last(harvest), int(until[1])) - harvest
    return Season(harvest, stored)


def _months(text: str) -> frozenset[int]:
    found = _RANGE.search(text)
    if found and _is_month(found[1]) and _is_month(found[2]):
        return _run(int(found[1]), int(found[2]))
    found = _FROM.search(text)
    if found and _is_month(found[1]):
        return _run(int(found[1]), 12)
    found = _ONE.search(text)
    if found and _is_month(found[1]):
        return frozenset({int(found[1])})
    named = [_run(*_PARTS[sign]) for sign in text if sign in _PARTS]
    return frozenset().union(*named)


def _is_month(text: str) -> bool:
    return 1 <= int(text) <= 12


def _run(first: int, last: int) -> frozenset[int]:
    """Months from `first` to `last`, over the turn of the year when `last` comes before it."""
    length = (last - first) % 12 + 1
    return frozenset((first - 1 + step) % 12 + 1 for step in range(length))


def _last(months: frozenset[int]) -> int:
    """The month after which the run pauses: 2 of {11, 12, 1, 2}."""
    return next((m for m in sorted(months) if m % 12 + 1 not in months), max(months))
