"""When an event is sent again, when it is given up, and when an endpoint is left alone. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(hours=4)
# From the making of the delivery, or from the redelivery that somebody asked for.
TRIED_FOR = timedelta(days=3)
# Deliveries given up one after another, with none taken in between.
GIVEN_UP_IN_A_ROW = 10
_PASSING = frozenset({408, 425, 429})


def taken(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def retried(status: int | None) -> bool:
    """Whether another try can help: no answer, a server's own failure, and the three 4xx that speak of time.

    Any other 4xx says that the message is not wanted as it is, and a redirect is not followed: both are final.
    """
    return status is None or status >= 500 or status in _PASSING


def wait(attempts: int, chance: float) -> timedelta:
    """The pause after `attempts` (1 or more) failed tries: 10 s, doubled each time, at most 4 h.

    `chance` from 0 to 1 takes up to a third off, so that events that failed together don't come back together.
    """
    whole = min(FIRST_WAIT * (1 << min(attempts - 1, 20)), LONGEST_WAIT)
    return whole - whole * chance / 3


def next_try(
    *, status: int | None, attempts: int, tried_since: datetime, at: datetime, chance: float
) -> datetime | None:
    """When to try again after a try that failed at `at`; None when the event is given up.

    The last try is at most three days after `tried_since`.
    """
    if not retried(status):
        return None
    following = at + wait(attempts, chance)
    return following if following - tried_since <= TRIED_FOR else None
