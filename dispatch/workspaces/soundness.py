"""The built-in readiness check: whether runs can branch from a project's repository and their work can land in it.

Each question has a few seconds, so that a file system or a remote that hangs is an issue and not a stop.
"""

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dispatch.errors import DispatchError, GitError
from dispatch.models.guarding import Readiness
from dispatch.models.project import Project
from dispatch.settings import Landing, ProjectSettings, Settings
from dispatch.workspaces.git import Git, words
from dispatch.workspaces.processes import Finished
from dispatch.workspaces.repository import Checkout, OpenRepository

LOCAL_PATIENCE = 3.0
REMOTE_PATIENCE = 5.0
"""Seconds for each question to git: about this host, and about a remote."""
_HALF_DONE = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}


class RepositoryCheck:
    """Asks what can be seen of a project on this host.

    Ready: the path is the top of a git repository, its target branch has a commit, nothing half-done stands in the
    checkout of that branch, the remote that it follows answers, and a test command is set. Changes that are not
    committed stop nothing: only work that lands on the same files meets them, so they are told where work is merged.
    """

    name = "of the repository"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, project: Project) -> Readiness:
        wanted = self._settings.project(project.id)
        issues = [] if wanted.test_command else [f"No test command is set for [projects.{project.id}]."]
        if not project.path.is_dir():
            here = socket.gethostname()
            issues.append(f"{project.path} is not on this host ({here}), which looks whether projects are ready.")
            return Readiness(ok=False, issues=tuple(issues))
        try:
            repository = _opened(project.path)
            issues += _branch(repository, wanted)
            mentions = list(_mentions(repository, wanted))
        except (DispatchError, OSError) as error:
            return Readiness(ok=False, issues=(*issues, str(error)))
        return Readiness(ok=not issues, issues=(*issues, *mentions))


def _opened(path: Path) -> OpenRepository:
    found = OpenRepository.at(path)
    return replace(found, git=replace(found.git, timeout=LOCAL_PATIENCE))


def _branch(repository: OpenRepository, wanted: ProjectSettings) -> Iterator[str]:
    """Find what keeps runs from branching, and finished work from landing."""
    repository.tip(wanted.target_branch)
    checkout = repository.checkout_of(wanted.target_branch)
    if checkout is not None:
        yield from _half_done(checkout, wanted.target_branch)
    yield from _remote(repository, wanted.target_branch)


def _half_done(checkout: Checkout, branch: str) -> Iterator[str]:
    if checkout.rebasing:
        yield f"{branch} is being rebased in {checkout.path}: finish or abort that."
        return
    git_dir = Path(_git(checkout.path).text("rev-parse", "--path-format=absolute", "--git-dir"))
    found = dict.fromkeys(what for name, what in _HALF_DONE.items() if (git_dir / name).exists())
    for what in found:
        yield f"There is {what} half-done in {checkout.path}: finish or abort it."


def _remote(repository: OpenRepository, branch: str) -> Iterator[str]:
    """Ask the remote that a branch follows, else `origin`, else the only one."""
    git = replace(repository.git, timeout=REMOTE_PATIENCE, env={"SSH_ASKPASS_REQUIRE": "never"})
    remotes = git.text("remote").split()
    follows = os.fsdecode(git.attempt("config", "--get", f"branch.{branch}.remote").output).strip()
    remote = next((name for name in (follows, "origin", *remotes) if name in remotes), None)
    if remote is None:
        return
    try:
        finished = git.attempt("ls-remote", "--quiet", remote, f"refs/heads/{branch}")
    except GitError:
        yield f"The remote {remote} does not answer within {REMOTE_PATIENCE:g} s."
        return
    if finished.code != 0:
        yield f"The remote {remote} cannot be reached: {_last_words(finished)}"


def _last_words(finished: Finished) -> str:
    """Return what git complains of first, without the credentials that an address may hold."""
    lines = words(finished).splitlines() or [f"git ends with {finished.code}"]
    told = next((line for line in lines if line.startswith("fatal:")), lines[-1])
    return re.sub(r"(?<=://)[^/@\s]*@", "", told).removeprefix("fatal: ").rstrip(".") + "."


def _mentions(repository: OpenRepository, wanted: ProjectSettings) -> Iterator[str]:
    """Tell of changes that are not committed where a landing moves the files of a checkout."""
    checkout = repository.checkout_of(wanted.target_branch) if wanted.landing is Landing.MERGE else None
    if checkout is None or checkout.rebasing:
        return
    changed = _git(checkout.path).names("status", "--porcelain", "-z", "--untracked-files=no")
    if changed:
        yield f"{checkout.path} has changes that are not committed: work on the same files waits until they are."


def _git(path: Path) -> Git:
    return Git(path, timeout=LOCAL_PATIENCE)
