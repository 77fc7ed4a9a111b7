"""What came of trying to land work on a project's target branch."""

from dataclasses import dataclass


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


DecidedLanding = Landed | AlreadyLanded | Conflict | RedTests
"""What moves the bead."""

LandingResult = DecidedLanding | NotNow
