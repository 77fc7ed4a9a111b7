"""A lock between processes that dies with its holder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dispatch.errors import RefusedError

_PATIENCE = 120.0
"""Seconds. Most locks are held for one git command at a time; a longer wait means that its holder is stopped."""
_RETRY = 0.02


@contextmanager
def locked(path: Path, *, patience: float = _PATIENCE) -> Iterator[None]:
    """Hold the lock file `path` (made when missing).

    Raises RefusedError when another holds it for `patience` seconds; with 0 it is not waited for.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(descriptor, path, patience)
        yield
    finally:
        # A process that was forked meanwhile has the descriptor too: closing ours alone would leave it locked.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RefusedError(
                    problem=f"another process has held {path} for {patience:g} s",
                    cure=f"Find it with `fuser {path}` and end it, then try again.",
                ) from None
            time.sleep(_RETRY)
        else:
            return
