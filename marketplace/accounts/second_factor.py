"""The second factor: set up by its owner, confirmed with a first code, reset only by two administrators."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts import security
from marketplace.accounts.models import RecoveryCode, SecondFactorReset, User
from marketplace.accounts.service import record_user
from marketplace.accounts.sign_in import confirm_password, count_try, use_step
from marketplace.accounts.users import end_all_sessions, lock_user
from marketplace.actors import Actor, Permission
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.database import db
from marketplace.errors import WrongState
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

RESET_WITHIN = timedelta(hours=24)


def enrol_totp(actor: Actor, settings: Settings, *, current_password: str, address: str) -> Reply:
    """A user starts to set up a second factor; the secret is shown once and counts after `confirm_totp`.

    Raises BadCredentials (`bad-credentials`), Throttled, WrongState (`wrong-state`) when one is in use.
    """
    actor.require(Permission.ACCOUNT_OWN)
    confirm_password(actor.principal, current_password, address)
    secret = security.new_totp_secret()
    with transaction(actor, Permission.ACCOUNT_OWN) as tx:
        row = lock_user(tx, actor.user_id)
        if row.totp_enabled_at is not None:
            raise WrongState("已设置动态验证码；要更换请联系管理员重置")
        row.totp_secret = security.encrypt_totp(settings.field_key, row.id, secret)
        row.version += 1
        record_user(tx, "user.second_factor_begun", row)
        uri = security.totp_uri(secret, row.username, settings.platform_name)
        return tx.answer({"secret": secret, "uri": uri})


def confirm_totp(actor: Actor, settings: Settings, *, otp: str) -> Reply:
    """The second factor counts from now on; ten recovery codes are shown once. Other sessions end, this one too.

    Raises BadCredentials (`bad-credentials`) for a wrong or used code, Throttled, WrongState (`wrong-state`).
    """
    actor.require(Permission.ACCOUNT_OWN)
    row = db.session().get_one(User, actor.principal)
    if row.totp_secret is None or row.totp_enabled_at is not None:
        raise WrongState("没有等待确认的动态验证码")
    count_try([f"second-factor:{row.id}"], now())
    use_step(row.id, security.decrypt_totp(settings.field_key, row.id, row.totp_secret), otp)
    checked = row.totp_secret
    codes = security.new_recovery_codes()
    with transaction(actor, Permission.ACCOUNT_OWN) as tx:
        row = lock_user(tx, actor.user_id)
        if row.totp_secret != checked or row.totp_enabled_at is not None:
            raise WrongState("没有等待确认的动态验证码")
        row.totp_enabled_at = tx.started_at
        end_all_sessions(row)
        _replace_recovery_codes(tx, row.id, codes)
        record_user(tx, "user.second_factor_set", row)
        return tx.answer({"recovery_codes": codes})


def _replace_recovery_codes(tx: Transaction, user_id: UUID, codes: list[str]) -> None:
    tx.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    tx.session.add_all(
        RecoveryCode(id=uuid7(), user_id=user_id, digest=security.recovery_digest(code)) for code in codes
    )


def reset_second_factor(actor: Actor, user_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """The first administrator asks for a reset, a second one within 24 hours does it; the user is signed out.

    Answers state `waiting` or `done`. Raises NotFound, WrongState (`wrong-state`) for one's own account or
    where no second factor is set.
    """
    with transaction(actor, Permission.USER_MANAGE, once) as tx:
        row = lock_user(tx, user_id)
        if row.id == actor.user_id:
            raise WrongState("不能重置自己的动态验证码")
        if row.totp_secret is None:
            raise WrongState("这个用户没有设置动态验证码")
        asked = tx.session.scalars(
            sa.select(SecondFactorReset)
            .where(
                SecondFactorReset.user_id == row.id,
                SecondFactorReset.done_at.is_(None),
                SecondFactorReset.asked_at > tx.started_at - RESET_WITHIN,
            )
            .order_by(SecondFactorReset.asked_at)
            .limit(1)
        ).one_or_none()
        if asked is None:
            tx.session.add(
                SecondFactorReset(
                    id=uuid7(), user_id=row.id, asked_by=actor.principal, asked_at=tx.started_at
                )
            )
        if asked is None or asked.asked_by == actor.user_id:
            record_user(tx, "user.second_factor_reset_asked", row)
            return tx.answer({"user_id": row.id, "state": "waiting"})
        asked.done_by, asked.done_at = actor.user_id, tx.started_at
        row.totp_secret = None
        row.totp_enabled_at = None
        end_all_sessions(row)
        _replace_recovery_codes(tx, row.id, [])
        record_user(tx, "user.second_factor_reset", row)
        return tx.answer({"user_id": row.id, "state": "done"})
