"""`python -m tests.protocol.reaping COMMAND...`: runs a command, and ends every process that it leaves behind.

Code whose guards are taken out leaves agents running. Where the system lets a process adopt the orphans below it
(Linux), they are found whatever session or group they have gone to, and ended by their numbers.
"""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

PATIENCE = 20.0
_SET_CHILD_SUBREAPER = 36
_ROUND_SECONDS = 0.02


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent ends. Raises OSError."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no orphans can be adopted")


def end_what_is_left() -> None:
    """Kill every process below this one, and what those start meanwhile. Raises TimeoutError."""
    give_up_at = time.monotonic() + PATIENCE
    while left := _below():
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"these processes do not end: {[process.pid for process in left]}")
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(_ROUND_SECONDS)


def _below() -> list[psutil.Process]:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    return psutil.Process().children(recursive=True)


def main(command: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    adopt_orphans()
    try:
        return subprocess.call(command)
    finally:
        end_what_is_left()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
