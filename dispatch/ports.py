"""The borders that rooms meet at: what a room needs of another, said by the one that needs it.

Protocols with two or more real implementations (`MessageBus`, `Clock`, `Escalator`), and the few
that the direction of imports asks for: the deciding rooms lie below the store and name what they need of it here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement

from dispatch.models.identity import BeadId, ProjectId, RunId
from dispatch.models.messages import TaskMessage


class Clock(Protocol):
    """Where "now" comes from, as an SQL expression: leases and deadlines are compared inside the database."""

    def now(self) -> ColumnElement[Any]:
        """Return a `timestamptz` expression that is evaluated in each statement it appears in."""
        ...


class MessageBus(Protocol):
    """Carries tasks to workers. Delivery is at least once and may fail: the database remembers what was handed over."""

    def publish_task(self, project_id: ProjectId, task: TaskMessage) -> None:
        """Hand over a step of one run to the queue of its role."""
        ...

    def publish_task_for_role(self, project_id: ProjectId, role: str, task: TaskMessage) -> None:
        """Hand over a step of one run to the queue of `role`, whatever role the task names."""
        ...

    def publish_step(self, project_id: ProjectId, tasks: Sequence[TaskMessage]) -> None:
        """Hand over all runs of one step together: one chord."""
        ...

    def publish_settle(self, run_id: RunId) -> None:
        """Ask for a reported run to be settled."""
        ...

    def publish_landing(self, project_id: ProjectId) -> None:
        """Ask for what waits to land in a project to be landed."""
        ...

    def publish_nudge(self) -> None:
        """Ask for a tick now."""
        ...


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


class Escalator(Protocol):
    """Hands a bead to a human."""

    def escalate_bead_to_ceo(self, bead_id: str, reason: str, returned_to: str | None = None) -> Decision:
        """Block `bead_id` (also `project/id`) behind a decision and return it. Idempotent while one is open."""
        ...


class RunSettler(Protocol):
    """Settles a reported run; the tick calls it for what a lost message left."""

    def __call__(self, run_id: UUID) -> object: ...
