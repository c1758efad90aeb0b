"""`script/server --with-gateway`: its only argument."""

from __future__ import annotations

import subprocess
import sys

from tests.serving import CHECKOUT


def test_another_argument_is_refused_in_one_line() -> None:
    order = [sys.executable, str(CHECKOUT / "script" / "server"), "--with-everything"]
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "script/server takes --with-gateway or nothing, not --with-everything\n"
