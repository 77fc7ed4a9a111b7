"""A run's heartbeat: renews its lease from a thread of the executing process (PROTOCOL, rule 12)."""

import threading
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

import structlog

from dispatch.models.identity import RunId
from dispatch.models.states import StopReason
from dispatch.store.running import Renewal
from workers.runners import RunControl

_LOOK_EVERY = 0.5
"""Seconds between looks: at whether the worker ends or was called, and at what is only worth writing of a run that
lasts."""
_IDLE_LOOKS = 20
"""Looks in a row at no run after which a thread ends."""

log = structlog.get_logger(__name__)


class Renews(Protocol):
    """What is needed of the store."""

    def renew(self, run_id: RunId, token: UUID) -> Renewal | None: ...


class RunHeartbeat:
    """Runs from the start of a run until its outcome is written.

    The start of the run gave it a whole lease, so the first renewal comes an interval later. Each one feeds the agent's
    guard. One that changes no row means that the run is not ours any more: the agent is ended. A database that is away
    is tried again; if it stays away, the guard ends the agent before the lease is over.

    `stopping` tells whether the worker ends, `was_called` whether it was called since that was asked last: then a
    renewal is due at once, so that what is asked of the run is known within a look, however long the interval is.
    """

    def __init__(
        self,
        records: Renews,
        run_id: RunId,
        token: UUID,
        control: RunControl,
        *,
        interval: float,
        stopping: Callable[[], bool],
        was_called: Callable[[], bool],
        each_look: Callable[[], None],
        each_beat: Callable[[], None],
    ) -> None:
        self._records = records
        self._run_id = run_id
        self._token = token
        self._control = control
        self._stopping = stopping
        self._was_called = was_called
        self._each_look = each_look
        self._each_beat = each_beat
        self._looks_a_beat = max(1, round(interval / _LOOK_EVERY))
        self._look_every = interval / self._looks_a_beat
        self._looks = 0
        self._looking = threading.Lock()
        self._ended = False
        self._thread: _Thread | None = None

    def start(self) -> None:
        self._thread = _Thread.look_after(self, self._look_every)

    def end(self) -> None:
        """Stop renewing, and wait for a renewal that is under way."""
        self._ended = True
        with self._looking:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.release()

    def look(self) -> None:
        """Do what is due. The first look may come at once after the start, when nothing is known to last yet."""
        with self._looking:
            if self._ended or self._control.abandoned:
                return
            if self._stopping():
                self._control.ask_to_stop(StopReason.HANDBACK)
            if self._was_called():
                self._renew()
            if self._looks > 0:
                self._note(self._each_look)
            self._looks += 1
            if self._looks % self._looks_a_beat == 0:
                self._renew()
                self._note(self._each_beat)

    def _note(self, note: Callable[[], None]) -> None:
        try:
            note()
        except Exception as error:  # noqa: BLE001 - what is noted beside the lease must not end it
            log.warning("something could not be noted", run_id=str(self._run_id), cause=repr(error))

    def _renew(self) -> None:
        try:
            renewal = self._records.renew(self._run_id, self._token)
        except Exception as error:  # noqa: BLE001 - whatever keeps the database away, the next beat tries again
            log.warning("a lease was not renewed", run_id=str(self._run_id), cause=repr(error))
            return
        if self._ended:
            return
        if renewal is None:
            self._control.abandon()
        else:
            self._control.pulse()
            if renewal.stop_reason is not None:
                self._control.ask_to_stop(renewal.stop_reason)


class _Thread(threading.Thread):
    """Looks after one run after the other; any number of them serve the runs that a process does at the same time.

    A thread for each run, and waking it for the run's end, would cost a short run a tenth of all that it takes: this
    one sleeps from look to look, whatever begins and ends meanwhile.
    """

    _idle: list["_Thread"] = []
    _changing = threading.Lock()

    def __init__(self, heartbeat: RunHeartbeat, look_every: float) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._heartbeat: RunHeartbeat | None = heartbeat
        self._look_every = look_every

    @classmethod
    def look_after(cls, heartbeat: RunHeartbeat, look_every: float) -> "_Thread":
        """Return a thread that looks after a run from now on, every so many seconds."""
        with cls._changing:
            for thread in cls._idle:
                if thread._look_every == look_every and thread.is_alive():  # a forked process has none of them
                    cls._idle.remove(thread)
                    thread._heartbeat = heartbeat
                    return thread
        thread = cls(heartbeat, look_every)
        thread.start()
        return thread

    def release(self) -> None:
        """Let it look after other runs."""
        with self._changing:
            self._heartbeat = None
            self._idle.append(self)

    def run(self) -> None:
        looks_at_nothing = 0
        while looks_at_nothing < _IDLE_LOOKS or not self._retires():
            time.sleep(self._look_every)
            heartbeat = self._heartbeat
            if heartbeat is None:
                looks_at_nothing += 1
            else:
                looks_at_nothing = 0
                heartbeat.look()

    def _retires(self) -> bool:
        with self._changing:
            if self._heartbeat is not None:
                return False
            self._idle.remove(self)
            return True
