"""How long something takes, told so that a machine busy with other work says the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Spent:
    seconds: float = 0.0


@contextmanager
def computing() -> Iterator[Spent]:
    """Seconds that this process computed in the block; what others did meanwhile, and waiting, is not in it."""
    spent, begun = Spent(), time.process_time()
    yield spent
    spent.seconds = time.process_time() - begun


def least_seconds(act: Callable[[], object], tries: int = 10) -> float:
    """The quickest of some tries, waiting included: one that met a busy machine says nothing of the code."""
    seconds = []
    for _ in range(tries):
        begun = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)
