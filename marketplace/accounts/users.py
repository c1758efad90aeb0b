"""What becomes of a user: password, role, disabling, signing out everywhere.

Each of these raises `auth_version`, which ends all sessions and tokens at the next request.
"""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa

from marketplace.accounts import queries, rules, security
from marketplace.accounts.models import User
from marketplace.accounts.service import record_user
from marketplace.accounts.sign_in import confirm_password
from marketplace.actors import Actor, Permission, Role
from marketplace.errors import NotFound, RuleViolation, WrongState
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction


def lock_user(tx: Transaction, user_id: UUID | None) -> User:
    """Raises NotFound (`not-found`)."""
    row = tx.session.scalars(sa.select(User).where(User.id == user_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("找不到这个用户")
    return row


def end_all_sessions(row: User) -> None:
    row.auth_version += 1
    row.version += 1


def change_password(actor: Actor, *, current_password: str, new_password: str, address: str) -> Reply:
    """A user takes a new password; every session and token of his ends, this one too.

    There is no key for it: the stored fingerprint would be a fast hash of both passwords. Raises BadCredentials (`bad-credentials`), Throttled, RuleViolation (`invalid`).
    """
    actor.require(Permission.ACCOUNT_OWN)
    confirm_password(actor.principal, current_password, address)
    problem = rules.password_problem(new_password, actor.username or "")
    if problem is None and new_password == current_password:
        problem = "新密码要与现在的不同"
    if problem is not None:
        raise RuleViolation(errors=[{"pointer": "#/new_password", "detail": problem}])
    hashed = security.hash_password(new_password)
    with transaction(actor, Permission.ACCOUNT_OWN) as tx:
        row = lock_user(tx, actor.user_id)
        row.password_hash = hashed
        row.password_initial = False
        end_all_sessions(row)
        record_user(tx, "user.password_changed", row)
        return tx.answer(queries.user_view(row))


def renew_password(actor: Actor, user_id: UUID, *, password: str, once: Once = NO_ONCE) -> Reply:
    """An administrator gives a user who lost his password an initial one; he is signed out and has to change it.

    A second factor stays: without it the new password opens nothing. Raises NotFound, WrongState (`wrong-state`) for
    the own account, RuleViolation (`invalid`).
    """
    problem = rules.password_problem(password, "")
    if problem is not None:
        raise RuleViolation(errors=[{"pointer": "#/password", "detail": problem}])
    hashed = security.hash_password(password)
    with transaction(actor, Permission.USER_MANAGE, once) as tx:
        row = lock_user(tx, user_id)
        _not_oneself(actor, row)
        row.password_hash = hashed
        row.password_initial = True
        end_all_sessions(row)
        record_user(tx, "user.password_renewed", row)
        return tx.answer(queries.user_view(row))


def sign_out_everywhere(actor: Actor, once: Once = NO_ONCE) -> Reply:
    """A user ends all sessions and tokens of his, this one too."""
    with transaction(actor, Permission.ACCOUNT_OWN, once) as tx:
        row = lock_user(tx, actor.user_id)
        end_all_sessions(row)
        record_user(tx, "user.signed_out_everywhere", row)
        return tx.answer(queries.user_view(row))


def set_role(actor: Actor, user_id: UUID, *, role: str, once: Once = NO_ONCE) -> Reply:
    """A user gets another role, with which he signs in anew.

    Raises NotFound, RuleViolation (`role-mismatch`), WrongState (`wrong-state`) for the own account.
    """
    with transaction(actor, Permission.USER_MANAGE, once) as tx:
        row = lock_user(tx, user_id)
        _not_oneself(actor, row)
        organisation = queries.organisation_row(tx.session, row.organisation_id)
        if organisation.kind.value not in rules.ROLE_KINDS[Role(role)]:
            raise RuleViolation("这类单位不能有这个角色", slug="role-mismatch")
        row.role = Role(role)
        end_all_sessions(row)
        record_user(tx, "user.role_changed", row)
        return tx.answer(queries.user_view(row))


def disable_user(actor: Actor, user_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """A user can't sign in any more, and is signed out at once.

    Raises NotFound, WrongState (`wrong-state`) when he is disabled already or is the one who asks.
    """
    with transaction(actor, Permission.USER_MANAGE, once) as tx:
        row = lock_user(tx, user_id)
        _not_oneself(actor, row)
        if row.disabled_at is not None:
            raise WrongState("这个用户已停用")
        row.disabled_at = tx.started_at
        end_all_sessions(row)
        record_user(tx, "user.disabled", row)
        return tx.answer(queries.user_view(row))


def enable_user(actor: Actor, user_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """A user who was disabled may sign in again, with the password and second factor he had.

    Raises NotFound, WrongState (`wrong-state`) when he is not disabled.
    """
    with transaction(actor, Permission.USER_MANAGE, once) as tx:
        row = lock_user(tx, user_id)
        if row.disabled_at is None:
            raise WrongState("这个用户没有停用")
        row.disabled_at = None
        row.version += 1
        record_user(tx, "user.enabled", row)
        return tx.answer(queries.user_view(row))


def _not_oneself(actor: Actor, row: User) -> None:
    if row.id == actor.user_id:
        raise WrongState("不能这样改自己的账号")
