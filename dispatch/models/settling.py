"""What the end of a step is decided on, and the decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dispatch.models.bead import Bead
from dispatch.models.identity import BeadId, ProjectId
from dispatch.models.run import Run
from dispatch.models.states import BeadEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedStep:
    """A step whose runs have all ended: the bead as it is, and the settled runs in their order."""

    bead: Bead
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """The wish that a human decides about a bead before it goes on."""

    reason: str
    title: str
    body: str
    returned_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadEffect:
    """What happens to a bead: one guarded move, and what is written with it.

    `hops` is added to the bead's count, `failures` replaces it. `cooldown` keeps the bead from going again for so long.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A run that was settled now. `effect` is None while other runs of its step are open.

    `released` are beads that became ready by it. `others_wait`: other runs had reported and were not settled yet.
    """

    run: Run
    effect: BeadEffect | None = None
    released: tuple[BeadId, ...] = ()
    others_wait: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A bead that only a human can settle, and the bead that waits for it."""

    project_id: ProjectId
    decision_id: BeadId
    bead_id: BeadId
    reason: str
    returned_to: str | None = None
    created: bool = True
    """False when an open decision for the bead was updated instead."""
