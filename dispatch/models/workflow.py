"""Workflows: the nodes a bead goes through, where it is in them, and the decision where it goes next.

Source: SPEC, "Workflows"; `docs/workflows.md` for how one is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dispatch.models.bead import Bead

DONE = "done"
"""The target of an edge that ends a workflow: the bead's work lands, and it closes."""
DEFAULT_MAX_ATTEMPTS = 3
DEFAULT_CYCLE_LIMIT = 3


class NodeKind(StrEnum):
    """What a node asks for, and of whom."""

    TASK = "task"
    """One agent works on the bead's branch."""
    VERIFY = "verify"
    """Agents, one or more, look at the work and vote; they write nothing."""
    APPROVAL = "approval"
    """A human approves or rejects."""
    COMMIT = "commit"
    """One agent puts the work in order for landing; the engineering manager where that is served."""


WRITING_KINDS = frozenset({NodeKind.TASK, NodeKind.COMMIT})
"""Their run writes the bead's branch."""


class Condition(StrEnum):
    """What an edge is taken on."""

    SUCCESS = "success"
    FAILURE = "failure"
    APPROVED = "approved"
    REJECTED = "rejected"
    TIMEOUT = "timeout"


class Turn(StrEnum):
    """Who has to do something about a bead in a workflow."""

    NONE = ""
    """It is in no workflow."""
    ENGINE = "engine"
    """It has to begin, or is through."""
    AGENT = "agent"
    HUMAN = "human"


class Quorum(StrEnum):
    """How many reviewers of a node must approve."""

    MAJORITY = "majority"
    ALL = "all"
    ANY = "any"


class Verdict(StrEnum):
    """What a reviewer, or a human, says of the work."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One stage. `role` empty: whom the bead itself asks for. `max_attempts` is how often it may fail in a row.

    `timeout` is the limit of each run; of an approval, how long a human may take before its timeout edge is taken.
    """

    name: str
    kind: NodeKind = NodeKind.TASK
    role: str = ""
    instructions: str = ""
    reviewers: int = 1
    quorum: Quorum = Quorum.MAJORITY
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    timeout: timedelta | None = None
    edges: Mapping[Condition, str] = field(default_factory=dict)
    """The node that follows on each condition, or `DONE`."""

    @property
    def writes(self) -> bool:
        return self.kind in WRITING_KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """A definition that was checked: every edge leads somewhere, every node is reached, and each has a way out.

    `types`, `labels` and `title_words` say which beads it is for, where workflows are chosen by the beads themselves.
    `cycle_limit` is how often a bead may come back to any one node before a human is asked.
    """

    name: str
    start: str
    nodes: Mapping[str, Node]
    description: str = ""
    cycle_limit: int = DEFAULT_CYCLE_LIMIT
    types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    title_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What was said of the work, by a reviewer or a human (`by`)."""

    node: str
    by: str
    verdict: Verdict
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """How the runs of a step voted; `silent` are those that ended without a verdict."""

    approved: int = 0
    rejected: int = 0
    silent: int = 0

    def __str__(self) -> str:
        told = [f"{self.approved} approved", f"{self.rejected} rejected"]
        if self.silent:
            told.append(f"{self.silent} said nothing")
        return ", ".join(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Where a bead is in its workflow. The definition is the one it started with, whatever the files say now.

    `node` is `DONE` while the work is landing. `attempts` counts the failures of this node in a row; `visited` are the
    nodes that the bead left since a human last let it go on, and `cycles` is how often it came back to the one it came
    back to most. `writer` is the last node that wrote its branch, `reviews` are what was said of the work since then.
    """

    workflow: Workflow
    node: str
    attempts: int = 0
    cycles: int = 0
    visited: tuple[str, ...] = ()
    writer: str = ""
    reviews: tuple[Review, ...] = ()
    entered_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def current(self) -> Node | None:
        """The node that the bead is at; None when it is through."""
        return self.workflow.nodes.get(self.node) if self.ended_at is None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowMove:
    """The decision where a bead goes next in its workflow, and everything of its execution that is new.

    `target` may be the node it is at: it is done again. `escalates` is why a human has to look at it first, empty when
    nobody has to; `condition` is None when the step did not count, as when its worker died.
    """

    condition: Condition | None
    source: str
    target: str
    attempts: int = 0
    cycles: int = 0
    visited: tuple[str, ...] = ()
    writer: str = ""
    reviews: tuple[Review, ...] = ()
    votes: Votes | None = None
    escalates: str = ""

    def applied_to(self, execution: Execution) -> Execution:
        """Return the execution as it is after the move."""
        return replace(
            execution,
            node=self.target,
            attempts=self.attempts,
            cycles=self.cycles,
            visited=self.visited,
            writer=self.writer,
            reviews=self.reviews,
        )

    @property
    def is_through(self) -> bool:
        """Whether the workflow ends, and nobody has to look first."""
        return self.target == DONE and not self.escalates


@dataclass(frozen=True, slots=True, kw_only=True)
class DueBead:
    """A bead whose workflow no run moves on, and where it is: nowhere yet (None), through, or at an approval.

    `is_overdue`: a human had as much time as its node gives.
    """

    bead: Bead
    execution: Execution | None
    is_overdue: bool = False
