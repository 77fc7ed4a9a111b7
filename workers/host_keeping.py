"""What each host does for itself every few minutes: old worktrees, run directories and loose objects go.

Every worker has a thread for it, in its main process, so that it also happens on hosts without a settler; of all
workers with one home, one at a time does it.
"""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog

from dispatch.errors import DispatchError, RefusedError
from dispatch.models.identity import RunId
from dispatch.models.states import OPEN_RUN_STATES
from dispatch.wiring import System
from dispatch.workspaces import OpenRepository, local_repository
from dispatch.workspaces.file_lock import locked
from dispatch.workspaces.packing import pack
from workers.collecting import collect_worktrees
from workers.run_directories import collect_run_directories

EVERY = timedelta(minutes=5)

log = structlog.get_logger(__name__)


def keep_host(system: System, *, now: float, at_once: bool = False) -> bool:
    """Clear away on this host, unless another process does, or did within `EVERY`; return whether it was done here.

    `now` is in seconds since 1970. With `at_once` it does not matter when it was last done.
    """
    home = system.settings.home
    stamp = home / "housekeeping.lock"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with locked(stamp, patience=0):
            if not at_once and 0 <= now - stamp.stat().st_mtime < EVERY.total_seconds():
                return False
            _clear_away(system, now)
            stamp.touch()
    except RefusedError:
        return False
    return True


def _clear_away(system: System, now: float) -> None:
    collect_worktrees(system)

    def is_open(run_id: RunId) -> bool:
        run = system.store.settling.find_run(run_id)
        return run is not None and run.state in OPEN_RUN_STATES

    collect_run_directories(system.runs_directory, system.settings.housekeeping, is_open, now=now)
    for project in system.store.projects.all():
        path = local_repository(project, system.settings)
        if path is not None:
            _pack(path)


def _pack(path: Path) -> None:
    try:
        if pack(OpenRepository.at(path)):
            log.info("a repository was packed", path=str(path))
    except DispatchError as error:
        log.warning("a repository was not packed", path=str(path), cause=str(error))


class HostKeeper:
    """A thread that keeps house for as long as its worker lives. The first time is at once when agents work here."""

    def __init__(self, system: Callable[[], System], *, at_once: bool) -> None:
        self._system = system
        self._at_once = at_once
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="dispatch-housekeeping", daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self, patience: float = 5.0) -> None:
        """Begin nothing more, and wait so many seconds for what is under way; it can be interrupted at any point."""
        self._ended.set()
        self._thread.join(patience)

    def _keep(self) -> None:
        if self._at_once:
            self._do(at_once=True)
        while not self._ended.wait(EVERY.total_seconds()):
            self._do(at_once=False)

    def _do(self, *, at_once: bool) -> None:
        try:
            keep_host(self._system(), now=time.time(), at_once=at_once)
        except Exception as error:  # noqa: BLE001 - it must not keep the worker from its work; it is tried again
            log.warning("housekeeping left something behind", cause=repr(error))
