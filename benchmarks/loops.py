"""What one more action of a bead costs the loop detector, and what a bead keeps in memory, early and late.

Every action is new, which is the dearest: each is remembered, and late each pushes an older one out.
"""

import time
import tracemalloc
from datetime import UTC, datetime, timedelta

from benchmarks.parts.bench import Bench
from benchmarks.parts.figures import Row, Target, median, median_ratio
from dispatch.loops import BeadHistory, LoopDetector
from dispatch.loops.repetition import MAX_KNOWN
from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId
from dispatch.models.run import ActionRecord

EARLY, LATE, SHORT_LATE = 50, 50_000, 500
ROUNDS, SHORT_ROUNDS = 200, 2
BATCH = 50
BEAD = Bead(id=BeadId("bench-1"), title="Go round")
MOST_TIME, MOST_MEMORY = 1.5, 1.2
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def measure(bench: Bench) -> list[Row]:
    """Return the rows of the time and of the memory."""
    late, rounds = (SHORT_LATE, SHORT_ROUNDS) if bench.short else (LATE, ROUNDS)
    return [*_time_rows(late, rounds), *_memory_rows(late)]


def _time_rows(late: int, rounds: int) -> list[Row]:
    old = _Recording(late)
    early_took, late_took = [], []
    for _ in range(rounds):
        early_took.append(_Recording(EARLY).batch())
        late_took.append(old.batch())
    base, note = f"record and judge, at {EARLY:,} actions", f"median of {rounds} x {BATCH}"
    return [
        Row(name=base, value=median(early_took), unit="us", note=note),
        Row(
            name=f"record and judge, at {late:,} actions",
            value=median(late_took),
            unit="us",
            ratio=median_ratio(late_took, early_took),
            base=base,
            target=Target(of="ratio", kind="at most", bound=MOST_TIME),
            note=note,
        ),
    ]


class _Recording:
    """A bead that had so many actions."""

    def __init__(self, count: int) -> None:
        self._detector = LoopDetector()
        self._count = 0
        for _ in range(count):
            self._detector.record_action(BEAD, self._next())

    def batch(self) -> float:
        """Return how many microseconds it takes to record one more and ask for the verdict, of `BATCH`."""
        detector, actions = self._detector, [self._next() for _ in range(BATCH)]
        began = time.perf_counter()
        for action in actions:
            detector.record_action(BEAD, action)
            detector.is_stuck_in_loop(BEAD)
        return (time.perf_counter() - began) / BATCH * 1_000_000

    def _next(self) -> ActionRecord:
        self._count += 1
        return _action(self._count)


def _memory_rows(late: int) -> list[Row]:
    early, half, all_ = (_kibibytes(count) for count in (EARLY, late // 2, late))
    base = _memory_name(late // 2)
    return [
        Row(name=_memory_name(EARLY), value=early, unit="KiB"),
        Row(name=base, value=half, unit="KiB", note=f"{min(late // 2, MAX_KNOWN):,} remembered"),
        Row(
            name=_memory_name(late),
            value=all_,
            unit="KiB",
            ratio=all_ / half,
            base=base,
            target=Target(of="ratio", kind="at most", bound=MOST_MEMORY),
        ),
    ]


def _memory_name(count: int) -> str:
    return f"memory of a bead, {count:,} actions"


def _kibibytes(count: int) -> float:
    """Return what the history of so many actions keeps, its last actions included."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        history = BeadHistory.of(_action(number) for number in range(count))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if not history.recent:
        raise ValueError("a bead without actions keeps nothing to measure")
    return (after - before) / 1024


def _action(number: int) -> ActionRecord:
    command = f"python -m pytest -q tests/test_{number % 100}.py"
    return ActionRecord(
        timestamp=_BEGIN + timedelta(seconds=number),
        action_type="command",
        action_data={"command": command},
        result_hash=f"{number:032x}",
    )
