"""One measurement from the empty database to the table."""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import psycopg

from bench_support import floors, goods, report, subjects
from bench_support.load import Broken, Outcome, drive, get, one
from bench_support.report import Sample
from bench_support.stage import Server, Stage, Trouble, beside, gunicorn, stage
from bench_support.subjects import Buyer, Subject, Ware
from marketplace import clock
from marketplace.embedded import EmbeddedFailure
from marketplace.seeding.reference import DEMO_PASSWORD

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Long enough for each worker to have seen every address once.
WARM_SECONDS = 3.0
WARM_HITS = 0.98
MOST_WARMINGS = 5
# The story of a lot is kept once its first record is sealed.
SEALED_SECONDS = 120.0
# The application has this many connections to the database, so the least SQL gets no more.
DATABASE_CONNECTIONS = 8


def main(arguments: Sequence[str]) -> int:
    chosen = _options(arguments)
    for number in STOPPING:
        signal.signal(number, _asked_to_stop)
    try:
        return _measure(chosen)
    except (Trouble, Broken, EmbeddedFailure) as trouble:
        print(trouble, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; everything is removed", file=sys.stderr)
        return 130


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench", description="Measure the marketplace beside its floors."
    )
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--lots", type=int, default=30_000)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--connections", default="8,32", help="numbers of lasting connections")
    parser.add_argument("--cache", default="2", choices=["0", "1", "2"], help="READ_CACHE_SECONDS")
    parser.add_argument("--buyers", type=int, default=8, help="agencies that purchase in turns")
    parser.add_argument("--out", type=Path, default=Path("bench.json"))
    chosen = parser.parse_args(arguments)
    try:
        chosen.connections = [int(text) for text in chosen.connections.split(",")]
    except ValueError:
        parser.error("--connections takes numbers with commas between them")
    if (
        min(chosen.products, chosen.lots, chosen.buyers, chosen.runs, chosen.seconds, *chosen.connections)
        <= 0
    ):
        parser.error("every number must be more than 0")
    return chosen


def _asked_to_stop(number: int, frame: object) -> NoReturn:
    # A second signal must not cut the removal short.
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _measure(chosen: argparse.Namespace) -> int:
    today = clock.today()
    busy = round(os.getloadavg()[0], 2)
    with stage(chosen.cache) as scene:
        _say(f"growing to {chosen.products} products and {chosen.lots} lots")
        goods.grow(
            scene.owner_url,
            products=chosen.products,
            lots=chosen.lots,
            trace_keys=scene.trace_keys,
            today=today,
        )
        names = goods.add_buyers(scene.owner_url, chosen.buyers)
        with (
            gunicorn(scene, "web", "wsgi:app", "/livez") as server,
            gunicorn(scene, "bare", "bench_support.bare:app", "/64") as bare,
            beside(scene, "worker", "flask", "--app", "wsgi", "worker"),
        ):
            port = server.port
            buyers = [
                Buyer(*(subjects.sign_in(port, name, DEMO_PASSWORD) for name in pair)) for pair in names
            ]
            office = subjects.sign_in(port, "county.office", DEMO_PASSWORD)
            _wait_for_seals(scene.owner_url)
            draw = random.Random(20_210_501)
            wares = subjects.wares(scene.owner_url)
            measured = [
                *subjects.reads(scene.owner_url, port, office, today.year, draw),
                *subjects.pages(port, subjects.session_cookie(port, "county.office", DEMO_PASSWORD)),
                *subjects.purchases(wares, buyers, today, draw),
            ]
            bench = Bench(scene, server, bare, wares, measured, min(WARM_SECONDS, chosen.seconds))
            samples = bench.samples(chosen)
    results = report.rows(samples)
    settings = {
        "products": chosen.products,
        "lots": chosen.lots,
        "seconds": chosen.seconds,
        "runs": chosen.runs,
        "cache_seconds": int(chosen.cache),
        "buyers": len(names),
        "cores": os.cpu_count(),
        # More than the cores at the start means that others worked on the machine: ratios then prove little.
        "load_before": busy,
        "python": platform.python_version(),
        "postgresql": bench.version,
    }
    report.write(chosen.out, settings=settings, samples=samples, results=results)
    print(report.table(results))
    print(
        "floor of reads and answers: bare Flask, same bytes, same gunicorn; of purchases: the least SQL, no HTTP"
    )
    for line in bench.wrong:
        print(line, file=sys.stderr)
    return 1 if bench.wrong else 0


