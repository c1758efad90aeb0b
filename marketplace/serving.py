"""gunicorn's settings; `GUNICORN_CMD_ARGS` and the command line override them."""

import gc
import os
from typing import Any

# Threads, not `sync`: at SIGTERM a sync worker resets requests that it has accepted, a gthread worker answers them.
worker_class = "marketplace.web.unreadable.Worker"
workers = 2
threads = 4
# The two workers listen each on a socket of its own, so the kernel spreads connections over both.
reuse_port = True
# A rolling restart lets requests finish; platforms kill 30 s after SIGTERM.
graceful_timeout = 25
timeout = 30
# A development start serves known demo logins, so it answers this machine alone.
_host = "0.0.0.0" if os.environ.get("MARKETPLACE_ENV") == "production" else "127.0.0.1"
bind = f"{_host}:{os.environ.get('PORT', '8000')}"
# The application logs each request itself, without what could name a person.
accesslog = None
# As long as a request line may be here; the application itself says which part of an address is too long.
limit_request_line = 8190
# Nothing here uses gunicorn's control socket, which would lie in the user's home and be shared by all servers there.
control_socket_disable = True


# The workers are forks of one start: half the work of coming up, and pages of memory that they share. Nothing that the
# start leaves behind may be a thread or a connection; new code comes with a restart, not with SIGHUP.
preload_app = True


def when_ready(arbiter: Any) -> None:
    """What was made to start stays for good: the collector need not walk through it again and again, nor write to
    its memory, which the workers then share.
    """
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Requests leave little that refers to itself."""
    gc.set_threshold(10_000, 20, 20)
