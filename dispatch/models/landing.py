"""What came of trying to land work on a project's target branch, and the pull requests that do it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Landed:
    """The target branch holds the work now: it moved from `previous_sha` to `sha`."""

    sha: str
    previous_sha: str


@dataclass(frozen=True, slots=True)
class AlreadyLanded:
    """The target branch, at `sha`, held the work already."""

    sha: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The work does not fit onto the target branch. `output`: which files, what git said, and where they differ."""

    output: str


@dataclass(frozen=True, slots=True)
class RedTests:
    """The project's tests failed on the rebased work; `exit_code` is None when they did not end in time."""

    output: str
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class NotNow:
    """Something that a human or time has to change is in the way; the work itself is not at fault."""

    reason: str


MERGED = "merged"
DECLINED = "declined"
"""How a pull request ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """Work that was pushed for others to merge, as it was last seen.

    `head_sha` is the bead's accepted work, `pushed_sha` the same on top of the target branch, which was at `tip_sha`
    when it was last looked at. All of it is noted before it is pushed, also `replaced_sha`, which the push replaces: so
    a lander that died in between knows its own push again. `seen_sha` is where the branch was last seen; others may
    have added to it. `url` is what the command that opens pull requests printed, `command` what a human types instead,
    `problem` why the command failed.
    """

    branch: str
    base: str
    head_sha: str
    pushed_sha: str
    tip_sha: str
    replaced_sha: str | None = None
    is_pushed: bool = False
    seen_sha: str | None = None
    is_gone: bool = False
    """The branch was no longer there at the last look."""
    url: str = ""
    command: str = ""
    problem: str = ""
    asked_at: datetime | None = None
    """When the command was last run."""
    ended: str = ""
    """What became of it: `MERGED` or `DECLINED`; empty while it is open."""

    @property
    def is_open(self) -> bool:
        return not self.ended

    def __str__(self) -> str:
        """Say in a sentence what it waits for."""
        if self.is_gone and self.is_open:
            return f"Its branch {self.branch} is gone from the remote; whether it was merged is seen in a minute."
        if self.url:
            return f"Its pull request waits to be merged into {self.base}: {self.url}"
        if self.problem:
            return f"Its branch {self.branch} is pushed, but opening its pull request failed: {self.problem}"
        if self.command:
            return f"Its branch {self.branch} is pushed and waits for its pull request; open it by: {self.command}"
        return f"Its pull request waits to be merged into {self.base}."


@dataclass(frozen=True, slots=True)
class Proposed:
    """The work is pushed, and others decide about it."""

    pull_request: PullRequest


@dataclass(frozen=True, slots=True)
class Declined:
    """The branch of the pull request is gone, and the target branch does not hold the work."""

    pull_request: PullRequest


DecidedLanding = Landed | AlreadyLanded | Conflict | RedTests | Declined
"""What moves the bead."""

LandingResult = DecidedLanding | NotNow | Proposed
