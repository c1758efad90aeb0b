"""Errors in one place: kinds of refusal become statuses, and every error has one form.

Under /api/ and /partner/ that form is RFC 9457 problem+json, elsewhere a page. A new error class needs no entry
here: its status follows from its kind, by the class hierarchy. Views and services never catch an error to format it.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable
from datetime import date, datetime
from enum import Enum
from typing import Any, cast
from uuid import UUID

import structlog
from flask import Flask, Response, current_app, g, redirect, render_template, request, url_for
from gunicorn.http.errors import ParseException
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from marketplace import errors
from marketplace.unit_of_work import Replayed
from marketplace.web.edge import answer_response
from marketplace.web.language import translated
from marketplace.web.problem_texts import HTTP_TITLES, SLUGS, in_chinese

log = structlog.get_logger("marketplace.problems")

STATUS_BY_KIND: dict[type[errors.MarketplaceError], int] = {
    errors.NotFound: 404,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.PreconditionFailed: 412,
    errors.Conflict: 409,
    errors.RuleViolation: 422,
    errors.Throttled: 429,
    errors.Unavailable: 503,
    errors.UpstreamFailure: 502,
    errors.MarketplaceError: 422,
}
_RESERVED = frozenset({"type", "title", "status", "detail", "instance"})
# Headers of an HTTPException that say something about the request; its body and type are ours.
_KEPT = ("Allow", "WWW-Authenticate", "Retry-After", "Content-Range")
# SQLSTATE classes that mean "not now": connection, resources, shutdown; 40 is a lost race, 55P03 a lock.
_NOT_NOW = ("08", "53", "57", "40", "55P03")


def register_problems(app: Flask) -> None:
    app.register_error_handler(errors.MarketplaceError, _refused)
    app.register_error_handler(Replayed, _replayed)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(PoolTimeout, _pool_is_dry)
    app.register_error_handler(DBAPIError, _database_failed)
    app.register_error_handler(ParseException, _unreadable)
    app.register_error_handler(Exception, _unexpected)


def status_of(error: errors.MarketplaceError) -> int:
    return next(STATUS_BY_KIND[kind] for kind in type(error).__mro__ if kind in STATUS_BY_KIND)


def machine_asks() -> bool:
    """Whether the answer goes to a program: everything under /api/ and /partner/."""
    return request.path.startswith(("/api/", "/partner/"))


def _refused(error: errors.MarketplaceError) -> AnyResponse:
    status = status_of(error)
    headers: dict[str, str] = {}
    retry_after = getattr(error, "retry_after", error.data.get("retry_after"))
    if isinstance(retry_after, int):
        headers["Retry-After"] = str(retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(status, error.code, error.title, error.detail, error.data, headers)


def _replayed(stored: Replayed) -> Response:
    return answer_response(stored.answer, replayed=True)


def _http_error(error: HTTPException) -> AnyResponse:
    if error.response is not None:
        return cast(AnyResponse, error.response)
    status = error.code or 500
    if status < 400:
        return error.get_response()
    given = dict(error.get_headers())
    headers = {name: given[name] for name in _KEPT if name in given}
    data = getattr(error, "data", None)
    messages = data.get("messages") if isinstance(data, dict) else None
    if messages:
        listed = list(validation_errors(messages))
        return problem(status, "invalid", errors.RuleViolation.title, None, {"errors": listed}, headers)
    named = str(getattr(error, "slug", ""))
    if named in SLUGS:
        return problem(status, named, SLUGS[named].title, getattr(error, "reason", None), {}, headers)
    slug, title = HTTP_TITLES.get(status, ("http-error", "请求没有成功"))
    return problem(status, slug, title, None, {}, headers)


def _unreadable(error: ParseException) -> AnyResponse:
    """The body that a view began to read is not in the form that its head promises: chunks of a wrong size."""
    slug, title = HTTP_TITLES[400]
    return problem(400, slug, title, None, {}, {})


def _pool_is_dry(error: PoolTimeout) -> AnyResponse:
    log.warning("pool_timeout")
    return _refused(errors.Unavailable(retry_after=2))


def _database_failed(error: DBAPIError) -> AnyResponse:
    """The database is away or busy: nothing was changed, the client may retry. Anything else is our defect."""
    state = getattr(error.orig, "sqlstate", None)
    lost = error.connection_invalidated or (state is None and type(error.orig).__name__ == "OperationalError")
    if lost or (state is not None and state.startswith(_NOT_NOW)):
        log.warning("database_unavailable", sqlstate=state, kind=type(error.orig).__name__)
        return _refused(errors.Unavailable(retry_after=2))
    return _unexpected(error)


def _unexpected(error: Exception) -> AnyResponse:
    log.error("unexpected_error", **described(error))
    slug, title = HTTP_TITLES[500]
    return problem(500, slug, title, None, {"request_id": g.get("request_id")}, {})


def described(error: BaseException) -> dict[str, Any]:
    """What the log may hold of a defect: kind, place, SQLSTATE and constraint; never texts with values in them.

    Messages of database errors quote rows, those of other errors may quote input.
    """
    frames = [
        f"{frame.filename.rpartition('/marketplace/')[2] or frame.filename}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-12:]
    ]
    facts: dict[str, Any] = {"error": type(error).__qualname__, "frames": frames}
    if isinstance(error, DBAPIError):
        facts["sqlstate"] = getattr(error.orig, "sqlstate", None)
        diagnosis = getattr(error.orig, "diag", None)
        facts["constraint"] = getattr(diagnosis, "constraint_name", None)
    if isinstance(error.__cause__, Exception):
        facts["cause"] = type(error.__cause__).__qualname__
    return facts


def problem(
    status: int,
    slug: str,
    title: str,
    detail: str | None,
    data: dict[str, Any],
    headers: dict[str, str],
) -> AnyResponse:
    """One error in the form its asker reads. Members of `data` never replace those of the standard."""
    g.problem = slug
    if not machine_asks():
        return _page(status, slug, title, detail, data, headers)
    members = problem_members(status, slug, title, detail, data)
    body = json.dumps(members, ensure_ascii=False, separators=(",", ":"), default=_plain)
    response = Response(body.encode("utf-8", "replace"), status, mimetype="application/problem+json")
    response.headers.update(headers)
    return response


def problem_members(
    status: int, slug: str, title: str, detail: str | None, data: dict[str, Any]
) -> dict[str, Any]:
    """What a problem says, as JSON members; those of the standard come first and are never replaced."""
    base = current_app.config["SETTINGS"].public_base_url
    members: dict[str, Any] = {"type": f"{base}/problems/{slug}", "title": title, "status": status}
    if detail:
        members["detail"] = detail
    return members | {name: value for name, value in data.items() if name not in _RESERVED}


def plain(members: dict[str, Any]) -> Any:
    """The members as JSON reads them back: ids, days and sets become text and lists."""
    return json.loads(json.dumps(members, ensure_ascii=False, default=_plain))


def _page(
    status: int, slug: str, title: str, detail: str | None, data: dict[str, Any], headers: dict[str, str]
) -> AnyResponse:
    """A page for people. A reader who is not signed in is sent to the page named by SIGN_IN_ENDPOINT, if any.

    A form that he sent is kept on a page of its own instead.
    """
    endpoint = current_app.config.get("SIGN_IN_ENDPOINT")
    if slug == errors.Unauthenticated.slug and endpoint in current_app.view_functions:
        kept = _typed() if request.method == "POST" else []
        if kept:
            return _signed_out(kept)
        after = request.full_path.rstrip("?") if request.method == "GET" else None
        return redirect(url_for(endpoint, next=after), 303)
    text = SLUGS.get(slug)
    page = render_template(
        "error.html",
        status=status,
        slug=slug,
        title=translated(title),
        detail=translated(detail),
        next_step=translated(text.next_step if text else "请返回上一页重试；仍不行，请联系平台客服。"),
        errors=[{**entry, "detail": translated(entry.get("detail"))} for entry in data.get("errors") or ()],
        request_id=g.get("request_id"),
    )
    response = Response(page, status, mimetype="text/html")
    response.headers.update(headers)
    if status == 401:
        del response.headers["WWW-Authenticate"]
    return response


# A form that holds one of these is filled in anew: a page must not carry a password.
_SECRET = ("password", "otp", "_again")
_MAX_KEPT = 200_000  # characters


def _typed() -> list[tuple[str, str]]:
    """The fields of a form that came after the session had ended; none when it can't be sent again as it was."""
    try:
        fields = list(request.form.items(multi=True))
    except HTTPException:
        return []
    secret = any(word in name for name, _ in fields for word in _SECRET)
    return [] if secret or sum(len(value) for _, value in fields) > _MAX_KEPT else fields


