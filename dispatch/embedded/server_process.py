"""The process of one server: found by its pid file, started under a lock, stopped, its log kept short."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import psutil

from dispatch.embedded.file_lock import FileLock, read_pid

LOG_LIMIT = 8 * 2**20
"""Bytes a log may grow to before it is moved aside."""

StopSignals = Sequence[tuple[signal.Signals, float]]
"""What to send to a server that must end, and the seconds to give it before the next."""

_POLL_SECONDS = 0.02
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that the servers see of the environment."""


@dataclass(frozen=True)
class Account:
    """The uid and gid that a server gives up root for."""

    uid: int
    gid: int


@dataclass
class RunningServer:
    """A server that runs, as a child of this process or taken over from an earlier keeper."""

    process: psutil.Process
    child: subprocess.Popen[bytes] | None = None

    def is_alive(self) -> bool:
        """Tell whether it still runs; a child that ended is reaped."""
        if self.child is not None:
            return self.child.poll() is None
        try:
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def send(self, number: signal.Signals) -> None:
        """Signal it; psutil compares start times first, so a process that got its pid since is never hit."""
        if self.is_alive():
            try:
                self.process.send_signal(number)
            except psutil.NoSuchProcess:
                return


class Server(Protocol):
    """What the keeper needs to know of PostgreSQL and of Valkey."""

    name: str
    log: Path
    stop_signals: StopSignals

    @property
    def socket(self) -> Path: ...

    def find(self) -> RunningServer | None:
        """Return the running server of this home, whoever started it."""
        ...

    def start(self) -> RunningServer | None:
        """Start it, made ready first if it is new; None while a process of an earlier one still ends."""
        ...


def find_process(pid_file: Path, name: str, directory: Path) -> RunningServer | None:
    """Return the process a pid file names, if it is that program, works in that directory and is its owner's.

    Both servers change into their data directory, so a recycled pid is never taken for one of them.
    """
    pid = read_pid(pid_file)
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.name() != name:
            return None
        ours = Path(process.cwd()) == directory and process.uids().real == directory.stat().st_uid
        return RunningServer(process) if ours else None
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
        return None


def spawn(argv: Sequence[str], *, log: Path, lock: FileLock, account: Account | None = None) -> RunningServer:
    """Start a server in a session of its own, its output appended to `log`, holding `lock` until its last process ends.

    The caller's share of the lock is released.
    """
    with open_log(log) as output:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
            umask=0o077,
            pass_fds=(lock.descriptor,),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    lock.release()
    return RunningServer(psutil.Process(child.pid), child)


def stop_all(stopping: Iterable[tuple[RunningServer, StopSignals]]) -> None:
    """Stop servers cleanly and at the same time, and by force those that do not react."""
    pairs = list(stopping)
    for running, signals in pairs:
        running.send(signals[0][0])
    for running, signals in pairs:
        ended = _ends_within(running, signals[0][1])
        for number, seconds in signals[1:]:
            if ended:
                break
            running.send(number)
            ended = _ends_within(running, seconds)


def _ends_within(running: RunningServer, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while running.is_alive():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def open_log(log: Path) -> BinaryIO:
    """Open a log (0600) for appending, so that it can be cut while a server writes to it."""
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "ab")


def bound_log(log: Path, limit: int = LOG_LIMIT) -> None:
    """Move a log that is longer than `limit` bytes to `<name>.1`, in place of the one before it.

    The file is copied and cut, not renamed: the server that writes to it knows only its open file.
    """
    if log.exists() and log.stat().st_size > limit:
        older = log.with_name(f"{log.name}.1")
        shutil.copyfile(log, older)
        older.chmod(0o600)
        os.truncate(log, 0)
