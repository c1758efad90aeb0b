"""Medians over the runs, as a table and as a JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Sample:
    """One run of one subject beside its floor. Rates are units a second; times are ms."""

    what: str
    connections: int
    rate: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    floor: str
    floor_rate: float
    floor_p95_ms: float
    answer_bytes: int
    cache_hit_ratio: float
    generator_cpu_us: float
    spread: list[int]
    floor_spread: list[int]
    units: int
    errors: int


def rows(samples: list[Sample]) -> list[dict[str, Any]]:
    """One row for each subject and number of connections, in the order in which they were measured."""
    out = []
    for what, connections in dict.fromkeys((s.what, s.connections) for s in samples):
        own = [s for s in samples if (s.what, s.connections) == (what, connections)]
        rates = [s.rate for s in own]
        out.append(
            {
                "what": what,
                "connections": connections,
                "rate": round(median(rates), 1),
                "rate_low": round(min(rates), 1),
                "rate_high": round(max(rates), 1),
                "p50_ms": round(median(s.p50_ms for s in own), 2),
                "p95_ms": round(median(s.p95_ms for s in own), 2),
                "p99_ms": round(median(s.p99_ms for s in own), 2),
                "floor": own[0].floor,
                "floor_rate": round(median(s.floor_rate for s in own), 1),
                "floor_p95_ms": round(median(s.floor_p95_ms for s in own), 2),
                "ratio_to_floor": round(median(s.rate / s.floor_rate for s in own if s.floor_rate), 3),
                "answer_bytes": round(median(s.answer_bytes for s in own)),
                "cache_hit_ratio": round(median(s.cache_hit_ratio for s in own), 3),
                "errors": sum(s.errors for s in own),
            }
        )
    return out


def table(results: list[dict[str, Any]]) -> str:
    head = (
        "what",
        "conn",
        "median/s",
        "low-high",
        "p50 ms",
        "p95 ms",
        "floor/s",
        "ratio",
        "bytes",
        "cache",
        "errors",
    )
    lines = [
        (
            r["what"],
            str(r["connections"]),
            f"{r['rate']:.0f}",
            f"{r['rate_low']:.0f}-{r['rate_high']:.0f}",
            f"{r['p50_ms']:.1f}",
            f"{r['p95_ms']:.1f}",
            f"{r['floor_rate']:.0f}",
            f"{r['ratio_to_floor']:.2f}",
            str(r["answer_bytes"]),
            f"{r['cache_hit_ratio']:.0%}",
            str(r["errors"]),
        )
        for r in results
    ]
    widths = [max(len(line[n]) for line in (head, *lines)) for n in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (head, *lines)
    )


def write(
    path: Path, *, settings: dict[str, Any], samples: list[Sample], results: list[dict[str, Any]]
) -> None:
    told = {"settings": settings, "results": results, "runs": [asdict(s) for s in samples]}
    path.write_text(json.dumps(told, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
