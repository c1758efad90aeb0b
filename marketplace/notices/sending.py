"""Sends one notice by e-mail or by the installation's webhook (for SMS or 企业微信), outside any transaction."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import requests

from marketplace.config import Settings
from marketplace.errors import UpstreamFailure

TIMEOUT_SECONDS = 10.0


class NotSent(UpstreamFailure):
    """The mail server or the webhook did not take the message; it is tried again."""

    slug = "notice-not-sent"
    title = "通知没有送出"


@dataclass(frozen=True)
class Message:
    """A text with its link; `key` is the same at every try, so a receiver can tell repeats."""

    key: str
    text: str
    link: str


def send_email(settings: Settings, to: str, message: Message) -> None:
    """Raises NotSent."""
    mail = EmailMessage()
    mail["Subject"] = message.text
    mail["From"] = settings.smtp_from
    mail["To"] = to
    mail["Date"] = formatdate(localtime=False)
    mail["Message-ID"] = make_msgid(idstring=message.key, domain="example.invalid")
    mail.set_content(f"{message.text}\n\n{message.link}\n\n{settings.platform_name}\n")
    try:
        with smtplib.SMTP(settings.smtp_host or "", settings.smtp_port, timeout=TIMEOUT_SECONDS) as server:
            if settings.smtp_starttls:
                server.starttls(context=ssl.create_default_context())
            if settings.smtp_user:
                server.login(settings.smtp_user, settings.smtp_password or "")
            server.send_message(mail)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent from error


def send_webhook(
    settings: Settings, organisation: str | None, role_permission: str, message: Message
) -> None:
    """A signed POST: `Notice-Signature: t=<unix>,v1=<HMAC-SHA256 of "t.body">`. Raises NotSent."""
    body = json.dumps(
        {
            "id": message.key,
            "organisation": organisation,
            "permission": role_permission,
            "text": message.text,
            "link": message.link,
        },
        ensure_ascii=False,
    ).encode()
    stamp = str(int(time.time()))
    secret = (settings.notice_webhook_secret or "").encode()
    signature = hmac.new(secret, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    try:
        answer = requests.post(
            settings.notice_webhook_url or "",
            data=body,
            headers={
                "Content-Type": "application/json; charset=utf-8",
                "Notice-Signature": f"t={stamp},v1={signature}",
            },
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            stream=True,
        )
        answer.close()
    except requests.RequestException as error:
        raise NotSent from error
    if not 200 <= answer.status_code < 300:
        raise NotSent(status=answer.status_code)
