"""A message bus that remembers, and can be away."""

from collections.abc import Sequence

import pytest

from dispatch.models.identity import ProjectId, RunId
from dispatch.models.messages import TaskMessage


class RecordingBus:
    """Keeps what it was given; while `away`, takes nothing."""

    def __init__(self) -> None:
        self.away = False
        self.steps: list[tuple[TaskMessage, ...]] = []
        self.settles: list[RunId] = []
        self.landings: list[ProjectId] = []
        self.nudges = 0

    @property
    def tasks(self) -> list[TaskMessage]:
        return [task for step in self.steps for task in step]

    def publish_task(self, project_id: ProjectId, task: TaskMessage) -> None:
        self.publish_step(project_id, [task])

    def publish_task_for_role(self, project_id: ProjectId, role: str, task: TaskMessage) -> None:
        self.publish_step(project_id, [task])

    def publish_step(self, project_id: ProjectId, tasks: Sequence[TaskMessage]) -> None:
        self._answer()
        self.steps.append(tuple(tasks))

    def publish_settle(self, run_id: RunId) -> None:
        self._answer()
        self.settles.append(run_id)

    def publish_landing(self, project_id: ProjectId) -> None:
        self._answer()
        self.landings.append(project_id)

    def publish_nudge(self) -> None:
        self._answer()
        self.nudges += 1

    def close(self) -> None:
        """Nothing is held."""

    def _answer(self) -> None:
        if self.away:
            raise ConnectionRefusedError("the broker is away")


@pytest.fixture
def bus() -> RecordingBus:
    return RecordingBus()
