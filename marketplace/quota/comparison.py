"""One table against what the facts say of it, and how a difference is told."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

_STREAMED = {"stream_results": True, "yield_per": 2_000}

Row = tuple[Hashable, tuple[Any, ...]]


@dataclass(frozen=True)
class Difference:
    """`what` names the table and column, `where` the row; what the facts say, and what the table says."""

    what: str
    where: str
    expected: Any
    found: Any

    def line(self) -> str:
        return f"{self.what} at {self.where}: expected {self.expected}, found {self.found}"


class Comparison:
    def __init__(self, connection: sa.Connection, differences: list[Difference]) -> None:
        self.connection = connection
        self.differences = differences

    def rows(self, statement: str) -> Iterator[Any]:
        yield from self.connection.exec_driver_sql(statement, execution_options=_STREAMED)

    def table(
        self,
        name: str,
        names: tuple[str, ...],
        rows: Iterator[Row],
        expected: Mapping[Any, Any],
        read: Callable[[Any], tuple[Any, ...]],
    ) -> int:
        """Each row of a table against its expected values, both ways. Returns how many rows there are.

        A key that comes twice in the table is a difference too.
        """
        seen: set[Hashable] = set()
        count = 0
        for key, found in rows:
            count += 1
            where = _place(key)
            if key in seen:
                self.differences.append(Difference(name, where, "one row", "more than one"))
                continue
            seen.add(key)
            told = expected.get(key)
            if told is None:
                self.differences.append(
                    Difference(name, where, "no row", dict(zip(names, found, strict=True)))
                )
                continue
            values = read(told)
            if values != found:
                for column, want, have in zip(names, values, found, strict=True):
                    if want != have:
                        self.differences.append(Difference(f"{name}.{column}", where, want, have))
        for key in expected.keys() - seen:
            values = read(expected[key])
            self.differences.append(
                Difference(name, _place(key), dict(zip(names, values, strict=True)), "no row")
            )
        return count


def _place(key: Hashable) -> str:
    return " ".join(str(part) for part in key) if isinstance(key, tuple) else str(key)
