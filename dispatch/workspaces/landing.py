"""Landing in the simple form: rebase, test, fast-forward the target branch.

Everything up to the last step happens in a private worktree, so a failure leaves the user's repository as it was.
The last step is a compare-and-set; where the user has the target branch checked out, git fast-forwards that checkout,
so that its files move too. Only one landing at a time may run for a project: the caller holds that lock.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dispatch.models.landing import AlreadyLanded, Conflict, Landed, LandingResult, NotNow, RedTests
from dispatch.workspaces.git import Git, words
from dispatch.workspaces.linked import add_worktree, drop_worktree
from dispatch.workspaces.processes import Finished, run_watched
from dispatch.workspaces.replay import replay
from dispatch.workspaces.repository import OpenRepository, Repository

_ATTEMPTS = 3
"""How often a landing starts over because the target branch moved meanwhile."""
_OUTPUT_LIMIT = 16_384
"""Bytes of the tests' output that are kept: its end, where test programs sum up."""
_TEST_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR")
_CANNOT_START = 127
"""The exit code a shell gives for a program it cannot start."""

RunTests = Callable[[Path], Finished]
"""Runs the tests of a project in a worktree, wherever that is; what it raises ends the landing."""


def land(
    repository: Repository,
    commit_sha: str,
    *,
    root: Path,
    test_command: Sequence[str],
    timeout: float,
    env: Mapping[str, str] | None = None,
    run_tests: RunTests | None = None,
) -> LandingResult:
    """Bring the work of `commit_sha` onto the tip of the target branch.

    `root` is the directory for worktrees. `test_command` runs in the rebased worktree for at most `timeout` seconds
    and sees PATH, HOME, the locale, TMPDIR and `env`; an empty one means that there are no tests. `run_tests` runs it
    elsewhere than as a process of this host. Raises
    ConfigurationError (no repository, no target branch), NotFoundError (no such commit) and GitError.
    """
    opened = OpenRepository.at(repository.path)
    landing = _Landing(opened, repository.target_branch, root.absolute(), test_command, timeout, env or {}, run_tests)
    commit = opened.commit(commit_sha)
    for _ in range(_ATTEMPTS):
        result = landing.attempt(commit)
        if result is not None:
            return result
    return NotNow(
        f"The branch {repository.target_branch} of {repository.path} moved {_ATTEMPTS} times while this work was "
        f"rebased and tested. It can land once others stop committing to it for as long as the tests take."
    )


@dataclass(frozen=True, slots=True)
class _Landing:
    repository: OpenRepository
    target: str
    root: Path
    test_command: Sequence[str]
    timeout: float
    env: Mapping[str, str]
    run_tests: RunTests | None

    def attempt(self, commit: str) -> LandingResult | None:
        """Try once. None when the target branch moved meanwhile."""
        tip = self.repository.tip(self.target)
        if self.repository.is_ancestor(commit, tip):
            return AlreadyLanded(tip)
        with self._private_worktree(tip) as path:
            replayed = replay(self.repository, path, tip=tip, commit=commit)
            if isinstance(replayed, Conflict):
                return replayed
            if self.repository.tree_of(replayed) == self.repository.tree_of(tip):
                return AlreadyLanded(tip)
            return self._test(path) or self._advance(tip, replayed)

    @contextmanager
    def _private_worktree(self, tip: str) -> Iterator[Path]:
        """Give a worktree whose name is the same at every try, so that what an interrupted one left is replaced."""
        name = hashlib.sha256(os.fsencode(f"{self.root}\0{self.repository.common_dir}")).hexdigest()[:16]
        path = self.root / f"landing-{name}"
        drop_worktree(self.repository, path)
        try:
            add_worktree(self.repository, path, tip)
            yield path
        finally:
            drop_worktree(self.repository, path)

    def _test(self, path: Path) -> RedTests | None:
        if not self.test_command:
            return None
        try:
            finished = (self.run_tests or self._run_here)(path)
        except OSError as error:
            return RedTests(f"The test command cannot be started: {error}", _CANNOT_START)
        if finished.code == 0:
            return None
        return RedTests(finished.output.decode(errors="replace"), finished.code)

    def _run_here(self, path: Path) -> Finished:
        env = {name: value for name, value in os.environ.items() if name in _TEST_VARIABLES or name[:3] == "LC_"}
        return run_watched(
            self.test_command, cwd=path, env=env | dict(self.env), timeout=self.timeout, keep=_OUTPUT_LIMIT
        )

    def _advance(self, old: str, new: str) -> Landed | NotNow | None:
        checkout = self.repository.checkout_of(self.target)
        if checkout is None:
            ref = f"refs/heads/{self.target}"
            finished = self.repository.git.attempt("update-ref", "-m", "dispatch: landed", ref, new, old)
            cure = "Try again when no other git command is changing the repository."
        elif checkout.rebasing:
            return NotNow(f"{self.target} is being rebased in {checkout.path}. Finish or abort that rebase.")
        elif checkout.path.resolve().is_relative_to(self.root.resolve()):
            # Moving it would change files under a running agent, in a directory whose configuration it may have made.
            return NotNow(f"An agent has {self.target} checked out in {checkout.path}. It is free when that run ends.")
        else:
            finished = Git(checkout.path).attempt("merge", "--quiet", "--ff-only", new)
            cure = f"Commit, stash or move what is in the way in {checkout.path}."
        tip = self.repository.tip(self.target)
        if finished.code == 0 and self.repository.is_ancestor(new, tip):
            return Landed(new, old)
        if tip != old:
            return None
        return NotNow(f"git cannot move {self.target} of {self.repository.path}: {words(finished)}\n{cure}")
