"""`dispatch_mode = "local"`: a deployment served by a thread of this process, without a broker.

It stands where the supervisor of the Celery programs stands else, and is watched and ended the same way.
"""

import threading
from collections.abc import Callable, Collection
from importlib import import_module
from typing import Protocol

from dispatch.cli.supervisor import Notice
from dispatch.models.agent import LOCAL_POOL
from dispatch.settings import DispatchMode, Settings
from dispatch.store import Store
from dispatch.wiring import open_system

NAME = "local"
_SERVICE = "workers.foreground"
"""Where the service is. It lies above the command line, so it is loaded by its name."""


class Programs(Protocol):
    """What `dispatch up` watches."""

    def start(self, now: float) -> None: ...
    def look(self, now: float) -> list[Notice]: ...
    def alive(self, names: Collection[str] | None = None) -> list[str]: ...
    def stop(self, names: Collection[str] | None = None) -> None: ...
    def kill(self) -> None: ...
    def session_of(self, name: str) -> int | None: ...


def serves_here(settings: Settings, store: Store) -> bool:
    """Tell whether `up` does the work itself: in mode local, and in mode auto while no worker is alive for any role
    that it would serve. A process that works on a bead in itself, as `dispatch run` does, is no such worker.
    """
    match settings.dispatch.dispatch_mode:
        case DispatchMode.LOCAL:
            return True
        case DispatchMode.QUEUE:
            return False
        case DispatchMode.AUTO:
            alive = (worker for worker in store.swarm.workers() if worker.pool != LOCAL_POOL)
            served = {role for worker in alive for role in worker.roles}
            needed = {settings.resolve_role(role) for worker in settings.workers.values() for role in worker.roles}
            return served.isdisjoint(needed)


class LocalService:
    """Serves all roles that the configured workers would, with as many agents as they would have, in a thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._serve, name="dispatch-local")

    def start(self, now: float) -> None:
        self._thread.start()

    def look(self, now: float) -> list[Notice]:
        """Say so when the service ended though nobody asked it to."""
        if self._error is None or self._thread.is_alive():
            return []
        text = f"The local service ended: {type(self._error).__name__}: {self._error}"
        return [Notice(program=NAME, text=text, fatal=True)]

    def alive(self, names: Collection[str] | None = None) -> list[str]:
        return [NAME] if self._thread.is_alive() else []

    def stop(self, names: Collection[str] | None = None) -> None:
        """Let running agents hand back, and end."""
        self._stop.set()

    def kill(self) -> None:
        """Ask again: a thread cannot be killed, but the guards end its agents after their grace."""
        self._stop.set()

    def session_of(self, name: str) -> int | None:
        """A thread has no session of its own."""
        return None

    def _serve(self) -> None:
        serve: Callable[..., None] = import_module(_SERVICE).serve_locally
        workers = self._settings.workers.values()
        roles = sorted({role for worker in workers for role in worker.roles})
        agents = sum(worker.concurrency for worker in workers)
        try:
            system = open_system(self._settings)
            try:
                serve(system, roles=roles, agents=agents, stop=self._stop)
            finally:
                system.close()
        except Exception as error:  # noqa: BLE001 - told by `look`, in the thread that watches
            self._error = error
