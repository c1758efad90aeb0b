"""What gunicorn can't read is answered in the application's form, and nothing of it is logged."""

from __future__ import annotations

import json
import logging
import socket

import pytest
from flask import Flask
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine, LimitRequestHeaders, LimitRequestLine
from gunicorn.http.parser import RequestParser

from marketplace.web.security import HEADERS
from marketplace.web.unreadable import Worker

CANARY = "canary-5e1d"


@pytest.mark.parametrize(
    ("sent", "kind", "status", "slug"),
    [
        (f"GET /{CANARY}{'a' * 9000} HTTP/1.1\r\n\r\n", LimitRequestLine, 414, "address-too-long"),
        (f"GET / HTTP/1.1\r\nX: {CANARY}{'a' * 9000}\r\n\r\n", LimitRequestHeaders, 431, "headers-too-large"),
        (f"GET / HTTP/1.1\r\nAuthorization Bearer {CANARY}\r\n\r\n", InvalidHeader, 400, "bad-request"),
        (f"{CANARY}\r\n\r\n", InvalidRequestLine, 400, "bad-request"),
    ],
)
def test_a_head_that_is_no_request_is_a_problem(
    echo_app: Flask,
    caplog: pytest.LogCaptureFixture,
    sent: str,
    kind: type[Exception],
    status: int,
    slug: str,
) -> None:
    with pytest.raises(kind) as raised:
        next(RequestParser(Config(), iter([sent.encode()]), ("192.0.2.1", 1)))
    worker = Worker.__new__(Worker)
    worker.wsgi, worker.log = echo_app, logging.getLogger("test.gunicorn")
    near, far = socket.socketpair()
    with near, far:
        worker.handle_error(None, near, ("192.0.2.1", 1), raised.value)
        near.close()
        answer = b"".join(iter(lambda: far.recv(65536), b""))

    head, _, body = answer.partition(b"\r\n\r\n")
    first, *fields = head.decode("ascii").split("\r\n")
    assert first.startswith(f"HTTP/1.1 {status} ")
    given = dict(field.split(": ", 1) for field in fields)
    assert given["Content-Type"] == "application/problem+json"
    assert given["Content-Length"] == str(len(body))
    assert HEADERS.items() <= given.items()
    problem = json.loads(body)
    assert (problem["status"], problem["type"].rpartition("/")[2]) == (status, slug)
    assert CANARY not in caplog.text
    assert CANARY.encode() not in answer
