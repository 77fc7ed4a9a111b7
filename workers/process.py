"""What each process of a worker has once: its wired system, opened after the fork, and who the worker is."""

import mmap
import os
from dataclasses import dataclass
from uuid import UUID

from celery import Celery

from dispatch.bus.celery import CeleryBus
from dispatch.models.identity import IncarnationId, uuid7
from dispatch.settings import Settings
from dispatch.wiring import Addresses, System, open_store, wire


class Identity:
    """Who the worker is, in memory that its pool processes share: they are forked before it may have to change.

    A worker that was taken for gone, as after a laptop's sleep, goes on as another incarnation.
    """

    _STOPPING = 16

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 17)
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


@dataclass(frozen=True, slots=True)
class _Deployment:
    settings: Settings
    addresses: Addresses
    app: Celery


class ProcessState:
    """The system of this process. A forked process opens its own: connections do not survive a fork."""

    def __init__(self) -> None:
        self._deployment: _Deployment | None = None
        self._system: System | None = None
        self._owner = 0

    def use(self, settings: Settings, addresses: Addresses, app: Celery) -> None:
        self._deployment = _Deployment(settings, addresses, app)

    def system(self) -> System:
        if self._system is None or self._owner != os.getpid():
            if self._deployment is None:
                raise RuntimeError("workers.app says which deployment this process belongs to; it was not imported")
            deployment = self._deployment
            store = open_store(deployment.settings, deployment.addresses)
            self._system = wire(deployment.settings, store, CeleryBus(deployment.app, deployment.settings))
            self._owner = os.getpid()
        return self._system


_STATE = ProcessState()
identity = Identity()
use = _STATE.use
system = _STATE.system
