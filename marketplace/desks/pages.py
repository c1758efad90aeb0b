"""All pages of the desks: every module here named `*_pages` brings its `blueprints`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import marketplace.desks as package

blueprints: list[Any] = [
    blueprint
    for module in sorted(m.name for m in iter_modules(package.__path__) if m.name.endswith("_pages"))
    for blueprint in import_module(f"{package.__name__}.{module}").blueprints
]
