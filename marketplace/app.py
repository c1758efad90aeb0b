"""The application: extensions, blueprints, commands, projections. Nothing is decided here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from flask_migrate import Migrate

from marketplace import models as _tables  # noqa: F401
from marketplace.config import Settings, from_environment, sandbox_of
from marketplace.database import READS, Base, db, engine_options, keep_prepared, reading_options
from marketplace.locked_rows import read_locked_rows_anew
from marketplace.registration import register_commands, register_edges, register_projections
from marketplace.sandbox import SandboxDoor, tell_time
from marketplace.web.addresses import Rule

MIGRATIONS = Path(__file__).parent / "migrations"


def create_app(settings: Settings | None = None) -> Flask:
    """Raises BadSettings with one line when a setting is missing or weak."""
    settings = settings or from_environment()
    app = Flask("marketplace", root_path=str(Path(__file__).parent))
    app.url_rule_class = Rule
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SETTINGS=settings,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        SQLALCHEMY_BINDS={READS: reading_options(settings)},
        MAX_CONTENT_LENGTH=settings.max_upload_bytes + 100_000,
        MAX_FORM_MEMORY_SIZE=1_000_000,
        MAX_FORM_PARTS=1_000,
        SESSION_COOKIE_NAME="__Host-marketplace" if settings.production else "marketplace",
        SESSION_COOKIE_SECURE=settings.production,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SIGN_IN_ENDPOINT="account.sign_in",
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    db.init_app(app)
    read_locked_rows_anew()
    with app.app_context():
        keep_prepared(db.engine)
    Migrate(app, db, directory=str(MIGRATIONS))
    register_projections()
    register_edges(app)
    register_commands(app)
    if settings.sandbox:
        tell_time(app, settings.state_folder)
    else:
        door: Any = SandboxDoor(app.wsgi_app, lambda: create_app(sandbox_of(settings)))
        app.wsgi_app = door  # type: ignore[method-assign]
    return app


__all__ = ["Base", "create_app"]
