"""Values that every domain shares: identifiers and exact arithmetic on fen, grams and basis points.

All amounts are integers in a named smallest unit. There is no float and no Decimal on a money path.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Sequence

MAX_FEN = (
    9_000_000_000_000_000  # 90 万亿元: far above any trade here, and sums of 1,000 such rows stay in BIGINT
)
MAX_QUANTITY = 10_000_000  # packs on one line
MAX_LINES = 500  # lines of one purchase

_clock_lock = threading.Lock()
_last_tick = 0


def uuid7() -> uuid.UUID:
    """A time-ordered identifier (RFC 9562 version 7), strictly increasing within one process.

    The 12 bits after the millisecond hold a fraction of it, so ids made in one process keep their order.
    """
    global _last_tick
    with _clock_lock:
        tick = time.time_ns() * 4096 // 1_000_000  # 48 bits of ms, 12 bits of its fraction
        if tick <= _last_tick:
            tick = _last_tick + 1
        _last_tick = tick
    millis, fraction = tick >> 12, tick & 0xFFF
    tail = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    return uuid.UUID(int=(millis << 80) | (0x7 << 76) | (fraction << 64) | (0b10 << 62) | tail)


def split_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` (an amount >= 0 in its smallest unit) in proportion to `weights` (each >= 0).

    The parts add up to `total` exactly; ties of the remainder go to the earlier part. With all weights 0 the
    whole goes to the first part; no weights at all is a ValueError.
    """
    if total < 0 or any(w < 0 for w in weights):
        raise ValueError("split needs a total and weights of at least 0")
    if not weights:
        raise ValueError("split needs at least one weight")
    whole = sum(weights)
    if whole == 0:
        return [total] + [0] * (len(weights) - 1)
    parts = [total * w // whole for w in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def share_up(amount_fen: int, share_bp: int) -> int:
    """`share_bp` of `amount_fen`, rounded up to the fen (reserves are rounded in favour of the reserve)."""
    return -((-amount_fen * share_bp) // 10_000)


def ratio_bp(part: int, whole: int) -> int | None:
    """part / whole in basis points, half up; None when there is no whole to compare with."""
    if whole <= 0:
        return None
    return (
        (part * 10_000 * 2 + whole) // (whole * 2)
        if part >= 0
        else -((-part * 20_000 + whole) // (whole * 2))
    )


def per_kilogram_fen(price_fen: int, net_g: int) -> int:
    """Price of one kilogram in fen, half up, from the price of a pack of `net_g` grams."""
    return (price_fen * 1000 * 2 + net_g) // (net_g * 2)


def yuan(amount_fen: int) -> str:
    """'1,234.50' as people write it; the unit stands in the head of the column or behind it."""
    sign = "-" if amount_fen < 0 else ""
    whole, part = divmod(abs(amount_fen), 100)
    return f"{sign}{whole:,}.{part:02d}"


def kilograms(weight_g: int) -> str:
    """'5' or '2.5': kilograms without trailing zeros."""
    whole, rest = divmod(weight_g, 1000)
    return f"{whole}" if rest == 0 else f"{whole}.{rest:03d}".rstrip("0")
