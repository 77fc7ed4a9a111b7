"""One `dispatch up` a home."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from dispatch.embedded.file_lock import FileLock, read_pid
from dispatch.embedded.home import EmbeddedHome
from dispatch.errors import RefusedError


class UpLock:
    """Held by `dispatch up` for as long as it runs; the kernel lets it go with the process, however it ends.

    Entering raises RefusedError, with the holder's process id, when another `dispatch up` has the home.
    """

    def __init__(self, home: Path) -> None:
        self._home = EmbeddedHome.at(home)
        self._lock = FileLock(self._home.up_lock)

    def __enter__(self) -> Self:
        self._home.create()
        if not self._lock.acquire_now():
            holder = read_pid(self._home.up_lock)
            known = f" (process {holder})" if holder else ""
            raise RefusedError(
                problem=f"dispatch up already runs for {self._home.root}{known}",
                cure="Use that one, or stop it first with `dispatch down`.",
            )
        self._lock.write(f"{os.getpid()}\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.write("")
        self._lock.release()
