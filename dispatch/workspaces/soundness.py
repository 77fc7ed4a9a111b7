"""The built-in readiness check: whether runs can branch from a project's repository and their work can land in it.

Each question has a few seconds, so that a file system or a remote that hangs is an issue and not a stop.
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dispatch.errors import DispatchError, GitError
from dispatch.models.guarding import Readiness
from dispatch.models.project import Project
from dispatch.settings import Landing, ProjectSettings, Settings
from dispatch.workspaces.clones import CLONE_REMOTE
from dispatch.workspaces.exchange import network_environment
from dispatch.workspaces.git import Git, complaint
from dispatch.workspaces.places import find_repository, works_in_clone
from dispatch.workspaces.repository import Checkout, OpenRepository, Upstream

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
        if works_in_clone(project, self._settings):
            issues += _remote(Git(Path.cwd()), Upstream(CLONE_REMOTE, wanted.url), wanted.target_branch)
            return Readiness(ok=not issues, issues=tuple(issues))
        if not project.path.is_dir():
            here = socket.gethostname()
            issues.append(f"{project.path} is not on this host ({here}), which looks whether projects are ready.")
            return Readiness(ok=False, issues=tuple(issues))
        try:
            repository = _opened(project.path)
            upstream = find_repository(project, self._settings).upstream
            if upstream is None:
                issues += _branch(repository, wanted)
                mentions = list(_mentions(repository, wanted))
            else:
                issues += _remote(repository.git, upstream, wanted.target_branch)
                mentions = []
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
    followed = _followed(repository, wanted.target_branch)
    if followed is not None:
        yield from _remote(repository.git, Upstream(followed), "")


def _half_done(checkout: Checkout, branch: str) -> Iterator[str]:
    if checkout.rebasing:
        yield f"{branch} is being rebased in {checkout.path}: finish or abort that."
        return
    git_dir = Path(_git(checkout.path).text("rev-parse", "--path-format=absolute", "--git-dir"))
    found = dict.fromkeys(what for name, what in _HALF_DONE.items() if (git_dir / name).exists())
    for what in found:
        yield f"There is {what} half-done in {checkout.path}: finish or abort it."


def _followed(repository: OpenRepository, branch: str) -> str | None:
    """Return the remote that a branch follows, else `origin`, else the only one."""
    remotes = repository.git.text("remote").split()
    follows = os.fsdecode(repository.git.attempt("config", "--get", f"branch.{branch}.remote").output).strip()
    return next((name for name in (follows, "origin", *remotes) if name in remotes), None)


def _remote(git: Git, upstream: Upstream, branch: str) -> Iterator[str]:
    """Ask whether a remote answers, and has the branch, if that is not empty."""
    git = replace(git, timeout=REMOTE_PATIENCE, env=network_environment(upstream))
    name = "repository at its url" if upstream.url else f"remote {upstream.remote}"
    try:
        finished = git.attempt("ls-remote", "--quiet", "--", upstream.remote, f"refs/heads/{branch}")
    except GitError:
        yield f"The {name} does not answer within {REMOTE_PATIENCE:g} s."
        return
    if finished.code != 0:
        yield f"The {name} cannot be reached: {complaint(finished)}"
    elif branch and not finished.output.strip():
        yield f"The {name} has no branch {branch!r}: push one, or set target_branch of the project."


def _mentions(repository: OpenRepository, wanted: ProjectSettings) -> Iterator[str]:
    """Tell of changes that are not committed where a landing moves the files of a checkout."""
    merges = wanted.landing in (Landing.AUTO, Landing.MERGE)
    checkout = repository.checkout_of(wanted.target_branch) if merges else None
    if checkout is None or checkout.rebasing:
        return
    changed = _git(checkout.path).names("status", "--porcelain", "-z", "--untracked-files=no")
    if changed:
        yield f"{checkout.path} has changes that are not committed: work on the same files waits until they are."


def _git(path: Path) -> Git:
    return Git(path, timeout=LOCAL_PATIENCE)
