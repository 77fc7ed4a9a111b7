"""A transaction with a clock, and the locks that are taken in it.

Lock order, everywhere: tick, project, bead, run, agent (PROTOCOL, rule 4).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.errors import LockNotAvailable
from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.exc import OperationalError

from dispatch.errors import TickBusyError
from dispatch.models.identity import BeadKey, ProjectId, RunId
from dispatch.models.states import RunState
from dispatch.ports import Clock
from dispatch.store.written import NOW, run, written

_TICK_LOCK = 0x6469737001
_PROJECT_LOCK_SPACE = 0x64697370
_WAIT_FOR_TICK = written(
    f"SELECT set_config('lock_timeout', '2s', true), pg_advisory_xact_lock({_TICK_LOCK}), {NOW} AS moment"
)
_TRY_TICK = written(
    f"SELECT set_config('lock_timeout', '2s', true), pg_try_advisory_xact_lock({_TICK_LOCK}) AS ours, {NOW} AS moment"
)
_LOCK_PROJECT = written(
    f"SELECT pg_advisory_xact_lock({_PROJECT_LOCK_SPACE}, number) FROM projects WHERE id = :project"
)
_LOCK_PROJECT_OF = written(
    f"""
SELECT runs.project_id, runs.bead_id, pg_advisory_xact_lock({_PROJECT_LOCK_SPACE}, projects.number)
FROM runs JOIN projects ON projects.id = runs.project_id
WHERE runs.id = :run AND runs.state = '{RunState.REPORTED}'
"""
)
_TRY_PROJECTS = written(
    f"""
SELECT id, pg_try_advisory_xact_lock({_PROJECT_LOCK_SPACE}, number) AS ours
FROM projects WHERE id = ANY (CAST(:projects AS text[]))
"""
)


@dataclass(frozen=True, slots=True)
class Transaction:
    """An open connection inside a transaction, and where "now" comes from."""

    connection: Connection
    clock: Clock

    def now(self) -> ColumnElement[Any]:
        return self.clock.now()

    def run(self, statement: str, **parameters: Any) -> list[Any]:
        """Run a statement that is written out (`written`), and return its rows."""
        return run(self.connection, statement, parameters)

    def run_one(self, statement: str, **parameters: Any) -> Any:
        """Run a statement that gives at most one row; return that, or None."""
        rows = self.run(statement, **parameters)
        return rows[0] if rows else None

    @property
    def given(self) -> datetime | None:
        """What a written-out statement gets as its `now`."""
        return self.clock.given

    def moment(self) -> datetime:
        """Return what `now` is at this moment, as a value."""
        moment: datetime = self.given or self.connection.execute(select(self.now())).scalar_one()
        return moment

    def lock_tick(self) -> datetime:
        """Become the only tick, and return the moment at which that was.

        It waits at most 2 s, and raises `TickBusyError` then. Nor does a tick wait longer than 2 s for any lock that it
        takes later: work elsewhere waits for it.
        """
        try:
            (row,) = self.run(_WAIT_FOR_TICK, now=self.given)
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable):
                raise TickBusyError from error
            raise
        moment: datetime = row.moment
        return moment

    def try_lock_tick(self) -> datetime | None:
        """Become the only tick like `lock_tick`, unless there is another: None."""
        (row,) = self.run(_TRY_TICK, now=self.given)
        return row.moment if row.ours else None

    def lock_project(self, project_id: ProjectId) -> bool:
        """Take the lock under which a project's graph and statuses are written; False when there is no such project.

        A statement of its own: under READ COMMITTED a later statement sees what the last holder committed, while one
        that locks and reads at once does not.
        """
        return bool(self.run(_LOCK_PROJECT, project=project_id))

    def lock_project_of(self, run_id: RunId) -> BeadKey | None:
        """Take the lock of the project of a run that waits to be settled, and return its bead; None: there is none."""
        rows = self.run(_LOCK_PROJECT_OF, run=run_id)
        return BeadKey.of(rows[0].project_id, rows[0].bead_id) if rows else None

    def try_lock_projects(self, project_ids: Collection[ProjectId]) -> set[ProjectId]:
        """Take the locks of projects like `lock_project`; return those that nobody kept longer than this session waits.

        Most are free, and those are had in one statement.
        """
        rows = self.run(_TRY_PROJECTS, projects=sorted(project_ids))
        return {ProjectId(row.id) for row in rows if row.ours or self.try_lock_project(ProjectId(row.id))}

    def try_lock_project(self, project_id: ProjectId) -> bool:
        """Take a project's lock like `lock_project`; False also when others keep it longer than this session waits."""
        try:
            with self.connection.begin_nested():
                return self.lock_project(project_id)
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable):
                return False
            raise
