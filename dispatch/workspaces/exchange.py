"""How the commits of a repository travel: fetched from and pushed to the remote of its project.

What is fetched goes to refs of our own, so that the user's branches and remote-tracking refs stay as they are. The
address of a project's `url` is told to git by its environment: the credentials that it may hold are in no argument that
others see, and in no file that an agent reads.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dispatch.errors import GitError, NotFoundError, UnavailableError
from dispatch.workspaces.file_lock import locked
from dispatch.workspaces.git import Git, complaint
from dispatch.workspaces.repository import OpenRepository, Repository, Upstream

FRESH = 3.0
"""Seconds. Of many runs that start at once, one fetches."""
PATIENCE = 120.0
"""Seconds that a fetch or a push may take."""
BRIEF = 8.0
"""The same where a short task waits for it, such as a settle, which may take 30 s."""
CLONE_MARK = "dispatch-clone"
"""A file in a repository that is a clone of ours, where the branches of the remote may have their own names."""
_RUNS = "refs/dispatch/runs"
_BRANCHES = "refs/heads/bead/"
_SEEN_BRANCHES = "refs/dispatch/seen/bead/"
_PASSED_ON = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY")
"""Variables by which a user says how a remote is reached; all other `GIT_*` are kept from git."""
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "--no-recurse-submodules")
_PUSH = ("push", "--quiet", "--no-verify", "--no-follow-tags", "--no-signed", "--recurse-submodules=no")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A repository and the remote that it exchanges commits with."""

    opened: OpenRepository
    upstream: Upstream
    target: str
    git: Git

    @classmethod
    def of(cls, repository: Repository, opened: OpenRepository, *, patience: float = PATIENCE) -> "Exchange | None":
        """Return the exchange of a repository; None when it has no remote to exchange with."""
        if repository.upstream is None:
            return None
        git = replace(opened.git, env=network_environment(repository.upstream), timeout=patience)
        return cls(opened, repository.upstream, repository.target_branch, git)

    def refresh(self, *, within: float = 0.0, branches: bool = False) -> None:
        """Fetch the target branch, with `branches` also those of beads, unless that was done `within` seconds ago.

        Whoever waits for another's fetch takes what that brought, also if it is its failure: a remote that hangs is not
        waited for by each of many. Raises UnavailableError.
        """
        asked = time.time()
        stamp = self.opened.common_dir / ("dispatch-fetched-all" if branches else "dispatch-fetched")
        with locked(self.opened.common_dir / "dispatch-fetch.lock"):
            begun = time.time()
            if asked - within <= _fetched_at(stamp) <= begun:
                failure = stamp.read_text(encoding="utf-8")
                if failure:
                    raise self._unavailable(failure)
                return
            specs = [f"+refs/heads/{self.target}:{_seen_target(self.target)}"]
            if branches:
                specs.append(f"+{_BRANCHES}*:{_SEEN_BRANCHES}*")
            failure = self._tried_to_fetch(*(["--prune"] if branches else []), "--", self.upstream.remote, *specs)
            stamp.write_text(failure, encoding="utf-8")
            os.utime(stamp, (begun, begun))
            if failure:
                raise self._unavailable(failure)
            self._follow_in_clone()

    def _follow_in_clone(self) -> None:
        """Let the branch of that name follow in a clone, for agents that look for it; an agent's checkout is left."""
        if (self.opened.common_dir / CLONE_MARK).exists() and self.opened.checkout_of(self.target) is None:
            self.opened.git.run("update-ref", f"refs/heads/{self.target}", _seen_target(self.target))

    def bring(self, sha: str, branch: str = "") -> str:
        """Return the full id of a commit, fetched when it is not here: by itself, else with the bead's branch or a run.

        Raises NotFoundError, UnavailableError.
        """
        found = self.opened.find_commit(sha)
        if found is not None:
            return found
        by_itself = self.git.attempt(*_FETCH, "--", self.upstream.remote, sha)
        if by_itself.code != 0:
            # A server may give out only what a ref points to. A pattern that fits nothing is no error.
            specs = [f"+{_RUNS}/*:refs/dispatch/seen/runs/*"]
            specs += [f"+refs/heads/{branch}*:refs/dispatch/seen/{branch}*"] if branch else []
            self._fetch("--", self.upstream.remote, *specs)
        found = self.opened.find_commit(sha)
        if found is None:
            place = f"{self.opened.path} and its remote {self.upstream.remote}"
            raise NotFoundError(thing=f"commit in {place}", name=sha, cure="Was it pushed by the host that made it?")
        return found

    def seen(self, branch: str) -> str | None:
        """Return where a bead's branch was on the remote at the last `refresh` with branches; None: nowhere."""
        return self.opened.find_commit(f"refs/dispatch/seen/{branch}")

    def push(self, sha: str, ref: str, *, expected: str | None = None, replaces: bool = False) -> str:
        """Push a commit to a ref of the remote; return an empty text, or why the remote did not take it.

        With `replaces` the ref must be at `expected` (None: not exist) and is set whatever it holds; else it is only
        moved forward. Raises UnavailableError.
        """
        lease = [f"--force-with-lease={ref}:{expected or ''}"] if replaces else []
        finished = self.git.attempt(*_PUSH, *lease, "--", self.upstream.remote, f"{sha}:{ref}")
        if finished.code == 0:
            return ""
        told = complaint(finished)
        if b"rejected]" in finished.complaint or b"rejected]" in finished.output:
            return told
        raise self._unavailable(told)

    def push_run(self, run_id: str, sha: str) -> None:
        """Push the commit of a run to a ref of its own. Raises UnavailableError."""
        refused = self.push(sha, f"{_RUNS}/{run_id}", replaces=False)
        if refused:
            raise self._unavailable(refused)

    def drop_runs(self, run_ids: Sequence[str]) -> None:
        """Delete refs of runs on the remote; those that are not there are no error. Raises UnavailableError."""
        listed = self.git.attempt(
            "ls-remote", "--quiet", "--", self.upstream.remote, *(f"{_RUNS}/{i}" for i in run_ids)
        )
        if listed.code != 0:
            raise self._unavailable(complaint(listed))
        there = [line.split("\t")[1] for line in os.fsdecode(listed.output).splitlines() if "\t" in line]
        if there:
            finished = self.git.attempt(*_PUSH, "--", self.upstream.remote, *(f":{ref}" for ref in there))
            if finished.code != 0:
                raise self._unavailable(complaint(finished))

    def _fetch(self, *arguments: str) -> None:
        failure = self._tried_to_fetch(*arguments)
        if failure:
            raise self._unavailable(failure)

    def _tried_to_fetch(self, *arguments: str) -> str:
        """Fetch, and return an empty text, or why that failed."""
        try:
            finished = self.git.attempt(*_FETCH, *arguments)
        except GitError:
            return f"it did not answer within {self.git.timeout:g} s"
        return complaint(finished) if finished.code != 0 else ""

    def _unavailable(self, cause: str) -> UnavailableError:
        return UnavailableError(
            server=f"The remote {self.upstream.remote}",
            place=self.opened.path,
            cause=cause.rstrip("."),
            cure="Its work waits here until it does.",
        )


def network_environment(upstream: Upstream) -> dict[str, str]:
    """Return the environment in which git reaches a remote: nothing asks, and what a user set for it holds."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"SSH_ASKPASS_REQUIRE": "never", **passed_on, **upstream.configuration}


def _seen_target(target: str) -> str:
    return f"refs/dispatch/target/{target}"


def _fetched_at(stamp: Path) -> float:
    try:
        return stamp.stat().st_mtime
    except FileNotFoundError:
        return 0.0
