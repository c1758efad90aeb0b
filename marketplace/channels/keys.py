"""Keys of a channel's programs: made by its people after they have shown who they are, shown once, revoked at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.accounts.models import Organisation, User
from marketplace.accounts.sign_in import confirm_person
from marketplace.actors import Actor, Permission
from marketplace.channels.codes import key_digest, make_key
from marketplace.channels.models import PartnerKey, PartnerKeyUse
from marketplace.channels.states import KeyMode, Scope
from marketplace.config import Settings
from marketplace.errors import Conflict, Forbidden, NotFound, WrongState, refuse_fields
from marketplace.unit_of_work import NO_ONCE, Once, Reply, Transaction, transaction
from marketplace.values import uuid7

LIVE_KEYS = 2
LONGEST_DAYS = 366


class EnoughKeys(Conflict):
    """Two keys of a mode are enough for a rotation: revoke the old one first."""

    slug = "enough-keys"
    title = "已有两个有效密钥，请先停用一个"


def create_key(
    actor: Actor,
    settings: Settings,
    *,
    name: str,
    mode: KeyMode,
    scopes: Sequence[Scope],
    days: int,
    current_password: str,
    otp: str | None = None,
    address: str,
) -> Reply:
    """A channel's person makes a key for its programs; `key` is in this answer alone and kept nowhere.

    `days` 1 to 366. Password and, where one is set up, second factor are asked again; in production a live key needs
    an account that has one. Raises BadCredentials (`bad-credentials`), OtpRequired (`otp-required`), Throttled,
    EnoughKeys (`enough-keys`), RuleViolation (`invalid`).
    """
    actor.require(Permission.CHANNEL_KEYS)
    refuse_fields(
        [
            ("name", None if 1 <= len(name.strip()) <= 60 else "名称要有1到60个字"),
            ("scopes", None if scopes else "请至少选一项用途"),
            ("days", None if 1 <= days <= LONGEST_DAYS else f"有效期要在1到{LONGEST_DAYS}天之间"),
        ]
    )
    confirm_person(settings, actor.principal, password=current_password, otp=otp, address=address)
    made = make_key(mode.value)
    with transaction(actor, Permission.CHANNEL_KEYS) as tx:
        _show_second_factor(tx, settings, mode)
        channel_id = _channel(tx)
        live = tx.session.scalar(
            sa.select(sa.func.count())
            .select_from(PartnerKey)
            .where(
                PartnerKey.channel_id == channel_id,
                PartnerKey.mode == mode,
                PartnerKey.revoked_at.is_(None),
                PartnerKey.expires_at > tx.started_at,
            )
        )
        if live is not None and live >= LIVE_KEYS:
            raise EnoughKeys
        row = PartnerKey(
            id=uuid7(),
            key_id=made.key_id,
            channel_id=channel_id,
            name=name.strip(),
            mode=mode,
            digest=key_digest(settings.key_pepper, made.text),
            scopes=sorted({scope.value for scope in scopes}),
            created_by=actor.principal,
            created_at=tx.started_at,
            expires_at=tx.started_at + timedelta(days=days),
        )
        tx.session.add(row)
        _record(tx, "partner_key.created", row)
        return tx.answer({**_shape(row, None), "key": made.text})


def _show_second_factor(tx: Transaction, settings: Settings, mode: KeyMode) -> None:
    """A live key orders for money and outlasts any session: a password alone makes none where it counts."""
    if mode is not KeyMode.LIVE or not settings.production:
        return
    person = tx.session.get(User, tx.actor.principal)
    if person is None or person.totp_enabled_at is None:
        refuse_fields([("mode", "正式密钥要先给账号开通第二重验证；试用密钥不用")])


def revoke_key(actor: Actor, key_row_id: UUID, *, once: Once = NO_ONCE) -> Reply:
    """End a key; the next request with it is refused. Raises WrongState (`wrong-state`) when it has ended."""
    with transaction(actor, Permission.CHANNEL_KEYS, once) as tx:
        row = tx.session.scalars(
            sa.select(PartnerKey)
            .where(PartnerKey.id == key_row_id, PartnerKey.channel_id == actor.organisation_id)
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise NotFound
        if row.revoked_at is not None:
            raise WrongState("这个密钥已经停用")
        row.revoked_at = tx.started_at
        row.revoked_by = actor.user_id
        _record(tx, "partner_key.revoked", row)
        return tx.answer(_shape(row, None))


def list_keys(session: Session, actor: Actor) -> list[dict[str, Any]]:
    """A channel's keys, newest first, without their secrets; two queries at most."""
    rows = session.execute(
        sa.select(PartnerKey, PartnerKeyUse.used_at, User.name)
        .outerjoin(PartnerKeyUse, PartnerKeyUse.key_id == PartnerKey.id)
        .join(User, User.id == PartnerKey.created_by)
        .where(PartnerKey.channel_id == actor.organisation_id)
        .order_by(PartnerKey.created_at.desc(), PartnerKey.id.desc())
    )
    return [{**_shape(key, used_at), "created_by": name} for key, used_at, name in rows]


def _channel(tx: Transaction) -> UUID:
    """The channel of the one who acts, locked: keys are counted by one at a time."""
    row = tx.session.execute(
        sa.select(Organisation.id, Organisation.kind)
        .where(Organisation.id == tx.actor.organisation_id)
        .with_for_update()
    ).one_or_none()
    if row is None or row.kind != "channel":
        raise Forbidden("密钥由渠道单位的账号管理")
    return UUID(str(row.id))


def _record(tx: Transaction, kind: str, row: PartnerKey) -> None:
    tx.record(
        kind,
        "partner_key",
        row.id,
        parties=[row.channel_id],
        key_id=row.key_id,
        channel=str(row.channel_id),
        mode=row.mode.value,
        scopes=list(row.scopes),
        expires_at=row.expires_at.isoformat(),
    )


def _shape(row: PartnerKey, used_at: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "key_id": row.key_id,
        "name": row.name,
        "mode": row.mode.value,
        "scopes": list(row.scopes),
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
        "used_at": used_at,
    }
