"""A person's inbox: open waits and news of the organisation that his permissions cover."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from marketplace.actors import Actor
from marketplace.clock import now
from marketplace.notices.models import Notice, NoticeAddress, NoticeRead
from marketplace.notices.rules import ONCE_DUE
from marketplace.paging import paginate


def visible_notices(actor: Actor) -> sa.ColumnElement[bool]:
    """Notices of the own organisation, or of all offices, for a step that the actor may take.

    Of those for all offices one of a county has what concerns an organisation of the county.
    """
    if actor.user_id is None:
        return sa.false()
    names = sorted(p.value for p in actor.permissions)
    own: sa.ColumnElement[bool] = Notice.organisation_id == actor.organisation_id
    if actor.organisation_kind == "office":
        all_offices: sa.ColumnElement[bool] = Notice.organisation_id.is_(None)
        if actor.of_county:
            all_offices = sa.and_(all_offices, Notice.parties.overlap(sorted(actor.subordinate_ids)))
        own = sa.or_(own, all_offices)
    begun = sa.or_(Notice.topic.not_in(sorted(ONCE_DUE)), Notice.due_at <= now())
    return sa.and_(own, begun, Notice.permission.in_(names))


def _read_by(actor: Actor) -> sa.ColumnElement[bool]:
    return sa.exists().where(NoticeRead.notice_id == Notice.id, NoticeRead.user_id == actor.user_id)


def unread_count(session: Session, actor: Actor) -> int:
    """Open waits and news that this person has not seen."""
    return session.execute(
        sa.select(sa.func.count())
        .select_from(Notice)
        .where(visible_notices(actor), Notice.done_at.is_(None), sa.not_(_read_by(actor)))
    ).scalar_one()


def list_notices(
    session: Session,
    actor: Actor,
    *,
    group: str = "open",
    notice_id: int | None = None,
    limit: int = 24,
    after: str | None = None,
) -> dict[str, Any]:
    """The newest first. `group`: open (waits not ended, news not read), done (the others), all."""
    statement = sa.select(Notice, _read_by(actor).label("read")).where(visible_notices(actor))
    if notice_id is not None:
        statement = statement.where(Notice.id == notice_id)
    is_open = sa.and_(Notice.done_at.is_(None), sa.or_(Notice.news.is_(False), sa.not_(_read_by(actor))))
    if group == "open":
        statement = statement.where(is_open)
    elif group == "done":
        statement = statement.where(sa.not_(is_open))
    return paginate(
        session, statement, [(Notice.__table__.c.id, True)], limit=limit, after=after, shape=_shape
    )


def _shape(row: Any) -> dict[str, Any]:
    notice: Notice = row.Notice
    return {
        "id": notice.id,
        "topic": notice.topic,
        "subject_type": notice.subject_type,
        "subject_id": notice.subject_id,
        "facts": notice.facts,
        "news": notice.news,
        "due_at": notice.due_at,
        "made_at": notice.made_at,
        "done_at": notice.done_at,
        "read": row.read,
    }


def email_of(session: Session, actor: Actor) -> str | None:
    return session.execute(
        sa.select(NoticeAddress.email).where(NoticeAddress.user_id == actor.user_id)
    ).scalar_one_or_none()
