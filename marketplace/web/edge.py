"""What every route is made of: its declared permission, the actor, the idempotent answer.

    @blp.route("/<uuid:order_id>/confirm", methods=["POST"])
    @requires(Permission.ORDER_CONFIRM)
    @blp.response(200, OrderOut)
    @retrying
    def confirm_order(order_id: UUID) -> Response:
        return sent(service.confirm_order(current_actor(), order_id, once=once(OrderOut())))

A route with neither `requires` nor `public` stops the start of the application.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Response, g, request
from marshmallow import Schema
from werkzeug.http import http_date

from marketplace.actors import Actor, Permission, anonymous
from marketplace.errors import RuleViolation
from marketplace.unit_of_work import Answer, Once, Reply, fingerprint

P = ParamSpec("P")
R = TypeVar("R")

PUBLIC = "public"
OPERATIONS = "operations"


def current_actor() -> Actor:
    """Who asks; nobody when no valid token or session came with the request."""
    actor = g.get("actor")
    return actor if isinstance(actor, Actor) else anonymous()


def requires(*permissions: Permission) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare that a route needs any one of `permissions`; checked before the body is parsed.

    Services check again in `transaction()`: the edge only answers early, so that a stranger learns nothing from
    validation errors.
    """

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            actor = current_actor()
            if not any(actor.can(p) for p in permissions):
                actor.require(permissions[0])
            return view(*args, **kwargs)

        guarded.declared_access = tuple(permissions)  # type: ignore[attr-defined]
        return guarded

    return declare


def public(view: Callable[P, R]) -> Callable[P, R]:
    """Declare that anybody may call a route."""
    view.declared_access = PUBLIC  # type: ignore[attr-defined]
    return view


def operations(view: Callable[P, R]) -> Callable[P, R]:
    """Declare a route of operations (health, metrics): no data of the house in it."""
    view.declared_access = OPERATIONS  # type: ignore[attr-defined]
    return view


def without_key(reason: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare that an unsafe route takes no Idempotency-Key: what it receives or answers is kept nowhere."""

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        view.takes_no_key = reason  # type: ignore[attr-defined]
        return view

    return declare


NOTICE = timedelta(days=184)  # six months, whichever they are


def deprecated(
    since: datetime, sunset: datetime, successor: str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Tell callers of a route that it goes: Deprecation (RFC 9745), Sunset (RFC 8594) and a link to what replaces it.

    Raises ValueError when there are less than six months between the two: that is what partners are promised.
    """
    if sunset - since < NOTICE:
        raise ValueError("a route is announced at least six months before it ends")
    told = {
        "Deprecation": f"@{int(since.timestamp())}",
        "Sunset": http_date(sunset),
        "Link": f'<{successor}>; rel="successor-version"',
    }

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def announced(*args: P.args, **kwargs: P.kwargs) -> R:
            g.announcements = told
            return view(*args, **kwargs)

        return announced

    return declare


def announce_ends(response: Response) -> Response:
    """Put what `deprecated` says on the answer, errors too."""
    told = g.get("announcements")
    if told:
        response.headers.update(told)
    return response


def once(schema: Schema, status: int = 200, *, encode: Callable[[Any], bytes] | None = None) -> Once:
    """The request's idempotency wish. Raises RuleViolation (`idempotency-key-invalid`) for a malformed key.

    `encode` writes the bytes of the schema without it, where a test compares the two.

    The fingerprint covers method, path with query, and the canonical body (for files: fields and file hashes).
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and (not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable()):
        raise RuleViolation("Idempotency-Key 要有1到255个可打印的 ASCII 字符", slug="idempotency-key-invalid")

    def render(result: Any) -> Answer:
        if encode is None:
            return rendered(schema, result, status)
        return Answer(status, encode(result), _tag(result))

    return Once(render=render, key=key, fingerprint=request_fingerprint() if key is not None else b"")


def request_fingerprint() -> bytes:
    parts = [request.method.encode(), request.full_path.encode()]
    if request.files or request.form:
        for name, value in sorted(request.form.items(multi=True)):
            parts += [name.encode(), value.encode()]
        # By name alone: several files of one field stay in the order in which they were chosen.
        for name, storage in sorted(request.files.items(multi=True), key=lambda field: field[0]):
            storage.stream.seek(0)  # the view may have read it already
            content = storage.stream.read()
            storage.stream.seek(0)
            parts += [name.encode(), (storage.filename or "").encode(), fingerprint(content)]
    elif request.get_data(cache=True):
        # Not the journal's canonical text: that one refuses floats, which a body may hold until its schema speaks.
        parts.append(json.dumps(request.get_json(), sort_keys=True, separators=(",", ":")).encode())
    return fingerprint(*parts)


def rendered(schema: Schema, result: Any, status: int = 200) -> Answer:
    """JSON bytes of `result` by `schema`; its `version` becomes the ETag."""
    dumped = schema.dump(result)
    body = json.dumps(dumped, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, _tag(dumped))


def _tag(shown: Any) -> tuple[tuple[str, str], ...]:
    version = shown.get("version") if isinstance(shown, dict) else None
    return (("ETag", f'"{version}"'),) if isinstance(version, int) else ()


def sent(reply: Reply) -> Response:
    """The stored bytes of a service's answer as a response."""
    if reply.answer is None:
        raise RuntimeError("the service was called without once(): there is nothing to send")
    return answer_response(reply.answer)


def answer_response(answer: Answer, *, replayed: bool = False) -> Response:
    response = Response(answer.body, status=answer.status, mimetype="application/json")
    for name, value in answer.headers:
        response.headers[name] = value
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def shown(schema: Schema, result: Any) -> Response:
    """A read's answer; 304 when the client has this version already."""
    response = answer_response(rendered(schema, result))
    if response.headers.get("ETag"):
        response.make_conditional(request)
    return response


def expected_version() -> int | None:
    """The version that If-Match names; None when the client did not ask. 412 is the service's word."""
    tags = request.if_match
    if not tags or tags.star_tag:
        return None
    values = [t for t in tags.as_set() if t.isdigit()]
    return int(values[0]) if values else -1
