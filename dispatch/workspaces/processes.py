"""Child processes that end: each in a group of its own, which is killed wholly when its time is over.

A child in its own session has no terminal, so nothing it starts can stop to ask a question there.
"""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_GRACE = 2.0
"""Seconds between asking a group to end and killing it: git uses them to remove its lock files."""
_LOOK = 0.1
"""Seconds after which a child that prints nothing is looked at again."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child ended. `code` is None when its time was over; a negative one is the signal that killed it."""

    code: int | None
    output: bytes
    complaint: bytes = b""
    """What it wrote to its standard error, where that is kept apart."""


def run_captured(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float, stdin: bytes = b""
) -> Finished:
    """Run a program to its end and return all it printed. `timeout` is in seconds.

    Raises OSError when the program cannot be started.
    """
    process = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        try:
            output, complaint = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            _end_group(process)
            output, complaint = process.communicate()
            return Finished(None, output, complaint)
        except BaseException:
            _end_group(process)
            raise
    return Finished(process.returncode, output, complaint)


def run_watched(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float, keep: int) -> Finished:
    """Run a program of unknown manners; return the last `keep` bytes of what it printed on either stream.

    Nothing of its process group is left when this returns, not even what it left in the background; nor when this
    process is killed meanwhile.
    Raises OSError when the program cannot be started.
    """
    with _watchdog() as watch:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with process:
            try:
                watch(process.pid)
                tail = _Tail(process, keep)
                ended = tail.follow(time.monotonic() + timeout)
            finally:
                _end_group(process)
            tail.drain()
    return Finished(process.returncode if ended else None, bytes(tail.kept))


@contextmanager
def _watchdog() -> Iterator[Callable[[int], None]]:
    """Give a way to let a process group be killed when this process is, which then cannot do it itself.

    A shell is told the group, and waits for the other end of its standard input, which only this process has, to close.
    """
    waiting = subprocess.Popen(
        ["/bin/sh", "-c", 'read -r group && { read -r _; kill -s KILL -- "-$group"; }'],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert waiting.stdin is not None
    told = waiting.stdin.fileno()

    def watch(group: int) -> None:
        os.write(told, f"{group}\n".encode())

    with waiting:
        try:
            yield watch
        finally:
            waiting.kill()
            waiting.wait()  # before its input closes


class _Tail:
    """The end of what a process prints, read while it runs so that it never waits for a full pipe."""

    def __init__(self, process: subprocess.Popen[bytes], keep: int) -> None:
        assert process.stdout is not None
        self._process = process
        self._pipe = process.stdout.fileno()
        self._keep = keep
        self._open = True
        self.kept = bytearray()
        os.set_blocking(self._pipe, False)

    def follow(self, deadline: float) -> bool:
        """Read until the process ends; False when the deadline (monotonic seconds) came first."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            while self._process.poll() is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                if not self._open:
                    with suppress(subprocess.TimeoutExpired):
                        self._process.wait(left)
                elif selector.select(min(left, _LOOK)):
                    self._read()
        return True

    def drain(self) -> None:
        """Read what is left. A process that escaped the group may hold the pipe open; it is not waited for."""
        while self._open and self._read():
            pass

    def _read(self) -> bool:
        try:
            chunk = os.read(self._pipe, 65536)
        except BlockingIOError:
            return False
        self._open = bool(chunk)
        self.kept += chunk
        del self.kept[: max(0, len(self.kept) - self._keep)]
        return True


def _end_group(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # PermissionError: what macOS says of a group in which only zombies are left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
