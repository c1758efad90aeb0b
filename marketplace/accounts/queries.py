"""Reads of organisations, payers, bank accounts, users, and who stands behind a token or session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import (
    BankAccount,
    BankAccountState,
    Canteen,
    Organisation,
    PayerProfile,
    Purpose,
    Region,
    User,
)
from marketplace.accounts.rules import SECOND_FACTOR_ROLES
from marketplace.actors import ROLE_PERMISSIONS, Actor, Door, Permission, Role
from marketplace.errors import NotFound
from marketplace.paging import paginate
from marketplace.reading import fetch
from marketplace.wire import Prepared, prepare

_SUBORDINATES = """
    with recursive below(id) as (
        select child.id from organisation child where child.parent_id = {root}
        union
        select child.id from organisation child join below b on child.parent_id = b.id
    ) select id from below
"""

# One round trip for the whole of authentication; subordinates only for management accounts.
_HOLDER = """
    select t.id as session_id, t.auth_version, t.created_at, t.expires_at, t.revoked_at, {seen} as seen_at,
        u.id as user_id, u.username, u.name, u.role, u.auth_version as present_version, u.disabled_at,
        u.totp_enabled_at is not null as second_factor, u.password_initial,
        o.id as organisation_id, o.kind as organisation_kind, o.region_code,
        o.disabled_at as organisation_disabled_at,
        case when u.role = 'manager' then array(SUBORDINATES)
             when o.kind = 'office' and o.region_code not like '%00'
                 then array(select near.id from organisation near where near.region_code = o.region_code)
             else '{{}}'::uuid[] end as subordinate_ids
    from {table} t join app_user u on u.id = t.user_id join organisation o on o.id = u.organisation_id
    where t.digest = :digest
"""
_TOKEN_HOLDER = prepare(
    sa.text(
        _HOLDER.format(seen="t.created_at", table="access_token").replace(
            "SUBORDINATES", _SUBORDINATES.format(root="o.id")
        )
    )
)
_SESSION_HOLDER = prepare(
    sa.text(
        _HOLDER.format(seen="t.seen_at", table="web_session").replace(
            "SUBORDINATES", _SUBORDINATES.format(root="o.id")
        )
    )
)
_BELOW = sa.text(_SUBORDINATES.format(root=":root"))


@dataclass(frozen=True)
class Holder:
    """Who stands behind a valid token or session."""

    actor: Actor
    name: str
    session_id: UUID
    created_at: datetime
    seen_at: datetime


class _HolderRow(NamedTuple):
    """What the statement selects, in its order."""

    session_id: UUID
    auth_version: int
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    seen_at: datetime
    user_id: UUID
    username: str
    name: str
    role: str
    present_version: int
    disabled_at: datetime | None
    second_factor: bool
    password_initial: bool
    organisation_id: UUID
    organisation_kind: str
    region_code: str
    organisation_disabled_at: datetime | None
    subordinate_ids: list[UUID]


def _holder(statement: Prepared, digest: bytes, at: datetime, door: Door, strict: bool) -> Holder | None:
    rows = fetch(statement, {"digest": digest})
    if not rows:
        return None
    row = _HolderRow(*rows[0])
    if row.revoked_at is not None or row.expires_at <= at:
        return None
    if row.disabled_at is not None or row.organisation_disabled_at is not None:
        return None
    if row.auth_version != row.present_version:
        return None
    role = Role(row.role)
    permissions = ROLE_PERMISSIONS[role]
    if row.password_initial or (strict and role in SECOND_FACTOR_ROLES and not row.second_factor):
        # Enough to choose a password or to set up the second factor, and nothing else.
        permissions = frozenset({Permission.ACCOUNT_OWN})
    actor = Actor(
        user_id=row.user_id,
        username=row.username,
        organisation_id=row.organisation_id,
        organisation_kind=row.organisation_kind,
        region_code=row.region_code,
        role=role,
        permissions=permissions,
        door=door,
        subordinate_ids=frozenset(row.subordinate_ids),
    )
    return Holder(actor, row.name, row.session_id, row.created_at, row.seen_at)


def token_holder(digest: bytes, *, at: datetime, door: Door, strict: bool) -> Holder | None:
    """Who holds a bearer token; None when it is unknown, expired, revoked or outrun by `auth_version`.

    One statement on a connection without a transaction.

    `strict` (production): roles that need a second factor and have none yet may only set it up.
    """
    return _holder(_TOKEN_HOLDER, digest, at, door, strict)


def session_holder(digest: bytes, *, at: datetime, strict: bool) -> Holder | None:
    """The same for a browser session; the idle time is the caller's to check."""
    return _holder(_SESSION_HOLDER, digest, at, Door.WEB, strict)


def organisation_row(session: Session, organisation_id: UUID) -> Organisation:
    """Raises NotFound (`not-found`)."""
    row = session.get(Organisation, organisation_id)
    if row is None:
        raise NotFound
    return row


def subordinate_ids(session: Session, organisation_id: UUID) -> frozenset[UUID]:
    """All units below an organisation, at any depth, without itself."""
    return frozenset(session.execute(_BELOW, {"root": organisation_id}).scalars())


def payer_profile(
    session: Session, organisation_id: UUID, purpose: str, profile_id: UUID | None = None
) -> PayerProfile | None:
    """The payer of an organisation: the named one of its own, else the default of the purpose."""
    statement = sa.select(PayerProfile).where(PayerProfile.organisation_id == organisation_id)
    if profile_id is not None:
        return session.scalars(statement.where(PayerProfile.id == profile_id)).one_or_none()
    return session.scalars(
        statement.where(PayerProfile.purpose == Purpose(purpose))
        .order_by(PayerProfile.is_default.desc(), PayerProfile.id)
        .limit(1)
    ).one_or_none()


