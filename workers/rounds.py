"""A thread of a worker that does something again and again, and never ends the worker for what goes wrong in it."""

import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)


class Rounds:
    """Does `each` every so many seconds, and at the beginning `first`, if there is one; `name` is the thread's."""

    def __init__(
        self, name: str, each: Callable[[], object], *, every: float, first: Callable[[], object] | None = None
    ) -> None:
        self._each = each
        self._first = first
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, patience: float | None = None) -> None:
        """Begin no further round, and wait for one that is under way, at most `patience` seconds."""
        self._ended.set()
        self._thread.join(patience)

    def _run(self) -> None:
        if self._first is not None:
            self._do(self._first)
        while not self._ended.wait(self._every):
            self._do(self._each)

    def _do(self, round_: Callable[[], object]) -> None:
        try:
            round_()
        except Exception as error:  # noqa: BLE001 - whatever it is, the next round tries again
            log.warning("a round left something behind", thread=self._thread.name, cause=repr(error))
