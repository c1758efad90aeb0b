"""The application in a worker that dies when it is told to: all is done and committed, nothing was answered yet."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from typing import Any

from wsgi import app as whole


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    answer = whole(environ, start_response)
    if "HTTP_X_WORKER_DIES" in environ:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
