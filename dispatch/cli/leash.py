"""Holds one process on a leash: `python -I -S leash.py GRACE COMMAND...`, with the holder's pipe as standard input.

The command runs in a process group of its own, and the leash ends with it and as it did (128 + n for signal n). A
byte `t` asks for its end: SIGTERM, and SIGKILL to its whole group after GRACE seconds; a byte `k` means SIGKILL at
once. The end of the pipe means that the holder is gone, however it went, and is the same as `t`. What the command
leaves in its group is killed. Only the standard library, and little of it: there is one of these for each process.
"""

import math
import os
import select
import signal
import subprocess
import sys
import time


class Leash:
    """One command and the pipe that decides about its life."""

    def __init__(self, grace: float, command: list[str]) -> None:
        self._grace = grace
        self._kill_at: float | None = None
        self._woken, wake = os.pipe()
        for end in (self._woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        # Python's own handlers, not SIG_IGN: the command would inherit that.
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, self._note)
        self._asked = False
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)

    def hold(self) -> int:
        """Wait for the command's end, bring it about when asked; return its exit code."""
        listened = [sys.stdin.fileno(), self._woken]
        while self._child.poll() is None:
            ready = select.select(listened, [], [], self._patience())[0]
            if self._woken in ready:
                os.read(self._woken, 4096)
            if sys.stdin.fileno() in ready and not self._listen():
                listened = [self._woken]
            if self._asked:
                self._ask()
            if self._kill_at is not None and time.monotonic() >= self._kill_at:
                self._kill_at = math.inf
                self._kill()
        self._kill()
        code = self._child.returncode
        return code if code >= 0 else 128 - code

    def _note(self, number: int, _frame: object) -> None:
        self._asked = self._asked or number == signal.SIGTERM

    def _patience(self) -> float | None:
        if self._kill_at is None or self._kill_at == math.inf:
            return None
        return max(0.0, self._kill_at - time.monotonic())

    def _listen(self) -> bool:
        """Do what the holder says; False when it is gone."""
        said = os.read(sys.stdin.fileno(), 16)
        if b"k" in said:
            self._kill_at = 0.0
        else:
            self._asked = True
        return bool(said)

    def _ask(self) -> None:
        if self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace
            self._child.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        """Kill the group; also after the child's end, when what it started may be left in it."""
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # Nothing is left in it; macOS says so with EPERM while only the dead child is.
            return


if __name__ == "__main__":
    sys.exit(Leash(float(sys.argv[1]), sys.argv[2:]).hold())
