"""Tables, demo data, and the partners' sandbox, for `script/server`: one process, since loading the application is what
a later start mostly waits for. Prints the demo logins; exits with 3 when the sandbox alone failed.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from environment import ROOT

if TYPE_CHECKING:
    from flask import Flask

SANDBOX_FAILED = 3


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from flask_migrate import upgrade

    from wsgi import app

    with app.app_context():
        upgrade()
    # The two know nothing of each other; a first start is quicker when they load side by side.
    sandbox = multiprocessing.get_context("fork").Process(target=_fill_sandbox)
    sandbox.start()
    try:
        _seed(app)
    except BaseException:
        sandbox.terminate()
        raise
    finally:
        sandbox.join()
    return 0 if sandbox.exitcode == 0 else SANDBOX_FAILED


def _seed(app: Flask, *wishes: str) -> None:
    with app.app_context():
        app.cli.commands["seed"].main(list(wishes), "seed", standalone_mode=False)


def _fill_sandbox() -> None:
    from marketplace.app import create_app

    os.environ["SANDBOX"] = "1"
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        _seed(create_app(), "--quiet")


if __name__ == "__main__":
    sys.exit(main())
