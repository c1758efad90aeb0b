"""gunicorn's threaded worker, which answers what never becomes a request as the application answers its errors.

gunicorn writes a page of its own for a broken or too long request head, without our headers, and logs what it could not
read, which may hold a token.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from marketplace.web.problem_texts import HTTP_TITLES
from marketplace.web.problems import problem_members
from marketplace.web.security import HEADERS

_STATUS: dict[type[Exception], int] = {errors.LimitRequestLine: 414, errors.LimitRequestHeaders: 431}


class Worker(ThreadWorker):  # type: ignore[misc]
    """`worker_class` of `serving.py`."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """A head that can't be read: problem+json, whoever asks, since nothing says whether it was a page's."""
        if not isinstance(exc, errors.ParseException):
            super().handle_error(req, client, addr, exc)
            return
        status = next((s for kind, s in _STATUS.items() if isinstance(exc, kind)), 400)
        self.log.warning("unreadable request: %s, answered %s", type(exc).__name__, status)
        try:
            util.write_nonblock(client, self.answer(status))
        except OSError:
            self.log.debug("the client was gone")

    def answer(self, status: int) -> bytes:
        """The whole answer, after which the connection ends."""
        slug, title = HTTP_TITLES[status]
        with self.wsgi.app_context():
            members = problem_members(status, slug, title, None, {})
        body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
        fields = {
            "Connection": "close",
            "Content-Type": "application/problem+json",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            **HEADERS,
        }
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return head.encode("ascii") + b"\r\n" + body
