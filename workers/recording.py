"""Keeps what an agent does: small batches, and never at the price of the run."""

import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from dispatch.models.identity import AgentId
from dispatch.models.messages import ActionEvent, AgentEvent
from dispatch.models.run import ActionRecord

_BATCH = 20
_KEPT_WHILE_AWAY = 1000


class ActionRecorder:
    """Collects the actions of one run and writes them in batches; thread-safe.

    While the database is away they wait here, the newest 1,000 of them.
    """

    def __init__(self, write: Callable[[Sequence[ActionRecord]], None], agent_id: AgentId | None) -> None:
        self._write = write
        self._agent_id = agent_id
        self._waiting: list[ActionRecord] = []
        self._lock = threading.Lock()

    def add(self, event: AgentEvent) -> bool:
        """Take an event of the agent; True when enough wait that a flush is due."""
        if not isinstance(event, ActionEvent):
            return False
        with self._lock:
            self._waiting.append(self._record(event))
            return len(self._waiting) >= _BATCH

    def flush(self) -> None:
        """Write what waits; what cannot be written waits on, and the error passes through."""
        with self._lock:
            batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            self._write(batch)
        except Exception:
            with self._lock:
                self._waiting = (batch + self._waiting)[-_KEPT_WHILE_AWAY:]
            raise

    def _record(self, event: ActionEvent) -> ActionRecord:
        return ActionRecord(
            timestamp=datetime.now(UTC),
            action_type=event.action_type,
            action_data=dict(event.action_data),
            result_hash=event.result_hash,
            progress_key=progress_key(event),
            agent_id=self._agent_id,
        )


def progress_key(event: ActionEvent) -> str:
    """Return what identifies an action: its type and its file, or its command, or the canonical JSON of its data."""
    for name in ("path", "file_path", "command"):
        value = event.action_data.get(name)
        if isinstance(value, str):
            return f"{event.action_type}:{value}"
    return f"{event.action_type}:{json.dumps(event.action_data, sort_keys=True, default=str)}"
