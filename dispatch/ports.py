"""The borders with more than one real implementation: Celery or this process, the database's time or a given one.

What a deciding room needs of the store, which lies above it, it says itself, beside the code that uses it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ColumnElement

from dispatch.models.decision import Decision
from dispatch.models.identity import ProjectId, RunId
from dispatch.models.messages import TaskMessage


class Clock(Protocol):
    """Where "now" comes from, as an SQL expression: leases and deadlines are compared inside the database."""

    @property
    def given(self) -> datetime | None:
        """The moment it stands at, for a clock that needs no database to tell; None: ask the database."""
        ...

    def now(self) -> ColumnElement[Any]:
        """Return a `timestamptz` expression that is evaluated in each statement it appears in."""
        ...


class Embedder(Protocol):
    """Makes vectors of texts: those of texts that speak of the same are near each other.

    It may have a `name`; vectors are only compared with those of an embedder of the same name. Without one its class
    is its name.
    """

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return a vector for each text, all of one length; raises what it likes when it cannot."""
        ...


class Escalator(Protocol):
    """Takes a bead to a human, who decides how it goes on."""

    def escalate_bead_to_ceo(self, bead_id: str, reason: str, returned_to: str | None = None) -> Decision:
        """Have a human decide about a bead, named by `id` or `project/id`; `returned_to` is the role that had it."""
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

    def close(self) -> None:
        """Give back what it holds; work that this process has under way is finished first."""
        ...
