"""Rules of the URL map that are ready sooner.

Werkzeug writes a Python function for every rule, twice, that builds its address. For the 400 rules of an application
this is two thirds of its start, and most of them are never asked for an address in the process that made them.
"""

from __future__ import annotations

from collections.abc import Callable

from werkzeug import routing


class Rule(routing.Rule):
    """Makes the function that builds its address when it is first asked for one."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        make = super()._compile_builder
        name = "_build_unknown" if append_unknown else "_build"

        def build(rule: routing.Rule, /, **values: object) -> tuple[str, str]:
            # Two threads may both make it: they make the same.
            made: Callable[..., tuple[str, str]] = make(append_unknown).__get__(rule, None)
            setattr(rule, name, made)
            return made(**values)

        return build


__all__ = ["Rule"]
