"""Keeps what an agent says of its conversation: the name of its own session, and the turns it tells us."""

import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dispatch.context import compact, readable
from dispatch.models.messages import AgentEvent, AssignedSession, MessageEvent, SessionEvent
from dispatch.models.session import Session, Turn
from workers.persistence import is_passing

log = structlog.get_logger(__name__)


class Conversation:
    """The conversation of a bead during one of its runs; thread-safe. No trouble with the database gets out of `flush`.

    `save` writes the whole of it, so that it may be repeated, and does nothing for a run that is not this worker's any
    more. A program's own session is bound to the runner that `begin` names, and to `role`.
    """

    def __init__(self, save: Callable[[Session], object], before: Session | None, role: str) -> None:
        self._save = save
        self._runner = ""
        self._role = role
        self._session = before or Session()
        self._is_told = before is not None
        self._is_new = False
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def begin(self, runner: str) -> AssignedSession | None:
        """Return what the run, by the runner of that name, is told of the conversation; None when there was none."""
        self._runner = runner
        if not self._is_told:
            return None
        session = self._session
        resumable = session.resumable_id(runner=self._runner, role=self._role, host=socket.gethostname())
        return AssignedSession(id=resumable, started_at=session.started_at, turns=session.turns)

    def add(self, event: AgentEvent) -> None:
        """Take an event of the agent. It is written with the next beat, or with the outcome."""
        match event:
            case SessionEvent():
                host = "" if event.everywhere else socket.gethostname()
                with self._lock:
                    changed = replace(
                        self._session, runner=self._runner, role=self._role, external_id=event.id, host=host
                    )
                    self._is_new |= changed != self._session
                    self._session = changed
            case MessageEvent():
                turn = Turn(role=event.role, text=readable(event.text))
                with self._lock:
                    self._session = replace(self._session, turns=compact([*self._session.turns, turn]))
                    self._is_new = True
            case _:
                pass

    def flush(self) -> None:
        """Write what is new; what cannot be written now waits on."""
        try:
            self.write()
        except SQLAlchemyError as error:
            log.warning("a conversation waits for the database", cause=repr(error))

    def write(self) -> None:
        """Write what is new. Raises what the database does when it is away; what that refuses is told and dropped."""
        with self._writing:
            with self._lock:
                session, is_new, self._is_new = self._session, self._is_new, False
            if not is_new:
                return
            try:
                self._save(session)
            except SQLAlchemyError as error:
                if is_passing(error):
                    with self._lock:
                        self._is_new = True
                    raise
                log.exception("a conversation cannot be kept", session=session.external_id)
