"""Who uses a home: every user holds a shared lock for its life, and the keeper stops when it can have it alone."""

import os
import threading
from pathlib import Path

from dispatch.embedded.file_lock import FileLock
from dispatch.embedded.home import EmbeddedHome

_held: dict[Path, FileLock] = {}
_held_guard = threading.Lock()


def register(home: EmbeddedHome, timeout: float) -> bool:
    """Make this process a user of the home until it ends or calls `release`; its forked children are users too.

    Waits up to `timeout` seconds while a keeper that found no users is stopping the servers; False when they passed.
    """
    with _held_guard:
        lock = _held.get(home.root)
        if lock is None or not lock.is_current():
            if lock is not None:
                lock.release()
            lock = FileLock(home.users_lock, shared=True)
            if not lock.acquire(timeout):
                return False
            _held[home.root] = lock
        os.utime(lock.descriptor)
        return True


def release(home: EmbeddedHome) -> None:
    """End this process's use of the home; nothing happens when it was no user."""
    with _held_guard:
        lock = _held.pop(home.root, None)
        if lock is not None:
            lock.release()


class IdleWatch:
    """Tells since when a home has had no user, from the users lock and the time of the last registration.

    A user that came and went between two looks is seen by that time, so looking seldom is enough.
    """

    def __init__(self, home: EmbeddedHome, now: float) -> None:
        self._lock = FileLock(home.users_lock)
        self._path = home.users_lock
        self._path.touch(mode=0o600)
        self._idle_since = now
        self._last_registration = self._registration()

    def _registration(self) -> int:
        return self._path.stat().st_mtime_ns

    def is_over(self, now: float, idle_seconds: float) -> bool:
        """Look once; True when nobody used the home for that long. Then no user can come until this process ends."""
        alone = self._lock.acquire_now()
        registration = self._registration()
        if not alone or registration != self._last_registration:
            self._last_registration = registration
            self._idle_since = now
        if alone and now - self._idle_since >= idle_seconds:
            return True
        self._lock.release()
        return False
