"""Reads for the pages of the own account and of administration: sessions, tokens, people, organisations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from marketplace.accounts import security
from marketplace.accounts.models import (
    AccessToken,
    BankAccount,
    BankAccountState,
    Canteen,
    Organisation,
    OrganisationHistory,
    PayerProfile,
    RecoveryCode,
    Region,
    SecondFactorReset,
    User,
    UserLogin,
    WebSession,
)
from marketplace.accounts.queries import bank_account_view, organisation_view, user_view
from marketplace.accounts.rules import SECOND_FACTOR_ROLES
from marketplace.actors import Actor, Permission
from marketplace.errors import NotFound
from marketplace.paging import DEFAULT_LIMIT, Key, paginate

USER_SORTS: Mapping[str, sa.SQLColumnExpression[Any]] = {
    "username": User.__table__.c.username,
    "name": User.__table__.c.name,
    "created_at": User.__table__.c.created_at,
}
ORGANISATION_SORTS: Mapping[str, sa.SQLColumnExpression[Any]] = {
    "code": Organisation.__table__.c.code,
    "name": Organisation.__table__.c.pinyin_key,
}


def own_account(session: Session, actor: Actor) -> dict[str, Any]:
    """The account of the caller: second factor (`none`, `begun`, `set`), recovery codes left, last sign-in."""
    codes = (
        sa.select(sa.func.count())
        .where(RecoveryCode.user_id == User.id, RecoveryCode.used_at.is_(None))
        .correlate(User)
        .scalar_subquery()
    )
    row = session.execute(
        sa.select(User, Organisation.name, UserLogin.signed_in_at, codes.label("codes"))
        .join(Organisation, Organisation.id == User.organisation_id)
        .outerjoin(UserLogin, UserLogin.user_id == User.id)
        .where(User.id == actor.user_id)
    ).one_or_none()
    if row is None:
        raise NotFound
    user: User = row.User
    begun = "begun" if user.totp_secret is not None else "none"
    return {
        "username": user.username,
        "name": user.name,
        "role": user.role,
        "organisation": row.name,
        "second_factor": "set" if user.totp_enabled_at is not None else begun,
        "second_factor_wanted": user.role in SECOND_FACTOR_ROLES,
        "password_initial": user.password_initial,
        "recovery_codes": row.codes,
        "signed_in_at": row.signed_in_at,
    }


def _live(
    table: type[AccessToken] | type[WebSession], actor: Actor, at: datetime
) -> list[sa.ColumnElement[bool]]:
    return [
        table.user_id == actor.principal,
        table.revoked_at.is_(None),
        table.expires_at > at,
        table.auth_version == User.auth_version,
    ]


def own_sessions(
    session: Session, actor: Actor, at: datetime, idle: timedelta, current: str | None
) -> list[dict[str, Any]]:
    """Browser sessions of the caller that are still open, the last used first; `current` is this one's secret."""
    digest = None if current is None else security.digest(current)
    rows = session.execute(
        sa.select(
            WebSession.id, WebSession.digest, WebSession.created_at, WebSession.seen_at, WebSession.expires_at
        )
        .join(User, User.id == WebSession.user_id)
        .where(*_live(WebSession, actor, at), WebSession.seen_at > at - idle)
        .order_by(WebSession.seen_at.desc(), WebSession.id)
    )
    return [
        {
            **{n: row[n] for n in ("id", "created_at", "seen_at", "expires_at")},
            "current": row["digest"] == digest,
        }
        for row in rows.mappings()
    ]


def own_tokens(session: Session, actor: Actor, at: datetime) -> list[dict[str, Any]]:
    """API tokens of the caller that still work, the newest first; the token itself is kept nowhere."""
    rows = session.execute(
        sa.select(AccessToken.id, AccessToken.created_at, AccessToken.expires_at)
        .join(User, User.id == AccessToken.user_id)
        .where(*_live(AccessToken, actor, at))
        .order_by(AccessToken.created_at.desc(), AccessToken.id)
    )
    return [dict(row) for row in rows.mappings()]


def _keys(sorts: Mapping[str, sa.SQLColumnExpression[Any]], sort: str, last: Any) -> list[Key]:
    column = sorts.get(sort.removeprefix("-"))
    down = sort.startswith("-")
    return [(last, False)] if column is None else [(column, down), (last, down)]


