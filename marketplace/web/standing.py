"""Pages of signed-in readers that stand while nothing changes, for those that take many sums to make.

A page is a function of its address, its reader, the day and the database. The database is the same as long as its
snapshot is (the oldest and newest transaction, and those in between that still run) on the same start of the server,
so the text of the snapshot, read before the page is made, is the key of what was made: an act that anybody commits,
here or on another machine, makes another key. Who asks is found out before, with every request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, cast

from flask import current_app, request, session

from marketplace.clock import today
from marketplace.reading import fetch_text
from marketplace.web.edge import current_actor
from marketplace.web.forms import Shown
from marketplace.web.language import current_language, selected_theme

P = ParamSpec("P")

MOST_PAGES = 100
MOST_BYTES = 500_000
_SNAPSHOT = "select pg_current_snapshot()::text, pg_postmaster_start_time()::text, current_database()::text"


class _Pages:
    """Thread-safe, bounded; the oldest go first."""

    def __init__(self) -> None:
        self._made: OrderedDict[tuple[object, ...], str] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> str | None:
        with self._lock:
            return self._made.get(key)

    def put(self, key: tuple[object, ...], text: str) -> None:
        with self._lock:
            self._made[key] = text
            while len(self._made) > MOST_PAGES:
                self._made.popitem(last=False)


def standing(view: Callable[P, Shown]) -> Callable[P, Shown]:
    """Keep what the view shows until the database changes; not where READ_CACHE_SECONDS is 0, nor other than text.

    Below `requires`, so that a refusal is never answered from it. A page that tells its reader what was just done is
    made anew.
    """

    @wraps(view)
    def kept(*args: P.args, **kwargs: P.kwargs) -> Shown:
        if current_app.config["SETTINGS"].read_cache_seconds == 0 or "_flashes" in session:
            return view(*args, **kwargs)
        pages = cast(_Pages, current_app.extensions.setdefault("marketplace.standing", _Pages()))
        key = (
            request.full_path, request.host_url, current_actor().user_id, current_language(), selected_theme(),
            today(), *fetch_text(_SNAPSHOT, ())[0],
        )  # fmt: skip
        found = pages.get(key)
        if found is not None:
            return found
        shown = view(*args, **kwargs)
        if isinstance(shown, str) and len(shown) <= MOST_BYTES:
            pages.put(key, shown)
        return shown

    return kept
