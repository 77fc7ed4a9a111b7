"""A project's repository: its commits, refs and checkouts."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from dispatch.errors import ConfigurationError, NotFoundError
from dispatch.workspaces.file_lock import locked
from dispatch.workspaces.git import Git, words

_NAME = "dispatch"
_EMAIL = "dispatch@localhost"
_LIST_PAUSES = (0.05, 0.2, 1.0)
"""Seconds after each failed look at the list of worktrees."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The remote that a project's work is exchanged with: one that the repository has, or the address `url`.

    With a `url` the hosts of the project share their work through it.
    """

    remote: str
    url: str = field(default="", repr=False)

    @property
    def configuration(self) -> dict[str, str]:
        """Return the environment that makes git know the remote."""
        if not self.url:
            return {}
        return {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"remote.{self.remote}.url",
            "GIT_CONFIG_VALUE_0": self.url,
        }


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a project's repository is, and the branch that its work lands on: that of its upstream, if it has one."""

    path: Path
    target_branch: str
    upstream: Upstream | None = None

    @property
    def target_ref(self) -> str:
        """The ref that says where the target branch is, as far as this host knows."""
        kind = "heads" if self.upstream is None else "dispatch/target"
        return f"refs/{kind}/{self.target_branch}"


@dataclass(frozen=True, slots=True)
class Checkout:
    """A worktree that a branch is checked out in; `rebasing` when it is detached to rebase that branch."""

    path: Path
    rebasing: bool


@dataclass(frozen=True, slots=True)
class OpenRepository:
    """A repository that was found to be one. `common_dir` holds what all its worktrees share."""

    path: Path
    common_dir: Path
    git: Git

    @classmethod
    def at(cls, path: Path) -> Self:
        """Open the repository whose top directory (or bare directory) is `path`.

        A directory somewhere inside a repository is refused: it might be one by accident, as in a home directory
        that is kept in git. Raises ConfigurationError.
        """
        cure = "Give the project the top of a git repository, or a url to clone; `git init` makes a directory one."
        if not path.is_dir():
            raise ConfigurationError(place=str(path), problem="there is no such directory", cure=cure)
        finished = Git(path).attempt("rev-parse", "--path-format=absolute", "--git-common-dir", "--show-prefix")
        if finished.code != 0:
            raise ConfigurationError(
                place=str(path), problem=f"this is not a usable git repository ({words(finished)})", cure=cure
            )
        common_dir, _, prefix = os.fsdecode(finished.output).partition("\n")
        if prefix.strip("\n"):
            raise ConfigurationError(
                place=str(path), problem="this is a directory inside a git repository, not its top", cure=cure
            )
        return cls(path, Path(common_dir), Git(path, git_dir=Path(common_dir)))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of ours from changing the list of worktrees; git's own commands race there."""
        with locked(self.common_dir / "dispatch.lock"):
            yield

    def identity(self) -> dict[str, str]:
        """Return the environment that names who commits: the repository's own identity, else dispatch.

        The user's global identity is not used: an agent's commits are not the user's.
        """
        name, email = (self._own_setting(f"user.{part}") for part in ("name", "email"))
        return {
            "GIT_AUTHOR_NAME": name or _NAME,
            "GIT_AUTHOR_EMAIL": email or _EMAIL,
            "GIT_COMMITTER_NAME": name or _NAME,
            "GIT_COMMITTER_EMAIL": email or _EMAIL,
        }

    def find_commit(self, name: str) -> str | None:
        """Return the full id of the commit that `name` leads to, or None when it leads to none."""
        finished = self.git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        return os.fsdecode(finished.output).strip() if finished.code == 0 else None

    def commit(self, name: str) -> str:
        """Return the full id of a commit. Raises NotFoundError."""
        sha = self.find_commit(name)
        if sha is None:
            raise NotFoundError(thing=f"commit in {self.path}", name=name, cure="Was the repository cloned anew?")
        return sha

    def tip(self, branch: str) -> str:
        """Return the commit at the tip of a branch. Raises ConfigurationError when there is no such branch."""
        sha = self.find_commit(f"refs/heads/{branch}")
        if sha is not None:
            return sha
        branches = self.git.text("for-each-ref", "--count=10", "--format=%(refname:short)", "refs/heads").split("\n")
        if branches == [""]:
            problem, cure = "the repository has no commits yet", f"Make a first commit on {branch}."
        else:
            problem = f"there is no branch {branch!r}"
            cure = f"Set target_branch of the project to a branch that exists, such as {', '.join(branches)}."
        raise ConfigurationError(place=str(self.path), problem=problem, cure=cure)

    def is_ancestor(self, older: str, newer: str) -> bool:
        return self.git.tells("merge-base", "--is-ancestor", older, newer)

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the commit that two have in common; None: they have none."""
        finished = self.git.attempt("merge-base", one, other)
        return os.fsdecode(finished.output).strip() or None

    def tree_of(self, commit: str) -> str:
        return self.git.text("rev-parse", "--verify", f"{commit}^{{tree}}")

    def checkout_of(self, branch: str) -> Checkout | None:
        """Return where a branch is checked out or being rebased, or None. Directories that are gone do not count."""
        ref = f"refs/heads/{branch}"
        for path, held in self._checkouts():
            if held == ref and path.is_dir():
                return Checkout(path, rebasing=False)
        for git_dir in (self.common_dir, *(self.common_dir / "worktrees").glob("*")):
            for state in ("rebase-merge", "rebase-apply"):
                head_name = git_dir / state / "head-name"
                if head_name.is_file() and head_name.read_text(errors="replace").strip() == ref:
                    return Checkout(self._work_tree_of(git_dir), rebasing=True)
        return None

    def _checkouts(self) -> Iterator[tuple[Path, str]]:
        path = self.path
        for line in self._list_worktrees():
            kind, _, value = line.partition(" ")
            if kind == "worktree":
                path = Path(value)
            elif kind == "branch":
                yield path, value

    def _list_worktrees(self) -> list[str]:
        """Ask git under the lock: it fails when it meets a worktree that is just being made.

        The user may be making one as well, without our lock; so it is asked again for as long as that takes.
        """
        arguments = ("worktree", "list", "--porcelain", "-z")
        for pause in _LIST_PAUSES:
            with self.locked():
                finished = self.git.attempt(*arguments)
            if finished.code == 0:
                return os.fsdecode(finished.output).split("\0")
            time.sleep(pause)
        raise self.git.error(arguments, finished)

    def _work_tree_of(self, git_dir: Path) -> Path:
        link = git_dir / "gitdir"
        return Path(os.fsdecode(link.read_bytes()).strip()).parent if link.is_file() else self.common_dir.parent

    def _own_setting(self, name: str) -> str:
        return os.fsdecode(self.git.attempt("config", "--local", "--get", name).output).strip()
