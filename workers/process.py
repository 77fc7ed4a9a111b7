"""What each process of a worker has once: its wired system and runners, made after the fork, and who the worker is."""

import mmap
import os
import threading
from dataclasses import dataclass
from uuid import UUID

from celery import Celery

from dispatch.bus.celery import CeleryBus
from dispatch.models.identity import IncarnationId, uuid7
from dispatch.settings import Settings
from dispatch.wiring import Addresses, System, open_store, wire
from workers.registry import RunnerRegistry


class Identity:
    """Who the worker is, in memory that its pool processes share: they are forked before it may have to change.

    A worker that was taken for gone, as after a laptop's sleep, goes on as another incarnation.
    """

    _STOPPING = 16
    _CALLS = slice(17, 25)

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 25)
        self.renew()

    @property
    def incarnation_id(self) -> IncarnationId:
        return IncarnationId(UUID(bytes=bytes(self._memory[:16])))

    def renew(self) -> None:
        """Become another incarnation."""
        self._memory[:16] = uuid7().bytes

    @property
    def stopping(self) -> bool:
        """Whether the worker was told to end: running agents hand back."""
        return self._memory[self._STOPPING] == 1

    def stop(self) -> None:
        """Say in every process of the worker that it ends."""
        self._memory[self._STOPPING] = 1

    @property
    def calls(self) -> int:
        """How often the worker was called to look at what is asked of its runs."""
        return int.from_bytes(self._memory[self._CALLS], "little")

    def call(self) -> None:
        """Have every process of the worker look at once at what is asked of its runs. One thread alone may do so."""
        self._memory[self._CALLS] = (self.calls + 1).to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Which deployment a process belongs to."""

    settings: Settings
    addresses: Addresses
    app: Celery


class ProcessState:
    """The system and the runners of this process, made when first asked for; any thread may ask.

    A forked process makes its own: connections and processes belong to the one that opened them.
    """

    def __init__(self) -> None:
        self._deployment: Deployment | None = None
        self._system: System | None = None
        self._registry: RunnerRegistry | None = None
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._forget)

    def use(self, settings: Settings, addresses: Addresses, app: Celery) -> None:
        """Say which deployment this process belongs to."""
        self._deployment = Deployment(settings, addresses, app)

    def deployment(self) -> Deployment:
        if self._deployment is None:
            raise RuntimeError("workers.app says which deployment this process belongs to; it was not imported")
        return self._deployment

    def system(self) -> System:
        with self._lock:
            if self._system is None:
                ours = self.deployment()
                store = open_store(ours.settings, ours.addresses)
                goes_on = ours.settings.dispatch.dispatch_after_settle
                self._system = wire(ours.settings, store, CeleryBus(ours.app, ours.settings), goes_on=goes_on)
            return self._system

    def registry(self) -> RunnerRegistry:
        with self._lock:
            if self._registry is None:
                self._registry = RunnerRegistry(self.system().settings)
            return self._registry

    def _forget(self) -> None:
        """Begin anew in a forked child. Another thread of the parent may have held the lock, or used a connection."""
        inherited = self._system
        self._lock = threading.RLock()
        self._system = self._registry = None
        if inherited is not None:
            inherited.store.engine.dispose(close=False)


_STATE = ProcessState()
identity = Identity()
use = _STATE.use
deployment = _STATE.deployment
system = _STATE.system
registry = _STATE.registry
