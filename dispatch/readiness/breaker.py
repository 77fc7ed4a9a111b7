"""The breaker: a project whose runs fail in a row for one cause is parked, and tried with one bead at a time.

Source: SPEC, "Dispatch", step 3. What counts is each run as it ends: one that failed lengthens the row of its cause,
one that worked ends it. A run that was lost or cancelled says nothing of the project.
"""

from dataclasses import dataclass
from datetime import datetime

from dispatch.models.guarding import FailureRow
from dispatch.models.identity import ProjectId
from dispatch.models.outcome import Completed, Failed, Looped, NeedsInput, Outcome, TimedOut
from dispatch.settings.model import GuardSettings

_LONGEST_CAUSE = 200


def cause_of(outcome: Outcome | None) -> str | None:
    """Return what a failed run is compared by with the one before it; None: it did not fail."""
    match outcome:
        case Failed(cause=cause):
            lines = cause.strip().splitlines() or ["failed"]
            return lines[0][:_LONGEST_CAUSE]
        case TimedOut():
            return "timed out"
        case Looped():
            return "stopped in a loop"
        case _:
            return None


def ends_row(outcome: Outcome | None) -> bool:
    """Tell whether a run shows that agents of the project can work: it completed, or got as far as a question."""
    return isinstance(outcome, Completed | NeedsInput)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBreaker:
    """A project that is parked for the cause of its last runs. From `probe_from` on one bead may go."""

    project_id: ProjectId
    row: FailureRow
    probe_from: datetime

    def lets_probe(self, now: datetime, open_runs: int) -> bool:
        """Tell whether one bead may go: the wait is over, and no run of the project is under way."""
        return now >= self.probe_from and not open_runs

    def reason(self, now: datetime, open_runs: int) -> str:
        """Say why the project is parked and what lets it go on."""
        if now < self.probe_from:
            probe = f"one bead is tried from {self.probe_from:%Y-%m-%d %H:%M:%S} UTC on"
        else:
            probe = "one bead is being tried" if open_runs else "one bead is tried next"
        return (
            f"The last {self.row.failures} runs of {self.project_id} failed for the same cause ({self.row.cause}): "
            f"{probe}, and `dispatch resume {self.project_id}` lets all go."
        )


def open_breaker(project_id: ProjectId, row: FailureRow | None, guards: GuardSettings) -> OpenBreaker | None:
    """Return the breaker of a project when its row of failures is long enough; None: it is closed."""
    if row is None or row.failures < guards.breaker_failures:
        return None
    return OpenBreaker(project_id=project_id, row=row, probe_from=row.last_at + guards.longest_cooldown)
