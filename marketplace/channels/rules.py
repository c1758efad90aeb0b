"""When an order may still be changed, and what a channel's wishes must satisfy. Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any

from marketplace.clock import SHANGHAI, business_day


def cut_off_at(deliver_on: date, order_cut_off: str, lead_days: int) -> datetime:
    """The instant until which an order for `deliver_on` is taken and changed: HH:MM in Shanghai, `lead_days` before."""
    hour, minute = (int(part) for part in order_cut_off.split(":"))
    there = datetime.combine(deliver_on - timedelta(days=lead_days), time(hour, minute), SHANGHAI)
    return there.astimezone(UTC)


def earliest_day(at: datetime, order_cut_off: str, lead_days: int) -> date:
    """The first day for which an order of `at` is in time."""
    day = business_day(at) + timedelta(days=lead_days)
    return day if at < cut_off_at(day, order_cut_off, lead_days) else day + timedelta(days=1)


def body_text(body: Any) -> str:
    """One text for equal bodies, whatever the order of their keys."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def leaf_marks(body: Any) -> dict[str, str]:
    """Each JSON pointer of a body with a mark of its value: enough to name what differs, without keeping the value."""
    return {
        pointer: sha256(f"{pointer} {_leaf_text(value)}".encode()).hexdigest()[:16]
        for pointer, value in _leaves(body, "#")
    }


def _leaf_text(value: Any) -> str:
    """`body_text` of one leaf, without an encoder made for each."""
    return encode_basestring(value) if type(value) is str else body_text(value)


def _leaves(value: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list) and value:
        for n, below in enumerate(value):
            yield from _leaves(below, f"{pointer}/{n}")
    else:
        yield pointer, value


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Pointers whose values are not the same in both, sorted."""
    return sorted(p for p in first.keys() | second.keys() if first.get(p) != second.get(p))


def ladder_problem(ladder: list[tuple[int, int]]) -> str | None:
    """Why steps (minimum quantity, fen) are no ladder of a channel's prices; None when they are one."""
    if not ladder:
        return "至少要有一档价格"
    quantities = [quantity for quantity, _ in ladder]
    if quantities[0] < 1 or any(b <= a for a, b in itertools.pairwise(quantities)):
        return "各档的起订数量要从小到大"
    prices = [price for _, price in ladder]
    if any(price < 1 for price in prices) or any(b > a for a, b in itertools.pairwise(prices)):
        return "价格要大于零，数量越多不能越贵"
    return None
