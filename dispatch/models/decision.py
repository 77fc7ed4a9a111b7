"""Decisions: what only a human can settle, the options there are, and what was decided.

A decision rests on a bead of type decision that blocks the bead it is about. Source: SPEC, "Escalation and decisions".
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dispatch.models.identity import BeadId, BeadKey, ProjectId
from dispatch.models.progress import NO_COMMITS, CommitRange
from dispatch.models.run import ErrorRecord
from dispatch.models.workflow import Verdict

DECISION_TYPE = "decision"
DECISION_LABELS = ("ceo-review", "escalation", "human")
"""The issue type and the labels of a decision's own bead."""
ESCALATES_KEY = "escalates"
"""The key in a decision bead's metadata that names the bead it is about."""
ANNOUNCE_AFTER = timedelta(hours=4)
"""How long a decision may wait before it is announced again; from then on it is overdue."""
MOST_ANNOUNCEMENTS = 2
"""How often a decision is announced again."""


class EscalationKind(StrEnum):
    """Why a bead came to a human; which options there are depends on it."""

    FAILED = "failed"
    """Too many runs in a row failed."""
    LOOPING = "looping"
    """It is at its limit of runs and made no progress."""
    LIMIT = "limit"
    """It had far more runs than its limit, although it made progress."""
    PING_PONG = "ping-pong"
    """Two agents pass it to and fro."""
    QUESTION = "question"
    """Its agent asks."""
    UNSETTLED = "unsettled"
    """What its run reported cannot be settled."""
    WORKFLOW = "workflow"
    """It found no way on in its workflow."""
    APPROVAL = "approval"
    """Its workflow asks whether the work is good."""
    RETURNED = "returned"
    """Somebody gave it back, for a reason of his own."""


class Option(StrEnum):
    """What a human can decide."""

    ANSWER = "answer"
    APPROVE = "approve"
    REJECT = "reject"
    RETRY = "retry"
    RAISE_LIMIT = "raise-limit"
    REASSIGN = "reassign"
    SPLIT = "split"
    CLOSE = "close"
    MOOT = "moot"
    """Nobody decided: the bead was done before. It is never offered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The options of a decision, and which of them is recommended, for which reason."""

    options: tuple[Option, ...]
    recommended: Option
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What was decided, by whom, and what goes with it. `advice` reaches the bead's next run.

    `role` is that of a reassignment, `into` are the beads that a split made, `reason` is why the bead was closed.
    """

    option: Option
    by: str
    advice: str = ""
    role: str = ""
    into: tuple[BeadId, ...] = ()
    reason: str = ""

    def __str__(self) -> str:
        """Say it in a line: the option and what goes with it."""
        told = [self.role, ", ".join(self.into), self.reason, self.advice]
        return f"{self.option}: {'; '.join(filter(None, told))}" if any(told) else str(self.option)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingEffect:
    """What a ruling does to the bead: `closes` it with a reason, or lets it go on.

    Going on, its failures in a row are forgotten, and it goes at once. `renews_limit`: its runs so far no longer count
    against its limit. `role`: it goes to that role. `advice` is what its next run is told. `verdict` is what a human
    says of the work, where its workflow asks for that.
    """

    closes: bool = False
    close_reason: str = ""
    renews_limit: bool = False
    role: str = ""
    advice: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A bead that only a human can settle, the bead that waits for it, and what helps to decide.

    `commits` are the agents', `errors` the newest of why runs failed, the newest last. `ruled_at` and `ruling` are
    there when it has been decided.
    """

    project_id: ProjectId
    decision_id: BeadId
    bead_id: BeadId
    reason: str
    kind: EscalationKind = EscalationKind.RETURNED
    question: str = ""
    detail: str = ""
    returned_to: str | None = None
    progress: str = ""
    suggestions: tuple[str, ...] = ()
    commits: CommitRange = NO_COMMITS
    errors: tuple[ErrorRecord, ...] = ()
    offer: Offer
    opened_at: datetime
    announcements: int = 0
    """How often it was announced again."""
    ruled_at: datetime | None = None
    ruling: Ruling | None = None
    created: bool = True
    """False when an open decision for the bead was updated instead."""

    @property
    def key(self) -> BeadKey:
        return BeadKey(self.project_id, self.decision_id)

    @property
    def bead_key(self) -> BeadKey:
        return BeadKey(self.project_id, self.bead_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependent:
    """A bead that waits for another."""

    id: BeadId
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEntry:
    """A decision as a human sees it: with its bead, how long it has waited, and who waits for the bead in turn."""

    decision: Decision
    title: str
    priority: int
    status: str
    role: str
    hops: int
    waiting: timedelta
    dependents: tuple[Dependent, ...] = ()

    @property
    def is_overdue(self) -> bool:
        return self.decision.ruling is None and self.waiting >= ANNOUNCE_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a human told the runs of a bead: why he was asked, and what he said."""

    at: datetime
    by: str
    asked: str
    advice: str
