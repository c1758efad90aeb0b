"""The most asked public reads, answered in front of Flask when nothing about the request needs a decision.

A view under `@quick` says how its answer is made without a request: from the arguments of the address alone. Here such
an answer is made for a plain GET of nobody in particular (no cookie, no token), whose arguments are as they should be
and for which this worker holds a permit of the caller's rate. In every other case, and whenever the read refuses or
fails, the request goes on to Flask as if it had not been here: refusals are worded, limits asked for and faults told
there alone. Both ways give the same answer, header by header; a test compares them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

import structlog
from flask import Flask
from marshmallow import Schema
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.routing import Rule

from marketplace.errors import MarketplaceError
from marketplace.unit_of_work import Answer
from marketplace.web.arguments import read_given
from marketplace.web.limits import HELD_PERMIT, Limiter, hashed_address, rate_headers
from marketplace.web.logs import log_quick, request_id_of
from marketplace.web.security import public_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = structlog.get_logger("marketplace.web")

P = ParamSpec("P")
R = TypeVar("R")
# Called with the environment and, where there is a schema, the arguments of the address; then the parts of the path.
Read = Callable[..., Answer]

_DECIDED_ELSEWHERE = (
    "HTTP_COOKIE",
    "HTTP_AUTHORIZATION",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_RANGE",
)
_HOST = re.compile(r"[A-Za-z0-9.-]{1,255}(?::[0-9]{1,5})?")
_QUERY = re.compile(r"[!-~]{0,2000}")
_PARTS = re.compile(r"<(?:(\w+):)?(\w+)>")
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# What a part of a path may be here: as it is written by ourselves. Anything else is for the router.
_CONVERTERS: dict[str | None, tuple[str, Callable[[str], Any]]] = {
    None: ("[0-9A-Za-z]{1,64}", str),
    "uuid": (_UUID, UUID),
}


def quick(read: Read, schema: Schema | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare that the answer of a public route is what `read` makes of the arguments that `schema` reads."""

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        view.quick = (read, schema)  # type: ignore[attr-defined]
        return view

    return declare


@dataclass(frozen=True)
class _Way:
    path: re.Pattern[str]
    convert: dict[str, Callable[[str], Any]]
    route: str
    read: Read
    schema: Schema | None


class QuickReads:
    """The WSGI layer in front of `app`'s own."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._general: WSGIApplication = app.wsgi_app
        self._limiter: Limiter = app.extensions["marketplace.limiter"]
        self._barred: dict[str, float] = app.extensions["marketplace.barred"]
        self._headers = public_headers(app.config["SETTINGS"])
        self._ways = [_way(rule, *known) for rule, known in _declared(app)]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started = time.perf_counter()
        found = self._asked(environ)
        if found is None:
            return self._general(environ, start_response)
        way, given, parts = found
        key = hashed_address(environ.get("REMOTE_ADDR", ""))
        left = None if key in self._barred else self._limiter.from_held(key)
        if left is None:
            return self._general(environ, start_response)
        try:
            with self._app.app_context():
                answer = way.read(environ, *given, **parts)
        except (MarketplaceError, SQLAlchemyError):
            return self._refused(environ, start_response, left)
        except Exception:
            log.exception("quick_read_failed", route=way.route)
            return self._refused(environ, start_response, left)
        request_id = request_id_of(environ.get("HTTP_X_REQUEST_ID"))
        start_response(
            "200 OK",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(answer.body))),
                *answer.headers,
                *rate_headers(self._limiter, left),
                *self._headers,
                ("X-Request-Id", request_id),
            ],
        )
        environ["marketplace.route"] = way.route
        given_id = "HTTP_X_REQUEST_ID" in environ
        log_quick(request_id, way.route, time.perf_counter() - started, given=given_id)
        return [answer.body]

    def _refused(self, environ: WSGIEnvironment, start_response: StartResponse, left: int) -> Iterable[bytes]:
        """It will happen again, and is told there; the permit is used already."""
        environ[HELD_PERMIT] = left
        return self._general(environ, start_response)

    def _asked(self, environ: WSGIEnvironment) -> tuple[_Way, list[Any], dict[str, Any]] | None:
        if environ["REQUEST_METHOD"] != "GET" or environ.get("SCRIPT_NAME"):
            return None
        path = environ.get("PATH_INFO", "")
        for way in self._ways:
            matched = way.path.fullmatch(path)
            if matched is not None:
                break
        else:
            return None
        query = environ.get("QUERY_STRING", "")
        if (
            any(name in environ for name in _DECIDED_ELSEWHERE)
            or _HOST.fullmatch(environ.get("HTTP_HOST", "")) is None
            or _QUERY.fullmatch(query) is None
        ):
            return None
        parts = {name: way.convert[name](text) for name, text in matched.groupdict().items()}
        if way.schema is None:
            return (way, [], parts) if not query else None
        given = _read(way.schema, query)
        return None if given is None else (way, [given], parts)


def _read(schema: Schema, query: str) -> dict[str, Any] | None:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict") if query else []
    except ValueError:
        return None
    given = dict(pairs)
    if len(given) != len(pairs) or any("\x00" in text for pair in pairs for text in pair):
        return None
    return read_given(schema, given)


def _declared(app: Flask) -> list[tuple[Rule, tuple[Read, Schema | None]]]:
    rules = list(app.url_map.iter_rules())
    known = [getattr(app.view_functions[rule.endpoint], "quick", None) for rule in rules]
    return [(rule, way) for rule, way in zip(rules, known, strict=True) if way is not None]


def _way(rule: Rule, read: Read, schema: Schema | None) -> _Way:
    convert: dict[str, Callable[[str], Any]] = {}

    def part(found: re.Match[str]) -> str:
        form, convert[found[2]] = _CONVERTERS[found[1]]
        return f"(?P<{found[2]}>{form})"

    return _Way(re.compile(_PARTS.sub(part, rule.rule)), convert, rule.rule, read, schema)
