"""Routes of the channels: the partners' own under /partner/v1, those of sellers and offices under /api/v1.

Every module here named `*_api` brings its `blueprints`; the path decides in which document they stand.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import marketplace.channels as package

blueprints: list[Any] = [
    blueprint
    for module in sorted(m.name for m in iter_modules(package.__path__) if m.name.endswith("_api"))
    for blueprint in import_module(f"{package.__name__}.{module}").blueprints
]
