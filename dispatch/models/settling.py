"""What the end of a step is decided on, and the decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dispatch.models.bead import Bead
from dispatch.models.decision import EscalationKind
from dispatch.models.identity import AgentId, BeadId
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.models.run import ActionRecord, ErrorRecord, Run
from dispatch.models.states import BeadEvent
from dispatch.models.workflow import Execution, WorkflowMove


@dataclass(frozen=True, slots=True, kw_only=True)
class LookBack:
    """The answer that a bead's past is needed to decide: what its agents did, or who they were, or both."""

    actions: bool = False
    agents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a bead's runs came to, as far as a `LookBack` asked for it; all of it bounded, and oldest first.

    `moment` is when it was looked back at, `attempts` how many runs there were. `actions` are those of the runs before,
    `last_actions` those of the step that ends now. `agents` had the last runs that counted as hops since the bead was
    last at triage; None: it is not known who. `served_roles` are those of live workers.
    """

    moment: datetime
    attempts: int = 0
    actions: Sequence[ActionRecord] = ()
    last_actions: Sequence[ActionRecord] = ()
    errors: Sequence[ErrorRecord] = ()
    agents: Sequence[AgentId | None] = ()
    served_roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedStep:
    """A step whose runs have all ended: the bead as it is, and the settled runs in their order.

    `size` is how many runs it had, those included that were taken back. `execution` is where the bead is in its
    workflow, if it is in one. `past` is there when it was asked for.
    """

    bead: Bead
    runs: Sequence[Run]
    size: int = 1
    execution: Execution | None = None
    past: Past | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """The wish that a human decides about a bead before it goes on.

    What helps to decide goes with it: what the agents did, in a sentence (`progress`), what a human could supply
    (`suggestions`), the agents' commits, and why runs failed, the newest failures last.
    """

    reason: str
    title: str
    body: str
    kind: EscalationKind = EscalationKind.RETURNED
    question: str = ""
    """What its agent asks, where it does."""
    detail: str = ""
    """What lies behind the reason, where there is more to say."""
    returned_to: str | None = None
    progress: str = ""
    suggestions: tuple[str, ...] = ()
    commits: CommitRange = NO_COMMITS
    errors: tuple[ErrorRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """The wish that somebody else looks at a bead next, before all others: `role`, empty for whom no role is named."""

    role: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadEffect:
    """What happens to a bead: one guarded move, and what is written with it.

    `hops` is added to the bead's count, `failures` replaces it. `cooldown` keeps the bead from going again for so long.
    `commits` replaces the range of the bead's commits where there is one. `workflow` is where it goes in its workflow.
    `overcame`: earlier runs failed where this one did not, which is worth a lesson.
    """

    event: BeadEvent
    reason: str
    head_sha: str | None = None
    close_reason: str = ""
    hops: int = 0
    failures: int = 0
    cooldown: timedelta | None = None
    error: str | None = None
    escalation: Escalation | None = None
    triage: Triage | None = None
    commits: CommitRange | None = None
    workflow: WorkflowMove | None = None
    overcame: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A run that was settled now. `effect` is None while other runs of its step are open.

    `released` are beads that became ready by it. `others_wait`: other runs had reported and were not settled yet.
    """

    run: Run
    effect: BeadEffect | None = None
    released: tuple[BeadId, ...] = ()
    others_wait: bool = False
