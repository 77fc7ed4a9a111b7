"""Empty workspaces, for runs that touch no file of their project: a directory a run, beside the worktrees."""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from dispatch.models.identity import RunId
from dispatch.workspaces.linked import delete_tree

_SUFFIX = ".empty"


def make_scratch(root: Path, run_id: RunId) -> Path:
    """Make and return the empty workspace of a run; what an interrupted earlier try left is deleted."""
    path = _path(root, run_id)
    try:
        path.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        delete_tree(path)
        path.mkdir(mode=0o700)
    return path


def drop_scratch(root: Path, run_id: RunId) -> None:
    """Delete the empty workspace of a run with what was put into it. Raises RefusedError when something resists."""
    delete_tree(_path(root, run_id))


def collect_scratch(root: Path, keep: Callable[[RunId], bool]) -> list[RunId]:
    """Delete the empty workspaces that `keep` no longer wants, as a worker that died leaves them; return whose."""
    found = [RunId(UUID(path.name.removesuffix(_SUFFIX))) for path in root.glob(f"*{_SUFFIX}")]
    collected = [run_id for run_id in found if not keep(run_id)]
    for run_id in collected:
        drop_scratch(root, run_id)
    return collected


def _path(root: Path, run_id: RunId) -> Path:
    return root / f"{UUID(str(run_id))}{_SUFFIX}"
