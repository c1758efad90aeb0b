"""Who stands behind a partner key: one statement at every request, so a revoked key is refused at once."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from marketplace.actors import Actor, Door, Permission, Role
from marketplace.channels.codes import key_digest, parse_key, same_digest
from marketplace.channels.states import SCOPE_PERMISSIONS, KeyMode, Scope
from marketplace.reading import fetch
from marketplace.unit_of_work import housekeeping
from marketplace.wire import prepare

_HOLDER = prepare(
    sa.text(
        """
    select k.id, k.digest, k.mode, k.scopes, k.expires_at, k.revoked_at, u.id as user_id, u.disabled_at, o.id,
           o.kind, o.region_code, o.disabled_at
    from partner_key k
    join app_user u on u.id = k.created_by
    join organisation o on o.id = k.channel_id
    where k.key_id = cast(:key_id as text)
    """
    )
)
# Test keys are made in the marketplace itself. In the sandbox, whose rows have other ids, the channel of the same code
# acts by its first account there.
_TEST_HOLDER = prepare(
    sa.text(
        """
    select k.id, k.digest, k.mode, k.scopes, k.expires_at, k.revoked_at, su.id as user_id, u.disabled_at, so.id,
           so.kind, so.region_code, o.disabled_at
    from public.partner_key k
    join public.app_user u on u.id = k.created_by
    join public.organisation o on o.id = k.channel_id
    join sandbox.organisation so on so.code = o.code and so.kind = o.kind
    join lateral (select id from sandbox.app_user where organisation_id = so.id order by id limit 1) su on true
    where k.key_id = cast(:key_id as text)
    """
    )
)
_NOTE_USE = sa.text(
    "insert into public.partner_key_use as k (key_id, used_at) values (:key, :at)"
    " on conflict (key_id) do update set used_at = greatest(k.used_at, :at)"
)
NOTE_EVERY = timedelta(minutes=1)
# When this process last wrote the use of a key.
_noted: dict[UUID, float] = {}


@dataclass(frozen=True)
class KeyHolder:
    """`row_id` is the key's own count of requests; `actor` acts for the channel within the key's scopes."""

    row_id: UUID
    actor: Actor


def key_holder(text: str, *, pepper: str, mode: KeyMode, at: datetime) -> KeyHolder | None:
    """Who holds a key; None when it is malformed, of the other mode, unknown, expired or revoked.

    A key ends with the account of the person who made it and with its channel.
    """
    given = parse_key(text)
    if given is None:
        return None
    rows = fetch(_TEST_HOLDER if mode is KeyMode.TEST else _HOLDER, {"key_id": given.key_id})
    # Compared also when there is no row: an unknown id answers no sooner than a wrong secret.
    digest = key_digest(pepper, text)
    if not same_digest(digest, bytes(rows[0][1]) if rows else b""):
        return None
    (row_id, _, row_mode, scopes, expires_at, revoked_at, user_id, user_disabled, channel_id, kind, region,
     channel_disabled) = rows[0]  # fmt: skip
    if row_mode != mode.value or revoked_at is not None or expires_at <= at:
        return None
    if user_disabled is not None or channel_disabled is not None:
        return None
    permissions: frozenset[Permission] = frozenset().union(*(SCOPE_PERMISSIONS[Scope(s)] for s in scopes))
    actor = Actor(
        user_id=user_id,
        username=f"key:{given.key_id}",
        organisation_id=channel_id,
        organisation_kind=kind,
        region_code=region,
        role=Role.CHANNEL_PARTNER,
        permissions=permissions,
        door=Door.PARTNER,
    )
    _note_use(row_id, at)
    return KeyHolder(row_id, actor)


def _note_use(row_id: UUID, at: datetime) -> None:
    """Write when a key was used, once a minute at most in each process: reading stays free of writes."""
    tick = time.monotonic()
    if tick - _noted.get(row_id, -1e9) < NOTE_EVERY.total_seconds():
        return
    _noted[row_id] = tick
    with housekeeping(["partner_key_use"]) as session:
        session.execute(_NOTE_USE, {"key": row_id, "at": at})
