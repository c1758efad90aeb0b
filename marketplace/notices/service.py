"""Marking notices as read, and where else a person wants them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from marketplace.actors import Actor, Permission
from marketplace.clock import now
from marketplace.errors import RuleViolation
from marketplace.notices.models import Notice, NoticeAddress, NoticeRead
from marketplace.notices.queries import visible_notices
from marketplace.unit_of_work import NO_ONCE, Once, Reply, housekeeping, transaction

_EMAIL = re.compile(r"[^@\s<>\"']{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def mark_read(actor: Actor, notice_ids: Sequence[int] | None = None) -> None:
    """This person has seen these notices, or all that he may see; others of the organisation still have them."""
    actor.require(Permission.ACCOUNT_OWN)
    with housekeeping(["notice_read"]) as session:
        found = sa.select(
            Notice.id, sa.literal(actor.principal, sa.Uuid()), sa.literal(now(), sa.DateTime(timezone=True))
        ).where(visible_notices(actor))
        if notice_ids is not None:
            found = found.where(Notice.id.in_(notice_ids))
        session.execute(
            insert(NoticeRead)
            .from_select(["notice_id", "user_id", "read_at"], found)
            .on_conflict_do_nothing()
        )


def set_email(actor: Actor, *, email: str | None, once: Once = NO_ONCE) -> Reply:
    """Where this person also gets notices; None stops them. The address stands in its row alone, never in a fact.

    Raises RuleViolation for what is no address.
    """
    if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        raise RuleViolation(
            errors=[{"pointer": "#/email", "detail": "不像一个邮箱地址，如 name@example.com"}]
        )
    with transaction(actor, Permission.ACCOUNT_OWN, once) as tx:
        tx.session.execute(
            insert(NoticeAddress)
            .values(user_id=actor.principal, email=email, set_at=tx.started_at)
            .on_conflict_do_update(index_elements=["user_id"], set_={"email": email, "set_at": tx.started_at})
        )
        tx.record(
            "notice.address_set",
            "user",
            actor.principal,
            parties=[actor.organisation_id],
            channel="email",
            given=email is not None,
        )
        return tx.answer({"email": email})
