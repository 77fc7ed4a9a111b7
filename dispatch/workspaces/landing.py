"""Landing by a merge: rebase, test, fast-forward the target branch.

Everything up to the last step happens in a private worktree, so a failure leaves the user's repository as it was.
The last step is a compare-and-set; where the user has the target branch checked out, git fast-forwards that checkout,
so that its files move too. A project with a `url` has its target branch there: it is fetched before, and the last step
is a push that the remote takes as a whole or not at all. Whenever a landing dies, the branch is as it was or has the
work, and the next try sees which. Only one landing at a time may run for a project: the caller holds that lock.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dispatch.errors import DispatchError
from dispatch.models.landing import AlreadyLanded, Conflict, Landed, LandingResult, NotNow
from dispatch.workspaces.exchange import Exchange
from dispatch.workspaces.git import Git, words
from dispatch.workspaces.linked import add_worktree, drop_worktree
from dispatch.workspaces.replay import replay
from dispatch.workspaces.repository import OpenRepository, Repository
from dispatch.workspaces.testing import Tests

_ATTEMPTS = 3
"""How often a landing starts over because the target branch moved meanwhile."""


def land(repository: Repository, commit_sha: str, *, root: Path, tests: Tests, branch: str = "") -> LandingResult:
    """Bring the work of `commit_sha` onto the tip of the target branch.

    `root` is the directory for worktrees, `branch` the bead's branch, which may hold the commit on the remote. `tests`
    run in the rebased worktree. Raises ConfigurationError (no repository, no target branch), NotFoundError (no such
    commit), UnavailableError (the remote does not answer) and GitError.
    """
    opened = OpenRepository.at(repository.path)
    exchange = Exchange.of(repository, opened)
    commit = exchange.bring(commit_sha, branch) if exchange is not None else opened.commit(commit_sha)
    landing = _Landing(opened, repository, root.absolute(), tests, exchange)
    for _ in range(_ATTEMPTS):
        result = landing.attempt(commit)
        if result is not None:
            return result
    return NotNow(
        f"The branch {repository.target_branch} of {repository.path} moved {_ATTEMPTS} times while this work was "
        f"rebased and tested. It can land once others stop committing to it for as long as the tests take."
    )


@contextmanager
def private_worktree(repository: OpenRepository, root: Path, tip: str) -> Iterator[Path]:
    """Give a worktree at `tip`. Its name is the same at every try, so that what an interrupted one left is replaced."""
    name = hashlib.sha256(os.fsencode(f"{root}\0{repository.common_dir}")).hexdigest()[:16]
    path = root / f"landing-{name}"
    drop_worktree(repository, path)
    try:
        add_worktree(repository, path, tip)
        yield path
    finally:
        drop_worktree(repository, path)


def at_commit(conflict: Conflict, repository: Repository, tip: str) -> Conflict:
    """Say by its commit where a target branch is that an agent does not find by its name: it is on the remote."""
    if repository.upstream is None:
        return conflict
    return Conflict(f"{repository.target_branch} is at {tip}, which `git rebase {tip}` finds.\n{conflict.output}")


@dataclass(frozen=True, slots=True)
class _Landing:
    repository: OpenRepository
    configured: Repository
    root: Path
    tests: Tests
    exchange: Exchange | None

    def attempt(self, commit: str) -> LandingResult | None:
        """Try once. None when the target branch moved meanwhile."""
        tip = self._tip()
        if self.repository.is_ancestor(commit, tip):
            return AlreadyLanded(tip)
        with private_worktree(self.repository, self.root, tip) as path:
            replayed = replay(self.repository, path, tip=tip, commit=commit)
            if isinstance(replayed, Conflict):
                return at_commit(replayed, self.configured, tip)
            if self.repository.tree_of(replayed) == self.repository.tree_of(tip):
                return AlreadyLanded(tip)
            return self.tests.run(path) or self._advance(tip, replayed)

    def _tip(self) -> str:
        if self.exchange is not None:
            self.exchange.refresh()
            return self.repository.commit(self.configured.target_ref)
        return self.repository.tip(self.configured.target_branch)

    def _advance(self, old: str, new: str) -> Landed | NotNow | None:
        return self._push(old, new, self.exchange) if self.exchange is not None else self._move(old, new)

    def _push(self, old: str, new: str, exchange: Exchange) -> Landed | NotNow | None:
        """Move the target branch of the remote, if it still is where the work was put on top of it."""
        target = self.configured.target_branch
        try:
            refused = exchange.push(new, f"refs/heads/{target}", expected=old, replaces=True)
        except DispatchError as error:
            return NotNow(f"{target} may not have been pushed: {error}")
        if not refused:
            self.repository.git.run("update-ref", self.configured.target_ref, new)
            return Landed(new, old)
        if self._tip() != old:
            return None
        return NotNow(f"The remote does not take {target}: {refused} Let dispatch push there, or set landing to pr.")

    def _move(self, old: str, new: str) -> Landed | NotNow | None:
        target, path = self.configured.target_branch, self.configured.path
        checkout = self.repository.checkout_of(target)
        if checkout is None:
            finished = self.repository.git.attempt(
                "update-ref", "-m", "dispatch: landed", f"refs/heads/{target}", new, old
            )
            cure = "Try again when no other git command is changing the repository."
        elif checkout.rebasing:
            return NotNow(f"{target} is being rebased in {checkout.path}. Finish or abort that rebase.")
        elif checkout.path.resolve().is_relative_to(self.root.resolve()):
            # Moving it would change files under a running agent, in a directory whose configuration it may have made.
            return NotNow(f"An agent has {target} checked out in {checkout.path}. It is free when that run ends.")
        else:
            finished = Git(checkout.path).attempt("merge", "--quiet", "--ff-only", new)
            cure = f"Commit, stash or move what is in the way in {checkout.path}."
        tip = self.repository.tip(target)
        if finished.code == 0 and self.repository.is_ancestor(new, tip):
            return Landed(new, old)
        if tip != old:
            return None
        return NotNow(f"git cannot move {target} of {path}: {words(finished)}\n{cure}")
