"""Keeps what an agent does: small batches, and never at the price of the run."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dispatch.models.identity import AgentId
from dispatch.models.messages import ActionEvent, AgentEvent
from dispatch.models.run import ActionRecord
from workers.persistence import is_passing

_BATCH = 20
_KEPT_WHILE_AWAY = 1000
_REFUSALS = (SQLAlchemyError, ValueError, TypeError)
"""How the database and its driver refuse. What else interrupts a write, such as a time limit, passes through."""

log = structlog.get_logger(__name__)


class ActionRecorder:
    """Collects the actions of one run and writes them in batches; thread-safe. No trouble with the database gets out.

    While the database is away they wait here, the newest 1,000 of them. One that the database cannot hold is dropped.
    """

    def __init__(
        self,
        write: Callable[[Sequence[ActionRecord]], None],
        agent_id: AgentId | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._write = write
        self._agent_id = agent_id
        self._now = now
        self._waiting: list[ActionRecord] = []
        self._lock = threading.Lock()

    def add(self, event: AgentEvent) -> ActionRecord | None:
        """Take an event of the agent and return the action that it tells of; None: it tells of none."""
        if not isinstance(event, ActionEvent):
            return None
        record = self._record(event)
        with self._lock:
            self._waiting.append(record)
        return record

    @property
    def is_due(self) -> bool:
        """Whether enough wait to be written."""
        with self._lock:
            return len(self._waiting) >= _BATCH

    def flush(self) -> None:
        """Write what waits; what cannot be written now waits on."""
        with self._lock:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            self._write(batch)
        except _REFUSALS as error:
            if is_passing(error):
                self._keep(batch, error)
            else:
                self._write_each(batch)

    def _keep(self, batch: list[ActionRecord], error: Exception) -> None:
        log.warning("actions wait for the database", count=len(batch), cause=repr(error))
        with self._lock:
            self._waiting = (batch + self._waiting)[-_KEPT_WHILE_AWAY:]

    def _write_each(self, batch: list[ActionRecord]) -> None:
        """Write the actions of a batch that was refused one by one, so that only the one at fault is lost."""
        for index, action in enumerate(batch):
            try:
                self._write([action])
            except _REFUSALS as error:
                if is_passing(error):
                    self._keep(batch[index:], error)
                    return
                log.warning("an action cannot be kept", action=action.progress_key[:200], cause=repr(error))

    def _record(self, event: ActionEvent) -> ActionRecord:
        return ActionRecord(
            timestamp=self._now(),
            action_type=event.action_type,
            action_data=dict(event.action_data),
            result_hash=event.result_hash,
            agent_id=self._agent_id,
        )
