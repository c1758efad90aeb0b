"""Sends what the follower left to be sent; tried again by the queue's own rules."""

from __future__ import annotations

from uuid import UUID

from flask import current_app

from marketplace.accounts.models import Organisation
from marketplace.clock import now
from marketplace.config import Settings
from marketplace.database import db
from marketplace.jobs import task
from marketplace.notices.models import Notice, NoticeAddress, NoticeSending
from marketplace.notices.sending import Message, send_email, send_webhook
from marketplace.notices.texts import in_chinese
from marketplace.unit_of_work import housekeeping


@task("notices.send")
def send(sending_id: str) -> None:
    """One message. Not sent any more when the wait is over, the address is gone, or it went out before."""
    settings: Settings = current_app.config["SETTINGS"]
    session = db.session()
    sending = session.get(NoticeSending, UUID(sending_id))
    if sending is None or sending.sent_at is not None:
        return
    notice = session.get_one(Notice, sending.notice_id)
    name = session.get(Organisation, notice.organisation_id).name if notice.organisation_id else None  # type: ignore[union-attr]
    address = session.get(NoticeAddress, sending.user_id) if sending.user_id else None
    message = Message(
        str(sending.id),
        in_chinese(notice.topic, notice.facts),
        f"{settings.public_base_url}/notices/{notice.id}",
    )
    channel, email, permission = sending.channel, address.email if address else None, notice.permission
    over = notice.done_at is not None
    # No connection is held while another system answers.
    db.session.remove()
    if over:
        return
    if channel == "email":
        if email is None or settings.smtp_host is None:
            return
        send_email(settings, email, message)
    elif settings.notice_webhook_url is not None:
        send_webhook(settings, name, permission, message)
    with housekeeping(["notice_sending"]) as own:
        own.get_one(NoticeSending, UUID(sending_id)).sent_at = now()
