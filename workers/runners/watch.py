"""Watching one agent from its start to its surely reached end."""

import os
import selectors
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dispatch.models.states import StopReason
from workers.runners.base import ProcessIdentity, RunnerContext
from workers.runners.guard import KILL_LIMIT
from workers.runners.link import Ended, GuardLink, Refused, Report, Started
from workers.runners.processes import end_process_group, identify
from workers.runners.transcript import LineSplitter, Transcript

_CHUNK = 65536
_KILL_PATIENCE = KILL_LIMIT + 5.0
"""Seconds after the order to kill at which a guard that does not answer is itself killed."""
_LAST_READS = 64
"""Reads of `_CHUNK` bytes after the end: more than a pipe holds, so only a process that would not die still writes."""
_NEVER = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an agent's process ended: refused at its start, reported by the guard, or with the guard (neither).

    `stopped_for` is the reason it was stopped for, None when it had said its result before; `outstayed` says that it
    was ended for not exiting after that. `silent` says that it was stopped for printing nothing for so long.
    """

    ended: Ended | None = None
    refused: Refused | None = None
    stopped_for: StopReason | None = None
    outstayed: bool = False
    silent: bool = False


class Watch:
    """The loop of one run. It reads `stdout` (lines) and `stderr`, obeys the control and holds the deadline.

    The descriptors stay the caller's. `on_line` gets the lines of standard output. An agent that prints nothing for
    `silence_limit` seconds is stopped.
    """

    def __init__(
        self,
        context: RunnerContext,
        link: GuardLink,
        transcript: Transcript,
        on_line: Callable[[bytes, bool], None],
        stdout: int,
        stderr: int,
        silence_limit: float = _NEVER,
    ) -> None:
        self._context = context
        self._control = context.control
        self._link = link
        self._transcript = transcript
        self._splitter = LineSplitter(on_line)
        self._streams: dict[int, Callable[[bytes], None]] = {
            stdout: self._splitter.feed,
            stderr: transcript.read_errors,
        }
        self._identity: ProcessIdentity | None = None
        self._ended: Ended | None = None
        self._refused: Refused | None = None
        self._guard_gone = False
        self._stopped_for: StopReason | None = None
        self._outstayed = False
        self._deadline = time.monotonic() + context.assignment.timeout_seconds
        self._silence_limit = silence_limit
        self._silent_at = time.monotonic() + silence_limit
        self._silent = False
        self._linger_until = _NEVER
        self._kill_at = _NEVER
        self._give_up_at = _NEVER
        self._wake_reader, self._wake_writer = os.pipe()
        for descriptor in (stdout, stderr, self._wake_reader, self._wake_writer):
            os.set_blocking(descriptor, False)

    def pulse(self) -> None:
        self._link.pulse()

    def kill(self) -> None:
        self._link.kill()

    def wake(self) -> None:
        with suppress(BlockingIOError):  # full: it will wake
            os.write(self._wake_writer, b"w")

    def run(self) -> Ending:
        """Return how the agent ended, when it and all it started are gone. What callbacks raise passes through."""
        try:
            with self._control.attached(self):
                try:
                    self._loop()
                finally:
                    self._end_for_sure()
            self._read_rest()
        finally:
            if self._guard_gone:
                self._do_without_guard()
            os.close(self._wake_reader)
            os.close(self._wake_writer)
        return Ending(
            ended=self._ended,
            refused=self._refused,
            stopped_for=self._stopped_for,
            outstayed=self._outstayed,
            silent=self._silent,
        )

    def _is_over(self) -> bool:
        return self._guard_gone or self._ended is not None or self._refused is not None

    def _loop(self) -> None:
        with selectors.DefaultSelector() as selector:
            for source in (self._wake_reader, self._link.fileno(), *self._streams):
                selector.register(source, selectors.EVENT_READ)
            while not self._is_over():
                now = time.monotonic()
                self._keep_time(now)
                if now >= self._give_up_at:
                    return
                for key, _ in selector.select(self._seconds_to_next(now)):
                    if key.fd == self._link.fileno():
                        self._read_reports()
                    elif key.fd == self._wake_reader:
                        os.read(self._wake_reader, _CHUNK)
                    elif not self._read_stream(key.fd):
                        selector.unregister(key.fd)

    def _keep_time(self, now: float) -> None:
        """Do what is due: stop at the deadline or when asked to, and kill when the grace is over."""
        if self._transcript.result is not None and self._linger_until == _NEVER:
            self._linger_until = min(self._deadline, now + self._context.result_linger)
        if self._control.abandoned:
            self._kill_at = min(self._kill_at, now)
        elif self._kill_at == _NEVER:
            self._stop_if_due(now)
        if now >= self._kill_at and self._give_up_at == _NEVER:
            self._link.kill()
            self._give_up_at = now + _KILL_PATIENCE

    def _stop_if_due(self, now: float) -> None:
        said_result = self._transcript.result is not None
        if now >= self._linger_until:
            self._outstayed = True
        elif now >= self._deadline:
            self._control.ask_to_stop(StopReason.DEADLINE)
        self._silent = now >= self._silent_at and not said_result and self._control.stop_reason is None
        if self._outstayed or self._silent or self._control.stop_reason is not None:
            # An agent that said its result before has settled the run: being stopped changes nothing in that.
            self._stopped_for = None if said_result else self._control.stop_reason
            self._outstayed = said_result
            self._kill_at = now + self._context.stop_grace
            self._link.terminate()

    def _seconds_to_next(self, now: float) -> float:
        if self._give_up_at < _NEVER:
            due = self._give_up_at
        elif self._kill_at < _NEVER:
            due = self._kill_at
        else:
            due = min(self._deadline, self._linger_until, self._silent_at)
        return max(0.0, due - now)

    def _read_reports(self) -> None:
        reports = self._link.receive()
        if reports is None:
            self._guard_gone = True
            return
        for report in reports:
            self._take(report)

    def _take(self, report: Report) -> None:
        match report:
            case Started(pid=pid, start_ticks=ticks):
                now = time.monotonic()
                self._deadline = now + self._context.assignment.timeout_seconds
                self._silent_at = now + self._silence_limit
                self._identity = identify(pid, ticks)
                self._context.on_process(self._identity)
            case Refused():
                self._refused = report
            case Ended():
                self._ended = report

    def _read_stream(self, descriptor: int) -> bool:
        """Read a part of a stream; return whether more may come."""
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return True
        self._silent_at = time.monotonic() + self._silence_limit
        self._streams[descriptor](data)
        return bool(data)

    def _read_rest(self) -> None:
        """Read what the streams still hold. Nobody waits for their end: a process that will not die keeps it away."""
        for descriptor, consume in self._streams.items():
            for _ in range(_LAST_READS):
                try:
                    data = os.read(descriptor, _CHUNK)
                except BlockingIOError:
                    break
                if not data:
                    break
                consume(data)
        self._splitter.finish()

    def _end_for_sure(self) -> None:
        """Leave the loop, by an exception of a callback too, only when the guard has ended the agent or is given up."""
        if self._is_over():
            return
        self._link.kill()
        give_up_at = min(self._give_up_at, time.monotonic() + _KILL_PATIENCE)
        with selectors.DefaultSelector() as selector:
            selector.register(self._link.fileno(), selectors.EVENT_READ)
            while not self._is_over() and (seconds := give_up_at - time.monotonic()) > 0:
                if selector.select(seconds):
                    self._read_reports()
        if not self._is_over():
            self._guard_gone = True

    def _do_without_guard(self) -> None:
        self._link.force()
        if self._identity is not None:
            end_process_group(self._identity)
