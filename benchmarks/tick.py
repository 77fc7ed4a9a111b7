"""What a tick costs, and that it does not cost more with a larger backlog.

A whole tick, as beat fires it, armed rescue included, with 50 idle agents: one that dispatches 50 beads, and two that
find nothing. Its messages go to the real Valkey; "without publishing" is the same tick less the time in the bus. One
database for each size of the backlog, all in one PostgreSQL, take turns.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from benchmarks.parts.backlog import Backlog
from benchmarks.parts.bench import Bench
from benchmarks.parts.configuration import ROLE, configure
from benchmarks.parts.figures import Row, Target, median, median_ratio
from benchmarks.parts.place import Place
from benchmarks.parts.waiting import BenchmarkError
from dispatch.bus.celery import CeleryBus, make_app
from dispatch.models.queues import role_queue
from dispatch.models.states import AgentState
from dispatch.settings import Settings
from dispatch.wiring import System, open_system

BEADS = 50
FLAT = Target(of="ratio", kind="at most", bound=1.5)
WHOLE, DATABASE = f"{BEADS} dispatched", f"{BEADS} dispatched, without publishing"
NONE_READY, NONE_IDLE = "nothing ready for idle agents", "no idle agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The sizes of the backlogs, smallest first, and how many rounds over all of them."""

    sizes: tuple[int, ...]
    rounds: int
    warm_up: int


FULL = Scale(sizes=(1_000, 100_000, 1_000_000), rounds=11, warm_up=2)
SHORT = Scale(sizes=(100, 200, 400), rounds=1, warm_up=1)
_IDLE_TICKS = 3

Seconds = dict[str, dict[int, list[float]]]
"""What was measured: by what, by the size of the backlog."""


class TimedBus:
    """A bus that passes everything on and counts the seconds that this takes."""

    def __init__(self, bus: CeleryBus) -> None:
        self._bus = bus
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._bus, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


class Ticker:
    """A backlog of one size, and the ticks over it."""

    def __init__(self, settings: Settings, size: int) -> None:
        self.size = size
        self._app = make_app(settings, settings.broker_url, settings.broker_url)
        self._queue = f"{settings.key_prefix}:{role_queue(ROLE)}"
        self._bus = TimedBus(CeleryBus(self._app, settings))
        self._system: System = open_system(settings, bus=self._bus)
        self._backlog = Backlog.make(self._system.store, size, agents=BEADS)

    def round(self, seconds: Seconds) -> None:
        """Measure each kind of tick."""
        self._backlog.set_agents(role=AgentState.IDLE, idle_role=AgentState.WORKING)
        whole, publishing = self._tick(BEADS)
        seconds[WHOLE][self.size].append(whole)
        seconds[DATABASE][self.size].append(whole - publishing)
        self._backlog.turn_over(BEADS)
        self._app.backend.client.delete(self._queue)
        for kind, idle in ((NONE_READY, AgentState.IDLE), (NONE_IDLE, AgentState.WORKING)):
            self._backlog.set_agents(role=AgentState.WORKING, idle_role=idle)
            seconds[kind][self.size] += [self._tick(0)[0] for _ in range(_IDLE_TICKS)]

    def _tick(self, expected: int) -> tuple[float, float]:
        """Return the seconds of one tick, and those of them in the bus."""
        self._bus.seconds = 0.0
        began = time.perf_counter()
        report = self._system.tick.run()
        took = time.perf_counter() - began
        if (report.dispatched, report.armed) != (expected, True):
            raise BenchmarkError(f"the tick was to dispatch {expected} beads, and came to {report}")
        return took, self._bus.seconds

    def close(self) -> None:
        self._system.close()


def measure(bench: Bench) -> list[Row]:
    """Return the rows of all kinds of ticks at all sizes."""
    scale = SHORT if bench.short else FULL
    seconds: Seconds = defaultdict(lambda: defaultdict(list))
    with _tickers(bench, scale) as tickers:
        for number in range(scale.warm_up + scale.rounds):
            kept = seconds if number >= scale.warm_up else defaultdict(lambda: defaultdict(list))
            for ticker in tickers:
                ticker.round(kept)
    return [row for kind in (WHOLE, DATABASE, NONE_READY, NONE_IDLE) for row in _rows(kind, seconds[kind])]


@contextmanager
def _tickers(bench: Bench, scale: Scale) -> Iterator[list[Ticker]]:
    place = bench.place()
    settings = configure(bench.directory(), agents=BEADS)
    with ExitStack() as stack:
        tickers = []
        for size in scale.sizes:
            tickers.append(Ticker(_at(settings, place, f"open_{size}"), size))
            stack.callback(tickers[-1].close)
        yield tickers


def _at(settings: Settings, place: Place, name: str) -> Settings:
    """Return the settings for a database of its own; the lease outlives the run, for nobody renews it."""
    dispatch = settings.dispatch.model_copy(update={"lease": timedelta(hours=1)})
    servers = {"database_url": place.database(name), "broker_url": place.broker_url}
    return settings.model_copy(update={**servers, "key_prefix": name, "dispatch": dispatch})


def _rows(kind: str, by_size: dict[int, list[float]]) -> list[Row]:
    """Return a row for each size; the largest backlog is to cost about as much as the smallest."""
    smallest, *_, largest = by_size
    base = _name(kind, smallest)
    return [
        Row(
            name=_name(kind, size),
            value=median(found) * 1000,
            unit="ms",
            ratio=median_ratio(found, by_size[smallest]) if size != smallest else None,
            base=base if size != smallest else "",
            target=FLAT if size == largest else None,
            note=f"median of {len(found)}",
        )
        for size, found in by_size.items()
    ]


def _name(kind: str, size: int) -> str:
    return f"{kind}, of {size:,} open"
