"""An embedder that nobody waits for longer than agreed, whatever it waits for itself."""

import threading
import time
from collections.abc import Sequence
from typing import Final

from dispatch.errors import DispatchError
from dispatch.ports import Embedder

REST: Final = 60.0
"""Seconds for which an embedder that took too long is not asked again."""


class ImpatientError(DispatchError):
    """The embedder {name} took longer than {seconds:g} s; it is asked again in a minute."""


class PatientEmbedder:
    """Asks another embedder on a thread of its own; `seconds`: how long a call may take."""

    def __init__(self, embedder: Embedder, seconds: float) -> None:
        self.name = str(getattr(embedder, "name", "")) or f"{type(embedder).__module__}.{type(embedder).__qualname__}"
        self._embedder = embedder
        self._seconds = seconds
        self._rests_until = 0.0

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return what it says; raises what it raises, and `ImpatientError` when it says nothing in time."""
        if time.monotonic() < self._rests_until:
            raise ImpatientError(name=self.name, seconds=self._seconds)
        call = _Call(self._embedder, texts)
        call.join(self._seconds)
        if call.is_alive():
            self._rests_until = time.monotonic() + REST
            raise ImpatientError(name=self.name, seconds=self._seconds)
        return call.answer()


class _Call(threading.Thread):
    def __init__(self, embedder: Embedder, texts: Sequence[str]) -> None:
        super().__init__(daemon=True, name="embedder")
        self._embedder = embedder
        self._texts = texts
        self._said: Sequence[Sequence[float]] = ()
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._said = self._embedder.embed(self._texts)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is asked for
            self._error = error

    def answer(self) -> Sequence[Sequence[float]]:
        if self._error is not None:
            raise self._error
        return self._said
