"""What came of the demo, bead by bead."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dispatch.cli.live_words import short_agent
from dispatch.models.bead import Bead
from dispatch.models.outcome import Completed, Failed, Looped, NeedsInput, Outcome, TimedOut
from dispatch.models.run import Run
from dispatch.models.states import BeadStatus

COLUMNS = ("bead", "title", "runs", "agent", "seconds", "how it went")


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadStory:
    """A bead at the end, and its runs from the first to the last."""

    bead: Bead
    runs: Sequence[Run]

    def row(self) -> tuple[str, ...]:
        """Return the bead's row under `COLUMNS`."""
        agents = dict.fromkeys(short_agent(run.agent_name) for run in self.runs)
        return (
            self.bead.id,
            self.bead.title,
            str(len(self.runs)),
            ", ".join(agents) or "-",
            f"{sum(_seconds(run) for run in self.runs):.1f}",
            self.ending(),
        )

    def ending(self) -> str:
        """Say in words how the runs ended, and where the bead is now."""
        ends = [short_outcome(run.outcome) for run in self.runs if run.outcome is not None]
        return f"{', then '.join(ends) or 'never begun'}; {self._where_it_is()}"

    def _where_it_is(self) -> str:
        if self.bead.status != BeadStatus.CLOSED:
            return f"it is {self.bead.status.replace('_', ' ')} now"
        return "landed" if self.bead.head_sha is not None else "closed"


def short_outcome(outcome: Outcome) -> str:
    """Return an outcome as a few words."""
    match outcome:
        case Completed(verdict=verdict):
            return verdict or "done"
        case Looped():
            return "stopped in a loop"
        case NeedsInput():
            return "asked a human"
        case Failed(cause=cause):
            return f"failed ({cause})"
        case TimedOut(limit_seconds=limit):
            return f"stopped at its limit of {limit:g} s"
        case _:
            return outcome.kind.replace("_", " ")


def landed_commits(repository: Path) -> str:
    """Return what the target branch holds now, newest first, a line a commit."""
    finished = subprocess.run(
        ["git", "log", "--oneline", "--no-decorate", "main"],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return finished.stdout.rstrip()


def _seconds(run: Run) -> float:
    if run.started_at is None or run.reported_at is None:
        return 0.0
    return (run.reported_at - run.started_at).total_seconds()