def _like(word: str) -> str:
    return "%" + word.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def find_users(
    actor: Actor,
    session: Session,
    *,
    q: str | None = None,
    role: str | None = None,
    organisation_id: UUID | None = None,
    sort: str = "",
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """Users with their organisation's name; `q` is part of a user name, a name or an organisation's name."""
    actor.require(Permission.USER_MANAGE)
    statement = sa.select(User, Organisation.name, Organisation.code, UserLogin.signed_in_at)
    statement = statement.join(Organisation, Organisation.id == User.organisation_id)
    statement = statement.outerjoin(UserLogin, UserLogin.user_id == User.id)
    if q:
        part = _like(q)
        statement = statement.where(
            sa.or_(User.username.ilike(part), User.name.ilike(part), Organisation.name.ilike(part))
        )
    if role is not None:
        statement = statement.where(User.role == role)
    if organisation_id is not None:
        statement = statement.where(User.organisation_id == organisation_id)
    keys = _keys(USER_SORTS, sort, User.__table__.c.id)
    return paginate(session, statement, keys, limit=limit, after=after, shape=_user)


def _user(row: Any) -> dict[str, Any]:
    return {
        **user_view(row.User),
        "organisation": {"name": row.name, "code": row.code},
        "password_initial": row.User.password_initial,
        "signed_in_at": row.signed_in_at,
    }


def user_page(
    actor: Actor, session: Session, user_id: UUID, at: datetime, within: timedelta
) -> dict[str, Any]:
    """One user with a reset of the second factor that waits for a second administrator. Raises NotFound."""
    actor.require(Permission.USER_MANAGE)
    row = session.execute(
        sa.select(User, Organisation.name, Organisation.code, Organisation.kind, UserLogin.signed_in_at)
        .join(Organisation, Organisation.id == User.organisation_id)
        .outerjoin(UserLogin, UserLogin.user_id == User.id)
        .where(User.id == user_id)
    ).one_or_none()
    if row is None:
        raise NotFound("找不到这个用户")
    asker = aliased(User)
    reset = session.execute(
        sa.select(SecondFactorReset.asked_at, SecondFactorReset.asked_by, asker.name)
        .join(asker, asker.id == SecondFactorReset.asked_by)
        .where(
            SecondFactorReset.user_id == user_id,
            SecondFactorReset.done_at.is_(None),
            SecondFactorReset.asked_at > at - within,
        )
        .order_by(SecondFactorReset.asked_at)
        .limit(1)
    ).one_or_none()
    return {
        **_user(row),
        "organisation_kind": row.kind,
        "second_factor_begun": row.User.totp_secret is not None,
        "reset": None if reset is None else dict(reset._mapping),
    }


def find_organisations(
    actor: Actor,
    session: Session,
    *,
    q: str | None = None,
    kind: str | None = None,
    sort: str = "code",
    limit: int = DEFAULT_LIMIT,
    after: str | None = None,
) -> dict[str, Any]:
    """Organisations with region and number of users; `q` is part of a name, its pinyin or the code."""
    actor.require(Permission.ORGANISATION_MANAGE)
    users = (
        sa.select(sa.func.count())
        .where(User.organisation_id == Organisation.id, User.disabled_at.is_(None))
        .correlate(Organisation)
        .scalar_subquery()
    )
    statement = sa.select(Organisation, Region.name.label("region"), users.label("users"))
    statement = statement.join(Region, Region.code == Organisation.region_code)
    if q:
        part = _like(q)
        # The sort key is pinyin with tone numbers; people type it without.
        pinyin = sa.func.regexp_replace(Organisation.pinyin_key, "[0-9 ]", "", "g")
        known = (Organisation.name, pinyin, Organisation.code, Organisation.credit_code)
        statement = statement.where(sa.or_(*[column.ilike(part) for column in known]))
    if kind is not None:
        statement = statement.where(Organisation.kind == kind)
    keys = _keys(ORGANISATION_SORTS, sort, Organisation.__table__.c.id)

    def shape(row: Any) -> dict[str, Any]:
        return {**organisation_view(row.Organisation), "region": row.region, "users": row.users}

    return paginate(session, statement, keys, limit=limit, after=after, shape=shape)


def organisation_id(session: Session, code: str) -> UUID | None:
    """Whose code this is; None when nobody's."""
    return session.scalar(sa.select(Organisation.id).where(Organisation.code == code))


def organisation_page(actor: Actor, session: Session, code: str, at: datetime) -> dict[str, Any]:
    """One organisation with its names over time, payers, canteens, account, superior and units. Raises NotFound."""
    actor.require(Permission.ORGANISATION_MANAGE)
    row = session.scalars(sa.select(Organisation).where(Organisation.code == code)).one_or_none()
    if row is None:
        raise NotFound
    profiles = (
        sa.select(PayerProfile).where(PayerProfile.organisation_id == row.id).order_by(PayerProfile.code)
    )
    history = (
        sa.select(OrganisationHistory.name, OrganisationHistory.valid_from)
        .where(OrganisationHistory.organisation_id == row.id)
        .order_by(OrganisationHistory.valid_from)
    )
    below = sa.select(Organisation.code, Organisation.name).where(Organisation.parent_id == row.id)
    accounts = sa.select(BankAccount).where(
        BankAccount.organisation_id == row.id, BankAccount.state != BankAccountState.REPLACED
    )
    parent = session.get(Organisation, row.parent_id) if row.parent_id else None
    partner = session.get(Organisation, row.canteen_partner_id) if row.canteen_partner_id else None
    return {
        **organisation_view(row),
        "address": row.address,
        "region": session.get_one(Region, row.region_code).name,
        "parent": None if parent is None else {"code": parent.code, "name": parent.name},
        "partner": None if partner is None else {"code": partner.code, "name": partner.name},
        "below": [dict(r) for r in session.execute(below.order_by(Organisation.code).limit(200)).mappings()],
        "canteens": list(session.scalars(sa.select(Canteen.name).where(Canteen.organisation_id == row.id))),
        "payers": [
            {
                "purpose": p.purpose,
                "title": p.invoice_title,
                "tax_number": p.tax_number,
                "default": p.is_default,
            }
            for p in session.scalars(profiles)
        ],
        "accounts": [bank_account_view(a, at) for a in session.scalars(accounts)],
        "history": [dict(r) for r in session.execute(history).mappings()],
    }
