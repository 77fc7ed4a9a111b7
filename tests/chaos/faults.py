"""Does a fault to a deployment: finds its victim, hits it, and sets going again what was frozen."""

import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import psutil

from dispatch import embedded
from dispatch.cli import supervisor
from dispatch.embedded import watch
from dispatch.models.identity import RunId
from tests.chaos.deployment import WORKERS, Deployment
from tests.chaos.plan import Fault

T = TypeVar("T")
_PREFER_WORK = 2.0
"""Seconds to wait for a run to hit, before anything is hit."""
_FROZEN = 1.5
"""Seconds beyond the lease that a frozen process stays so."""

_SERVICES: Mapping[Fault, str] = {
    Fault.KILL_TICKER: "ticker",
    Fault.KILL_SETTLER: "settler",
    Fault.KILL_LANDER: "lander",
    Fault.KILL_BEAT: "beat",
}
_PROGRAMS = {*_SERVICES, Fault.KILL_WORKER}
_SERVERS = {Fault.KILL_VALKEY, Fault.KILL_POSTGRES}


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that was done: when, to which processes, and the runs whose agents worked there."""

    at: datetime
    fault: Fault
    name: str
    processes: tuple[int, ...]
    runs: tuple[RunId, ...]

    def __str__(self) -> str:
        runs = f", which had {', '.join(map(str, self.runs))}" if self.runs else ""
        return f"{self.at:%H:%M:%S.%f} {self.fault}: {self.name} {self.processes}{runs}"


@dataclass(frozen=True, slots=True)
class _Victim:
    name: str
    processes: tuple[psutil.Process, ...]
    runs: tuple[RunId, ...] = ()


class _Lives:
    """How often in a row each thing died soon after its start: what does so too often is not started again."""

    def __init__(self, long: float, limit: int) -> None:
        self._long = long
        self._limit = limit
        self._deaths: dict[str, int] = {}

    def allow(self, name: str, process: psutil.Process) -> bool:
        return self._count(name, process) <= self._limit

    def end(self, name: str, process: psutil.Process) -> None:
        self._deaths[name] = self._count(name, process)

    def _count(self, name: str, process: psutil.Process) -> int:
        try:
            old = time.time() - process.create_time() >= self._long
        except psutil.NoSuchProcess:
            old = False
        return 1 if old else self._deaths.get(name, 0) + 1


class Saboteur:
    """Does faults to one deployment. What it draws comes from `luck`; what there is to draw from does not."""

    def __init__(self, deployment: Deployment, luck: random.Random) -> None:
        self._deployment = deployment
        self._luck = luck
        self._programs = _Lives(supervisor.LONG_LIFE, supervisor.MAX_QUICK_DEATHS - 2)
        self._servers = _Lives(watch.STABLE_SECONDS, watch.MAX_FAILURES - 2)
        self._frozen: list[tuple[float, psutil.Process]] = []
        self._waits_for_work_since: float | None = None

    def do(self, fault: Fault) -> Hit | None:
        """Do a fault; None when there is nobody to do it to just now."""
        victim = self._find(fault)
        if victim is None:
            return None
        self._waits_for_work_since = None
        if fault in _PROGRAMS:
            self._programs.end(victim.name, victim.processes[0])
        elif fault in _SERVERS:
            self._servers.end(victim.name, victim.processes[0])
        at = datetime.now(UTC)
        freezes = fault in (Fault.FREEZE_WORKER, Fault.FREEZE_POOL_PROCESS)
        hit = [process for process in victim.processes if self._send(process, freezes)]
        if not hit:
            return None
        return Hit(at, fault, victim.name, tuple(process.pid for process in hit), victim.runs)

    def thaw(self, *, everything: bool = False) -> None:
        """Let those go on that were frozen long enough, or all."""
        now = time.monotonic()
        for due, process in self._frozen:
            if everything or due <= now:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)
        self._frozen = [] if everything else [(due, process) for due, process in self._frozen if due > now]

    def _send(self, process: psutil.Process, freezes: bool) -> bool:
        try:
            process.send_signal(signal.SIGSTOP if freezes else signal.SIGKILL)
        except psutil.NoSuchProcess:
            return False
        if freezes:
            lease = self._deployment.settings.dispatch.lease.total_seconds()
            self._frozen.append((time.monotonic() + lease + _FROZEN, process))
        return True

    def _find(self, fault: Fault) -> _Victim | None:
        match fault:
            case Fault.KILL_WORKER:
                return self._worker(self._programs.allow)
            case Fault.FREEZE_WORKER:
                return self._worker(lambda name, main: True, whole=True)
            case Fault.KILL_POOL_PROCESS | Fault.FREEZE_POOL_PROCESS:
                return self._pool_process()
            case Fault.KILL_VALKEY | Fault.KILL_POSTGRES | Fault.KILL_SESSION | Fault.KILL_KEEPER:
                return self._server(fault)
            case _:
                return self._service(_SERVICES[fault])

    def _service(self, name: str) -> _Victim | None:
        main = self._deployment.programs().get(name)
        return _Victim(name, (main,)) if main is not None and self._programs.allow(name, main) else None

    def _worker(self, may: Callable[[str, psutil.Process], bool], *, whole: bool = False) -> _Victim | None:
        """Choose an agent worker, one at work if there is one soon; `whole`: its pool processes too."""
        mains = {name: main for name, main in self._deployment.programs().items() if name in WORKERS}
        pools = {name: self._deployment.pool(main) for name, main in mains.items()}
        runs = {
            name: tuple(run.id for run, executor in self._deployment.at_work() if executor in pools[name])
            for name in mains
        }
        able = [name for name, main in sorted(mains.items()) if may(name, main)]
        name = self._preferably([name for name in able if runs[name]], able)
        if name is None:
            return None
        return _Victim(name, (mains[name], *pools[name]) if whole else (mains[name],), runs[name])

    def _pool_process(self) -> _Victim | None:
        """Choose a pool process of an agent worker, one at work if there is one soon."""
        at_work = {executor: run for run, executor in self._deployment.at_work()}
        mains = [main for name, main in sorted(self._deployment.programs().items()) if name in WORKERS]
        everybody = [process for main in mains for process in self._deployment.pool(main)]
        process = self._preferably(sorted(at_work, key=lambda process: process.pid), everybody)
        if process is None:
            return None
        run = at_work.get(process)
        return _Victim("of " + (run.agent_name or "?") if run else "idle", (process,), (run.id,) if run else ())

    def _preferably(self, wanted: list[T], other: list[T]) -> T | None:
        """Choose one of those at work; one of the others after having waited for such."""
        if wanted:
            return self._luck.choice(wanted)
        now = time.monotonic()
        self._waits_for_work_since = self._waits_for_work_since or now
        return self._luck.choice(other) if other and now - self._waits_for_work_since >= _PREFER_WORK else None

    def _server(self, fault: Fault) -> _Victim | None:
        found = embedded.inspect(self._deployment.home)
        if fault is Fault.KILL_KEEPER:
            return _victim("keeper", found.keeper_pid)
        if fault is Fault.KILL_VALKEY:
            valkey = _victim("Valkey", found.valkey.pid)
            return valkey if valkey and self._servers.allow("Valkey", valkey.processes[0]) else None
        postgres = _victim("PostgreSQL", found.postgres.pid)
        if postgres is None:
            return None
        if fault is Fault.KILL_POSTGRES:
            return postgres if self._servers.allow("PostgreSQL", postgres.processes[0]) else None
        sessions = self._deployment.sessions()
        return _Victim("a session", (self._luck.choice(sessions),)) if sessions else None


def _victim(name: str, pid: int | None) -> _Victim | None:
    with suppress(psutil.NoSuchProcess):
        return _Victim(name, (psutil.Process(pid),)) if pid is not None else None
    return None
