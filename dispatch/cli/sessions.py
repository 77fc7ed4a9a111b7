"""Process sessions: who is in one, ending one whole, and what an `up` that was killed left behind."""

import os
import signal
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_POLL_SECONDS = 0.1


def members(session: int) -> list[psutil.Process]:
    """Return the live processes of a session; its number is the pid of the process that began it."""
    found = []
    for pid in psutil.pids():
        with suppress(OSError, psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if os.getsid(pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def session_of_process(pid: int) -> int | None:
    """Return the session that a process is in; None: there is no such process."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def kill_session(session: int) -> None:
    """End every process of a session at once, whatever process group it is in."""
    for process in members(session):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


class SessionRecord:
    """Which sessions an `up` began, in a file, so that the next one does not start beside what is left of them."""

    def __init__(self, path: Path, home: Path) -> None:
        self._path = path
        self._home = str(home)

    def write(self, sessions: Iterable[int]) -> None:
        self._path.write_text("".join(f"{session}\n" for session in sorted(sessions)))

    def end_leftovers(self, patience: float) -> bool:
        """Wait until nothing of the recorded sessions is left, and kill what is after `patience` seconds.

        Their leashes are ending them by then. True when there was something.
        """
        if not self._path.is_file():
            return False
        sessions = {int(line) for line in self._path.read_text().split() if line.isdigit()}
        deadline = time.monotonic() + patience
        left = found = self._left(sessions)
        while left and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            left = self._left(sessions)
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self._path.unlink()
        return bool(found)

    def _left(self, sessions: Collection[int]) -> list[psutil.Process]:
        """The number of a session may be another's by now, so a process has to be of our home too."""
        return [process for session in sessions for process in members(session) if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("DISPATCH_HOME") == self._home
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False
