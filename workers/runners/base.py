"""What every runner is given, and what it promises."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from dispatch.models.messages import AgentEvent, Assignment
from dispatch.models.outcome import Outcome
from workers.runners.control import RunControl

PULSE_LIMIT = 30.0
"""Seconds without a renewal of the lease after which the guard ends the agent (PROTOCOL, rule 9)."""
STOP_GRACE = 5.0
"""Seconds between asking an agent to stop and killing it."""
RESULT_LINGER = 10.0
"""Seconds that an agent may still run after it said its result."""


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Where an agent runs, so exactly that a recycled process number is never taken for it.

    `process_group` is also the number of the agent's session and of its first process. `started` is the start of
    that process in seconds, since boot on Linux and since the epoch elsewhere: it is only ever compared.
    """

    host: str
    boot_id: str
    process_group: int
    started: float


@dataclass(frozen=True, slots=True)
class Worktree:
    """The directory that an agent works in: where it is on this host, and where the agent sees it (in a container)."""

    here: Path
    seen: Path

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return a directory that the agent sees where it is."""
        return cls(path, path)

    def relative(self, path: str) -> str:
        """Return a path of the agent's as it is from the directory; one that lies elsewhere stays whole."""
        return os.path.relpath(path, self.seen) if Path(path).is_relative_to(self.seen) else path

    def find(self, path: str) -> Path | None:
        """Return where a file of the agent's is on this host; None for one that only a container has."""
        told = Path(self.relative(path))
        return None if told.is_absolute() and self.here != self.seen else self.here / told


@dataclass(frozen=True, slots=True)
class RunnerContext:
    """One run as a runner sees it.

    `workspace` of the assignment is where the agent works; `run_directory` is ours, one a run, outside of it.
    `on_event` gets each event of the agent in order, `on_process` the agent's process once; both are called by the
    thread that runs the runner, and what they raise ends the agent and passes through. Times are in seconds.
    """

    assignment: Assignment
    run_directory: Path
    control: RunControl
    on_event: Callable[[AgentEvent], None]
    on_process: Callable[[ProcessIdentity], None]
    stop_grace: float = STOP_GRACE
    pulse_limit: float = PULSE_LIMIT
    result_linger: float = RESULT_LINGER


class Runner(Protocol):
    """A way to run an agent."""

    def run(self, context: RunnerContext) -> Outcome:
        """Run the agent to its end and return its outcome; nothing of it is left running.

        Never raises for what an agent does. The outcome of an abandoned run is `Lost` and counts nowhere.
        """
        ...
