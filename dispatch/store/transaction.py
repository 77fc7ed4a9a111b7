"""A transaction with a clock, and the locks that are taken in it.

Lock order, everywhere: tick, project, bead, run, agent (PROTOCOL, rule 4).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.errors import LockNotAvailable
from sqlalchemy import ColumnElement, Connection, select, text
from sqlalchemy.exc import OperationalError

from dispatch.errors import TickBusyError
from dispatch.models.identity import ProjectId
from dispatch.ports import Clock

_TICK_LOCK = 0x6469737001
_PROJECT_LOCK_SPACE = 0x64697370


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open connection inside a transaction, and where "now" comes from."""

    connection: Connection
    clock: Clock

    def now(self) -> ColumnElement[Any]:
        return self.clock.now()

    def moment(self) -> datetime:
        """Return what `now` is at this moment, as a value."""
        moment: datetime = self.connection.execute(select(self.now())).scalar_one()
        return moment

    def lock_tick(self) -> None:
        """Wait at most 2 s to be the only tick; raises `TickBusyError` after that.

        Nor does a tick wait longer than 2 s for any lock that it takes later: work elsewhere waits for it.
        """
        self.connection.execute(text("SET LOCAL lock_timeout = '2s'"))
        try:
            self.connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _TICK_LOCK})
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable):
                raise TickBusyError from error
            raise

    def lock_project(self, project_id: ProjectId) -> bool:
        """Take the lock under which a project's graph and statuses are written; False when there is no such project.

        A statement of its own: under READ COMMITTED a later statement sees what the last holder committed, while one
        that locks and reads at once does not.
        """
        number = self.connection.execute(
            text("SELECT number FROM projects WHERE id = :project"), {"project": project_id}
        ).scalar()
        if number is None:
            return False
        self.connection.execute(
            text("SELECT pg_advisory_xact_lock(:space, :number)"), {"space": _PROJECT_LOCK_SPACE, "number": number}
        )
        return True

    def try_lock_project(self, project_id: ProjectId) -> bool:
        """Take a project's lock like `lock_project`; False also when others keep it longer than this session waits."""
        try:
            with self.connection.begin_nested():
                return self.lock_project(project_id)
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable):
                return False
            raise