def _signed_out(fields: list[tuple[str, str]]) -> AnyResponse:
    """Nothing typed is lost: sign in beside this page, then send the same form, with the same key, once more."""
    address = request.full_path.rstrip("?")
    page = render_template("web/signed_out.html", fields=fields, address=address, files=bool(request.files))
    return Response(page, 401, mimetype="text/html")


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(str(v) for v in value)
    raise TypeError(f"no place in a problem: {type(value).__name__}")


def validation_errors(messages: Any) -> Iterable[dict[str, str]]:
    """marshmallow's nested messages, by location, as {pointer, detail}; query arguments as {parameter, detail}."""
    if not isinstance(messages, dict):
        yield from ({"pointer": "#", "detail": text} for text in _texts(messages))
        return
    for location, found in messages.items():
        for path, text in _walk(found, ()):
            if location in ("query", "querystring"):
                yield {"parameter": path[0] if path else "", "detail": text}
            elif location == "headers":
                yield {"header": path[0] if path else "", "detail": text}
            else:
                yield {"pointer": "#" + "".join("/" + _escaped(part) for part in path), "detail": text}


def _walk(found: Any, path: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], str]]:
    if isinstance(found, dict):
        for key, below in found.items():
            yield from _walk(below, path if key == "_schema" else (*path, str(key)))
        return
    yield from ((path, text) for text in _texts(found))


def _texts(found: Any) -> list[str]:
    return [in_chinese(str(text)) for text in (found if isinstance(found, list) else [found])]


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")
