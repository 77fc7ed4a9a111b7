"""What one bead asks of PostgreSQL and Valkey: in a whole deployment, stage by stage, and beside a bare chord.

PostgreSQL's own log counts: by program while beads go through the deployment, ticks and heartbeats of that time
included, and by stage while one process calls the stages one after the other. Of Valkey's commands, those that the
same idle deployment gives in the same time are taken off.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from benchmarks.parts.bench import Bench
from benchmarks.parts.broker import commands_given
from benchmarks.parts.deployment import Deployment
from benchmarks.parts.figures import Row, median
from benchmarks.parts.stages import STAGES, staged
from benchmarks.parts.statements import Asked, StatementLog, statements_logged
from benchmarks.parts.waiting import BenchmarkError
from dispatch.cli.deployment import SETTLER, TICKER

ROUNDS, SHORT_ROUNDS = 5, 1
BEADS, SHORT_BEADS = 20, 4
ALONE, WARM_UP = 5, 2
IDLE_SECONDS, SHORT_IDLE_SECONDS = 5.0, 0.5
AGENTS = "agents"
PROGRAMS = (AGENTS, TICKER, SETTLER)
CHORD = "bare chord: commands to Valkey"
_MOST = 6


def measure(bench: Bench) -> list[Row]:
    """Return the rows of the deployment, of the stages, and of the broker."""
    deployment = bench.deployment()
    rounds, count = (SHORT_ROUNDS, SHORT_BEADS) if bench.short else (ROUNDS, BEADS)
    return [
        *_deployment_rows(deployment, rounds, count),
        *_stage_rows(bench, 1 if bench.short else ALONE),
        *_broker_rows(deployment, rounds * count, SHORT_IDLE_SECONDS if bench.short else IDLE_SECONDS),
    ]


def _deployment_rows(deployment: Deployment, rounds: int, count: int) -> list[Row]:
    url = deployment.system.store.engine.url.render_as_string(hide_password=False)
    with statements_logged(deployment.settings.home, url) as log:
        asked = [_asked_by_programs(deployment, log, count) for _ in range(rounds)]
    note = f"median of {rounds} x {count}"
    return [
        *_rows("bead", [sum(one.values(), Asked()) for one in asked], count, note),
        *(row for name in PROGRAMS for row in _rows(f"bead, {name}", [one[name] for one in asked], count, note)),
    ]


def _asked_by_programs(deployment: Deployment, log: StatementLog, count: int) -> dict[str, Asked]:
    began = log.position()
    deployment.walk_side.many(count)
    told = log.since(began)
    if not all(name in told for name in PROGRAMS):
        raise BenchmarkError(f"PostgreSQL's log tells of statements of {sorted(told)} only")
    return {name: told[name] for name in PROGRAMS}


def _stage_rows(bench: Bench, rounds: int) -> list[Row]:
    place = bench.place()
    with statements_logged(place.home, place.url("postgres")) as log, staged(bench.directory(), place, log) as stages:
        for _ in range(WARM_UP):
            stages.bead()
        found = [stages.bead() for _ in range(rounds)]
    note = f"median of {rounds}"
    return [row for stage in STAGES for row in _rows(f"bead alone, {stage}", [one[stage] for one in found], 1, note)]


def _rows(whose: str, asked: Sequence[Asked], count: int, note: str) -> list[Row]:
    """Return the two rows for so many beads each time."""
    statements = median([one.round_trips / count for one in asked])
    transactions = median([one.transactions / count for one in asked])
    return [
        Row(name=f"{whose}: statements", value=statements, unit="round trips", note=note),
        Row(name=f"{whose}: transactions", value=transactions, unit="", note=note),
    ]


def _broker_rows(deployment: Deployment, count: int, idle_seconds: float) -> list[Row]:
    idle, took = _commands(deployment, lambda: time.sleep(idle_seconds))
    a_second = idle.total() / took
    chord, chord_names = _commands_each(deployment, deployment.bare_side.many, count, a_second)
    bead, bead_names = _commands_each(deployment, deployment.walk_side.many, count, a_second)
    return [
        Row(name="both sides idle: commands to Valkey", value=a_second, unit="a second"),
        Row(name=CHORD, value=chord, unit="", note=chord_names),
        Row(name="bead: commands to Valkey", value=bead, unit="", ratio=bead / chord, base=CHORD, note=bead_names),
    ]


def _commands_each(deployment: Deployment, many: Callable[[int], object], count: int, idle: float) -> tuple[float, str]:
    """Return the commands for one piece, less those of the idle deployment, and in words which ones were given most."""
    given, took = _commands(deployment, lambda: many(count))
    most = ", ".join(f"{name} {calls / count:.1f}" for name, calls in given.most_common(_MOST))
    return (given.total() - idle * took) / count, most


def _commands(deployment: Deployment, work: Callable[[], object]) -> tuple[Counter[str], float]:
    """Return the commands that were given during some work, and the seconds that it took."""
    began, before = time.monotonic(), commands_given(deployment.broker)
    work()
    return commands_given(deployment.broker) - before, time.monotonic() - began
