"""The browser's walls: headers on every answer, and no unsafe request from a foreign page.

Pages carry no inline script and no inline style, so no nonce is needed and rendered bytes can be cached. Requests
under /api/ and /partner/ read no cookie, so a foreign page can't act there in anybody's name. A view that other
systems call (a webhook with a signature, outside /api/) is marked `@cookieless` below its route.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Request, Response, current_app, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from marketplace.actors import Actor
from marketplace.config import Settings
from marketplace.errors import Forbidden
from marketplace.web.edge import PUBLIC
from marketplace.web.problems import machine_asks

P = ParamSpec("P")
R = TypeVar("R")

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # The camera reads trace codes on our own pages.
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
HSTS = "max-age=31536000; includeSubDomains"
_VARY = ("Cookie", "Authorization", "Accept-Language")
_OF_EVERY_ANSWER = tuple(HEADERS.items())
_OF_PUBLIC = (*_OF_EVERY_ANSWER, ("Vary", ", ".join(_VARY)), ("Cache-Control", "no-cache"))
_OF_PRIVATE = (*_OF_EVERY_ANSWER, ("Vary", ", ".join(_VARY)), ("Cache-Control", "no-store"))
_SET_HERE = frozenset(name.lower() for name, _ in _OF_PUBLIC)


class ForeignOrigin(Forbidden):
    """An unsafe request that did not come from one of our own pages, or does not say where it came from."""

    slug = "foreign-origin"
    title = "请求不是从本站页面发出的"


def cookieless(view: Callable[P, R]) -> Callable[P, R]:
    """Declare that a route outside /api/ reads no session (a signed webhook): its caller is no browser."""
    view.cookieless = True  # type: ignore[attr-defined]
    return view


def register_security(app: Flask) -> None:
    app.before_request(check_origin)
    app.after_request(add_headers)


def trust_proxies(app: Flask) -> None:
    """Take address, scheme and host from exactly TRUSTED_PROXIES proxies in front of us; from none by default."""
    hops = app.config["SETTINGS"].trusted_proxies
    if hops:
        wrapped: Any = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_port=0, x_prefix=0)
        app.wsgi_app = wrapped  # type: ignore[method-assign]


def check_origin() -> None:
    """Raises ForeignOrigin (`foreign-origin`) for unsafe requests outside /api/ and /partner/ from elsewhere.

    Sec-Fetch-Site decides where the browser sends it; older ones (and plain HTTP) send Origin or Referer, which
    must name our own origin. A request with none of the three is refused.
    """
    req = request._get_current_object()  # type: ignore[attr-defined]
    if req.method in _SAFE or machine_asks():
        return
    view = current_app.view_functions.get(request.endpoint or "")
    if getattr(view, "cookieless", False):
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise ForeignOrigin(
                "Sec-Fetch-Site 不是 same-origin；程序请用 POST /api/v1/tokens 换令牌，调用 /api/v1"
            )
        return
    named = request.headers.get("Origin") or request.headers.get("Referer")
    if named is None:
        raise ForeignOrigin(
            "没有 Sec-Fetch-Site 或 Origin 请求头；程序请用 POST /api/v1/tokens 换令牌，调用 /api/v1"
        )
    if _origin(named) not in _own_origins():
        raise ForeignOrigin(
            "Origin 或 Referer 不是本站的地址；程序请用 POST /api/v1/tokens 换令牌，调用 /api/v1"
        )


def _origin(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ("", "")
    return (parts.scheme.lower(), parts.netloc.lower())


def _own_origins() -> set[tuple[str, str]]:
    settings: Settings = current_app.config["SETTINGS"]
    return {_origin(request.host_url), _origin(settings.public_base_url)}


def add_headers(response: Response) -> Response:
    """The headers of every answer; one that is not public is kept by nobody. What a view set itself stands."""
    req = request._get_current_object()  # type: ignore[attr-defined]
    headers = response.headers
    given = {name.lower() for name, _ in headers}
    production = current_app.config["SETTINGS"].production
    if req.endpoint == "static" and response.status_code < 400:
        ours = _OF_EVERY_ANSWER
    else:
        ours = _OF_PUBLIC if _is_public(req, response, given) else _OF_PRIVATE
    if given.isdisjoint(_SET_HERE):
        headers.extend(ours)
    else:
        headers.extend([(name, value) for name, value in ours if name.lower() not in given])
        if ours is not _OF_EVERY_ANSWER and "vary" in given:
            response.vary.update(_VARY)
    if production:
        headers["Strict-Transport-Security"] = HSTS
    return response


def public_headers(settings: Settings) -> list[tuple[str, str]]:
    """What `add_headers` puts on a public answer that has none of them."""
    return [*_OF_PUBLIC, *([("Strict-Transport-Security", HSTS)] if settings.production else [])]


def _is_public(req: Request, response: Response, given: set[str]) -> bool:
    if response.status_code >= 400 or req.method not in _SAFE or "set-cookie" in given:
        return False
    actor = g.get("actor")
    if isinstance(actor, Actor) and actor.user_id is not None:
        return False
    view = current_app.view_functions.get(req.endpoint or "")
    return getattr(view, "declared_access", None) == PUBLIC
