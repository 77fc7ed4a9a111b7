"""Empty workspaces, for runs that touch no file of their project: a directory a run, beside the worktrees."""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from dispatch.models.identity import RunId
from dispatch.workspaces.linked import delete_tree

_SUFFIX = ".empty"
_MODE = 0o700
_MOST_SPARE = 8


class ScratchSpaces:
    """The empty workspaces of this host's runs, below `root`. Any thread and any process may use them.

    One that a run left as it got it is the next one's that this process needs, under another name. To make and to
    delete a directory for each costs a short run a tenth of its time where the file system avoids the numbers of files
    that were just deleted, as ext4 without a journal does: each new file then has to be found a number among them.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._spare: list[Path] = []

    def make(self, run_id: RunId) -> Path:
        """Make and return the empty workspace of a run; what an interrupted earlier try left is deleted."""
        path = self._path(run_id)
        if self._rename_spare(path):
            return path
        try:
            path.mkdir(parents=True, mode=_MODE)
        except FileExistsError:
            delete_tree(path)
            path.mkdir(mode=_MODE)
        return path

    def _rename_spare(self, path: Path) -> bool:
        while self._spare:
            with suppress(OSError, IndexError):  # it was collected, or another thread took it
                self._spare.pop().rename(path)
                return True
        return False

    def drop(self, run_id: RunId) -> None:
        """Give back the workspace of a run that has ended; what was put into it is deleted.

        Raises RefusedError when something resists.
        """
        path = self._path(run_id)
        if len(self._spare) < _MOST_SPARE and _is_untouched(path):
            self._spare.append(path)
        else:
            delete_tree(path)

    def collect(self, keep: Callable[[RunId], bool]) -> list[RunId]:
        """Delete the workspaces that `keep` no longer wants; return whose they were.

        They are those of workers that died, and what a worker had to spare: it does without.
        """
        found = [RunId(UUID(path.name.removesuffix(_SUFFIX))) for path in self._root.glob(f"*{_SUFFIX}")]
        collected = [run_id for run_id in found if not keep(run_id)]
        for run_id in collected:
            delete_tree(self._path(run_id))
        return collected

    def _path(self, run_id: RunId) -> Path:
        return self._root / f"{UUID(str(run_id))}{_SUFFIX}"


def _is_untouched(path: Path) -> bool:
    """Tell whether a directory is as it was made: ours, closed to others, and empty."""
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) != _MODE or found.st_uid != os.geteuid():
            return False
        with os.scandir(path) as entries:
            return next(entries, None) is None
    except OSError:
        return False
