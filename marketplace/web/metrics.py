"""The figures of this process for Prometheus. Each series carries the worker's process id as `worker`.

Workers do not share memory, and a scrape reaches one of them; the label keeps their counters apart, so that rates
are computed per worker and then summed.
"""

from __future__ import annotations

import os

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("marketplace_requests", "Requests answered.", ["worker", "method", "route", "status"])
SECONDS = Histogram(
    "marketplace_request_seconds",
    "Time from the first step of a request to its answer.",
    ["worker", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CACHE = Counter(
    "marketplace_read_cache", "Requests that asked the read cache, by outcome.", ["worker", "outcome"]
)
THROTTLED = Counter("marketplace_throttled", "Requests refused by a rate limit.", ["worker", "scope"])
POOL_CHECKED_OUT = Gauge("marketplace_pool_checked_out", "Database connections in use.", ["worker"])

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Finding a series by its labels takes longer than counting in it.
_series: dict[tuple[int, str, str, int], tuple[Counter, Histogram]] = {}


def worker() -> str:
    return str(os.getpid())


def method_name(method: str) -> str:
    """Unknown methods fall together: a caller can't make new series or write into the log."""
    return method if method in _METHODS else "other"


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer. Unrouted paths come as one route, so a caller can't make new series."""
    key = (os.getpid(), method, route, status)
    series = _series.get(key)
    if series is None:
        named = worker(), method_name(method), route, str(status)
        series = REQUESTS.labels(*named), SECONDS.labels(worker(), route)
        if method in _METHODS:
            _series[key] = series
    series[0].inc()
    series[1].observe(seconds)
