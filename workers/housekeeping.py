"""What is done for a whole deployment every few minutes, whatever else happens: one pass, step by step.

What each host does for itself is in `workers.host_keeping`.
"""

import threading

import structlog

from beat_schedule import HOUSEKEEPING_SECONDS
from dispatch.results import announce_decisions
from dispatch.wiring import System
from workers.modelling import look_at_providers

log = structlog.get_logger(__name__)


def keep_house(system: System) -> None:
    """Announce what waits for a human, forget conversations that are over, make vectors that lessons lack.

    Then ask the providers of models whether they answer.
    """
    announce_decisions(system.store.decisions)
    system.store.sessions.delete_expired()
    system.lessons.refresh_vectors()
    look_at_providers(system)


class Housekeeper:
    """Keeps house in a thread, at once and then as often as beat has it done: for a deployment without beat."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatch-housekeeping", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Begin no further pass, and wait for one that is under way."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                keep_house(self._system)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next pass tries again
                log.warning("the house was not kept", cause=repr(error))
            self._ended.wait(HOUSEKEEPING_SECONDS)
