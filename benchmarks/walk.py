"""Beads a second through the whole walk, and how long one bead waits, against bare Celery on the same servers.

A bead here is a `python` no-op: claimed, published, started, executed, reported, settled on its own and fenced, closed;
fsync and synchronous_commit are on. The bare side is `chord([noop], body)`. They take turns, so that what slows the
machine slows all.
"""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.parts.bench import Bench
from benchmarks.parts.deployment import Deployment
from benchmarks.parts.figures import Row, Target, median, median_ratio, percentile
from benchmarks.parts.processes import cpu_seconds
from benchmarks.parts.sides import BareSide, Single, WalkSide


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is measured: rounds of so many beads, fewer in worktrees, and single beads on the idle system.

    A round is so long that its first and last beads, with agents that wait for the others, are a small part of it.
    """

    rounds: int
    beads: int
    worktree_beads: int
    singles: int


LEAST_RATE = Target(of="ratio", kind="at least", bound=0.7)
SOON = Target(of="value", kind="at most", bound=50)
_FILES = 500
FULL = Scale(rounds=7, beads=150, worktree_beads=20, singles=100)
SHORT = Scale(rounds=1, beads=8, worktree_beads=2, singles=2)


@dataclass(slots=True)
class Throughput:
    """The rounds of one kind: pieces a second, and processor seconds a piece.

    `seconds` is how long they took in all, `idle` the processor seconds of the other side meanwhile.
    """

    count: int
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    seconds: float = 0.0
    idle: float = 0.0

    @property
    def note(self) -> str:
        return f"median of {len(self.rates)} x {self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Rounds of beads, and those of bare chords in between."""

    beads: Throughput
    chords: Throughput


def measure(bench: Bench) -> list[Row]:
    """Return the rows of both sides."""
    scale = SHORT if bench.short else FULL
    deployment = bench.deployment()
    deployment.worktree_side.many(deployment.agents)
    throughput = _throughput(deployment, scale)
    walked, chords = _singles(deployment, scale.singles)
    return [*_throughput_rows(*throughput), _file_row(bench.directory()), *_single_rows(walked, chords)]


def _throughput(deployment: Deployment, scale: Scale) -> tuple[Pair, Pair]:
    """Measure beads, and then beads in worktrees, each in turn with bare chords.

    Worktrees come last: where the file system avoids the numbers of files that were just deleted, as ext4 without a
    journal does, whoever comes after them pays for what they leave.
    """
    return (
        _pair(deployment, deployment.walk_side, scale.beads, scale),
        _pair(deployment, deployment.worktree_side, scale.worktree_beads, scale),
    )


def _pair(deployment: Deployment, side: WalkSide, count: int, scale: Scale) -> Pair:
    servers = deployment.servers()
    ours = [*deployment.dispatch.sessions.values(), servers.postgres]
    others = list(deployment.bare.sessions.values())
    pair = Pair(beads=Throughput(count), chords=Throughput(scale.beads))
    for _ in range(scale.rounds):
        _round(pair.beads, side, [*ours, servers.valkey], others)
        _round(pair.chords, deployment.bare_side, [*others, servers.valkey], ours)
    return pair


def _round(found: Throughput, side: WalkSide | BareSide, busy: list[int], idle: list[int]) -> None:
    """Measure one round of one side; `busy` are the processes that it uses, `idle` those of the other side."""
    began, busy_before, idle_before = time.monotonic(), cpu_seconds(busy), cpu_seconds(idle)
    found.rates.append(side.many(found.count))
    found.cpu.append((cpu_seconds(busy) - busy_before) / found.count)
    found.idle += cpu_seconds(idle) - idle_before
    found.seconds += time.monotonic() - began


def _singles(deployment: Deployment, count: int) -> tuple[list[Single], list[Single]]:
    """Measure single pieces in turn, with pauses of any length, so that they do not fall into step with a clock."""
    walked: list[Single] = []
    chords: list[Single] = []
    for _ in range(count):
        for side, found in ((deployment.walk_side, walked), (deployment.bare_side, chords)):
            time.sleep(random.uniform(0.02, 0.08))
            found.append(side.single())
    return walked, chords


def _throughput_rows(walk: Pair, worktrees: Pair) -> list[Row]:
    base, cpu_base = "bare chords", "CPU of a bare chord"
    bare = walk.chords
    rows = [
        Row(name=base, value=median(bare.rates), unit="chords/s", note=bare.note),
        Row(name=cpu_base, value=median(bare.cpu) * 1000, unit="ms", note="workers and broker"),
    ]
    for name, pair in (("bead", walk), ("bead in a worktree", worktrees)):
        found, chords = pair.beads, pair.chords
        rate, cpu = median_ratio(found.rates, chords.rates), median_ratio(found.cpu, chords.cpu)
        note = "workers, broker, database"
        rows += [
            Row(
                name=f"{name}: walk",
                value=median(found.rates),
                unit="beads/s",
                ratio=rate,
                base=base,
                target=LEAST_RATE if pair is walk else None,
                note=found.note,
            ),
            Row(name=f"{name}: CPU", value=median(found.cpu) * 1000, unit="ms", ratio=cpu, base=cpu_base, note=note),
        ]
    return [
        *rows,
        Row(name="idle dispatch beside bare", value=_idle(bare), unit="% of a core", note="with PostgreSQL"),
        Row(name="idle bare beside dispatch", value=_idle(walk.beads), unit="% of a core"),
    ]


def _file_row(directory: Path) -> Row:
    """Return what a file costs here, of which a run makes three: some file systems are slow after many deletions."""
    began = time.process_time()
    for number in range(_FILES):
        (directory / str(number)).write_bytes(b"x")
    micros = (time.process_time() - began) / _FILES * 1_000_000
    return Row(name="file made", value=micros, unit="us", note=f"mean of {_FILES}; a run makes 3")


def _idle(found: Throughput) -> float:
    return 100 * found.idle / found.seconds


def _single_rows(walked: list[Single], chords: list[Single]) -> list[Row]:
    note = f"{len(walked)} on an idle system"
    rows = []
    for bare_name, name, part in (
        ("bare: published to started", "bead: ready to started", "to_start"),
        ("bare: published to body", "bead: ready to closed", "to_end"),
    ):
        for percent in (50, 99):
            base = f"{bare_name}, p{percent}"
            bare, ours = (percentile([getattr(one, part) for one in of], percent) for of in (chords, walked))
            rows += [
                Row(name=base, value=bare * 1000, unit="ms", note=note),
                Row(
                    name=f"{name}, p{percent}",
                    value=ours * 1000,
                    unit="ms",
                    ratio=ours / bare,
                    base=base,
                    target=SOON if (part, percent) == ("to_start", 50) else None,
                    note=note,
                ),
            ]
    return rows
