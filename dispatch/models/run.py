"""Steps and runs. A step is one chord; a run is one dispatch of one bead to one agent (the pending task)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from dispatch.models.guarding import Spent
from dispatch.models.identity import AgentId, BeadId, BeadKey, IncarnationId, ProjectId, RunId, StepId
from dispatch.models.outcome import Outcome
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.models.states import RunState, StepState, StopReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One chord of `size` runs for one bead. A bead has at most one open step."""

    id: StepId
    project_id: ProjectId
    bead_id: BeadId
    size: int = 1
    state: StepState = StepState.OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt at a bead.

    `token` is the fence: only who holds it may renew or report. `agent_id` is None when another run took the agent.
    `base_sha` is the commit the run started from, `commit_sha` the one it left; `commits` are all those of the bead's
    work at its end that were not on the target branch, and empty when the run left none. `timeout` is the limit of the
    agent program; `deadline_at` is set when it starts. Process fields say where the agent runs, so that the next
    attempt on that host can end what a dead worker left: the boot id tells a process number of this boot from one of
    the last. `provider` is the one of models that the run uses, empty when it uses none.
    """

    id: RunId
    step_id: StepId
    index: int
    project_id: ProjectId
    bead_id: BeadId
    role: str
    attempt: int
    timeout: timedelta
    writes_branch: bool = True
    state: RunState = RunState.PENDING
    stop_reason: StopReason | None = None
    agent_id: AgentId | None = None
    agent_name: str = ""
    incarnation_id: IncarnationId | None = None
    token: UUID | None = None
    outcome: Outcome | None = None
    base_sha: str | None = None
    commit_sha: str | None = None
    commits: CommitRange = NO_COMMITS
    publishes: int = 0
    settle_failures: int = 0
    created_at: datetime | None = None
    published_at: datetime | None = None
    started_at: datetime | None = None
    deadline_at: datetime | None = None
    lease_until: datetime | None = None
    reported_at: datetime | None = None
    settled_at: datetime | None = None
    host: str | None = None
    boot_id: str | None = None
    process_group: int | None = None
    process_started: float | None = None
    spent: Spent = field(default_factory=Spent)
    provider: str = ""

    @property
    def bead_key(self) -> BeadKey:
        return BeadKey(self.project_id, self.bead_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTask:
    """The view of an open run that `ResultHandler` gives out. `correlation_id` is the run id."""

    correlation_id: RunId
    project_id: ProjectId
    bead_id: BeadId
    agent_id: AgentId | None
    role: str
    dispatched_at: datetime
    last_update: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """One entry of a bead's error history: one failed run, or one refused landing. `dispatch` is the attempt."""

    timestamp: datetime
    error: str
    dispatch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """One thing an agent did.

    `progress_key` identifies the action; it is made by the function of that name when none is given. `result_hash`
    tells one result of it from another.
    """

    timestamp: datetime
    action_type: str
    action_data: dict[str, object]
    result_hash: str = ""
    progress_key: str = ""
    agent_id: AgentId | None = None

    def __post_init__(self) -> None:
        if not self.progress_key:
            object.__setattr__(self, "progress_key", progress_key(self.action_type, self.action_data))


def progress_key(action_type: str, action_data: Mapping[str, object]) -> str:
    """Return what identifies an action: its type and its file, or its command, or the canonical JSON of its data."""
    for name in ("path", "file_path", "command"):
        value = action_data.get(name)
        if isinstance(value, str) and value:
            return f"{action_type}:{value}"
    return f"{action_type}:{canonical_json(action_data)}"


def canonical_json(data: Mapping[str, object]) -> str:
    """Return the one JSON text of the data; what JSON does not know is written as text."""
    return json.dumps(data, sort_keys=True, default=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedRuns:
    """What became of open runs: taken back before they started, or running, and asked to stop by now."""

    withdrawn: int = 0
    running: int = 0

    def __bool__(self) -> bool:
        return bool(self.withdrawn or self.running)

    def __add__(self, other: "StoppedRuns") -> "StoppedRuns":
        return StoppedRuns(withdrawn=self.withdrawn + other.withdrawn, running=self.running + other.running)


NOTHING_STOPPED = StoppedRuns()
