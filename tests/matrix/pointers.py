"""Places in a JSON body, as JSON pointers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any


def leaves(value: Any, pointer: str = "") -> Iterator[str]:
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        yield pointer
    for name, below in pairs:
        yield from leaves(below, f"{pointer}/{name}")


def normal(pointer: str) -> str:
    """The pointer with any place of a list as a star."""
    return re.sub(r"/\d+(?=/|$)", "/*", pointer)


def read(value: Any, pointer: str) -> Any:
    for part in pointer.strip("/").split("/"):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def write(value: Any, pointer: str, new: Any) -> None:
    *path, last = pointer.strip("/").split("/")
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    value[last] = new
