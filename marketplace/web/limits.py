"""Rate limits: RATE_PER_MINUTE with a burst of RATE_BURST, per partner key or signed-in user, else per client address.

The count lives in PostgreSQL (table `throttle`), so it holds over all workers and machines. To spare a write per
request, a worker takes permits in batches of a fifth of the burst, at most 200, with one guarded statement and hands
them out itself. What is granted in the long run never exceeds the rate; what a worker holds unspent can come on top of
a burst, so within any instant at most the burst and one batch less one per worker pass. Unspent permits lapse after
10 s.

The statement is a token bucket in one number (the generic cell rate algorithm): `count` is the instant, in ns since
1970, at which the bucket is full again. A request of n permits moves it on by n intervals, and is refused when that
would pass now + burst intervals. Rows are per day (a new day starts with a full bucket) and are removed a day later.

Answers from the read cache and files under /static/ are not counted; nor are /livez, /readyz and /metrics.
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from functools import lru_cache

import sqlalchemy as sa
from flask import Flask, Response, current_app, g, request

from marketplace.actors import Actor
from marketplace.config import Settings
from marketplace.errors import Throttled
from marketplace.unit_of_work import housekeeping
from marketplace.web import metrics
from marketplace.web.edge import OPERATIONS

# Of the environment: what was left when a permit was used for the request before it came to Flask.
HELD_PERMIT = "marketplace.held_permit"
BATCH = 200
LAPSE_SECONDS = 10.0
_KNOWN_KEYS = 10_000

_NOW = "(extract(epoch from clock_timestamp()) * 1000000000)::bigint"
_TAKE = sa.text(
    f"""
    insert into throttle as t (key, window_start, count)
    values (:key, date_trunc('day', now(), 'UTC'), {_NOW} + :cost)
    on conflict (key, window_start) do update set count = greatest(t.count, {_NOW}) + :cost
    where greatest(t.count, {_NOW}) + :cost <= {_NOW} + :depth
    returning count - {_NOW}
    """  # noqa: S608 - the only inserted text is the constant above
)
# How long until one permit fits again.
_WAIT = sa.text(
    f"select count + :cost - :depth - {_NOW} from throttle"  # noqa: S608
    " where key = :key and window_start = date_trunc('day', now(), 'UTC')"
)
# Losing the last counts in a crash lets a few requests more pass; waiting for the disk would cost each batch.
_NO_WAIT = sa.text("set local synchronous_commit = off")


@dataclass
class _Held:
    permits: int
    left_in_bucket: int
    lapses_at: float


@dataclass
class Limiter:
    """The permits of one worker. `spend` is thread-safe; the database is asked without holding the lock."""

    per_minute: int
    burst: int
    _held: dict[str, _Held] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def interval_ns(self) -> int:
        return max(1, 60_000_000_000 // self.per_minute)

    def spend(self, key: str) -> int:
        """Use one permit of `key`; answers about how many are left. Raises Throttled with the seconds to wait."""
        left = self.from_held(key)
        if left is not None:
            return left
        for batch in (min(BATCH, max(1, self.burst // 5)), 1):
            taken = self._take(key, batch)
            if taken is not None:
                return taken
        raise Throttled(retry_after=self._seconds_to_wait(key))

    def from_held(self, key: str) -> int | None:
        """Use one of the permits that this worker has; None when it has none."""
        with self._lock:
            held = self._held.get(key)
            if held is None or held.permits == 0 or held.lapses_at < time.monotonic():
                return None
            held.permits -= 1
            return held.permits + held.left_in_bucket

    def _take(self, key: str, batch: int) -> int | None:
        interval = self.interval_ns
        with housekeeping(["throttle"]) as session:
            session.execute(_NO_WAIT)
            ahead = session.execute(
                _TAKE, {"key": key, "cost": batch * interval, "depth": self.burst * interval}
            ).scalar_one_or_none()
        if ahead is None:
            return None
        in_bucket = max(0, self.burst - -(-max(0, int(ahead)) // interval))
        with self._lock:
            held = self._held.get(key)
            kept = held.permits if held is not None and held.lapses_at >= time.monotonic() else 0
            if len(self._held) >= _KNOWN_KEYS and key not in self._held:
                del self._held[next(iter(self._held))]
            self._held[key] = _Held(kept + batch - 1, in_bucket, time.monotonic() + LAPSE_SECONDS)
            return kept + batch - 1 + in_bucket

    def _seconds_to_wait(self, key: str) -> int:
        interval = self.interval_ns
        with housekeeping(["throttle"]) as session:
            wait = session.execute(
                _WAIT, {"key": key, "cost": interval, "depth": self.burst * interval}
            ).scalar_one_or_none()
        return max(1, -(-int(wait or 0) // 1_000_000_000))


def register_address_limit(app: Flask) -> None:
    """Before authentication: an address that keeps sending bad tokens is refused before they are looked up."""
    settings: Settings = app.config["SETTINGS"]
    app.extensions["marketplace.limiter"] = Limiter(settings.rate_per_minute, settings.rate_burst)
    app.extensions["marketplace.barred"] = {}
    app.before_request(_refuse_barred)
    app.after_request(_account)


def register_principal_limit(app: Flask) -> None:
    """After authentication, before anything of the request is read."""
    app.before_request(_spend)


def _limiter() -> Limiter:
    limiter: Limiter = current_app.extensions["marketplace.limiter"]
    return limiter


def _barred() -> dict[str, float]:
    barred: dict[str, float] = current_app.extensions["marketplace.barred"]
    return barred


def _counts() -> bool:
    endpoint = request.endpoint
    if endpoint == "static":
        return False
    view = current_app.view_functions.get(endpoint or "")
    return getattr(view, "declared_access", None) != OPERATIONS


def address_key() -> str:
    """Addresses are hashed: rows of `throttle` may be dumped."""
    return hashed_address(request.remote_addr or "")


@lru_cache(_KNOWN_KEYS)
def hashed_address(address: str) -> str:
    return "rate:address:" + hashlib.sha256(address.encode()).hexdigest()[:32]


def _refuse_barred() -> None:
    barred = _barred()
    until = barred.get(address_key()) if barred and _counts() else None
    if until is None:
        return
    left = until - time.monotonic()
    if left > 0:
        _refused("address")
        raise Throttled(retry_after=max(1, round(left)))
    _barred().pop(address_key(), None)


def _spend() -> None:
    if not _counts():
        return
    known = g._get_current_object()
    actor = known.get("actor")
    signed_in = isinstance(actor, Actor) and actor.user_id is not None
    # A partner's keys are counted each for itself: one that floods leaves the others their own.
    key = known.get("limited_as") or (f"rate:user:{actor.user_id}" if signed_in else address_key())
    known.rate_counted = True
    held = request.environ.get(HELD_PERMIT)
    try:
        known.rate_left = _limiter().spend(key) if held is None else held
    except Throttled:
        _refused("user" if signed_in else "address")
        raise


def _refused(scope: str) -> None:
    g.rate_counted = True
    g.rate_left = 0
    metrics.THROTTLED.labels(metrics.worker(), scope).inc()


def _account(response: Response) -> Response:
    if response.status_code == 401 and not g.get("rate_counted") and _counts():
        _count_bad_token()
    left = g.get("rate_left")
    if left is not None:
        response.headers.extend(rate_headers(_limiter(), left))
    return response


def rate_headers(limiter: Limiter, left: int) -> list[tuple[str, str]]:
    missing = max(0, limiter.burst - left)
    return [
        ("RateLimit-Limit", str(limiter.burst)),
        ("RateLimit-Remaining", str(max(0, left))),
        ("RateLimit-Reset", str(-(-missing * limiter.interval_ns // 1_000_000_000))),
    ]


def _count_bad_token() -> None:
    """A request that authentication refused has no principal: it counts for its address."""
    try:
        g.rate_left = _limiter().spend(address_key())
    except Throttled as refusal:
        barred = _barred()
        if len(barred) >= _KNOWN_KEYS:
            barred.clear()
        barred[address_key()] = time.monotonic() + refusal.retry_after
