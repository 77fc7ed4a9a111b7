"""Celery's soft time limit, kept to the part of a run that it is meant for: the agent's.

It comes as an exception wherever the process happens to be (prefork only). In the middle of a database call the driver
may answer with an error of its own instead, so it is remembered, and raised again where it was swallowed. Once the
agent has ended it could only hit the commit or the report, which have to be finished: it is lifted. The hard limit
stands behind those.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from billiard.pool import soft_timeout_sighandler
from celery.exceptions import SoftTimeLimitExceeded


class SoftLimit:
    """The soft limit of the task that this thread executes, if it has one."""

    def __init__(self) -> None:
        self.reached = False
        self._lifted = False

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if not self._lifted:
            self.reached = True
            raise SoftTimeLimitExceeded

    def check(self) -> None:
        """Raise `SoftTimeLimitExceeded` when the limit was reached, though somebody on the way swallowed it."""
        if self.reached and not self._lifted:
            raise SoftTimeLimitExceeded

    def lift(self) -> None:
        """Let it come to nothing from now on."""
        self._lifted = True


@contextmanager
def soft_limit() -> Iterator[SoftLimit]:
    """Give the soft limit of a task for a block; other pools than prefork have none, and nothing happens there."""
    limit = SoftLimit()
    if threading.current_thread() is not threading.main_thread():
        yield limit
        return
    theirs = signal.getsignal(signal.SIGUSR1)
    if theirs is not soft_timeout_sighandler:
        yield limit
        return
    signal.signal(signal.SIGUSR1, limit.on_signal)
    try:
        yield limit
    finally:
        signal.signal(signal.SIGUSR1, theirs)
