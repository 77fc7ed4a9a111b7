"""The worker's end of the socket to a guard, and what comes over it."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.runners.guard import KILL, PULSE, TERMINATE

_EXIT_PATIENCE = 5.0
"""Seconds that a guard may take to exit after it closed its socket."""


@dataclass(frozen=True, slots=True)
class Started:
    """The agent's process exists; it is the first of its session and process group."""

    pid: int
    start_ticks: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The agent could not be started. `step` is what failed: `workspace`, `program` or `import`; `text` says why."""

    step: str
    text: str
    errno: int = 0
    output: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The agent and everything below it is gone, but for `leftovers` processes that do not die.

    One of `code` and `signal` is set, none when the agent itself does not die. `cause` says why the guard ended it,
    and is empty when it did not.
    """

    code: int | None
    signal: int | None
    cause: str
    leftovers: int


Report = Started | Refused | Ended
_REPORTS: Mapping[str, type[Report]] = {"started": Started, "refused": Refused, "ended": Ended}


class GuardLink:
    """A running guard. Orders may be sent by any thread; reports are read by the one that runs the runner."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self.owner = os.getpid()
        self.reusable = False
        """Whether a fork server can take another run."""
        self._process = process
        self._control = control
        self._unread = b""

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
    ) -> "GuardLink":
        """Start a guard. In `command`, the text `{control}` stands for the number of its control socket.

        Raises OSError.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                process = subprocess.Popen(
                    [str(theirs.fileno()) if part == "{control}" else part for part in command],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    env=environment,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, ours)

    def fileno(self) -> int:
        return self._control.fileno()

    def is_alive(self) -> bool:
        """Tell whether the guard runs and reads; what it reported before is dropped.

        Its end is looked for too: the socket stays open while a child that it has just forked still holds a copy.
        """
        return self._process.poll() is None and self.receive() is not None

    def pulse(self) -> None:
        self._send(PULSE)

    def terminate(self) -> None:
        self._send(TERMINATE)

    def kill(self) -> None:
        self._send(KILL)

    def request(self, text: bytes, descriptors: Sequence[int]) -> None:
        """Send a fork server the order for a run. Raises OSError when it is gone or does not read."""
        sent = socket.send_fds(self._control, [text], list(descriptors))
        if sent < len(text):
            raise BlockingIOError("the fork server does not read its orders")

    def receive(self) -> list[Report] | None:
        """Return the reports that came, or None when the guard is gone."""
        try:
            data = self._control.recv(65536)
        except BlockingIOError:
            return []
        except ConnectionError:
            data = b""
        if not data:
            return None
        *lines, self._unread = (self._unread + data).split(b"\n")
        reports = []
        for line in lines:
            facts = json.loads(line)
            reports.append(_REPORTS[facts.pop("event")](**facts))
        return reports

    def force(self) -> None:
        """Kill the guard itself. What it guarded is then nobody's: the caller ends it."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End what the guard still guards, let the guard go and collect it. In a forked child: drop the copy."""
        if self.owner != os.getpid():
            self._control.close()
            return
        self.kill()
        self._control.close()
        try:
            self._process.wait(_EXIT_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, order: bytes) -> None:
        try:
            self._control.send(order)
        except OSError:
            # Not reading its orders, or gone: the watch notices both, by its own clock and where it receives.
            return
