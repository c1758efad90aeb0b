"""The one list of what the application is made of: edges, commands, tasks, projections. `app.py` calls it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from flask import Flask

PACKAGES = (
    "journal", "accounts", "documents", "policies", "catalog", "trace", "orders", "payments", "quota", "channels",
    "papers", "notices", "desks", "seeding",
)  # fmt: skip


def _modules(part: str) -> list[ModuleType]:
    names = [f"marketplace.{package}.{part}" for package in PACKAGES if find_spec(f"marketplace.{package}")]
    return [import_module(name) for name in names if find_spec(name) is not None]


def register_projections() -> None:
    """Handlers that run in the transaction of a fact."""
    for module in _modules("projections"):
        module.register()


def register_edges(app: Flask) -> None:
    """Blueprints and handlers of requests."""
    if find_spec("marketplace.web.setup") is None:
        return
    from marketplace.web.setup import register_web

    register_web(app, apis=_modules("api"), pages=_modules("pages"))


def register_jobs() -> None:
    """Tasks of the worker: importing a package's jobs declares them."""
    _modules("jobs")


def register_commands(app: Flask) -> None:
    """`flask --app wsgi …` commands."""
    from marketplace import worker

    register_jobs()
    worker.register(app)
    for module in _modules("cli"):
        module.register(app)