def active_bank_account(session: Session, organisation_id: UUID, at: datetime) -> BankAccount | None:
    """The account that money of an organisation goes to at `at`.

    An approved change counts from its `effective_at` on, also before anything has marked it active.
    """
    approved = sa.or_(
        BankAccount.state == BankAccountState.ACTIVE,
        sa.and_(BankAccount.state == BankAccountState.PENDING, BankAccount.approved_by.is_not(None)),
    )
    return session.scalars(
        sa.select(BankAccount)
        .where(BankAccount.organisation_id == organisation_id, approved, BankAccount.effective_at <= at)
        .order_by(BankAccount.effective_at.desc(), BankAccount.id.desc())
        .limit(1)
    ).one_or_none()


def canteen(session: Session, organisation_id: UUID, canteen_id: UUID | None = None) -> Canteen | None:
    """The named canteen of an organisation, else its first; None when it has none."""
    statement = sa.select(Canteen).where(Canteen.organisation_id == organisation_id)
    if canteen_id is not None:
        statement = statement.where(Canteen.id == canteen_id)
    return session.scalars(statement.order_by(Canteen.id).limit(1)).one_or_none()


def canteens(session: Session, organisation_id: UUID) -> list[Canteen]:
    statement = sa.select(Canteen).where(Canteen.organisation_id == organisation_id).order_by(Canteen.id)
    return list(session.scalars(statement))


def payer_profiles(session: Session, organisation_id: UUID) -> list[PayerProfile]:
    statement = sa.select(PayerProfile).where(PayerProfile.organisation_id == organisation_id)
    return list(session.scalars(statement.order_by(PayerProfile.code)))


def region_names(session: Session) -> dict[str, str]:
    return {row.code: row.name for row in session.execute(sa.select(Region.code, Region.name))}


def me_view(session: Session, actor: Actor) -> dict[str, Any]:
    """Who the caller is, for `GET /me` and the head of pages."""
    row = session.execute(
        sa.select(User.username, User.name, User.totp_enabled_at, Organisation)
        .join(Organisation, Organisation.id == User.organisation_id)
        .where(User.id == actor.user_id)
    ).one_or_none()
    if row is None:
        raise NotFound
    return {
        "user": {
            "id": actor.user_id,
            "username": row.username,
            "name": row.name,
            "second_factor": row.totp_enabled_at is not None,
        },
        "organisation": organisation_view(row.Organisation),
        "role": actor.role,
        "permissions": sorted(p.value for p in actor.permissions),
    }


def organisation_view(row: Organisation) -> dict[str, Any]:
    names = (
        "id code name kind subkind credit_code region_code parent_id level counts_in_city canteen_mode"
        " canteen_partner_id admitted_on disabled_at version"
    )
    return {name: getattr(row, name) for name in names.split()}


def user_view(row: User) -> dict[str, Any]:
    return {
        "id": row.id,
        "username": row.username,
        "name": row.name,
        "organisation_id": row.organisation_id,
        "role": row.role,
        "second_factor": row.totp_enabled_at is not None,
        "disabled_at": row.disabled_at,
        "created_at": row.created_at,
        "version": row.version,
    }


def bank_account_view(row: BankAccount, at: datetime) -> dict[str, Any]:
    """`state` is how the account stands at `at`: an approved change is `waiting` until it takes effect."""
    state: str = row.state
    if row.state == BankAccountState.PENDING and row.approved_by is not None:
        state = "active" if row.effective_at <= at else "waiting"
    return {
        "id": row.id,
        "account_name": row.account_name,
        "bank_name": row.bank_name,
        "bank_branch_number": row.bank_branch_number,
        "account_number": row.account_number,
        "state": state,
        "effective_at": row.effective_at,
        "proposed_by": row.proposed_by,
    }


def list_bank_accounts(actor: Actor, session: Session, at: datetime) -> list[dict[str, Any]]:
    """The accounts of the caller's own organisation, newest first; an outrun active one shows as replaced."""
    actor.require(Permission.PAYMENT_CONFIRM)
    rows = session.scalars(
        sa.select(BankAccount)
        .where(BankAccount.organisation_id == actor.organisation_id)
        .order_by(BankAccount.id.desc())
    ).all()
    views = [bank_account_view(row, at) for row in rows]
    active = [view for view in views if view["state"] == "active"]
    for view in sorted(active, key=lambda v: v["effective_at"])[:-1]:
        view["state"] = "replaced"
    return views


def _page(
    session: Session,
    statement: sa.Select[Any],
    key: tuple[sa.ColumnElement[Any], bool],
    shape: Callable[[Any], Any],
    limit: int,
    after: str | None,
) -> dict[str, Any]:
    return paginate(session, statement, [key], limit=limit, after=after, shape=shape)


def list_users(actor: Actor, session: Session, *, limit: int, after: str | None = None) -> dict[str, Any]:
    actor.require(Permission.USER_MANAGE)
    key = (User.__table__.c.id, False)
    return _page(session, sa.select(User), key, lambda row: user_view(row.User), limit, after)


def list_organisations(
    actor: Actor, session: Session, *, kind: str | None = None, limit: int, after: str | None = None
) -> dict[str, Any]:
    actor.require(Permission.ORGANISATION_MANAGE)
    statement = sa.select(Organisation)
    if kind is not None:
        statement = statement.where(Organisation.kind == kind)
    key = (Organisation.__table__.c.code, False)
    return _page(session, statement, key, lambda row: organisation_view(row.Organisation), limit, after)
