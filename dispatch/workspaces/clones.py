"""The cached clones of a host: one bare repository a project, for hosts that do not have the project's own.

A clone holds what its runs and landings fetched, and their commits; of the address it knows all but the credentials.
"""

import re
from pathlib import Path

from dispatch.workspaces.branches import safe_name
from dispatch.workspaces.exchange import CLONE_MARK, Exchange
from dispatch.workspaces.file_lock import locked
from dispatch.workspaces.git import Git
from dispatch.workspaces.linked import delete_tree
from dispatch.workspaces.repository import OpenRepository, Repository, Upstream

CLONE_REMOTE = "dispatch"
"""What git is told that the address is called; a clone has no such remote of its own."""
_MAKING = ".making"
_CLONE_PATIENCE = 1800.0
"""Seconds. The first fetch brings the whole history."""


def clone_path(root: Path, project_id: str) -> Path:
    """Return where a project's clone is, or is to be."""
    return root / f"{safe_name(project_id)}.git"


def cached_clone(root: Path, project_id: str, url: str, target_branch: str) -> Path:
    """Return this host's clone of a project, made when there is none yet: by one process, while others wait.

    Raises UnavailableError when the address does not answer, or has no such branch.
    """
    path = clone_path(root, project_id)
    if path.is_dir():
        return path
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock"), patience=_CLONE_PATIENCE):
        if not path.is_dir():
            _make(path, url, target_branch)
    return path


def _make(path: Path, url: str, target_branch: str) -> None:
    """Make the clone beside its place and move it there when it is whole."""
    draft = path.with_suffix(_MAKING)
    delete_tree(draft)
    Git(path.parent).run("init", "--quiet", "--bare", f"--initial-branch={target_branch}", "--", str(draft))
    opened = OpenRepository.at(draft)
    (draft / CLONE_MARK).touch()
    # Programs such as gh look here whose clone it is; they bring credentials of their own.
    opened.git.run("config", "remote.origin.url", re.sub(r"(?<=://)[^/@\s]*@", "", url))
    exchange = Exchange.of(
        Repository(draft, target_branch, Upstream(CLONE_REMOTE, url)), opened, patience=_CLONE_PATIENCE
    )
    assert exchange is not None, "it has an upstream"
    exchange.refresh()
    draft.rename(path)
