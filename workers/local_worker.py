"""A worker inside this process: it consumes no queue, and dispatch as it sees it uses its own agents only."""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dispatch.bus import LocalBus, LocalWork
from dispatch.models.agent import LOCAL_POOL, Incarnation
from dispatch.models.identity import IncarnationId
from dispatch.models.messages import AgentEvent
from dispatch.models.queues import CONTROL_QUEUE
from dispatch.store import Store
from dispatch.version import VERSION
from dispatch.wiring import System, wire
from workers.execution import RunExecutor
from workers.housekeeping import housekeeper
from workers.membership import Membership
from workers.process import Identity
from workers.registry import RunnerRegistry
from workers.settling import land_project, settle_run

log = structlog.get_logger(__name__)


class LocalWorker:
    """Registered while the block lasts; leaving it asks running agents to hand back, and waits until they have.

    `system` is the deployment as this worker uses it. `runner` is used whatever a role names, `watch` sees the events
    of all agents, from their threads. With `serves` the worker is its own ticker; without it wishes for a tick go on to
    the deployment's tickers.
    """

    def __init__(
        self,
        deployment: System,
        *,
        roles: Sequence[str],
        agents: int,
        serves: bool,
        runner: str | None = None,
        watch: Callable[[AgentEvent], None] | None = None,
    ) -> None:
        self._deployment = deployment
        self._roles = tuple(roles)
        self._agents = agents
        self._identity = Identity()
        self._within = self._identity.incarnation_id
        self._bus = LocalBus(agents=agents)
        settings, units = deployment.settings, deployment.store.units
        store = Store(units.engine, lease=settings.dispatch.lease, clock=units.clock, within=self._within)
        self.system = wire(settings, store, self._bus)
        self.registry = RunnerRegistry(settings)
        self._membership = Membership(lambda: self.system, self._identity, self._describe)
        executor = RunExecutor(
            self.system,
            self.registry,
            incarnation_id=lambda: self._identity.incarnation_id,
            stopping=lambda: self._identity.stopping,
            calls=lambda: self._identity.calls,
            runner=runner,
            watch=watch,
        )
        self._bus.bind(
            LocalWork(
                run=executor.execute,
                settle=lambda run_id: settle_run(self.system, run_id),
                land=lambda project_id: land_project(self.system, project_id),
                tick=self.system.tick.run if serves else self._pass_on,
            )
        )

    def __enter__(self) -> Self:
        self._membership.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hand_back()
        self._bus.close()
        self._membership.end()
        self._give_back()

    def _give_back(self) -> None:
        """Take back what was claimed here and never started, when nobody else can start it."""
        try:
            self.system.tick.withdraw()
        except SQLAlchemyError as error:
            log.warning("a tick will have to take back what was not started", cause=repr(error))

    def hand_back(self) -> None:
        """Take nothing new, and ask the running agents to hand back."""
        self._membership.hand_back()

    def drain(self) -> None:
        """Wait until nothing is under way, what follows from it included."""
        self._bus.drain()

    def serve(self, stop: threading.Event) -> None:
        """Tick and keep house until told to stop, or until this worker was taken for gone: then make another one."""
        interval = self.system.settings.dispatch.tick_interval.total_seconds()
        keeping = housekeeper(self.system)
        keeping.begin()
        try:
            while self._identity.incarnation_id == self._within:
                self._bus.publish_nudge()
                if stop.wait(interval):
                    return
        finally:
            keeping.end()

    def _pass_on(self) -> None:
        """Pass a wish for a tick on, if anybody is there to hear it."""
        if CONTROL_QUEUE in self.system.store.swarm.queues_served():
            self._deployment.bus.publish_nudge()

    def _describe(self, incarnation_id: IncarnationId) -> Incarnation:
        host = socket.gethostname()
        return Incarnation(
            id=incarnation_id,
            node=f"local-{os.getpid()}@{host}",
            host=host,
            pid=os.getpid(),
            version=VERSION,
            queues=(),
            roles=self._roles,
            agents=self._agents,
            pool=LOCAL_POOL,
        )
