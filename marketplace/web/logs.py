"""JSON lines on standard error: one for each request, and what went wrong. Never a body, never a person's data.

The route stands in the line as its rule (`/api/v1/orders/<uuid:order_id>`), so neither query texts nor codes in
addresses are kept. Lines hold ids of user and organisation, not names. Keeping them (180 days at least, 网络安全法)
is the work of whatever reads standard error.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, has_request_context, request

from marketplace.actors import Actor
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.values import uuid7
from marketplace.web import metrics

# The least severity that is written, a number of `logging`.
_least = logging.INFO
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_QUIET = frozenset({"livez", "readyz", "metrics", "static"})

HIDDEN = "[hidden]"
_SECRET_KEYS = re.compile(
    r"authorization|cookie|passw|token|otp|secret|api_?key|phone|mobile|bank_account|account_number|id_card"
    r"|id_number|credential",
    re.IGNORECASE,
)
_EDGE, _END = r"(?<![0-9A-Za-z])", r"(?![0-9A-Za-z])"
_SECRET_TEXTS = (
    re.compile(r"(?i)(?<![0-9a-z])(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(rf"{_EDGE}[1-9]\d{{16}}[0-9Xx]{_END}"),  # identity card
    re.compile(
        rf"{_EDGE}\d{{4}}(?:[ -]?\d{{4}}){{3}}(?:[ -]?\d{{1,3}})?{_END}"
    ),  # bank account, also in groups
    re.compile(
        rf"(?:(?<![0-9A-Za-z+])\+?86[ -]?|{_EDGE})1[3-9]\d[ -]?\d{{4}}[ -]?\d{{4}}{_END}"
    ),  # mobile phone
    re.compile(rf"{_EDGE}0\d{{2,3}}-\d{{7,8}}{_END}"),  # telephone
)


def configure(level: str) -> None:
    """Set up structlog for this process. `level` is a name such as INFO."""
    global _least
    _least = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            _of_request,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_least),
        logger_factory=_to_stderr,
        cache_logger_on_first_use=False,
    )


def _to_stderr(*names: Any) -> structlog.PrintLogger:
    """What a program answers goes to its output, what it says of itself beside it: `journal export | …` stays whole
    while a thread logs. Looked up at each use, since a test runner exchanges the stream.
    """
    return structlog.PrintLogger(sys.stderr)


def _of_request(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the id of the request in which a line is written on it."""
    if has_request_context() and "request_id" in g:
        event.setdefault("request_id", g.request_id)
    return event


def redact(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what could sign in or name a person, by key and by shape, however deep it lies."""
    return {key: HIDDEN if _SECRET_KEYS.search(key) else _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        for pattern in _SECRET_TEXTS:
            value = pattern.sub(HIDDEN, value)
        return value
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if _SECRET_KEYS.search(str(key)) else _clean(below) for key, below in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(below) for below in value]
    return value


def register_logs(app: Flask) -> None:
    settings: Settings = app.config["SETTINGS"]
    configure(settings.log_level)
    app.before_request(_begin)
    app.after_request(_finish)


def request_id_of(given: str | None) -> str:
    """The caller's X-Request-Id when it is harmless, else a new one."""
    return given if given and _REQUEST_ID.fullmatch(given) else str(uuid7())


def _begin() -> None:
    g.started = time.perf_counter()
    g.request_id = request_id_of(request.environ.get("HTTP_X_REQUEST_ID"))


NO_ROUTE = "(none)"


def route_of_request() -> str:
    return request.url_rule.rule if request.url_rule is not None else NO_ROUTE


def _finish(response: Response) -> Response:
    # Each use of the names `request` and `g` looks for the present request again; every answer comes through here.
    req, known = request._get_current_object(), g._get_current_object()  # type: ignore[attr-defined]
    started = known.get("started")
    seconds = time.perf_counter() - started if started is not None else 0.0
    request_id = known.get("request_id")
    if request_id is not None:
        response.headers["X-Request-Id"] = request_id
    rule, status = req.url_rule, response.status_code
    route = rule.rule if rule is not None else NO_ROUTE
    req.environ["marketplace.route"] = route
    metrics.observe(req.method, route, status, seconds)
    level = logging.DEBUG if req.endpoint in _QUIET else logging.INFO
    if level < _least:
        return response
    actor = known.get("actor")
    signed_in = actor if isinstance(actor, Actor) and actor.user_id is not None else None
    given = "HTTP_X_REQUEST_ID" in req.environ
    _write(
        level,
        {
            "method": metrics.method_name(req.method),
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "actor": None if signed_in is None else str(signed_in.user_id),
            "organisation": None if signed_in is None else str(signed_in.organisation_id),
            "door": None if signed_in is None else signed_in.door.value,
            "problem": known.get("problem"),
            "event": "request",
            "request_id": _clean(request_id) if given else request_id,
        },
    )
    return response


def log_quick(request_id: str, route: str, seconds: float, *, given: bool) -> None:
    """The line of a public read that was answered in front of Flask; `given`: the caller chose the id."""
    metrics.observe("GET", route, 200, seconds)
    if _least <= logging.INFO:
        nobody = dict.fromkeys(("actor", "organisation", "door", "problem"))
        _write(
            logging.INFO,
            {
                "method": "GET",
                "route": route,
                "status": 200,
                "ms": round(seconds * 1000, 1),
                **nobody,
                "event": "request",
                "request_id": _clean(request_id) if given else request_id,
            },
        )


def log_cached(request_id: str, route: str, status: int, seconds: float) -> None:
    """The line of a request that was answered from the read cache."""
    metrics.observe("GET", route, status, seconds)
    _write(
        logging.INFO,
        {
            "request_id": _clean(request_id),
            "method": "GET",
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "cached": True,
            "event": "request",
        },
    )


def _write(level: int, line: dict[str, Any]) -> None:
    """The line of a request, past structlog: each value is of our own making or was cleaned by the caller."""
    if level < _least:
        return
    line["level"] = "info" if level == logging.INFO else "debug"
    line["timestamp"] = f"{now().isoformat()[:-6]}Z"
    sys.stderr.write(f"{orjson.dumps(line).decode()}\n")
    sys.stderr.flush()
