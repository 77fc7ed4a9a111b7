"""Beads that a run's agent leaves to others: work that it found and that is not its own."""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dispatch.errors import DispatchError
from dispatch.exchange import NewBead, file_follow_up
from dispatch.models.messages import AgentEvent, BeadEvent
from dispatch.settings import Settings
from dispatch.store import StartedRun, Store
from workers.persistence import is_passing

MOST_FOLLOW_UPS = 10
"""Beads of one run that are kept; whoever finds more should write one that speaks of all."""

log = structlog.get_logger(__name__)


class FollowUpTaker:
    """Keeps the beads that one run's agent files. No trouble with them gets out.

    What the database does not take now waits for the next `flush`.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        started: StartedRun,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._settings = settings
        self._started = started
        self._now = now
        self._count = 0
        self._waiting: list[BeadEvent] = []

    def add(self, event: AgentEvent) -> None:
        """Take an event of the agent; a bead is stored at once."""
        if not isinstance(event, BeadEvent):
            return
        self._count += 1
        if self._count > MOST_FOLLOW_UPS:
            if self._count == MOST_FOLLOW_UPS + 1:
                log.warning("further beads of a run are left out", run_id=str(self._started.run.id))
            return
        self._waiting.append(event)
        self.flush()

    def flush(self) -> None:
        """Store what waits."""
        while self._waiting:
            if not self._is_done_with(self._waiting[0]):
                return
            self._waiting.pop(0)

    def _is_done_with(self, event: BeadEvent) -> bool:
        run_id = str(self._started.run.id)
        try:
            self._file(event)
        except DispatchError as error:
            log.warning("a bead of a run is left out", run_id=run_id, title=event.title, cause=str(error))
        except SQLAlchemyError as error:
            if is_passing(error):
                log.warning("a bead of a run waits for the database", run_id=run_id, cause=repr(error))
                return False
            log.exception("a bead of a run cannot be kept", run_id=run_id)
        return True

    def _file(self, event: BeadEvent) -> None:
        run = self._started.run
        new = NewBead(
            title=event.title,
            description=event.description,
            priority=event.priority,
            issue_type=event.issue_type,
        )
        file_follow_up(
            self._store,
            self._started.project,
            run.bead_id,
            new,
            run_id=run.id,
            by=run.agent_name or "an agent",
            now=self._now(),
            settings=self._settings,
        )
