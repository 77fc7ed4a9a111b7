"""What each host does for itself every few minutes: old worktrees, run directories and loose objects go.

Every worker has a thread for it, in its main process, so that it also happens on hosts without a settler; of all
workers with one home, one at a time does it.
"""

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
from workers.rounds import Rounds
from workers.run_directories import collect_run_directories

EVERY = timedelta(minutes=5)
END_PATIENCE = 5.0
"""Seconds that a worker that ends waits for what is under way, which can be interrupted at any point."""

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


def host_keeper(system: Callable[[], System], *, at_once: bool) -> Rounds:
    """Return what keeps this host for as long as its worker lives. The first time is at once when agents work here."""

    def keep(*, at_once: bool) -> None:
        keep_host(system(), now=time.time(), at_once=at_once)

    return Rounds(
        "dispatch-host-keeping",
        lambda: keep(at_once=False),
        every=EVERY.total_seconds(),
        first=(lambda: keep(at_once=True)) if at_once else None,
    )
