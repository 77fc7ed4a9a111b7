"""Locks that the kernel holds on files, and lets go when the last process that shares them ends."""

import fcntl
import os
import time
from pathlib import Path

_POLL_SECONDS = 0.02


class FileLock:
    """A flock on a file that is made if missing (0600) and never removed.

    The lock belongs to the open file: a forked child, and a program that is given `descriptor`, share it, and it ends
    when all of them have closed it or died. So it never gets stale, and it is never unlocked, only closed.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path = path
        self._operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._descriptor: int | None = None

    @classmethod
    def inherited(cls, path: Path, descriptor: int) -> "FileLock":
        """Return the lock that another process took and gave to this one."""
        lock = cls(path)
        os.set_inheritable(descriptor, False)
        lock._descriptor = descriptor
        return lock

    @property
    def descriptor(self) -> int:
        """The open file that carries the lock, for `pass_fds`. Raises ValueError when the lock is not held."""
        if self._descriptor is None:
            raise ValueError(f"the lock {self.path} is not held")
        return self._descriptor

    def acquire_now(self) -> bool:
        """Take the lock if nobody is in the way; True when it is held."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, self._operation | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def acquire(self, timeout: float) -> bool:
        """Take the lock, waiting up to `timeout` seconds; False when they passed."""
        deadline = time.monotonic() + timeout
        while not self.acquire_now():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def write(self, text: str) -> None:
        """Replace what the locked file says."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode(), 0)

    def is_current(self) -> bool:
        """Tell whether the lock is held on the file that the path names now, and not on one removed since."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Close this process's share of the lock; nothing happens when it holds none."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def read_pid(path: Path) -> int | None:
    """Return the process id on the first line of a file, or None when there is no such file or line."""
    try:
        first = path.read_text().partition("\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() and int(first) > 0 else None
