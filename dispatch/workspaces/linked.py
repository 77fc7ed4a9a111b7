"""Linked worktrees of ours: made and taken away one at a time, by name, never by `git worktree prune`.

Pruning looks at every worktree of a repository, so it can hit one that another process is just making. Ours are
locked in git's sense as well: neither the user's `prune` nor `gc` takes them away.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from dispatch.errors import RefusedError
from dispatch.workspaces.git import Git
from dispatch.workspaces.repository import OpenRepository

_REMOVING = ".removing"
_ADD_PAUSES = (0.05, 0.2, 1.0)
"""Seconds after each failed try to make a worktree."""


def git_dir_of(repository: OpenRepository, path: Path) -> Path:
    """Return the directory where git keeps a linked worktree's HEAD and index; it is named after the worktree."""
    return repository.common_dir / "worktrees" / path.name


def add_worktree(repository: OpenRepository, path: Path, sha: str) -> None:
    """Make a detached worktree at `path` with the files of the commit `sha`.

    Only the entry is made under the lock: writing the files of a large tree takes its time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _add_entry(repository, path, sha)
    tree = Git(path, git_dir=git_dir_of(repository, path), work_tree=path, whole_tree=True)
    tree.run("reset", "--quiet", "--hard", sha)


def _add_entry(repository: OpenRepository, path: Path, sha: str) -> None:
    """Make the entry in git's list of worktrees and the empty worktree.

    The user's commands do not know our lock: a `git worktree prune` can take the entry away before git has marked it
    as locked, and an entry of theirs that is half made stops git. Both pass, so it is tried again.
    """
    options = ("--quiet", "--detach", "--no-checkout", "--lock", "--reason=dispatch is using it")
    arguments = ("worktree", "add", *options, "--", str(path), sha)
    for pause in _ADD_PAUSES:
        with repository.locked():
            finished = repository.git.attempt(*arguments)
        if finished.code == 0:
            return
        drop_worktree(repository, path)
        time.sleep(pause)
    raise repository.git.error(arguments, finished)


def drop_worktree(repository: OpenRepository, path: Path) -> None:
    """Delete a worktree with everything in it, in whatever state it is; no error when it is gone.

    The directory is renamed first: one that is half deleted must never be taken for an agent's work.
    """
    discarded = path.with_name(path.name + _REMOVING)
    delete_tree(discarded)
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        path.rename(discarded)
    _drop_entry(repository, git_dir_of(repository, path))
    delete_tree(discarded)


def _drop_entry(repository: OpenRepository, git_dir: Path) -> None:
    """Delete what git keeps of a worktree. Renamed first: every git fails that lists one with files missing."""
    discarded = repository.common_dir / f"dispatch{_REMOVING}"
    with repository.locked():
        delete_tree(discarded)
        if git_dir.exists():
            git_dir.rename(discarded)
        delete_tree(discarded)


def sweep_discarded(root: Path) -> None:
    """Delete what an interrupted removal left."""
    for discarded in root.glob(f"*{_REMOVING}"):
        delete_tree(discarded)


def delete_tree(path: Path) -> None:
    """Delete a directory, read-only ones inside it too. Raises RefusedError when something cannot be deleted.

    What is no directory, a link to one included, is left alone.
    """
    with suppress(OSError):  # most are empty or gone already, and to find that out costs more than to try
        path.rmdir()
        return
    while path.is_dir() and not path.is_symlink():
        try:
            open_to_owner(path)
            shutil.rmtree(path)
        except FileNotFoundError:
            continue  # another process deletes it too
        except OSError as error:
            raise RefusedError(
                problem=f"{path} cannot be deleted ({error})",
                cure="Was something in it made by another user, such as a container? Delete it by hand.",
            ) from error


def open_to_owner(top: Path) -> None:
    """Give the owner access to everything below a directory: agents and build tools leave files without.

    A directory that stays closed is an error, RefusedError, since git would take the files in it for deleted ones.
    """
    waiting = [top]
    while waiting:
        directory = waiting.pop()
        try:
            _allow(directory, 0o700)
            waiting.extend(_open_entries(directory))
        except PermissionError as error:
            raise RefusedError(
                problem=f"{directory} belongs to another user and cannot be read ({error})",
                cure=f"Was it made by a container? Give it to this user with chown, or save and delete {top}.",
            ) from error


def _open_entries(directory: Path) -> list[Path]:
    with os.scandir(directory) as entries:
        directories = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                _allow(Path(entry.path), 0o400)
        return directories


def _allow(path: Path, bits: int) -> None:
    found = path.lstat()
    if found.st_mode & bits != bits and found.st_uid == os.geteuid():
        path.chmod(found.st_mode | bits)
