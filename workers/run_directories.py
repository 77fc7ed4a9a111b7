"""The directories of ended runs on this host: kept for a while, within a size, the newest first."""

import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import structlog

from dispatch.models.identity import RunId
from dispatch.settings import HousekeepingSettings

STILL_NEEDED = timedelta(hours=1)
"""How long a directory is kept in any case: the next run of the bead looks there for what a dead worker left."""
_GB = 10**9

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A run's directory: when something was last written in it (seconds since 1970), and the bytes of its files."""

    path: Path
    run_id: RunId
    written: float
    size: int


def collect_run_directories(
    directory: Path, kept: HousekeepingSettings, is_open: Callable[[RunId], bool], *, now: float
) -> int:
    """Delete the directories that are too old, or too many together, except those of open runs; return how many."""
    room = kept.keep_runs_gb * _GB
    deleted = 0
    for found in sorted(_directories(directory), key=lambda found: found.written, reverse=True):
        age = timedelta(seconds=max(0.0, now - found.written))
        room -= found.size
        if age < STILL_NEEDED or (age <= kept.keep_runs and room >= 0) or is_open(found.run_id):
            continue
        shutil.rmtree(found.path, onerror=_tell)
        room += found.size
        deleted += 1
    return deleted


def _directories(directory: Path) -> Iterator[_Kept]:
    for path in directory.glob("*/") if directory.is_dir() else ():
        try:
            run_id = RunId(UUID(path.name))
            stats = [entry.lstat() for entry in (path, *path.rglob("*"))]
        except (ValueError, FileNotFoundError):
            continue  # not a run's, or just deleted
        size = sum(each.st_size for each in stats if stat.S_ISREG(each.st_mode))
        yield _Kept(path, run_id, max(each.st_mtime for each in stats), size)


def _tell(function: object, path: str, error: object) -> None:
    log.warning("a file of an ended run was not deleted", path=path, cause=repr(error))
