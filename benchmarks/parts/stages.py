"""The stages of one bead, called one after the other in one process: what each asks of PostgreSQL.

The store, the rooms and the executor are those of a worker; the bus is the local one, whose work here is to keep the
task for the next stage.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url

from benchmarks.parts.configuration import PROJECT, ROLE, configure
from benchmarks.parts.place import Place
from benchmarks.parts.sides import make_records
from benchmarks.parts.statements import Asked, StatementLog
from benchmarks.parts.waiting import BenchmarkError
from dispatch.bus import LocalBus, LocalWork
from dispatch.models.agent import Incarnation
from dispatch.models.identity import IncarnationId, RunId, uuid7
from dispatch.models.messages import TaskMessage
from dispatch.models.queues import role_queue
from dispatch.version import VERSION
from dispatch.wiring import System, open_system
from workers.execution import RunExecutor
from workers.registry import RunnerRegistry
from workers.settling import settle_run

DISPATCH, START, RUN, REPORT, SETTLE, TICK = "dispatch", "start", "run", "report", "settle", "tick after it"
STAGES: Final = (DISPATCH, START, RUN, REPORT, SETTLE, TICK)
_PROGRAM: Final = "stages"


class Stages:
    """A deployment in this process with one agent."""

    def __init__(self, system: System, bus: LocalBus, log: StatementLog) -> None:
        self._system = system
        self._bus = bus
        self._log = log
        self._tasks: list[TaskMessage] = []
        self._asked: dict[str, Asked] = {}
        worker = _worker()
        system.store.swarm.register(worker)
        store: Any = system.store
        store.running = _Watched(store.running, self._watch)
        self._executor = RunExecutor(
            system, RunnerRegistry(system.settings), incarnation_id=lambda: worker.id, stopping=lambda: False
        )
        bus.bind(LocalWork(run=self._tasks.append, settle=_nothing, land=_nothing, tick=lambda: None))

    def bead(self) -> dict[str, Asked]:
        """Take one bead through everything and return what each stage asked.

        RUN is all of an execution besides START and REPORT; TICK is a whole tick that finds nothing to do.
        """
        self._asked = {}
        self._system.store.imports.import_records(PROJECT, make_records(1, ROLE))
        with self._stage(DISPATCH):
            self._system.dispatcher.dispatch()
        self._bus.drain()
        if len(self._tasks) != 1:
            raise BenchmarkError(f"one bead was to be dispatched, and {len(self._tasks)} were")
        task = self._tasks.pop()
        with self._stage(RUN):
            self._executor.execute(task)
        self._asked[RUN] -= self._asked[START] + self._asked[REPORT]
        with self._stage(SETTLE):
            settled = settle_run(self._system, RunId(task.run_id))
        if settled is None or settled.effect is None:
            raise BenchmarkError("the bead was not settled")
        with self._stage(TICK):
            self._system.tick.run()
        return self._asked

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        began = self._log.position()
        yield
        self._asked[name] = self._log.since(began).get(_PROGRAM, Asked())

    def _watch(self, name: str, call: Callable[[], Any]) -> Any:
        if name not in (START, REPORT):
            return call()
        with self._stage(name):
            return call()


class _Watched:
    """Records whose every method is called through `watch`, by its name."""

    def __init__(self, watched: object, watch: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._watched = watched
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._watched, name)
        return lambda *arguments, **options: self._watch(name, lambda: method(*arguments, **options))


@contextmanager
def staged(directory: Path, place: Place, log: StatementLog) -> Iterator[Stages]:
    """Open a deployment on a database of its own for a block."""
    address = make_url(place.database(_PROGRAM)).update_query_dict({"application_name": _PROGRAM})
    servers = {
        "database_url": address.render_as_string(hide_password=False),
        "broker_url": place.broker_url,
    }
    settings = configure(directory, agents=1).model_copy(update=servers)
    bus = LocalBus(agents=1)
    system = open_system(settings, bus=bus)
    try:
        system.store.projects.add(PROJECT, directory / "repository", "bench")
        yield Stages(system, bus, log)
    finally:
        system.close()


def _nothing(_about: object) -> None:
    """What follows is called by name here, not by the bus."""


def _worker() -> Incarnation:
    return Incarnation(
        id=IncarnationId(uuid7()),
        node="stages@bench",
        host=socket.gethostname(),
        pid=1,
        version=VERSION,
        queues=(role_queue(ROLE),),
        roles=(ROLE,),
        agents=1,
        pool="prefork",
    )
