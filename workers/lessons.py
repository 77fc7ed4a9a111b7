"""Lessons of a run: those that it is told, and those that its agent tells."""

from collections.abc import Callable
from dataclasses import replace

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dispatch.errors import DispatchError
from dispatch.learning import LessonsProvider
from dispatch.models.messages import AgentEvent, LessonEvent
from dispatch.store import StartedRun
from workers.persistence import is_passing

MOST_LESSONS = 10
"""Lessons of one run that are kept; whoever tells more tells what every run could."""

log = structlog.get_logger(__name__)


def tell_lessons(provider: LessonsProvider, started: StartedRun) -> StartedRun:
    """Return a run that was started with the lessons that fit it; the provider sees that nothing fails by it."""
    if not started.has_lessons:
        return started
    return replace(started, lessons=provider.tell(started.run.id, started.bead, started.errors))


class LessonTaker:
    """Keeps the lessons that one run's agent tells. No trouble with them gets out.

    What the database does not take now waits for the next `flush`.
    """

    def __init__(self, provider: LessonsProvider, started: StartedRun) -> None:
        self._provider = provider
        self._started = started
        self._count = 0
        self._waiting: list[LessonEvent] = []

    def add(self, event: AgentEvent) -> None:
        """Take an event of the agent; a lesson is stored at once."""
        if not isinstance(event, LessonEvent):
            return
        self._count += 1
        if self._count > MOST_LESSONS:
            if self._count == MOST_LESSONS + 1:
                log.warning("further lessons of a run are left out", run_id=str(self._started.run.id))
            return
        self._waiting.append(event)
        self.flush()

    def flush(self) -> None:
        """Store what waits."""
        while self._waiting:
            if not self._stored(lambda: self._record(self._waiting[0])):
                return
            self._waiting.pop(0)

    def _stored(self, record: Callable[[], object]) -> bool:
        run_id = str(self._started.run.id)
        try:
            record()
        except DispatchError as error:
            log.warning("a lesson of a run is left out", run_id=run_id, cause=str(error))
        except SQLAlchemyError as error:
            if is_passing(error):
                log.warning("a lesson of a run waits for the database", run_id=run_id, cause=repr(error))
                return False
            log.exception("a lesson of a run cannot be kept", run_id=run_id)
        return True

    def _record(self, event: LessonEvent) -> None:
        run, bead = self._started.run, self._started.bead
        self._provider.record_lesson(
            run.project_id, event.category, event.title, event.detail, bead.id, run.agent_name, run_id=run.id
        )