class Bench:
    """Takes turns: every subject at every number of connections, each at once followed by its floor."""

    def __init__(
        self,
        scene: Stage,
        server: Server,
        bare: Server,
        wares: list[Ware],
        measured: list[Subject],
        warm_seconds: float,
    ) -> None:
        self.scene, self.server, self.bare = scene, server, bare
        self.wares, self.measured, self.warm_seconds = wares, measured, warm_seconds
        self.wrong: list[str] = []
        self.version = str(self._value("show server_version"))
        for subject in measured:
            self._drive(subject, DATABASE_CONNECTIONS, warm_seconds)
        self.statements = floors.statements(scene.owner_url)

    def samples(self, chosen: argparse.Namespace) -> list[Sample]:
        out = []
        for turn in range(chosen.runs):
            for connections in chosen.connections:
                for subject in self.measured:
                    _say(f"run {turn + 1} of {chosen.runs}, {connections} connections: {subject.name}")
                    out.append(self._sample(subject, connections, chosen.seconds, turn))
        return out

    def _sample(self, subject: Subject, connections: int, seconds: float, turn: int) -> Sample:
        if not subject.purchases:
            self._warm(subject, connections)
        own, errors = self._drive(subject, connections, seconds)
        answers = max(1, own.statuses.total())
        size = max(11, own.answered_bytes // answers)
        floor_spread: list[int] = []
        if subject.purchases:
            floor, (floor_rate, latencies) = "least SQL", self._least_sql(subject, connections, seconds, turn)
            floor_p95 = latencies[int(0.95 * len(latencies))] if latencies else 0.0
        else:
            request = get(f"/{size}")
            drive(self.bare.port, lambda: one(request), connections=connections, seconds=0.2)
            plain = drive(
                self.bare.port,
                lambda: one(request),
                connections=connections,
                seconds=seconds,
                spread=self.bare.spread,
            )
            floor, floor_rate, floor_p95, floor_spread = (
                "bare Flask",
                plain.rate,
                plain.percentile(0.95),
                plain.spread,
            )
        return Sample(
            what=subject.name,
            connections=connections,
            rate=own.rate,
            p50_ms=own.percentile(0.5),
            p95_ms=own.percentile(0.95),
            p99_ms=own.percentile(0.99),
            floor=floor,
            floor_rate=floor_rate,
            floor_p95_ms=floor_p95,
            answer_bytes=size,
            cache_hit_ratio=own.cached / answers,
            generator_cpu_us=own.generator_cpu_us,
            spread=own.spread,
            floor_spread=floor_spread,
            units=own.units,
            errors=errors,
        )

    def _warm(self, subject: Subject, connections: int) -> None:
        """The purchases of the turn before have made much of what was kept worthless: until most is kept again."""
        for _ in range(MOST_WARMINGS):
            own, _ = self._drive(subject, connections, self.warm_seconds)
            hits = own.cached / max(1, own.statuses.total())
            if hits == 0 or hits >= WARM_HITS:
                return

    def _drive(self, subject: Subject, connections: int, seconds: float) -> tuple[Outcome, int]:
        """The outcome and its unexpected answers; rows of purchases are counted against the answers 201."""
        before = self._purchases() if subject.purchases else (0, 0)
        own = drive(
            self.server.port,
            subject.make,
            connections=connections,
            seconds=seconds,
            spread=self.server.spread,
        )
        errors = sum(n for status, n in own.statuses.items() if status not in subject.expected)
        if errors:
            self.wrong.append(f"{subject.name}: answers {dict(own.statuses)}")
        if subject.purchases:
            after = self._purchases()
            written, approved = after[0] - before[0], after[1] - before[1]
            if written != own.statuses[201]:
                self.wrong.append(f"{subject.name}: {own.statuses[201]} answers 201, {written} rows")
            if approved != (own.statuses[200] if subject.approves else 0):
                self.wrong.append(f"{subject.name}: {own.statuses[200]} answers 200, {approved} approved")
        return own, errors

    def _least_sql(
        self, subject: Subject, connections: int, seconds: float, turn: int
    ) -> tuple[float, list[float]]:
        return floors.least_sql(
            self.scene.owner_url,
            self.statements,
            self.wares,
            connections=min(connections, DATABASE_CONNECTIONS),
            seconds=seconds,
            seed=turn,
            approve=subject.approves,
        )

    def _purchases(self) -> tuple[int, int]:
        with psycopg.connect(self.scene.owner_url) as connection:
            row = connection.execute(
                "select count(*), count(*) filter (where state = 'approved') from purchase"
            ).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    def _value(self, statement: str) -> Any:
        with psycopg.connect(self.scene.owner_url) as connection:
            row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def _wait_for_seals(owner_url: str) -> None:
    """Until the worker has sealed what the bulk has brought. Raises Trouble."""
    until = time.monotonic() + SEALED_SECONDS
    with psycopg.connect(owner_url, autocommit=True) as connection:
        while True:
            row = connection.execute(
                "select (select count(*) from fact) - (select count(*) from seal)"
            ).fetchone()
            assert row is not None
            if row[0] == 0:
                return
            if time.monotonic() > until:
                raise Trouble(f"{row[0]} facts are not sealed after {SEALED_SECONDS:.0f} s")
            time.sleep(0.5)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
