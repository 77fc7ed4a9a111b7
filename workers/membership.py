"""Membership in the swarm: registers, heartbeats, hears what is asked of its runs, hands back, leaves."""

import threading
from collections.abc import Callable
from dataclasses import replace

import structlog

from dispatch.models.agent import Incarnation
from dispatch.models.identity import IncarnationId
from dispatch.store.calling import Calls, listening
from dispatch.wiring import System
from workers.disk import disk_trouble
from workers.process import Identity

_FIRST_INTERVAL = 1.0
"""Seconds between two beats until the database could be opened, as while it recovers from a crash."""
_LISTEN_AGAIN = 5.0
"""Seconds after which a worker that lost the session on which it is called opens another one."""

log = structlog.get_logger(__name__)


class Membership:
    """Keeps one worker registered from a thread of its main process.

    One that has agents listens, in another thread, for calls to look at what is asked of their runs.

    `describe` says what the worker is as the incarnation it is given: one that was taken for gone becomes another.
    """

    def __init__(
        self, system: Callable[[], System], identity: Identity, describe: Callable[[IncarnationId], Incarnation]
    ) -> None:
        self._system = system
        self._identity = identity
        self._describe = describe
        self._is_registered = False
        self._interval = _FIRST_INTERVAL
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="dispatch-membership", daemon=True)
        self._listener: threading.Thread | None = None
        self._handback: threading.Thread | None = None
        self._calls: Calls | None = None
        self._calls_lock = threading.Lock()

    def begin(self) -> None:
        """Register, then keep the registration fresh in the background; a database that is away is tried again."""
        self._try(self._beat)
        self._thread.start()
        if self._describe(self._identity.incarnation_id).agents:
            self._listener = threading.Thread(target=self._listen, name="dispatch-calls", daemon=True)
            self._listener.start()

    def hand_back(self) -> None:
        """Take nothing new, and ask running agents to hand back. Called from a signal handler: it returns at once."""
        self._identity.stop()
        self._handback = threading.Thread(
            target=lambda: self._try(self._stop_taking), name="dispatch-handback", daemon=True
        )
        self._handback.start()

    def end(self) -> None:
        """Leave the swarm, once. Where that fails, the others take this worker for gone when its lease is over.

        Runs that are still at work here are given back: call it when their processes have ended.
        """
        if self._ended.is_set():
            return
        self._ended.set()
        with self._calls_lock:
            if self._calls is not None:
                self._calls.interrupt()
        for thread in filter(None, (self._thread, self._listener, self._handback)):
            thread.join(timeout=5)
        self._try(self._leave)

    def _keep(self) -> None:
        while not self._ended.wait(self._interval):
            self._try(self._beat)

    def _listen(self) -> None:
        while not self._ended.is_set():
            self._try(self._hear_calls)
            self._ended.wait(_LISTEN_AGAIN)

    def _hear_calls(self) -> None:
        """Pass calls on to the processes of this worker until it ends; first for what came before it listened."""
        with listening(self._system().store.engine) as calls:
            self._answer_on(calls)
            try:
                self._identity.call()
                while not self._ended.is_set():
                    if self._identity.incarnation_id in calls.wait():
                        self._identity.call()
            finally:
                self._answer_on(None)

    def _answer_on(self, calls: Calls | None) -> None:
        with self._calls_lock:
            self._calls = calls

    def _beat(self) -> None:
        self._interval = self._system().settings.dispatch.heartbeat.total_seconds()
        if not self._is_registered:
            self._register()
        elif not self._heartbeat() and not self._identity.stopping:
            self._identity.renew()
            self._is_registered = False
            self._register()
            log.warning("this worker had been taken for gone and registered anew")

    def _heartbeat(self) -> bool:
        system = self._system()
        return system.store.swarm.heartbeat(self._identity.incarnation_id, disk_trouble(system.settings))

    def _register(self) -> None:
        system = self._system()
        worker = self._describe(self._identity.incarnation_id)
        system.store.swarm.register(replace(worker, trouble=disk_trouble(system.settings)))
        self._is_registered = True
        system.results.nudge()

    def _stop_taking(self) -> None:
        self._system().store.swarm.stop_taking(self._identity.incarnation_id)

    def _leave(self) -> None:
        self._system().store.swarm.leave(self._identity.incarnation_id)

    def _try(self, step: Callable[[], object]) -> None:
        """Do a step that must not end the worker when the database is away, nor whatever else is wrong with it."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - logged; the next beat tries again, or the lease says it instead
            log.warning("membership is at odds with the database", step=step.__name__.strip("_"), cause=repr(error))
