"""What each process of a deployment keeps in memory after it has worked, beside a bare Celery worker's."""

from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from benchmarks.parts.bench import Bench
from benchmarks.parts.deployment import Deployment
from benchmarks.parts.figures import Row
from benchmarks.parts.processes import MemoryReading, family
from benchmarks.parts.programs import Programs
from benchmarks.parts.waiting import BenchmarkError
from dispatch.cli.deployment import BEAT, LANDER, SETTLER, TICKER

AGENTS = "agents"
BEADS_AN_AGENT = 10
BARE_MAIN, BARE_POOL = "bare worker, main", "bare worker, each pool process"
_MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Group:
    """Processes of one kind, and how many share what they take: each its own (None), or so many, as one all of it."""

    name: str
    processes: tuple[psutil.Process, ...]
    base: str = ""
    shared_by: int | None = None


def measure(bench: Bench) -> list[Row]:
    """Return a row for each kind of process."""
    deployment = bench.deployment()
    count = (1 if bench.short else BEADS_AN_AGENT) * bench.agents
    deployment.walk_side.many(count)
    deployment.bare_side.many(count)
    groups = _groups(deployment)
    reading = MemoryReading(process for group in groups for process in group.processes)
    found = {group.name: reading.of(group.processes) for group in groups}
    values = {group.name: sum(found[group.name]) / _parts(group, found[group.name]) for group in groups}
    return [
        Row(
            name=group.name,
            value=values[group.name] / _MEBIBYTE,
            unit=f"MiB {reading.kind}",
            ratio=values[group.name] / values[group.base] if group.base else None,
            base=group.base,
            note=f"{len(found[group.name])} processes" if len(found[group.name]) > 1 else "",
        )
        for group in groups
    ]


def _parts(group: Group, found: list[int]) -> int:
    if not found:
        raise BenchmarkError(f"no process of {group.name} could be read")
    return len(found) if group.shared_by is None else group.shared_by


def _groups(deployment: Deployment) -> list[Group]:
    bare = deployment.bare.main_process(AGENTS)
    agents = deployment.dispatch.main_process(AGENTS)
    beside = tuple(process for agent in agents.children() for process in agent.children(recursive=True))
    return [
        Group(BARE_MAIN, (bare,)),
        Group(BARE_POOL, tuple(bare.children())),
        Group("agents, main", (agents,), BARE_MAIN),
        Group("agents, each pool process", tuple(agents.children()), BARE_POOL),
        Group("beside each pool process: guard, fork server", beside, shared_by=deployment.agents),
        *(group for name in (SETTLER, TICKER, LANDER) for group in _worker(deployment.dispatch, name)),
        Group(BEAT, (deployment.dispatch.main_process(BEAT),)),
        *_servers(deployment),
        Group("each program's holder", _holders(deployment.dispatch)),
        Group("bare workers, all", _whole(deployment.bare), shared_by=1),
        Group("dispatch without servers, all", _whole(deployment.dispatch), "bare workers, all", shared_by=1),
    ]


def _worker(programs: Programs, name: str) -> Iterable[Group]:
    main = programs.main_process(name)
    yield Group(f"{name}, main", (main,), BARE_MAIN)
    yield Group(f"{name}, each pool process", tuple(main.children()), BARE_POOL)


def _servers(deployment: Deployment) -> Iterable[Group]:
    pids = deployment.servers()
    yield Group("PostgreSQL, all", tuple(family(pids.postgres)), shared_by=1)
    yield Group("Valkey", tuple(family(pids.valkey)), shared_by=1)
    yield Group("keeper of the servers", (psutil.Process(pids.keeper),))


def _holders(programs: Programs) -> tuple[psutil.Process, ...]:
    return tuple(psutil.Process(pid) for pid in programs.sessions.values())


def _whole(programs: Programs) -> tuple[psutil.Process, ...]:
    return tuple(process for pid in programs.sessions.values() for process in family(pid))
