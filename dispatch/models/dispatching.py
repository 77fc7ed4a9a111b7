"""What a tick looks at, what it decides, and what it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from dispatch.models.agent import Agent
from dispatch.models.bead import Bead
from dispatch.models.guarding import CheckedReadiness, FailureRow, Spent
from dispatch.models.identity import AgentId, BeadId, BeadKey, ProjectId, RunId, StepId
from dispatch.models.messages import TaskMessage
from dispatch.models.project import Project
from dispatch.models.provider import ProviderRecord

NEVER = datetime.min.replace(tzinfo=UTC)
"""Before any moment: when nobody looked at a clock."""


class StatusState(StrEnum):
    """ACTIVE: something was dispatched or is running. PARKED: nothing is, and the reason says why."""

    ACTIVE = "active"
    PARKED = "parked"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusNote:
    """What a round found out about the whole system (`scope` empty) or a project."""

    scope: str
    state: StatusState
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Who could work now: the idle agents of fresh incarnations, least recently used first, and what is in use.

    `served_roles` are those of any fresh incarnation, busy ones included, and `agents_by_role` the number of agents
    that serve each; `open_by_role` and `open_by_project` count open runs, `wanted` the wishes for a tick so far, and
    `noted` is what the round before noted. `paused_roles` has the reason of each. `now` is the moment of the look;
    `readiness`, `failing` and `spent` (today) are what the guards of projects know then. `providers` is what is
    remembered of those of models. `troubles` are why fresh incarnations are given nothing, by their nodes.
    """

    agents: tuple[Agent, ...]
    served_roles: frozenset[str]
    open_by_role: Mapping[str, int]
    projects: tuple[Project, ...]
    agents_by_role: Mapping[str, int] = field(default_factory=dict)
    open_by_project: Mapping[ProjectId, int] = field(default_factory=dict)
    noted: frozenset[StatusNote] = frozenset()
    paused: bool = False
    pause_reason: str = ""
    paused_roles: Mapping[str, str] = field(default_factory=dict)
    wanted: int = 0
    now: datetime = NEVER
    readiness: Mapping[ProjectId, CheckedReadiness] = field(default_factory=dict)
    failing: Mapping[ProjectId, FailureRow] = field(default_factory=dict)
    spent: Mapping[ProjectId, Spent] = field(default_factory=dict)
    providers: Mapping[str, ProviderRecord] = field(default_factory=dict)
    troubles: Mapping[str, str] = field(default_factory=dict)

    @property
    def open_runs(self) -> int:
        return sum(self.open_by_role.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One stretch of the dispatch index to look at: the first `limit` ready beads of a project that ask for `hint`.

    They are for agents of `role`; None: for any agent. Beads that cost `bead_cap` dollars so far are passed over.
    """

    project_id: ProjectId
    hint: str
    role: str | None
    limit: int
    bead_cap: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A ready bead, and the lane that showed it."""

    bead: Bead
    lane: Lane
    timeout: timedelta | None = None
    """What the bead itself asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The decision to give a bead to agents: one for each run of the step.

    The first one writes its branch, unless all of them only look at the work (`reads`). `provider` is the one of models
    that they use, empty when they use none.
    """

    bead: BeadKey
    agents: tuple[Agent, ...]
    role: str
    timeout: timedelta
    reason: str
    reads: bool = False
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The decision not to dispatch a bead that was looked at, and why, in one sentence."""

    bead: BeadKey
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one look at supply and candidates decided.

    `parked` are projects of which nothing, or only one bead on trial, may go, and why; `unchecked` are projects with
    beads that wait, whose readiness is to be looked at again.
    """

    placements: tuple[Placement, ...]
    refusals: tuple[Refusal, ...]
    parked: Mapping[ProjectId, str] = field(default_factory=dict)
    unchecked: frozenset[ProjectId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """A step that is in the database and goes to the bus: `tasks` are those of its runs that are to be published."""

    step_id: StepId
    project_id: ProjectId
    tasks: tuple[TaskMessage, ...]
    agents: tuple[AgentId | None, ...] = ()
    reason: str = ""
    provider: str = ""

    @property
    def run_ids(self) -> tuple[RunId, ...]:
        return tuple(RunId(task.run_id) for task in self.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How often a tick was wished for. `settles_follow`: there are runs to be settled, and whoever settles goes on."""

    counted: int
    settles_follow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What the start of a tick found.

    `armed`: ticks have come without a gap long enough that an ended lease means a lost worker, not an outage.
    `wanted` counts nudges; when it moved at the end of the tick, somebody asked for another one meanwhile.
    """

    armed: bool
    wanted: int
    paused: bool
    pause_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchResult:
    """What happened to one bead, or why there was none. `reason` says why it went there, `error` why it did not."""

    dispatched: bool
    project_id: ProjectId | None = None
    bead_id: BeadId | None = None
    agent_id: AgentId | None = None
    provider_id: str | None = None
    run_id: RunId | None = None
    role: str | None = None
    reason: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemStatus:
    """Whether work goes on, the same for every process. ACTIVE: something was dispatched or is running."""

    state: StatusState
    reason: str
    updated_at: datetime
