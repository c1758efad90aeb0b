"""Signing in and out: tries are counted before anything is compared, and answers tell nothing about an account.

Tokens, sessions and counters are technical rows (housekeeping); only a used recovery code is a fact of its user.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts import rules, security
from marketplace.accounts.models import AccessToken, Organisation, RecoveryCode, User, WebSession
from marketplace.accounts.service import record_user
from marketplace.actors import Actor, Door, Permission, system
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.database import db
from marketplace.errors import NotFound, Throttled, Unauthenticated
from marketplace.unit_of_work import housekeeping, transaction
from marketplace.values import uuid7

TOKEN_LIFETIME = timedelta(hours=12)
SESSION_LIFETIME = timedelta(hours=12)
SESSION_IDLE = timedelta(minutes=30)

TOUCH_AFTER = timedelta(minutes=1)
# The statement waits for other tries of the same key and minute, so no two of them see the same sum.
_COUNT_TRY = sa.text(
    "insert into throttle (key, window_start, count) values (:key, :minute, 1)"
    " on conflict (key, window_start) do update set count = throttle.count + 1"
)
_TRIES = sa.text("select coalesce(sum(count), 0) from throttle where key = :key and window_start > :since")
_FORGET_TRY = sa.text(
    "update throttle set count = count - 1 where key = :key and window_start = :minute and count > 0"
)
_FORGET_TRIES = sa.text("delete from throttle where key = :key")
_USE_STEP = sa.text(
    "insert into app_user_login as l (user_id, totp_last_step, signed_in_at) values (:user, :step, :at)"
    " on conflict (user_id) do update set totp_last_step = :step, signed_in_at = :at"
    " where l.totp_last_step < :step returning user_id"
)
_NOTE_SIGN_IN = sa.text(
    "insert into app_user_login (user_id, totp_last_step, signed_in_at) values (:user, 0, :at)"
    " on conflict (user_id) do update set signed_in_at = :at"
)


class BadCredentials(Unauthenticated):
    """One answer for an unknown user, a wrong password, a disabled account and a wrong code."""

    slug = "bad-credentials"
    title = "用户名、密码或验证码不对"


class OtpRequired(Unauthenticated):
    slug = "otp-required"
    title = "请输入动态验证码"


@dataclass(frozen=True)
class Issued:
    """A fresh secret, shown once: a bearer token or the id of a browser session."""

    secret: str
    user_id: UUID
    expires_at: datetime


def _tried_keys(username: str, address: str) -> list[str]:
    """Counters in one order for all, so that tries never deadlock; names are hashed (rows may be dumped)."""
    hashed = hashlib.sha256(username.encode("utf-8", "replace")).hexdigest()
    return [f"sign-in:account:{hashed}", f"sign-in:address:{address}"]


def count_try(keys: list[str], at: datetime) -> datetime:
    """Count one try on every key before it is judged; answers the minute it stands under.

    Raises Throttled (`too-many-requests`) when a key had 10 within 15 minutes; such a try adds nothing, so a
    locked account opens again by itself.
    """
    minute = at.replace(second=0, microsecond=0)
    with housekeeping(["throttle"]) as session:
        for key in keys:
            session.execute(_COUNT_TRY, {"key": key, "minute": minute})
            tries = session.execute(_TRIES, {"key": key, "since": at - rules.TRY_WINDOW}).scalar_one()
            if tries > rules.TRIES:
                raise Throttled(
                    "尝试次数太多，请15分钟后再试", retry_after=int(rules.TRY_WINDOW.total_seconds())
                )
    return minute


def _forget(session: Session, keys: list[str], minute: datetime) -> None:
    for key in keys:
        session.execute(_FORGET_TRY, {"key": key, "minute": minute})


def confirm_password(user_id: UUID, password: str, address: str) -> None:
    """Ask the signed-in user for the password again, counted like a sign-in. Raises BadCredentials."""
    with Session(db.engine) as session:
        user = session.get_one(User, user_id)
    keys = _tried_keys(user.username, address)
    minute = count_try(keys, now())
    if not security.password_matches(user.password_hash, password):
        raise BadCredentials
    with housekeeping(["throttle"]) as session:
        _forget(session, keys, minute)


def _authenticate(
    settings: Settings, username: str, password: str, otp: str | None, address: str
) -> tuple[User, list[str], datetime]:
    """The user whose password and second factor are right. Takes the same time whether the user exists."""
    username = username.strip().lower()
    keys = _tried_keys(username, address)
    minute = count_try(keys, now())
    with Session(db.engine) as session:
        row = session.execute(
            sa.select(User, Organisation.disabled_at)
            .join(Organisation, Organisation.id == User.organisation_id)
            .where(User.username == username)
        ).one_or_none()
    user = None if row is None else row.User
    matches = security.password_matches(None if user is None else user.password_hash, password)
    if row is None or user is None or not matches:
        raise BadCredentials
    if user.disabled_at is not None or row.disabled_at is not None:
        raise BadCredentials
    if user.totp_enabled_at is not None:
        _check_second_factor(settings, user, otp, keys, minute)
    return user, keys, minute


def confirm_person(
    settings: Settings, user_id: UUID, *, password: str, otp: str | None, address: str
) -> None:
    """Ask the signed-in user for the password and, where one is set up, the second factor again.

    Raises BadCredentials (`bad-credentials`), OtpRequired (`otp-required`), Throttled, all counted like a sign-in.
    """
    with Session(db.engine) as session:
        username = session.get_one(User, user_id).username
    _, keys, minute = _authenticate(settings, username, password, otp, address)
    with housekeeping(["throttle"]) as session:
        _forget(session, keys, minute)


def _check_second_factor(
    settings: Settings, user: User, otp: str | None, keys: list[str], minute: datetime
) -> None:
    if not otp:
        # The password was right: this is no failure, but no success that would clear the counters either.
        with housekeeping(["throttle"]) as session:
            _forget(session, keys, minute)
        raise OtpRequired
    if len(otp) > 6:
        _use_recovery_code(user.id, otp)
        return
    assert user.totp_secret is not None
    secret = security.decrypt_totp(settings.field_key, user.id, user.totp_secret)
    use_step(user.id, secret, otp)


def use_step(user_id: UUID, secret: str, otp: str) -> None:
    """Use the time step of a code, once and for ever, also when it arrives twice at once.

    Raises BadCredentials (`bad-credentials`).
    """
    step = rules.accepted_step(otp, lambda s: security.totp_code(secret, s), int(now().timestamp()), -1)
    if step is None:
        raise BadCredentials
    with housekeeping(["app_user_login"]) as session:
        used = session.execute(_USE_STEP, {"user": user_id, "step": step, "at": now()}).one_or_none()
    if used is None:
        raise BadCredentials


def _use_recovery_code(user_id: UUID, code: str) -> None:
    with transaction(system(Door.API), Permission.SYSTEM) as tx:
        used = tx.session.execute(
            sa.update(RecoveryCode)
            .where(
                RecoveryCode.user_id == user_id,
                RecoveryCode.digest == security.recovery_digest(code),
                RecoveryCode.used_at.is_(None),
            )
            .values(used_at=tx.started_at)
            .returning(RecoveryCode.id)
        ).one_or_none()
        if used is None:
            raise BadCredentials
        record_user(tx, "user.recovery_code_used", tx.session.get_one(User, user_id))


def _issue(
    table: type[AccessToken] | type[WebSession],
    user: User,
    lifetime: timedelta,
    keys: list[str],
    minute: datetime,
) -> Issued:
    secret, at = security.new_secret(), now()
    row: AccessToken | WebSession
    values = {
        "digest": security.digest(secret),
        "id": uuid7(),
        "user_id": user.id,
        "auth_version": user.auth_version,
        "created_at": at,
        "expires_at": at + lifetime,
    }
    row = table(**values) if table is AccessToken else table(**values, seen_at=at)
    with housekeeping([table.__tablename__, "app_user_login", "throttle"]) as session:
        session.add(row)
        session.execute(_NOTE_SIGN_IN, {"user": user.id, "at": at})
        session.execute(_FORGET_TRIES, {"key": keys[0]})
        _forget(session, keys[1:], minute)
    return Issued(secret, user.id, at + lifetime)


def _renew_hash(user: User, password: str) -> None:
    """Hash again when the parameters have been raised since; the sessions stay."""
    if not security.needs_rehash(user.password_hash):
        return
    hashed = security.hash_password(password)
    with transaction(system(Door.JOB), Permission.SYSTEM) as tx:
        row = tx.session.get_one(User, user.id, with_for_update=True)
        if row.password_hash == user.password_hash:
            row.password_hash = hashed
        record_user(tx, "user.password_changed", row, rehashed=True)


def create_token(
    settings: Settings, *, username: str, password: str, otp: str | None = None, address: str
) -> Issued:
    """A user signs in for the API: a bearer token of 12 hours.

    `address` is the client's, after trusted proxies only. `otp` is a code of the authenticator, or a recovery
    code. Raises BadCredentials (`bad-credentials`), OtpRequired (`otp-required`), Throttled.
    """
    user, keys, minute = _authenticate(settings, username, password, otp, address)
    _renew_hash(user, password)
    return _issue(AccessToken, user, TOKEN_LIFETIME, keys, minute)


def create_session(
    settings: Settings, *, username: str, password: str, otp: str | None = None, address: str
) -> Issued:
    """A user signs in with a browser: a session of 12 hours at most, ended by 30 idle minutes. Raises as tokens."""
    user, keys, minute = _authenticate(settings, username, password, otp, address)
    _renew_hash(user, password)
    return _issue(WebSession, user, SESSION_LIFETIME, keys, minute)


def revoke(table: type[AccessToken] | type[WebSession], secret: str) -> None:
    """End one token or session; others of the same user stay."""
    with housekeeping([table.__tablename__]) as session:
        session.execute(
            sa.update(table)
            .where(table.digest == security.digest(secret), table.revoked_at.is_(None))
            .values(revoked_at=now())
        )


def end_own(actor: Actor, table: type[AccessToken] | type[WebSession], row_id: UUID) -> None:
    """A user ends one session or token of his by its id. Raises NotFound for others' and ended ones."""
    with housekeeping([table.__tablename__]) as session:
        ended = session.execute(
            sa.update(table)
            .where(table.id == row_id, table.user_id == actor.principal, table.revoked_at.is_(None))
            .values(revoked_at=now())
            .returning(table.id)
        ).one_or_none()
        if ended is None:
            raise NotFound


def touch_session(secret: str, at: datetime) -> None:
    """Move the idle clock; written once a minute at most, so that reading pages writes little."""
    with housekeeping(["web_session"]) as session:
        session.execute(
            sa.update(WebSession)
            .where(WebSession.digest == security.digest(secret), WebSession.seen_at < at - TOUCH_AFTER)
            .values(seen_at=at)
        )
