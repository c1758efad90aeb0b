"""Who asks: a bearer token under /api/, a partner's key under /partner/, a browser session everywhere else.

Never the one in the place of another. One statement on an autocommit connection finds the user, the organisation and
the subordinate units.
"""

from __future__ import annotations

import re

from flask import Flask, Request, Response, current_app, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user

from marketplace.accounts import queries, security, sign_in
from marketplace.accounts.models import AccessToken, WebSession
from marketplace.actors import Actor, Door, anonymous
from marketplace.channels.holders import key_holder
from marketplace.channels.states import KeyMode
from marketplace.clock import now, real_now
from marketplace.config import Settings
from marketplace.errors import Unauthenticated

_BEARER = re.compile(r"Bearer ([A-Za-z0-9._~+/=-]{1,512})")
_DOORS = (("/api/", Door.API), ("/partner/", Door.PARTNER))


class BadToken(Unauthenticated):
    """Unknown, expired, revoked, of a disabled account, or older than the last change of the password."""

    slug = "bad-token"
    title = "访问令牌无效或已过期"


class BadKey(BadToken):
    """Unknown, expired, revoked, or a test key at the live door."""

    slug = "bad-key"
    title = "密钥无效、已过期或已停用"


class SignedIn(UserMixin):  # type: ignore[misc]
    """The session user as flask-login keeps it: the id is the secret of the server-side session."""

    def __init__(self, secret: str, actor: Actor, name: str) -> None:
        self.secret = secret
        self.actor = actor
        self.name = name

    def get_id(self) -> str:
        return self.secret


class PageSessions(SecureCookieSessionInterface):
    """Sessions of pages alone: under /api/ and /partner/ no cookie is read or written."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if request.path.startswith(("/api/", "/partner/")):
            return self.make_null_session(app)
        return super().open_session(app, request)


def register_authentication(app: Flask) -> None:
    """Fill `g.actor` before every request, and keep answers for a person out of shared caches."""
    app.session_interface = PageSessions()
    manager = LoginManager()
    # The session row decides; an address that changes on the way (a phone) must not end it.
    manager.session_protection = None
    manager.user_loader(_load_user)
    manager.init_app(app)
    app.before_request(identify)
    app.after_request(_forbid_shared_caches)


def _settings() -> Settings:
    settings: Settings = current_app.config["SETTINGS"]
    return settings


def _door(path: str) -> Door:
    for prefix, door in _DOORS:
        if path.startswith(prefix):
            return door
    return Door.WEB


def identify() -> None:
    """Raises BadToken (`bad-token`) for a token that is given but not good; nobody is nobody, without an error."""
    req = request._get_current_object()  # type: ignore[attr-defined]
    door = _door(req.path)
    g.actor = anonymous(door)
    if door is Door.WEB:
        if req.endpoint != "static" and current_app.config["SESSION_COOKIE_NAME"] in req.cookies:
            user = current_user._get_current_object()
            if isinstance(user, SignedIn):
                g.actor = user.actor
        return
    header = req.environ.get("HTTP_AUTHORIZATION")
    if header is None:
        return
    given = _BEARER.fullmatch(header)
    if given is None:
        raise BadToken
    if door is Door.PARTNER:
        _identify_program(given[1])
        return
    holder = queries.token_holder(
        security.digest(given[1]), at=now(), door=door, strict=_settings().production
    )
    if holder is None:
        raise BadToken
    g.actor = holder.actor


def _identify_program(text: str) -> None:
    """A partner's program is its key: that is what its limit counts."""
    mode = KeyMode.TEST if _settings().sandbox else KeyMode.LIVE
    # The sandbox's clock may run ahead; a key ends by the real one.
    holder = key_holder(text, pepper=_settings().key_pepper, mode=mode, at=real_now())
    if holder is None:
        raise BadKey
    g.actor = holder.actor
    g.limited_as = f"rate:key:{holder.row_id}"


def bearer_secret() -> str:
    """The token of this request, for ending it. Raises Unauthenticated without one."""
    given = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    if given is None:
        raise Unauthenticated
    return given[1]


def _load_user(secret: str) -> SignedIn | None:
    at = now()
    holder = queries.session_holder(security.digest(secret), at=at, strict=_settings().production)
    if holder is None or at - holder.seen_at > sign_in.SESSION_IDLE:
        return None
    if at - holder.seen_at > sign_in.TOUCH_AFTER:
        sign_in.touch_session(secret, at)
    return SignedIn(secret, holder.actor, holder.name)


def client_address() -> str:
    """The address tries are counted for: what the socket, or the trusted proxies in front of it, say."""
    return request.remote_addr or "unknown"


def login_session(username: str, password: str, otp: str | None = None) -> Actor:
    """Sign in with a browser, under a new session id. Raises as `sign_in.create_session`."""
    issued = sign_in.create_session(
        _settings(), username=username, password=password, otp=otp, address=client_address()
    )
    logout_session()
    user = _load_user(issued.secret)
    if user is None:
        raise Unauthenticated
    login_user(user)
    g.actor = user.actor
    return user.actor


def logout_session() -> None:
    """End this browser session on the server, and forget everything the cookie held."""
    user = current_user._get_current_object()
    if isinstance(user, SignedIn):
        sign_in.revoke(WebSession, user.secret)
    logout_user()
    session.clear()
    g.actor = anonymous(Door.WEB)


def revoke_token() -> None:
    """End the token of this request."""
    sign_in.revoke(AccessToken, bearer_secret())


def _forbid_shared_caches(response: Response) -> Response:
    actor = g.get("actor")
    if not isinstance(actor, Actor) or actor.user_id is None:
        return response
    if response.cache_control.immutable:
        # Bytes under the name of their content: the same for everybody who may see them at all.
        return response
    if actor.door is Door.WEB:
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("Cookie")
    else:
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.vary.add("Authorization")
    return response
