"""The handle by which the run's heartbeat thread steers the thread that runs the agent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from dispatch.models.states import StopReason


class Watcher(Protocol):
    """What a runner attaches while its agent runs. Called by other threads, so nothing here may block."""

    def pulse(self) -> None:
        """Pass a renewal on to the guard."""
        ...

    def kill(self) -> None:
        """End the agent at once."""
        ...

    def wake(self) -> None:
        """Make the runner look at the control again."""
        ...


class RunControl:
    """Shared by the heartbeat thread and the runner of one run. Thread-safe; every method returns at once.

    Pulses and kills go straight to the guard, not through the runner's thread: a slow receiver of events must neither
    starve an agent whose lease is fine nor keep alive one whose lease is lost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop_reason: StopReason | None = None
        self._abandoned = False
        self._watcher: Watcher | None = None

    def pulse(self) -> None:
        """The lease was renewed."""
        with self._lock:
            if self._watcher is not None:
                self._watcher.pulse()

    def ask_to_stop(self, reason: StopReason) -> None:
        """Let the agent be stopped, with a grace. The first reason is the one that counts."""
        with self._lock:
            if self._stop_reason is None:
                self._stop_reason = reason
            if self._watcher is not None:
                self._watcher.wake()

    def abandon(self) -> None:
        """The fence is lost, and another attempt may run by now: end the agent at once, no outcome counts."""
        with self._lock:
            self._abandoned = True
            if self._watcher is not None:
                self._watcher.kill()
                self._watcher.wake()

    @property
    def stop_reason(self) -> StopReason | None:
        return self._stop_reason

    @property
    def abandoned(self) -> bool:
        return self._abandoned

    @contextmanager
    def attached(self, watcher: Watcher) -> Iterator[None]:
        """Have `watcher` called while the block runs, and never after it."""
        with self._lock:
            self._watcher = watcher
        try:
            yield
        finally:
            with self._lock:
                self._watcher = None
