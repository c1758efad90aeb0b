"""Puts the edges together: order of the steps of a request, blueprints, and the check that no route is forgotten.

A request goes: request id and log, limits of its address, origin (CSRF), authentication, limit of its principal,
strict reading, the view. An answer goes the other way, and every answer, errors too, gets the security headers.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from flask import Flask

from marketplace.config import Settings
from marketplace.web.authentication import register_authentication
from marketplace.web.cache import ReadCache
from marketplace.web.docs import ProblemApi, register_docs
from marketplace.web.edge import announce_ends, public
from marketplace.web.generation import generation_of, register_live_kinds
from marketplace.web.health import register_health
from marketplace.web.language import register_language
from marketplace.web.limits import register_address_limit, register_principal_limit
from marketplace.web.logs import register_logs
from marketplace.web.pages import register_pages
from marketplace.web.parsing import register_parsing
from marketplace.web.problems import register_problems
from marketplace.web.quick import QuickReads
from marketplace.web.security import register_security, trust_proxies
from marketplace.web.watching import Watch


class UndeclaredRoute(Exception):
    """Routes without `requires`, `public` or `operations`: the application does not start with them."""


def register_web(app: Flask, apis: list[ModuleType], pages: list[ModuleType]) -> None:
    """Raises UndeclaredRoute naming every route that says nothing about who may call it."""
    settings: Settings = app.config["SETTINGS"]
    app.config.setdefault("API_TITLE", settings.platform_name)
    app.config.setdefault("API_VERSION", "v1")
    app.config.setdefault("OPENAPI_VERSION", "3.1.0")
    app.config.setdefault("PARTNER_API_TITLE", f"{settings.platform_name} · 渠道接口")
    app.config.setdefault("PARTNER_API_VERSION", "v1")
    app.config.setdefault("PARTNER_OPENAPI_VERSION", "3.1.0")
    # Relative in a trial: to wherever the document was read from.
    server = settings.public_base_url if settings.production else "/"
    app.config.setdefault("PARTNER_API_SPEC_OPTIONS", {"servers": [{"url": server}]})
    # No view here is a coroutine; asking each function of each request whether it is one takes longer than it looks.
    app.ensure_sync = _as_it_is  # type: ignore[method-assign, assignment]
    register_problems(app)
    # Steps before the view run in this order; steps after it in the opposite one.
    register_logs(app)
    register_security(app)
    register_address_limit(app)
    register_authentication(app)
    register_principal_limit(app)
    register_parsing(app)
    app.after_request(announce_ends)
    register_language(app)
    register_pages(app)
    # Partners read a document of their own: what stands under /partner/ is in no other.
    api, partner = ProblemApi(app), ProblemApi(app, config_prefix="PARTNER")
    for blueprint in _blueprints(apis):
        of_partners = (blueprint.url_prefix or "").startswith("/partner/")
        (partner if of_partners else api).register_blueprint(blueprint)
    for blueprint in _blueprints(pages):
        app.register_blueprint(blueprint)
    register_docs(app, api, partner)
    register_health(app)
    if not settings.sandbox:  # what is kept for reading is the marketplace's alone
        register_live_kinds(settings.state_folder)
    if "static" in app.view_functions:
        public(app.view_functions["static"])
    check_declared(app)
    if not settings.sandbox:  # its callers all have a key
        app.wsgi_app = QuickReads(app)  # type: ignore[method-assign]
    if settings.read_cache_seconds > 0:
        generation = generation_of(settings.state_folder)
        watch = Watch(settings.database_url, settings.read_cache_seconds)
        app.extensions["marketplace.watch"] = watch
        layer: Any = ReadCache(app.wsgi_app, settings.read_cache_seconds, generation, watch)
        app.wsgi_app = layer  # type: ignore[method-assign]
    trust_proxies(app)


def _as_it_is(function: Any) -> Any:
    return function


def _blueprints(modules: list[ModuleType]) -> list[Any]:
    return [blueprint for module in modules for blueprint in module.blueprints]


def check_declared(app: Flask) -> None:
    """Raises UndeclaredRoute (architecture, rule 3)."""
    forgotten = sorted(
        f"{rule.rule} ({rule.endpoint})"
        for rule in app.url_map.iter_rules()
        if not hasattr(app.view_functions[rule.endpoint], "declared_access")
    )
    if forgotten:
        raise UndeclaredRoute(f"no permission is declared for: {', '.join(forgotten)}")
