"""What crosses a process border, as validated models with a version.

`TaskMessage` is what a worker gets, `ResultMessage` what comes back, `Assignment` what an agent program reads from the
file that `DISPATCH_ASSIGNMENT` names, and `AgentEvent` each JSON line it writes to its standard output. The last two
are the public protocol of agents: `docs/agents.md` explains them.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from dispatch.models.bead import DEFAULT_PRIORITY, MAX_TITLE
from dispatch.models.outcome import Outcome
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.models.session import Turn

PROTOCOL_VERSION = 1


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskMessage(_Message):
    """The order to start a run, as it travels on a role's queue. It only names the run: the row holds the rest."""

    version: Literal[1] = 1
    run_id: UUID
    step_id: UUID
    project_id: str
    bead_id: str
    role: str
    attempt: int = Field(ge=1)
    timeout_seconds: float = Field(gt=0)


class ResultMessage(_Message):
    """What a run reports. `token` is the fence that the start gave out; without the right one it is refused.

    `commits` are those of the bead's work that are not on the target branch. Who made them counts them, since whoever
    settles the run may be on a host without the repository.
    """

    version: Literal[1] = 1
    run_id: UUID
    token: UUID | None = None
    outcome: Outcome
    base_sha: str | None = None
    commit_sha: str | None = None
    commits: CommitRange = NO_COMMITS


class AssignedBead(_Message):
    id: str
    title: str
    description: str = ""
    design: str = ""
    acceptance_criteria: str = ""
    notes: str = ""
    priority: int = 2
    issue_type: str = "task"
    labels: tuple[str, ...] = ()
    metadata: dict[str, Any] = Field(default_factory=dict)


class AssignedProject(_Message):
    id: str
    target_branch: str
    test_command: tuple[str, ...] = ()
    build_command: tuple[str, ...] = ()
    agents_md: str = ""


class FinishedDependency(_Message):
    id: str
    title: str
    status: str
    close_reason: str = ""


class PastError(_Message):
    timestamp: datetime
    error: str
    dispatch: int


class HumanAdvice(_Message):
    """What a human said when he was asked about the bead. `asked` is the question, or why the bead came to him."""

    timestamp: datetime
    by: str
    asked: str
    advice: str


class AssignedReview(_Message):
    """What a reviewer, or a human, said of the bead's work since it was last written at."""

    node: str
    by: str
    verdict: str
    summary: str = ""


class AssignedNode(_Message):
    """Where the bead is in its workflow: what kind of work the node asks for, and how often it was done before.

    `attempt` and `cycle` start at 1: the tries at this node in a row, and the times that the bead came round to one.
    """

    workflow: str
    node: str
    kind: str
    instructions: str = ""
    attempt: int = 1
    cycle: int = 1
    reviewers: int = 1
    reviews: tuple[AssignedReview, ...] = ()


class AssignedSession(_Message):
    """The bead's conversation. `id` is the agent program's own session, if this run can resume that; `turns` are ours.

    Without an `id` the prompt holds the turns.
    """

    id: str = ""
    started_at: datetime | None = None
    turns: tuple[Turn, ...] = ()


class Assignment(_Message):
    """Everything an agent is told about its work. `workspace` is a git worktree of its own; `attempt` starts at 1."""

    version: Literal[1] = 1
    run_id: UUID
    attempt: int
    role: str
    instructions: str = ""
    timeout_seconds: float
    workspace: Path
    project: AssignedProject
    bead: AssignedBead
    dependencies: tuple[FinishedDependency, ...] = ()
    errors: tuple[PastError, ...] = ()
    advice: tuple[HumanAdvice, ...] = ()
    warnings: tuple[str, ...] = ()
    memory: str = ""
    lessons: str = ""
    workflow: AssignedNode | None = None
    session: AssignedSession | None = None


class _AgentEvent(BaseModel):
    """An agent may add fields of its own; they are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ActionEvent(_AgentEvent):
    """The agent did something: `action_type` (read, edit, command, test, ...), its data, a hash of its result."""

    type: Literal["action"] = "action"
    action_type: str = Field(min_length=1, max_length=100)
    action_data: dict[str, Any] = Field(default_factory=dict)
    result: str | None = None
    """The result itself; hashed by the runner when `result_hash` is not given, and not kept."""
    result_hash: str = ""


class ProgressEvent(_AgentEvent):
    """A line for whoever watches."""

    type: Literal["progress"] = "progress"
    message: str


class UsageEvent(_AgentEvent):
    """Tokens and dollars used since the last such event."""

    type: Literal["usage"] = "usage"
    tokens_in: int = Field(default=0, ge=0, le=10**12)
    tokens_out: int = Field(default=0, ge=0, le=10**12)
    usd: float = Field(default=0, ge=0, le=10**9, allow_inf_nan=False)


class ResultEvent(_AgentEvent):
    """How the agent says it ended. Without one the exit code decides: 0 with a change is completed, else failed.

    An agent that looks at the work of others says its `verdict`; completed without one, it approves.
    """

    type: Literal["result"] = "result"
    outcome: Literal["completed", "failed", "needs_input"]
    summary: str = ""
    nothing_to_do: bool = False
    verdict: Literal["", "approved", "rejected"] = ""
    cause: str = ""
    question: str = ""


class SessionEvent(_AgentEvent):
    """What the agent program calls its own session: the next run of the bead by the same runner and role resumes it.

    It does so on this host only, unless the program keeps its sessions where it finds them from `everywhere`.
    """

    type: Literal["session"] = "session"
    id: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")
    everywhere: bool = False


class LessonEvent(_AgentEvent):
    """The agent learned something that later runs in this project should know. The first ten of a run are kept."""

    type: Literal["lesson"] = "lesson"
    category: str = ""
    title: str = ""
    detail: str = ""


class MessageEvent(_AgentEvent):
    """A turn of the conversation, kept for the next run of the bead: for agents without a session of their own."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "tool"]
    text: str


class BeadEvent(_AgentEvent):
    """The agent leaves work to somebody else that it found and that is not its own. The first ten of a run are kept.

    The same title again, from the same bead, is the same bead.
    """

    type: Literal["bead"] = "bead"
    title: str = Field(min_length=1, max_length=MAX_TITLE)
    description: str = ""
    priority: int = Field(default=DEFAULT_PRIORITY, ge=0, le=4)
    issue_type: Literal["task", "bug", "feature", "chore"] = "task"


AgentEvent = Annotated[
    ActionEvent | ProgressEvent | UsageEvent | ResultEvent | SessionEvent | LessonEvent | MessageEvent | BeadEvent,
    Field(discriminator="type"),
]

AGENT_EVENT: TypeAdapter[AgentEvent] = TypeAdapter(AgentEvent)
"""Reads one line of an agent's standard output."""
