"""What the user asks for by signals while a long command runs."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interrupting() -> Iterator[None]:
    """Have SIGTERM and a closed terminal interrupt the block like Ctrl-C: they raise KeyboardInterrupt in it."""
    former = {number: signal.signal(number, signal.default_int_handler) for number in _ASKING}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class Wishes:
    """Counts Ctrl-C, SIGTERM and a closed terminal instead of dying of them: once to end, twice to end at once."""

    def __init__(self) -> None:
        self.count = 0
        self._asked = threading.Event()

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._note) for number in _ASKING}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        self._asked.set()

    def wait(self, seconds: float) -> None:
        """Sleep, but not on after a wish."""
        if self._asked.wait(seconds):
            self._asked.clear()
