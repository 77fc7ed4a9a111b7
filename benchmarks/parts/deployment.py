"""One deployment of dispatch, and the same workers of bare Celery beside it, on the same embedded servers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from celery import Celery

from benchmarks.parts.bare_names import PREFIX
from benchmarks.parts.configuration import PROJECT, ROLE, WORKTREE_ROLE, configure
from benchmarks.parts.programs import Programs, bare_programs, dispatch_programs, running
from benchmarks.parts.sides import BareSide, WalkSide
from benchmarks.parts.waiting import BenchmarkError, wait_for
from dispatch import embedded
from dispatch.bus.celery import make_app
from dispatch.cli.deployment import BEAT
from dispatch.settings import Settings
from dispatch.wiring import System, open_system

_START_SECONDS = 90
_WARM_UP_ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPids:
    """The processes of the embedded servers."""

    postgres: int
    valkey: int
    keeper: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Both sides, warm and idle. Each is measured while the other one is idle."""

    settings: Settings
    agents: int
    system: System
    broker: Celery
    """The bare application: its `backend.client` is a plain client of the broker that both sides share."""
    dispatch: Programs
    bare: Programs
    walk_side: WalkSide
    worktree_side: WalkSide
    bare_side: BareSide

    def servers(self) -> ServerPids:
        found = embedded.inspect(self.settings.home)
        if found.postgres.pid is None or found.valkey.pid is None or found.keeper_pid is None:
            raise BenchmarkError(f"a server of {self.settings.home} does not run")
        return ServerPids(postgres=found.postgres.pid, valkey=found.valkey.pid, keeper=found.keeper_pid)


@contextmanager
def deployed(directory: Path, *, agents: int) -> Iterator[Deployment]:
    """Start both sides in a directory, warm them up, and end them with the block."""
    settings = configure(directory, agents=agents)
    try:
        with _opened(settings) as system, _bare_app(settings) as app:
            system.store.projects.add(PROJECT, directory / "repository", "bench")
            programs, others = dispatch_programs(settings), bare_programs(settings, PREFIX)
            places = directory / "dispatch", directory / "bare"
            for place in places:
                place.mkdir()
            with running(programs, settings, places[0]) as ours, running(others, settings, places[1]) as bare:
                workers = sum(program.name != BEAT for program in programs)
                _await(ours, lambda: len(system.store.swarm.workers()) == workers, "the workers' start")
                _await(bare, lambda: len(app.control.ping(timeout=0.5) or []) == len(others), "the bare workers' start")
                made = Deployment(
                    settings=settings,
                    agents=agents,
                    system=system,
                    broker=app,
                    dispatch=ours,
                    bare=bare,
                    walk_side=WalkSide(system, ours.require_alive, ROLE),
                    worktree_side=WalkSide(system, ours.require_alive, WORKTREE_ROLE),
                    bare_side=BareSide(app, bare.require_alive),
                )
                _warm_up(made)
                yield made
    finally:
        embedded.purge(settings.home)


@contextmanager
def _opened(settings: Settings) -> Iterator[System]:
    system = open_system(settings)
    try:
        yield system
    finally:
        system.close()


@contextmanager
def _bare_app(settings: Settings) -> Iterator[Celery]:
    broker_url = embedded.ensure(settings.home).broker_url
    app = make_app(settings.model_copy(update={"key_prefix": PREFIX}), broker_url, broker_url)
    try:
        yield app
    finally:
        app.close()


def _await(programs: Programs, condition: Callable[[], bool], what: str) -> None:
    def holds() -> bool:
        programs.require_alive()
        return condition()

    wait_for(holds, what, seconds=_START_SECONDS, look=0.1)


def _warm_up(made: Deployment) -> None:
    """Let every process of both sides do something, so that none is measured while it imports and connects."""
    for _ in range(_WARM_UP_ROUNDS):
        made.walk_side.many(3 * made.agents)
        made.bare_side.many(3 * made.agents)
