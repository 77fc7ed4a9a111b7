"""Landing by a pull request: rebase, test, push the bead's branch; others merge it, and a fetch sees that they did.

Every step can die and be done again. What is to be pushed is noted before, so that a push nobody wrote down is known
again. The branch is only set where it was last seen, or where a bead's work was: what others pushed to it stays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dispatch.errors import ConfigurationError
from dispatch.models.landing import (
    DECLINED,
    MERGED,
    AlreadyLanded,
    Conflict,
    Declined,
    LandingResult,
    NotNow,
    Proposed,
    PullRequest,
)
from dispatch.workspaces.exchange import Exchange
from dispatch.workspaces.landing import at_commit, private_worktree
from dispatch.workspaces.merged import holds_work, may_conflict
from dispatch.workspaces.replay import replay
from dispatch.workspaces.repository import OpenRepository, Repository
from dispatch.workspaces.testing import Tests

LOOK_EVERY = 60.0
"""Seconds. However many pull requests of a project are open, one fetch in so long looks after them."""


def propose(
    repository: Repository,
    commit_sha: str,
    *,
    branch: str,
    known: PullRequest | None,
    root: Path,
    tests: Tests,
    note: Callable[[PullRequest], None],
    look_every: float = LOOK_EVERY,
) -> LandingResult:
    """Push the work of `commit_sha` to `branch` of the remote, or see what became of what was pushed.

    `known` is the bead's last pull request, `note` keeps another state of it. Raises ConfigurationError (no repository,
    no remote, no target branch there), NotFoundError (no such commit), UnavailableError and GitError.
    """
    opened = OpenRepository.at(repository.path)
    exchange = Exchange.of(repository, opened)
    if exchange is None:
        raise ConfigurationError(
            place=str(repository.path),
            problem="a pull request needs a remote, and the project has none",
            cure='Add one with `git remote add`, or set landing = "merge".',
        )
    proposal = _Proposal(exchange, repository, root.absolute(), branch, known, tests, note)
    if known is not None and known.is_open and known.is_pushed and known.head_sha == commit_sha:
        exchange.refresh(within=look_every, branches=True)
        return proposal.look(known, opened.commit(repository.target_ref))
    exchange.refresh(branches=True)
    if known is not None and known.ended == MERGED and known.head_sha == commit_sha:
        # Who saw the merge died before the bead was closed.
        return AlreadyLanded(opened.commit(repository.target_ref))
    commit, tip = exchange.bring(commit_sha, branch), opened.commit(repository.target_ref)
    return AlreadyLanded(tip) if opened.is_ancestor(commit, tip) else proposal.push(commit, tip)


@dataclass(frozen=True, slots=True)
class _Proposal:
    exchange: Exchange
    configured: Repository
    root: Path
    branch: str
    known: PullRequest | None
    tests: Tests
    note: Callable[[PullRequest], None]

    def look(self, known: PullRequest, tip: str) -> LandingResult:
        """See whether what was pushed has been merged, will not be, or cannot be. Others may have added to it."""
        opened, seen = self.exchange.opened, self.exchange.seen(known.branch)
        shas = dict.fromkeys((known.pushed_sha, known.seen_sha, seen))
        work = [sha for sha in shas if sha is not None and opened.find_commit(sha)]
        moved = tip != known.tip_sha
        if (moved or seen is None) and any(holds_work(opened, tip=tip, work=sha, since=known.tip_sha) for sha in work):
            self.note(replace(known, tip_sha=tip, ended=MERGED))
            return AlreadyLanded(tip)
        if seen is None:
            return self._gone(known, tip, work)
        if moved and seen == known.pushed_sha:
            conflict = self._conflict(seen, tip)
            if conflict is not None:
                return conflict
        looked = replace(known, tip_sha=tip, seen_sha=seen, is_gone=False)
        if looked != known:
            self.note(looked)
        return Proposed(looked)

    def _gone(self, known: PullRequest, tip: str, work: Sequence[str]) -> LandingResult:
        """Tell what it means that the branch is no longer on the remote.

        Only at a second look: a remote may show that a branch went before it shows that it was merged.
        """
        if not work:
            return NotNow(
                f"The branch {known.branch} is gone from the remote, and this host has never had its work, so that it "
                f"cannot tell whether it was merged. Close the bead, or let the host that pushed it land."
            )
        if not known.is_gone:
            gone = replace(known, tip_sha=tip, is_gone=True)
            self.note(gone)
            return Proposed(gone)
        declined = replace(known, tip_sha=tip, ended=DECLINED)
        self.note(declined)
        return Declined(declined)

    def _conflict(self, pushed: str, tip: str) -> Conflict | None:
        """Tell whether the pull request no longer fits onto the target branch; only a doubt costs a worktree."""
        if not may_conflict(self.exchange.opened, tip=tip, work=pushed):
            return None
        with private_worktree(self.exchange.opened, self.root, tip) as path:
            replayed = replay(self.exchange.opened, path, tip=tip, commit=pushed)
        return at_commit(replayed, self.configured, tip) if isinstance(replayed, Conflict) else None

    def push(self, commit: str, tip: str) -> LandingResult:
        """Put the work on top of the target branch, test it there, and push that."""
        opened, there = self.exchange.opened, self.exchange.seen(self.branch)
        if there is not None and self._was_pushed(there, commit):
            return self._note_pushed(self.known, there)
        if there is not None and not self._is_ours(there, commit):
            return NotNow(
                f"Somebody else pushed to {self.branch} on the remote ({there[:12]}), and that is not overwritten. "
                f"Take what is wanted from it, and delete the branch there."
            )
        with private_worktree(opened, self.root, tip) as path:
            replayed = replay(opened, path, tip=tip, commit=commit)
            if isinstance(replayed, Conflict):
                return at_commit(replayed, self.configured, tip)
            if opened.tree_of(replayed) == opened.tree_of(tip):
                return AlreadyLanded(tip)
            red = self.tests.run(path)
        return red or self._push(commit, tip, replayed, there)

    def _push(self, commit: str, tip: str, replayed: str, there: str | None) -> LandingResult:
        known = self.known if self.known is not None and self.known.is_open else None
        begun = PullRequest(
            branch=self.branch,
            base=self.configured.target_branch,
            head_sha=commit,
            pushed_sha=replayed,
            tip_sha=tip,
            replaced_sha=there,
            url=known.url if known is not None else "",
            command=known.command if known is not None else "",
        )
        self.note(begun)
        refused = self.exchange.push(replayed, f"refs/heads/{self.branch}", expected=there, replaces=True)
        if refused:
            return NotNow(f"The remote does not take {self.branch}: {refused}")
        self.exchange.opened.git.run("update-ref", f"refs/dispatch/seen/{self.branch}", replayed)
        return self._note_pushed(begun, replayed)

    def _note_pushed(self, begun: PullRequest | None, sha: str) -> Proposed:
        assert begun is not None, "it was noted before it was pushed"
        pushed = replace(begun, is_pushed=True, seen_sha=sha)
        self.note(pushed)
        return Proposed(pushed)

    def _was_pushed(self, there: str, commit: str) -> bool:
        """Tell whether the branch holds what a lander pushed that died before it wrote that down."""
        known = self.known
        return known is not None and known.is_open and known.head_sha == commit and known.pushed_sha == there

    def _is_ours(self, there: str, commit: str) -> bool:
        """Tell whether what the branch holds is work of the bead: pushed or noted before, or on the way to this."""
        known = self.known
        noted = (known.pushed_sha, known.replaced_sha, known.head_sha) if known is not None else ()
        return there in noted or self.exchange.opened.is_ancestor(there, commit)
