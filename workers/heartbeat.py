"""A run's heartbeat: renews its lease from a thread of the executing process (PROTOCOL, rule 12)."""

import threading
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
        self._interval = interval
        self._stopping = stopping
        self._was_called = was_called
        self._each_look = each_look
        self._each_beat = each_beat
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{run_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop renewing, and wait for a renewal that is under way."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        looks_a_beat = max(1, round(self._interval / _LOOK_EVERY))
        look = self._interval / looks_a_beat
        while True:
            for _ in range(looks_a_beat):
                if self._ended.wait(look) or self._control.abandoned:
                    return
                if self._stopping():
                    self._control.ask_to_stop(StopReason.HANDBACK)
                if self._was_called():
                    self._renew()
                self._note(self._each_look)
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
        if self._ended.is_set():
            return
        if renewal is None:
            self._control.abandon()
        else:
            self._control.pulse()
            if renewal.stop_reason is not None:
                self._control.ask_to_stop(renewal.stop_reason)
